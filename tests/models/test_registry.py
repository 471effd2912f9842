"""The catalog: everything on disk is listed, with the reason where it cannot be used."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from model_files import SDXL, checkpoint_shapes, kohya, save

from webbduck_gradio.errors import ModelError, RequestError, UnknownName
from webbduck_gradio.models.registry import STARTER, Registry
from webbduck_gradio.settings import Settings


@pytest.fixture
def sdxl(settings: Settings) -> Path:
    return settings.checkpoints / "sdxl"


def test_the_starter_is_the_default_with_its_own_settings(settings: Settings) -> None:
    registry = Registry(settings)
    (starter,) = registry.checkpoints()
    assert starter.name == STARTER and starter.unusable is None and starter.size_bytes > 1_000_000
    assert registry.default_checkpoint() == starter
    request = registry.settle({"prompt": "a duck", "seed": 3, "steps": None, "width": 64})
    assert request.base_model == STARTER and request.seed == 3
    assert (request.steps, request.scheduler) == (starter.defaults.steps, starter.defaults.scheduler)
    assert (request.width, request.height) == (64, starter.native_size)
    assert registry.admit(request) == []


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
        "odd": "not known",
        "style": "is a LoRA",
        "empty": "is empty",
        "pickled.ckpt": "pickle",
        "hollow": "no unet/config.json",
    }.items():
        reason = reasons[name]
        assert reason and words in reason and reason.endswith(".")
        with pytest.raises(ModelError, match=words):
            registry.settle({"base_model": name})


def test_models_json_of_the_first_version_gives_defaults(settings: Settings, sdxl: Path) -> None:
    notes = {
        STARTER: {"defaults": {"steps": 12, "cfg": 3.5, "height": 96, "author": "me"}, "rating": 5},
        "vanished": {"defaults": {"steps": 99}},
    }
    text = json.dumps(notes)
    (sdxl / "models.json").write_text(text)
    registry = Registry(settings)
    defaults = registry.checkpoint(STARTER).defaults
    assert (defaults.steps, defaults.cfg, defaults.height) == (12, 3.5, 96)
    assert registry.problems == () and (sdxl / "models.json").read_text() == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n"a": {},\n oops}', "models.json is not valid JSON (line 3); it is left as it is."),
        ("[1]", "models.json must hold a table in braces; it is left as it is."),
        ('{"webbduck-starter": 3}', "the entry 'webbduck-starter' must be a table"),
        ('{"webbduck-starter": {"defaults": {"steps": 1000}}}', "steps must be a whole number from 1 to 150"),
        ('{"webbduck-starter": {"defaults": {"scheduler": "Fast"}}}', "scheduler must be one of"),
        ('{"webbduck-starter": {"defaults": []}}', "defaults must be a table"),
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
    assert registry.problems == ("loras.json, plain: weight must be a number; 1 is used.",)


def test_loras_are_filtered_by_what_fits(settings: Settings) -> None:
    registry = Registry(settings)
    width = registry.checkpoint(STARTER).context
    save(settings.loras / "ours.safetensors", {"unet.x.attn2.to_k.lora_A.weight": (4, width)})
    save(settings.loras / "real.safetensors", kohya(2048))
    save(settings.loras / "old.safetensors", kohya(768))
    (settings.loras / "bad.safetensors").touch()
    assert registry.refresh()
    assert [lora.name for lora in registry.loras()] == ["bad", "old", "ours", "real"]
    assert [lora.name for lora in registry.loras(STARTER)] == ["ours"]
    with pytest.raises(ModelError, match="is empty"):
        registry.lora("bad")
    with pytest.raises(UnknownName, match="no LoRA named 'none'"):
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
        registry.settle({})


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
        with pytest.raises(UnknownName, match="There is no checkpoint named"):
            registry.settle({"base_model": name})
    with pytest.raises(RequestError, match="base_model must be text"):
        registry.settle({"base_model": 3})


def test_what_has_no_effect_is_said(settings: Settings) -> None:
    registry = Registry(settings)
    request = registry.settle({"cfg": 1, "negative_prompt": "hat"})
    assert registry.admit(request) == ["At CFG 1 there is no guidance, so the negative prompt has no effect."]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"image": "0" * 64 + ".png"}, "Starting from a picture"),
        ({"second_pass_model": STARTER}, "second pass"),
        ({"loras": ({"name": "x"},)}, "LoRAs"),
        ({"prompt_2": "x"}, "second prompt"),
    ],
)
def test_what_the_core_cannot_do_yet_is_refused(settings: Settings, asked: dict, words: str) -> None:
    registry = Registry(settings)
    with pytest.raises(RequestError, match=words):
        registry.admit(registry.settle(asked))
