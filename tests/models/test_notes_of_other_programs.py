"""Models and notes that other programs brought: sidecars, Hugging Face's cache, VAEs and wildcards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from lora_files import make_lora
from model_files import save
from running import STARTER
from test_catalog import table

from webbduck_gradio.cli import settings_from
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

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
    assert registry.problems == ("web.civitai.info is not valid JSON; it is ignored.",)
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
    save(root / "vae" / "fix.safetensors", {"decoder.conv_in.weight": (8, 16, 3, 3)})
    save(root / "vae" / "odd.safetensors", {"x": (2,)})
    (root / "vae" / "old.pt").write_bytes(b"\x80\x02")
    (settings.wildcards / "animals").mkdir(parents=True)
    (settings.wildcards / "animals" / "birds.txt").write_text("duck\n# not this\n\ngoose\n")
    registry = Registry(settings)
    vaes = {each.name: each.unusable for each in registry.vaes()}
    assert (
        "latent channels" in str(vaes["fix"])
        and "no VAE" in str(vaes["odd"])
        and "pickle" in str(vaes["old.pt"])
    )
    assert [(each.name, each.lines) for each in registry.wildcards()] == [("animals/birds", 2)]
    version = registry.version
    (settings.wildcards / "animals" / "fish.txt").write_text("carp")
    assert registry.refresh() and registry.version == version + 1
