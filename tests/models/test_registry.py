"""The catalog: everything on disk is listed, with the reason where it cannot be used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy
import pytest
from model_files import SDXL, checkpoint_shapes, kohya, peft, save
from PIL import Image
from request_checks import validate
from safetensors.numpy import load_file, save_file

from webbduck_gradio.errors import ModelError, NotFoundError, RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import STARTER, Registry
from webbduck_gradio.models.prompt_resolver import resolve_prompt
from webbduck_gradio.settings import Settings


@pytest.fixture
def sdxl(settings: Settings) -> Path:
    return settings.checkpoints / "sdxl"


def test_the_starter_is_the_default_with_its_own_settings(settings: Settings) -> None:
    registry = Registry(settings)
    (starter,) = registry.checkpoints()
    assert starter.name == STARTER and starter.unusable is None and starter.size_bytes > 1_000_000
    assert registry.default_checkpoint() == starter
    request = build_request(registry, {"prompt": "a duck", "seed": 3, "steps": None, "width": 64})
    assert request.base_model == STARTER and request.seed == 3
    assert (request.steps, request.scheduler) == (starter.defaults.steps, starter.defaults.scheduler)
    assert (request.width, request.height) == (64, starter.native_size)
    assert validate(registry, request) == []


def test_a_users_own_checkpoint_comes_first(settings: Settings, sdxl: Path) -> None:
    (sdxl / "zoo").mkdir()
    shutil.copytree((sdxl / STARTER).resolve(), sdxl / "zoo" / "mine")
    registry = Registry(settings)
    assert [each.name for each in registry.checkpoints()] == [STARTER, "zoo/mine"]
    default = registry.default_checkpoint()
    assert default is not None and default.name == "zoo/mine"


def test_every_kind_of_unusable_file_is_listed_with_one_sentence(settings: Settings, sdxl: Path) -> None:
    save(sdxl / "old.safetensors", checkpoint_shapes(768, None, depth=1))
    save(sdxl / "odd.safetensors", {"x": (2,)})
    save(sdxl / "style.safetensors", kohya(2048))
    (sdxl / "empty.safetensors").touch()
    (sdxl / "pickled.ckpt").write_bytes(b"\x80\x02")
    (sdxl / "hollow").mkdir()
    (sdxl / "hollow" / "model_index.json").write_text("{}")
    (sdxl / "half.safetensors.part").write_bytes(b"1")
    (sdxl / "notes.txt").write_text("not a model")
    registry = Registry(settings)
    reasons = {each.name: each.unusable for each in registry.checkpoints()}
    assert set(reasons) == {STARTER, "old", "odd", "style", "empty", "pickled.ckpt", "hollow"}
    assert reasons.pop(STARTER) is None
    for name, words in {
        "old": "Stable Diffusion 1",
        "odd": "an unknown architecture",
        "style": "is a LoRA",
        "empty": "is empty",
        "pickled.ckpt": "pickle",
        "hollow": "no unet/config.json",
    }.items():
        reason = reasons[name]
        assert reason and words in reason and reason.endswith(".")
        with pytest.raises(ModelError, match=words):
            build_request(registry, {"base_model": name})


def test_models_json_of_the_first_version_gives_defaults(settings: Settings, sdxl: Path) -> None:
    notes = {
        STARTER: {"defaults": {"steps": 12, "cfg": 3.5, "height": 96, "author": "me"}, "rating": 5},
        "vanished": {"defaults": {"steps": 99}},
    }
    (sdxl / "models.json").write_text(json.dumps(notes))
    registry = Registry(settings)
    defaults = registry.checkpoint(STARTER).defaults
    assert (defaults.steps, defaults.cfg, defaults.height) == (12, 3.5, 96)
    assert registry.problems == ()
    notes["vanished"]["missing"] = True
    kept = json.loads((sdxl / "models.json").read_text())
    assert kept == notes and list(kept) == list(notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n"a": {},\n oops}', "models.json is not valid JSON (line 3); it is left as it is."),
        ("[1]", "models.json must contain a JSON object; it is left as it is."),
        ('{"webbduck-starter": 3}', "the entry 'webbduck-starter' must be a JSON object"),
        ('{"webbduck-starter": {"defaults": {"steps": 1000}}}', "steps must be a whole number from 1 to 150"),
        ('{"webbduck-starter": {"defaults": {"scheduler": "Fast"}}}', "scheduler must be a name"),
        ('{"webbduck-starter": {"defaults": []}}', "defaults must be a JSON object"),
    ],
)
def test_a_broken_models_json_is_reported_and_left(
    settings: Settings, sdxl: Path, text: str, words: str
) -> None:
    path = sdxl / "models.json"
    before = Registry(settings).checkpoint(STARTER).defaults
    path.write_text(text)
    registry = Registry(settings)
    assert len(registry.problems) == 1 and words in registry.problems[0]
    assert path.read_text() == text
    assert registry.checkpoint(STARTER).defaults == before


def test_loras_json_of_the_first_version(settings: Settings) -> None:
    save(settings.loras / "styles" / "crayon.safetensors", kohya(2048), {"modelspec.trigger_phrase": "wax"})
    save(settings.loras / "plain.safetensors", kohya(768))
    notes = {
        "Crayon": {"file": "styles/crayon.safetensors", "trigger": "in crayon", "weight": 0.7, "hue": 1},
        "plain": {"description": "old", "weight": "much"},
        "gone": {"file": "gone.safetensors"},
    }
    (settings.loras / "loras.json").write_text(json.dumps(notes))
    registry = Registry(settings)
    plain, crayon = registry.loras()
    assert (crayon.name, crayon.trigger, crayon.weight) == ("styles/crayon", "in crayon", 0.7)
    assert (plain.arch, plain.weight, plain.description) == ("sd1", 1.0, "old")
    assert registry.problems == ("loras.json, plain: weight must be a number from -2 to 2; 1 is used.",)


def test_loras_are_filtered_by_what_fits(settings: Settings) -> None:
    registry = Registry(settings)
    width = registry.checkpoint(STARTER).context
    save(settings.loras / "ours.safetensors", peft("x.attn2.to_k", width))
    save(settings.loras / "real.safetensors", kohya(2048))
    save(settings.loras / "old.safetensors", kohya(768))
    (settings.loras / "bad.safetensors").touch()
    assert registry.refresh()
    assert [lora.name for lora in registry.loras()] == ["bad", "old", "ours", "real"]
    assert [lora.name for lora in registry.loras(STARTER)] == ["ours"]
    with pytest.raises(ModelError, match="is empty"):
        registry.lora("bad")
    with pytest.raises(NotFoundError, match="no LoRA named 'none'"):
        registry.lora("none")


def test_refresh_sees_each_change_once(settings: Settings, sdxl: Path) -> None:
    registry = Registry(settings)
    first = registry.version
    assert not registry.refresh() and registry.version == first
    path = save(sdxl / "new.safetensors", SDXL)
    assert registry.refresh() and registry.version == first + 1 and not registry.refresh()
    path.write_bytes(path.read_bytes()[:-1])
    assert registry.refresh()
    assert "missing" in str({each.name: each.unusable for each in registry.checkpoints()}["new"])
    path.unlink()
    assert registry.refresh() and len(registry.checkpoints()) == 1


def test_no_checkpoint_at_all(settings: Settings, tmp_path: Path) -> None:
    registry = Registry(dataclasses.replace(settings, checkpoints=tmp_path / "nothing"))
    assert registry.checkpoints() == () and registry.default_checkpoint() is None
    with pytest.raises(ModelError, match="no usable checkpoint; put one into"):
        build_request(registry, {})


def test_a_loop_of_links_ends(settings: Settings, sdxl: Path) -> None:
    (sdxl / "loop").symlink_to(sdxl)
    (sdxl / "self").symlink_to(sdxl / "self")
    assert [each.name for each in Registry(settings).checkpoints()] == [STARTER]


def test_a_folder_and_a_file_of_the_same_name_are_two(settings: Settings, sdxl: Path) -> None:
    save(sdxl / f"{STARTER}.safetensors", SDXL)
    registry = Registry(settings)
    assert [each.name for each in registry.checkpoints()] == [STARTER, f"{STARTER}.safetensors"]
    assert registry.checkpoint(STARTER).layout == "diffusers"


def test_names_that_are_not_there(settings: Settings) -> None:
    registry = Registry(settings)
    for name in ("nothing", "../secret", "x" * 255, "<script>"):
        with pytest.raises(NotFoundError, match="There is no checkpoint named"):
            build_request(registry, {"base_model": name})
    with pytest.raises(RequestError, match="base_model must be text"):
        build_request(registry, {"base_model": 3})


def test_what_has_no_effect_is_said(settings: Settings) -> None:
    registry = Registry(settings)
    request = build_request(registry, {"cfg": 1, "negative_prompt": "hat"})
    assert validate(registry, request) == ["negative_prompt has no effect at CFG 1, which disables guidance."]


def picture(settings: Settings, image: Image.Image) -> str:
    """Store an input picture as the page does."""
    data = BytesIO()
    image.save(data, "PNG")
    name = hashlib.sha256(data.getvalue()).hexdigest() + ".png"
    (settings.inputs / name).write_bytes(data.getvalue())
    return name


def test_input_pictures_are_checked_before_queueing(settings: Settings) -> None:
    registry = Registry(settings)
    image = picture(settings, Image.new("RGB", (40, 30), "red"))
    small = picture(settings, Image.new("L", (20, 30), 255))
    empty = picture(settings, Image.new("L", (40, 30), 0))
    clear = picture(settings, Image.new("RGBA", (40, 30), (255, 255, 255, 0)))
    good = picture(settings, Image.new("L", (40, 30), 255))
    (settings.inputs / ("1" * 64 + ".png")).write_bytes(b"no picture")

    def admit(**asked: object) -> list[str]:
        return validate(registry, build_request(registry, asked))

    assert admit(image=image) == [] and admit(image=image, mask=good) == []
    for asked, words in (
        ({"image": "0" * 64 + ".png"}, "no longer there"),
        ({"image": "1" * 64 + ".png"}, "not a readable picture"),
        ({"image": image, "mask": small}, "different sizes"),
        ({"image": image, "mask": empty}, "mask is empty"),
        ({"image": image, "mask": clear}, "mask is empty"),
    ):
        with pytest.raises(RequestError, match=words):
            admit(**asked)


def test_a_mask_that_protects_all_or_nothing(settings: Settings) -> None:
    registry = Registry(settings)
    image = picture(settings, Image.new("RGB", (40, 30), "red"))
    masks = {name: picture(settings, Image.new("L", (40, 30), value)) for name, value in FULL_AND_EMPTY}
    asked = {"image": image, "inpainting_fill": "keep"}
    with pytest.raises(RequestError, match="nothing is left to paint"):
        validate(registry, build_request(registry, asked | {"mask": masks["full"]}))
    (said,) = validate(registry, build_request(registry, asked | {"mask": masks["empty"]}))
    assert said == "The mask is empty, so it protects nothing and the whole picture is painted."


FULL_AND_EMPTY = (("full", 255), ("empty", 0))


def second(settings: Settings, name: str, **changes: dict) -> None:
    """A copy of the starter with changed configurations: {"unet/config.json": {...}}."""
    folder = settings.checkpoints / "sdxl" / name
    shutil.copytree(
        (settings.checkpoints / "sdxl" / STARTER).resolve(), folder, copy_function=shutil.copyfile
    )
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for file, values in changes.items():
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_second_passes_that_cannot_work_are_refused(settings: Settings) -> None:
    sdxl = settings.checkpoints / "sdxl"
    shutil.copytree((sdxl / STARTER).resolve().parent / f"{STARTER}-refiner", sdxl / "refiner")
    second(settings, "painter", **{"unet/config.json": {"in_channels": 9}})
    weights = sdxl / "painter" / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["conv_in.weight"] = numpy.repeat(tensors["conv_in.weight"][:, :1], 9, axis=1)
    save_file(tensors, weights)
    second(
        settings,
        "zsnr",
        **{"scheduler/scheduler_config.json": {"rescale_betas_zero_snr": True}},
    )
    registry = Registry(settings)
    assert [each.name for each in registry.second_pass_models()] == ["refiner", STARTER, "zsnr"]
    image = picture(settings, Image.new("RGB", (40, 30), "red"))

    def admit(**asked: object) -> list[str]:
        return validate(registry, build_request(registry, {"base_model": STARTER, **asked}))

    assert admit(second_pass_model="refiner") == []
    assert admit(second_pass_model=STARTER, second_pass_steps=9) == []
    assert admit(second_pass_model="refiner", image=image) == []
    for asked, words in (
        ({"second_pass_model": "nothing"}, "no checkpoint named 'nothing'"),
        ({"second_pass_model": "painter"}, "made for inpainting"),
        ({"second_pass_model": "refiner", "scheduler": "Restart"}, "Restart places its steps itself"),
        (
            {"second_pass_model": "refiner", "image": image, "second_pass_mode": "refiner"},
            "only pictures made",
        ),
        ({"second_pass_model": "zsnr", "second_pass_mode": "refiner"}, "another noise schedule"),
        ({"second_pass_model": "refiner", "steps": 1}, "cannot be split"),
        ({"second_pass_model": STARTER, "second_pass_steps": 2}, "no step for the second pass"),
        ({"base_model": "refiner"}, "choose it as the second pass"),
        ({"base_model": "painter"}, "give it a picture and a mask"),
        ({"base_model": "zsnr", "scheduler": "LMS Beta"}, "Beta does not suit zsnr"),
        ({"clip_skip": 4}, "leaves nothing"),
    ):
        with pytest.raises((RequestError, ModelError), match=words):
            admit(**asked)


def test_what_plays_no_part_is_said(settings: Settings) -> None:
    registry = Registry(settings)

    def admit(**asked: object) -> list[str]:
        return validate(registry, build_request(registry, asked))

    assert admit(strength=0.5, mask_blur=3) == [
        "strength has no effect without an input picture.",
        "mask_blur has no effect without a mask or outpainting.",
    ]
    assert admit(cfg=7, mimic_cfg=7) == ["mimic_cfg has no effect when it is not below cfg."]
    assert admit(cfg=7, mimic_cfg=6) == []
    assert admit(refiner_switch=0.5) == ["refiner_switch has no effect without a second pass."]
    assert admit(second_pass_model=STARTER, refiner_switch=0.5) == [
        "refiner_switch has no effect when the second pass is img2img."
    ]


def test_loras_are_checked_before_queueing(settings: Settings) -> None:
    width = Registry(settings).checkpoint(STARTER).context
    place = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    ours = peft(place, width, 128)
    save(settings.loras / "misfit.safetensors", ours | peft(place.replace("blocks.0", "blocks.7"), width))
    save(settings.loras / "crayon.safetensors", ours, {"modelspec.trigger_phrase": "in crayon"})
    save(settings.loras / "styles" / "ink.safetensors", ours)
    save(settings.loras / "old.safetensors", kohya(768))
    save(settings.loras / "real.safetensors", kohya(2048))
    save(settings.loras / "odd.safetensors", ours | {"unet.x.hada_w1_a": (4, 4)})
    registry = Registry(settings)

    def admit(prompt: str = "a duck", **asked: object) -> list[str]:
        return validate(registry, build_request(registry, {"prompt": prompt, **asked}))

    note = ["Added to the prompt: in crayon (the trigger of crayon)."]
    assert admit(loras=[{"name": "crayon", "weight": 0.5}]) == note
    assert admit("a duck <lora:crayon:0.5>") == note
    assert admit("a duck In  Crayon <lora:crayon>, <lora:ink:-1>") == []
    assert admit("a duck <lora:styles/ink>") == []
    for asked, words in (
        ({"loras": [{"name": "none"}]}, "no LoRA named 'none'"),
        ({"loras": [{"name": "old"}]}, "old is made for Stable Diffusion 1"),
        ({"loras": [{"name": "real"}]}, "made for SDXL of another size"),
        ({"loras": [{"name": "odd"}]}, "odd is incomplete"),
        (
            {"loras": [{"name": "misfit"}]},
            "misfit does not fit webbduck-starter: 1 of its 2 parts have no counterpart",
        ),
        ({"prompt": "<lora:crayon>", "loras": [{"name": "crayon"}]}, "asked for twice"),
        ({"prompt": "<lora:crayon:3>"}, "from -2 to 2"),
        ({"prompt": "<lora:crayon:x>"}, "from -2 to 2"),
        ({"prompt": "<lora:crayon:nan>"}, "from -2 to 2"),
        ({"prompt": "<lora:crayon:1:0.5:1>"}, "more than two weights"),
        ({"negative_prompt": "<lora:crayon>"}, "The negative prompt holds <lora:crayon>"),
    ):
        with pytest.raises((RequestError, ModelError), match=words):
            admit(**asked)


def test_the_resolved_prompt(settings: Settings) -> None:
    ours = peft("x.attn2.to_k", 8)
    save(settings.loras / "crayon.safetensors", ours, {"modelspec.trigger_phrase": "in crayon"})
    registry = Registry(settings)

    def resolved(prompt: str, weight: float | None = None) -> str:
        loras = () if weight is None else ({"name": "crayon", "weight": weight},)
        return resolve_prompt(registry, build_request(registry, {"prompt": prompt, "loras": loras})).prompt

    assert resolved("a duck") == "a duck"
    assert resolved("a  duck ,  odd", None) == "a  duck ,  odd"  # nothing is touched without need
    assert resolved("a duck, ", 1) == "a duck, in crayon"
    assert resolved("", 1) == "in crayon"
    assert resolved("in crayons", 1) == "in crayons, in crayon"
    assert resolved("IN CRAYON a duck", 1) == "IN CRAYON a duck"
    assert resolved("a duck", -1) == "a duck" and resolved("a duck", 0) == "a duck"
    assert resolved("a <lora:crayon:1>, big duck") == "a, big duck, in crayon"


def test_what_a1111_reads_otherwise_is_said(settings: Settings) -> None:
    registry = Registry(settings)

    def notes(**asked: str) -> list[str]:
        return validate(registry, build_request(registry, asked))

    for text, words in (
        ("a cat ADDROW a dog", "ADDROW is read as plain words: regions"),
        ("a {{cat}}", "{{cat}} is read as plain words: braces"),
    ):
        assert notes(prompt=text) == [each for each in notes(prompt=text) if each.startswith(words)] != []
        assert notes(prompt="a", negative_prompt=text)[0].startswith(words)
    joined = notes(prompt="a", negative_prompt="a cat AND a dog")
    assert joined[0].startswith("AND is read as plain words")
    for text in (r"a \[cat:dog:0.5\]", "a [cat], and (a dog:1.2)", "[[a]]", "[cat:dog:0.5] AND [a|b]"):
        assert notes(prompt=text) == []


def test_a_lossy_file_cannot_keep_the_pixels_outside_of_a_mask(settings: Settings) -> None:
    settings.inputs.mkdir(parents=True, exist_ok=True)
    names = {}
    for which, letter in (("image", "a"), ("mask", "b")):
        names[which] = letter * 64 + ".png"
        Image.new("RGB", (64, 64), "white").save(settings.inputs / names[which])
    registry = Registry(settings)
    asked = {"prompt": "a", **names}
    assert validate(registry, build_request(registry, asked)) == []
    (said,) = validate(registry, build_request(registry, asked | {"output_format": "jpg"}))
    assert said.startswith("A jpg file keeps no pixel exactly")
