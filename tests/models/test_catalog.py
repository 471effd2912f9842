"""What the catalog remembers, computes and writes down: restarts, hashes, JSON files, others' notes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora
from model_files import SDXL, kohya, save
from running import STARTER, wait_until

from webbduck_gradio.command_line import settings_from
from webbduck_gradio.errors import ModelError, RequestError, UnknownName
from webbduck_gradio.models import reading
from webbduck_gradio.models.benchmark import write_lora
from webbduck_gradio.models.hashes import autov2, autov3
from webbduck_gradio.models.lorafile import training
from webbduck_gradio.models.registry import Registry
from webbduck_gradio.settings import Settings


def table(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def loras_json(settings: Settings) -> Path:
    return settings.loras / "loras.json"


# -- a restart -----------------------------------------------------------------------------------------


def test_a_restart_reads_only_what_changed(settings: Settings) -> None:
    for number in range(5):
        write_lora(settings.loras / f"{number}.safetensors", number, 4 + number % 2)
    (settings.loras / "2.json").write_text('{"activation text": "beside"}')
    first = Registry(settings)
    assert first.headers_read == 7  # the starter, five LoRAs, a note
    again = Registry(settings)
    assert again.headers_read == 0
    assert (again.loras(), again.checkpoints()) == (first.loras(), first.checkpoints())
    assert again.lora("2").trigger == "beside"
    write_lora(settings.loras / "3.safetensors", 30, 8)
    (settings.loras / "4.safetensors").unlink()
    third = Registry(settings)
    assert third.headers_read == 1 and len(third.loras()) == 4


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100])
def test_a_damaged_memory_is_made_anew(settings: Settings, damage: bytes) -> None:
    write_lora(settings.loras / "a.safetensors", 1, 4)
    Registry(settings)
    memory = settings.private / "catalog.sqlite3"
    memory.write_bytes(damage)
    for more in settings.private.glob("catalog.sqlite3-*"):
        more.unlink()
    assert [lora.name for lora in Registry(settings).loras()] == ["a"]
    assert Registry(settings).headers_read == 0


def test_many_files_are_read_by_several_processes_with_the_same_result(settings: Settings) -> None:
    paths = [settings.loras / f"{number}.safetensors" for number in range(2 * reading.WORTH_A_PROCESS)]
    for number, path in enumerate(paths):
        save(path, kohya(2048 if number % 3 else 768), {"modelspec.trigger_phrase": f"word {number}"})
    paths[7].write_bytes(b"<html>")
    wanted = [("lora", str(path)) for path in paths]
    together = reading.read_many(wanted)
    assert together == [reading.read_one(*each) for each in wanted]
    assert "web page" in together[7]["reason"] and together[8]["found"]["trigger"] == "word 8"


# -- hashes --------------------------------------------------------------------------------------------


def test_hashes_are_those_of_other_tools(settings: Settings) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    lora = make_lora(settings.loras / "a.safetensors", starter, {"sshs_model_hash": "e3b0c44298fc"})
    model = save(settings.checkpoints / "sdxl" / "b.safetensors", SDXL)
    data = lora.read_bytes()
    weights = data[8 + int.from_bytes(data[:8], "little") :]
    v3, v2 = hashlib.sha256(weights).hexdigest()[:12], hashlib.sha256(model.read_bytes()).hexdigest()[:10]
    assert (autov3(lora), autov2(model)) == (v3, v2)
    registry = Registry(settings)
    assert registry.lora("a").hash is None
    registry.hashes.start()
    try:
        wait_until(lambda: registry.lora("a").hash and registry.checkpoint("b").hash)
        assert (registry.lora("a").hash, registry.checkpoint("b").hash) == (v3, v2)
        assert registry.known_hashes("b", ["a", "none"]) == {"model_hash": v2, "lora_hashes": {"a": v3}}
        assert registry.known_hashes(STARTER, []) == {}
        whole, of_weights = hashlib.sha256(data).hexdigest(), hashlib.sha256(weights).hexdigest()
        for named in (whole[:10], whole[:12], whole, of_weights[:10], f"0x{of_weights}"):
            assert registry.lora_called(named)[0].name == "a", "by either hash, as sites and programs give it"
        assert registry.lora_called("whatever [" + whole[:10] + "]")[1] == "hash"
        with pytest.raises(UnknownName):
            registry.lora_called("e3b0c44298fc")
        assert Registry(settings).lora("a").hash == v3, "kept over a restart"
        make_lora(lora, starter, {"other": "metadata"})
        os.truncate(make_lora(lora, starter), 10)
        make_lora(lora, starter, {"and": "again"})
        registry.refresh()
        wait_until(lambda: registry.lora("a").hash == v3, 60)  # metadata is not part of it
    finally:
        registry.hashes.stop()


# -- loras.json and models.json ------------------------------------------------------------------------

FIRST_VERSION_LORAS = """{
    "crayon": {
        "file": "crayon.safetensors",
        "trigger": "in crayon",
        "weight": 0.7,
        "description": "wax \\u0026 paper",
        "arch": "sdxl",
        "rating": [5, {"by": "me"}]
    },
    "Old Name": {"file": "styles/ink.safetensors", "trigger": "", "weight": 1},
    "gone": {"file": "gone.safetensors", "trigger": "was here", "weight": 0.3, "description": "kept"}
}"""


def test_an_installation_of_the_first_version_works_unchanged(settings: Settings, loras_json: Path) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    for name in ("crayon", "styles/ink", "new"):
        make_lora(
            settings.loras / f"{name}.safetensors", starter, {"modelspec.trigger_phrase": "of the file"}
        )
    loras_json.write_text(FIRST_VERSION_LORAS)
    models = settings.checkpoints / "sdxl" / "models.json"
    old = {"gone": {"defaults": {"steps": 50}, "x": 1}, STARTER: {"defaults": {"cfg": 4}}}
    models.write_text(json.dumps(old))
    registry = Registry(settings)
    crayon, ink, new = (registry.lora(name) for name in ("crayon", "styles/ink", "new"))
    assert (crayon.trigger, crayon.weight, crayon.description) == ("in crayon", 0.7, "wax & paper")
    assert ink.trigger == "", "an empty trigger is a wish: nothing is added to the prompt"
    assert new.trigger == "of the file" and registry.checkpoint(STARTER).defaults.cfg == 4
    assert registry.problems == ()
    assert (registry.missing_loras, registry.missing_checkpoints) == (("gone",), ("gone",))
    before, after = json.loads(FIRST_VERSION_LORAS), table(loras_json)
    assert list(after) == ["crayon", "Old Name", "gone", "new"]
    assert after.pop("new") == {
        "file": "new.safetensors",
        "trigger": None,
        "weight": None,
        "description": None,
    }
    assert after.pop("gone") == before.pop("gone") | {"missing": True}
    assert after == before and list(after["crayon"]) == list(before["crayon"])
    assert table(models)["gone"] == {"defaults": {"steps": 50}, "x": 1, "missing": True}
    with pytest.raises(UnknownName):
        registry.lora("gone")


def test_both_files_are_made_where_they_are_missing(settings: Settings, loras_json: Path) -> None:
    Registry(settings)
    assert table(loras_json) == {}
    settings_of = {"defaults": dict.fromkeys(("steps", "cfg", "width", "height", "scheduler"))}
    assert table(settings.checkpoints / "sdxl" / "models.json") == {STARTER: settings_of}
    stamp = loras_json.stat().st_mtime_ns
    Registry(settings)
    assert loras_json.stat().st_mtime_ns == stamp, "nothing to say, nothing written"


def test_edits_are_saved_and_nothing_else_is_touched(settings: Settings, loras_json: Path) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "styles" / "ink.safetensors", starter, {"modelspec.trigger_phrase": "ink"})
    loras_json.write_text('{"Mine": {"hue": 3, "file": "styles/ink.safetensors"}, "note": "a person\'s"}')
    loras_json.chmod(0o640)
    registry = Registry(settings)
    assert registry.problems == ("loras.json: the entry 'note' must be a table in braces; it has no effect.",)
    registry.edit_lora(
        "styles/ink", {"trigger": "wash", "weight": -0.25, "description": " a\nb ", "tags": ["x"]}
    )
    registry.edit_lora("styles/ink", {"favourite": True})
    lora = registry.lora("styles/ink")
    assert (lora.trigger, lora.weight, lora.description) == ("wash", -0.25, "a\nb")
    assert lora.tags == ("x",) and lora.favourite
    assert table(loras_json)["note"] == "a person's" and table(loras_json)["Mine"]["hue"] == 3
    assert stat.S_IMODE(loras_json.stat().st_mode) == 0o640
    registry.edit_lora("styles/ink", {"trigger": None})
    assert registry.lora("styles/ink").trigger == "ink"
    registry.edit_checkpoint(STARTER, {"steps": 9, "scheduler": "Heun"})
    registry.edit_checkpoint(STARTER, {"cfg": 2.5})
    defaults = registry.checkpoint(STARTER).defaults
    assert (defaults.steps, defaults.scheduler, defaults.cfg) == (9, "Heun", 2.5)
    registry.edit_checkpoint(STARTER, dict.fromkeys(("steps", "cfg", "scheduler")))
    assert registry.checkpoint(STARTER).defaults == registry.checkpoint(STARTER).suggested
    assert [each.name for each in settings.loras.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": 3}, "default weight must be a number from -2 to 2"),
        ({"weight": True}, "default weight"),
        ({"weight": float("nan")}, "default weight"),
        ({"trigger": 5}, "trigger must be text"),
        ({"trigger": "x" * 501}, "501 characters"),
        ({"description": "a\0b"}, "description must be text"),
        ({"description": "\ud800"}, "broken character"),
        ({"tags": "a"}, "list of texts"),
        ({"favourite": 1}, "true or false"),
        ({"file": "/etc/passwd"}, "no 'file' to change"),
    ],
)
def test_edits_that_cannot_be(settings: Settings, loras_json: Path, changes: dict, words: str) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    registry = Registry(settings)
    before = loras_json.read_bytes()
    with pytest.raises(RequestError, match=words):
        registry.edit_lora("ink", changes)
    assert loras_json.read_bytes() == before
    with pytest.raises(UnknownName):
        registry.edit_lora("../ink", {"weight": 1})
    with pytest.raises(RequestError, match="steps must be a whole number"):
        registry.edit_checkpoint(STARTER, {"steps": 0})
    with pytest.raises(RequestError, match="no default 'seed'"):
        registry.edit_checkpoint(STARTER, {"seed": 0})


def test_a_broken_file_is_left_also_by_edits(settings: Settings, loras_json: Path) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    loras_json.write_text('{"ink": {"weight": 0.5},}')
    registry = Registry(settings)
    assert registry.problems == ("loras.json is not valid JSON (line 1); it is left as it is.",)
    with pytest.raises(ModelError, match=r"left as it is\. Repair it to save changes here\."):
        registry.edit_lora("ink", {"weight": 1})
    assert loras_json.read_text() == '{"ink": {"weight": 0.5},}'


# -- other programs' notes, other places ---------------------------------------------------------------


def test_notes_of_other_programs(settings: Settings) -> None:
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "ink.safetensors", starter, {"modelspec.trigger_phrase": "of the file"})
    make_lora(settings.loras / "web.safetensors", starter)
    make_lora(settings.loras / "loras.safetensors", starter)  # its notes would be loras.json
    a1111 = {"activation text": "ink wash", "preferred weight": 0.6, "description": "D", "notes": "N"}
    (settings.loras / "ink.json").write_text(json.dumps(a1111 | {"sd version": "SDXL"}))
    model = {"name": "W", "tags": ["style", 3], "description": "<p>one</p><script>two</script> &amp; three"}
    civitai = {"trainedWords": ["web style, ", "more"], "baseModel": "SDXL 1.0", "model": model}
    (settings.loras / "web.civitai.info").write_text(json.dumps(civitai))
    (settings.loras / "web.preview.png").write_bytes(b"x")
    (settings.loras / "web.jpg").write_bytes(b"x")
    registry = Registry(settings)
    ink, web = registry.lora("ink"), registry.lora("web")
    assert (ink.trigger, ink.weight, ink.description, ink.notes, ink.base) == (
        "ink wash",
        0.6,
        "D",
        "N",
        "SDXL",
    )
    assert (web.trigger, web.tags, web.base) == ("web style", ("style",), "SDXL 1.0")
    assert web.description == "one\ntwo & three"
    assert web.preview is not None and web.preview[0].name == "web.preview.png"
    registry.edit_lora("ink", {"trigger": "the owner's", "weight": 0.5})
    assert (registry.lora("ink").trigger, registry.lora("ink").weight) == ("the owner's", 0.5)
    (settings.loras / "web.civitai.info").write_text("{")
    registry.refresh()
    assert registry.problems == ("web.civitai.info is not valid JSON; it is left as it is.",)
    assert registry.lora("web").trigger == ""


def test_hugging_faces_cache(settings: Settings, tmp_path: Path) -> None:
    cache, starter = tmp_path / "hub", (settings.checkpoints / "sdxl" / STARTER).resolve()
    snapshots = cache / "models--duck--pond" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / "abc").symlink_to(starter)
    (cache / "models--duck--pond" / "refs").mkdir()
    (cache / "models--duck--pond" / "refs" / "main").write_text("abc")
    make_lora(cache / "models--duck--ink" / "snapshots" / "1" / "pytorch_lora_weights.safetensors", starter)
    save(cache / "models--duck--clip" / "snapshots" / "1" / "weights.safetensors", {"x": (2,)})
    with_cache = dataclasses.replace(settings, hf_cache=cache)
    registry = Registry(with_cache)
    assert [each.name for each in registry.checkpoints()] == ["hf/duck/pond", STARTER]
    assert [each.name for each in registry.loras("hf/duck/pond")] == ["hf/duck/ink"]
    assert registry.default_checkpoint() is not None and registry.lora("hf/duck/ink").from_hub
    registry.edit_lora("hf/duck/ink", {"trigger": "ink"})
    assert registry.lora("hf/duck/ink").trigger == "ink"
    assert "hf/duck/pond" not in table(settings.checkpoints / "sdxl" / "models.json")
    assert Registry(settings).loras() == ()


def test_the_cache_can_be_switched_off(tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path)}
    assert settings_from([], environment).hf_cache == tmp_path / "hub"
    assert settings_from(["--no-hf-cache"], environment).hf_cache is None
    assert settings_from([], environment | {"WEBBDUCK_HF_CACHE": "off"}).hf_cache is None
    assert settings_from([], {"WEBBDUCK_HF_CACHE": "/models"}).hf_cache == Path("/models")


def test_other_models_are_listed(settings: Settings) -> None:
    root = settings.checkpoints
    settings = dataclasses.replace(settings, wildcards=root.parent / "wildcards")
    save(root / "vae" / "fix.safetensors", {"decoder.conv_in.weight": (8, 4, 3, 3)})
    save(root / "vae" / "odd.safetensors", {"x": (2,)})
    (root / "vae" / "old.pt").write_bytes(b"\x80\x02")
    (settings.wildcards / "animals").mkdir(parents=True)
    (settings.wildcards / "animals" / "birds.txt").write_text("duck\n# not this\n\ngoose\n")
    registry = Registry(settings)
    vaes = {each.name: each.unusable for each in registry.vaes()}
    assert vaes["fix"] is None and "no VAE" in str(vaes["odd"]) and "pickle" in str(vaes["old.pt"])
    assert [(each.name, each.lines) for each in registry.wildcards()] == [("animals/birds", 2)]
    version = registry.version
    (settings.wildcards / "animals" / "fish.txt").write_text("carp")
    assert registry.refresh() and registry.version == version + 1


# -- what is suggested ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"modelspec.resolution": "768x1152"}, (30, 6.0, 768, 1152, "DPM++ 2M Karras")),
        (
            {"modelspec.usage_hint": "Use 8 steps, CFG 1.5 and DPM++ SDE Karras."},
            (8, 1.5, 1024, 1024, "DPM++ SDE Karras"),
        ),
        ({"modelspec.usage_hint": "9999 steps"}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"modelspec.prediction_type": "v"}, (28, 5.0, 1024, 1024, "Euler")),
        ({"webbduck.defaults": '{"steps": 12}'}, (12, 6.0, 1024, 1024, "DPM++ 2M Karras")),
        ({"webbduck.defaults": "[[["}, (30, 6.0, 1024, 1024, "DPM++ 2M Karras")),
    ],
)
def test_defaults_by_architecture_and_metadata(settings: Settings, metadata: dict, expected: tuple) -> None:
    save(settings.checkpoints / "sdxl" / "a.safetensors", SDXL, metadata)
    assert dataclasses.astuple(Registry(settings).checkpoint("a").defaults) == expected


def test_a_folders_scheduler_is_its_suggestion(settings: Settings) -> None:
    folder = settings.checkpoints / "sdxl" / "sd15"
    (folder / "unet").mkdir(parents=True)
    (folder / "scheduler").mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (folder / "unet" / "config.json").write_text('{"cross_attention_dim": 768, "sample_size": 64}')
    said = {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
    (found,) = (each for each in Registry(settings).checkpoints() if each.name == "sd15")
    assert found.defaults.scheduler == "DPM++ 2M Karras" and found.native_size == 512
    assert found.unusable and "Stable Diffusion 1" in found.unusable


# -- kinds of LoRAs ------------------------------------------------------------------------------------

PLACE = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
KINDS = {
    "LoRA": {f"{PLACE}.lora_down.weight": (4, 2048), f"{PLACE}.lora_up.weight": (8, 4)},
    "LoCon": kohya(2048)
    | {
        "lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight": (4, 8, 3, 3),
        "lora_unet_input_blocks_1_0_in_layers_2.lora_up.weight": (8, 4, 1, 1),
    },
    "LoHa": {f"{PLACE}.hada_w1_a": (8, 4), f"{PLACE}.hada_w1_b": (4, 2048)},
    "LoKr": {f"{PLACE}.lokr_w1": (4, 4), f"{PLACE}.lokr_w2": (2, 512)},
    "IA3": {f"{PLACE}.weight": (2048, 1), f"{PLACE}.on_input": ()},
    "DoRA": kohya(2048) | {f"{PLACE}.dora_scale": (8, 1)},
    "OFT": {f"{PLACE}.oft_blocks": (2, 4, 4)},
    "full difference": {f"{PLACE}.diff": (8, 2048)},
    "CP-LoCon": kohya(2048) | {f"{PLACE}.lora_mid.weight": (4, 4, 3, 3)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised(settings: Settings, kind: str) -> None:
    save(settings.loras / "a.safetensors", KINDS[kind], {"ss_base_model_version": "sdxl_base_v1-0"})
    (lora,) = Registry(settings).loras()
    assert (lora.kind, lora.arch) == (kind, "sdxl")
    if kind in ("LoRA", "LoCon"):
        assert lora.unusable is None
    elif lora.unusable is not None:
        assert kind in lora.unusable


@pytest.mark.parametrize(
    ("shapes", "metadata", "arch"),
    [
        (KINDS["LoRA"], {}, "sdxl"),  # of the UNet only, by its width
        ({"lora_te2_text_model_x.lora_down.weight": (4, 8)}, {}, "sdxl"),
        ({f"{PLACE.replace('blocks_0', 'blocks_9')}_x.lora_down.weight": (4, 8)}, {}, "sdxl"),
        (kohya(768), {"ss_base_model_version": "sdxl_base_v1-0"}, "sd1"),  # the shapes know better
        ({"lora_unet_x.lora_down.weight": (4, 8)}, {"ss_v2": "True"}, "sd2"),
        (
            {"lora_unet_x.lora_down.weight": (4, 8)},
            {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
            "sdxl",
        ),
        ({"lora_unet_double_blocks_0_img.lora_down.weight": (4, 8)}, {}, "flux"),
        ({"lora_unet_x.lora_down.weight": (4, 8)}, {}, "unknown"),
    ],
)
def test_architectures(settings: Settings, shapes: dict, metadata: dict, arch: str) -> None:
    save(settings.loras / "a.safetensors", shapes, metadata)
    assert Registry(settings).loras()[0].arch == arch


def test_all_that_a_file_says(tmp_path: Path) -> None:
    tags = {"1_a": {"duck": 3, "pond": 9}, "2_b": {" duck ": 8, "": 1}}
    metadata = {
        "ss_network_dim": "16",
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_tag_frequency": json.dumps(tags),
        "modelspec.thumbnail": "data:image/png;base64,AAAA",
        "own": "<b>x</b>",
    }
    said = training(save(tmp_path / "a.safetensors", kohya(2048), metadata))
    assert said["tags"] == [("duck", 11), ("pond", 9)] and said["rank"] == 4
    assert said["facts"] == {"Base": "sdxl_base_v1-0", "Rank": "16"}
    assert said["metadata"]["own"] == "<b>x</b>" and "modelspec.thumbnail" not in said["metadata"]


def test_files_that_share_their_layout_are_told_apart(settings: Settings) -> None:
    """The tensors' part of a header is understood once; sizes and metadata belong to each file."""
    first = save(settings.loras / "a.safetensors", kohya(2048), {"modelspec.trigger_phrase": "one"})
    save(settings.loras / "b.safetensors", kohya(2048), {"modelspec.trigger_phrase": "two"})
    (settings.loras / "c.safetensors").write_bytes(first.read_bytes()[:-1])
    registry = Registry(settings)
    assert (registry.lora("a").trigger, registry.lora("b").trigger) == ("one", "two")
    with pytest.raises(ModelError, match=r"1 of .* bytes are missing"):
        registry.lora("c")
