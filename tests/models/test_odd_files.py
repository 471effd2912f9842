"""Model files with unusual names, and texts that are no Unicode, stand in the way of no others."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from lora_files import make_lora
from model_files import SDXL, save
from running import STARTER

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

BAD = "caf\udce9"
"""A name in ISO-8859-1, as Python reads it."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, wildcards=settings.outputs.parent / "wildcards")


def copy_to(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def test_a_lora_whose_name_is_not_utf_8(settings: Settings) -> None:
    good = make_lora(settings.loras / "good.safetensors", settings.checkpoints / "sdxl" / STARTER)
    copy_to(good, settings.loras / f"{BAD}.safetensors")
    copy_to(good, settings.loras / f"pens{BAD}" / "ink.safetensors")
    (settings.loras / f"{BAD}.md").touch()  # no model: nobody misses it
    registry = Registry(settings)
    assert [each.name for each in registry.loras()] == ["good"]
    assert registry.problems == (
        "The name caf\\xe9.safetensors in lora is not UTF-8; rename it to use it.",
        "The name penscaf\\xe9 in lora is not UTF-8; rename it to use it.",
    )
    registry.edit_lora("good", {"trigger": "ink"})
    assert json.loads((settings.loras / "loras.json").read_text("utf-8"))["good"]["trigger"] == "ink"
    assert Registry(settings).headers_read == 0, "what was read is remembered"
    (settings.loras / f"{BAD}.safetensors").rename(settings.loras / "café.safetensors")
    registry.refresh()
    assert [each.name for each in registry.loras()] == ["café", "good"] and len(registry.problems) == 1


def test_models_of_every_other_kind(settings: Settings) -> None:
    root = settings.checkpoints
    model = save(root / "sdxl" / "good.safetensors", SDXL)
    for folder in ("sdxl", "upscale", "vae"):
        copy_to(model, root / folder / f"{BAD}.safetensors")
    for folder in ("caption", "vae"):
        copy_to(root / "sdxl" / STARTER / "model_index.json", root / folder / f"{BAD}2" / "config.json")
    settings.wildcards.mkdir()
    (settings.wildcards / f"{BAD}.txt").write_text("a\n")
    (settings.wildcards / "good.txt").write_text("a\n")
    (root / "sdxl" / "circle").symlink_to(root / "sdxl")
    registry = Registry(settings)
    assert [each.name for each in registry.checkpoints()] == ["good", STARTER]
    assert [each.name for each in registry.wildcards()] == ["good"]
    for listed in (registry.upscalers(), registry.vaes(), registry.captioners()):
        assert all(each.name.isprintable() for each in listed)
    said = " ".join(registry.problems)
    for name in (
        "caf\\xe9.safetensors in checkpoint/sdxl",
        "caf\\xe9.safetensors in checkpoint/upscale",
        "caf\\xe9.safetensors in checkpoint/vae",
        "caf\\xe92 in checkpoint/vae",
        "caf\\xe92 in checkpoint/caption",
        "caf\\xe9.txt in wildcards",
    ):
        assert name in said
    assert "good" in json.loads((root / "sdxl" / "models.json").read_text("utf-8"))


def test_halves_of_surrogate_pairs_in_json(settings: Settings) -> None:
    """JSON can hold them as escapes; nothing that they touch may be stuck or fail later."""
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "ink.safetensors", starter, {"modelspec.trigger_phrase": "of the file"})
    make_lora(settings.loras / "wax.safetensors", starter)
    path = settings.loras / "loras.json"
    path.write_text(
        '{"ink": {"file": "ink.safetensors", "description": "a \\ud83d duck", "mine": "\\udce9"}}'
    )
    (settings.loras / "wax.json").write_text('{"activation text": "wax \\ud800", "notes": "n \\udfff"}')
    registry = Registry(settings)
    registry.edit_lora("ink", {"weight": 0.5})
    text = path.read_text("utf-8")
    assert registry.problems == () and "\\ud83d" in text and json.loads(text)["ink"]["mine"] == "\udce9"
    shown = (registry.lora("ink").description, registry.lora("wax").trigger, registry.lora("wax").notes)
    assert shown == ("a \ufffd duck", "wax \ufffd", "n \ufffd")


def test_json_in_other_encodings(settings: Settings) -> None:
    make_lora(settings.loras / "ink.safetensors", settings.checkpoints / "sdxl" / STARTER)
    (settings.loras / "ink.json").write_text('{"activation text": "encre é"}', "utf-16")
    (settings.loras / "loras.json").write_text('{"ink": {"description": "é"}}', "latin-1")
    registry = Registry(settings)
    assert registry.lora("ink").trigger == "encre é"
    assert registry.problems == ("loras.json is not saved as UTF-8; it is left as it is.",)
    with pytest.raises(ModelError, match="not saved as UTF-8"):
        registry.edit_lora("ink", {"weight": 1})
