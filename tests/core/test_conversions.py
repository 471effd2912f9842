"""The queue of conversions: what it writes, what it refuses, and what the catalog lists afterwards."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from pickle_files import Calls
from recorder import Recorder
from running import wait_until
from safetensors.torch import load_file, save_file

from webbduck_gradio.benchmarks import original_layout as original
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.pickles.conversions import Conversion, Conversions
from webbduck_gradio.errors import NotFoundError, RequestError
from webbduck_gradio.models import conversion
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A checkpoint as .ckpt and as .safetensors, a LoRA that runs a command, and an embedding for SD 1.5."""
    root = tmp_path_factory.mktemp("conversions")
    settings = Settings(
        checkpoints=root / "checkpoint", loras=root / "lora", outputs=root / "out", inputs=root / "in"
    )
    settings.make_folders()
    sdxl = settings.checkpoints / "sdxl"
    original.write(sdxl / "drawn.safetensors", "base", original.small("base"))
    weights = load_file(sdxl / "drawn.safetensors")
    torch.save({"state_dict": weights, "global_step": 70}, sdxl / "old.ckpt")
    torch.save({"a": Calls(os.system, f"touch '{root / 'canary'}'")}, settings.loras / "evil.pt")
    (settings.checkpoints / "embedding").mkdir()
    old = {"string_to_param": {"*": torch.ones(2, 768)}, "name": "mood"}
    torch.save(old, settings.checkpoints / "embedding" / "mood.pt")
    torch.save({"a": torch.ones(2)}, settings.loras / "waits.pt")
    return settings


@pytest.fixture(scope="module")
def registry(folders: Settings) -> Registry:
    return Registry(folders)


@pytest.fixture(scope="module")
def ended(registry: Registry, folders: Settings) -> dict[str, Conversion]:
    """What came of them, by name."""
    assert {each.name: each.done for each in conversion.pickles(registry)} == dict.fromkeys(
        ("old.ckpt", "evil.pt", "mood.pt", "waits.pt"), False
    )
    queue = Conversions(registry)
    versions = {queue.version}
    for kind, name in (("checkpoint", "old.ckpt"), ("lora", "evil.pt"), ("embedding", "mood.pt")):
        assert queue.add(kind, name).state == "waiting"
    with pytest.raises(RequestError, match=r"old\.ckpt is being converted already"):
        queue.add("checkpoint", "old.ckpt")
    assert queue.cancel(queue.add("lora", "waits.pt").id).state == "cancelled"
    wait_until(lambda: not any(each.is_open for each in queue.items()) or versions.add(queue.version))
    assert len(versions) > 4  # pages heard of the progress
    found = {each.name: each for each in queue.items()}
    queue.clear()
    assert queue.items() == []
    with pytest.raises(NotFoundError):
        queue.cancel(found["old.ckpt"].id)
    return found


def test_a_converted_checkpoint_draws_the_same_bits(
    ended: dict[str, Conversion], registry: Registry, folders: Settings
) -> None:
    assert ended["old.ckpt"].state == "done" and ended["old.ckpt"].result == "old.safetensors"
    assert ended["old.ckpt"].text == "old.ckpt was converted to old.safetensors."
    assert registry.checkpoint("old").converted_from == "old.ckpt" and not registry.has_checkpoint("old.ckpt")
    generator = ImageGenerator("cpu", registry)

    def draw(name: str) -> numpy.ndarray[Any, Any]:
        asked = {"prompt": "a duck", "seed": 1, "steps": 2, "width": 64, "height": 64, "base_model": name}
        request = build_request(registry, asked)
        (picture,) = generator.generate(request, registry.checkpoint(name), Recorder())
        return numpy.asarray(picture.image)

    assert (draw("old") == draw("drawn")).all()


def test_what_is_refused_or_for_another_model_says_so(
    ended: dict[str, Conversion], registry: Registry, folders: Settings
) -> None:
    assert ended["evil.pt"].state == "failed" and "asks for `posix.system`" in ended["evil.pt"].text
    assert not (folders.loras.parent / "canary").exists()
    assert sorted(each.name for each in folders.loras.iterdir()) == ["evil.pt", "loras.json", "waits.pt"]
    mood = ended["mood.pt"]
    assert (
        mood.state == "done" and "mood.safetensors is made for Stable Diffusion 1, not for SDXL." in mood.text
    )
    assert [(each.name, each.converted_from) for each in registry.embeddings()] == [("mood", "mood.pt")]
    assert {each.name for each in conversion.pickles(registry)} == {"evil.pt", "waits.pt"}


def test_what_had_not_ended_goes_on_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(
        checkpoints=tmp_path / "checkpoint", loras=tmp_path / "lora", outputs=tmp_path / "out"
    )
    settings.make_folders()
    folder, file = settings.checkpoints / "embedding", settings.data_dir / "conversions.json"
    folder.mkdir()
    for name in ("first", "second", "cancelled"):
        torch.save({"string_to_param": {"*": torch.ones(2, 768)}, "name": name}, folder / f"{name}.pt")
    before = Conversions(Registry(settings), file=file)
    for name in ("first", "second", "cancelled"):
        added = before.add("embedding", f"{name}.pt")
    before.cancel(added.id)
    before.stop()
    assert not list(folder.glob("*.safetensors"))

    after = Conversions(Registry(settings), file=file)
    after.resume()
    wait_until(lambda: not any(each.is_open for each in after.items()))
    assert [(each.name, each.state) for each in after.items()] == [
        ("first.pt", "done"),
        ("second.pt", "done"),
    ]
    assert sorted(each.name for each in folder.glob("*.safetensors")) == [
        "first.safetensors",
        "second.safetensors",
    ]
    assert json.loads(file.read_text()) == []

    # Killed after the file had its name, and before that was written down; then damaged by hand.
    rows = [{"kind": "embedding", "name": "first.pt"}, {"kind": "detect", "name": "x"}, 7]
    file.write_text(json.dumps(rows))
    killed = Conversions(Registry(settings), file=file)
    killed.resume()
    wait_until(lambda: not any(each.is_open for each in killed.items()))
    assert [(each.state, each.text) for each in killed.items()] == [
        ("done", "first.pt was converted to first.safetensors.")
    ]
    file.write_text("{")
    Conversions(Registry(settings), file=file).resume()


def test_a_changed_pickle_is_listed_again(ended: dict[str, Conversion], registry: Registry) -> None:
    path = registry.embeddings()[0].path.with_suffix(".pt")
    data = path.read_bytes()
    path.write_bytes(data + b" ")
    registry.refresh()
    assert [each.name for each in registry.embeddings()] == ["mood", "mood.pt"]
    with pytest.raises(RequestError, match=r"There is a mood\.safetensors already, which is not replaced"):
        conversion.check(conversion.find_pickle(registry, "embedding", "mood.pt"))
    path.write_bytes(data)
    registry.refresh()
    assert [each.name for each in registry.embeddings()] == ["mood"]


def test_where_the_result_goes_and_when_there_is_none(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linked folder is another program's: nothing is written there."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "theirs.pt").write_bytes(b"x" * 1000)
    (settings.loras / "ours").mkdir()
    (settings.loras / "ours" / "a.b.bin").write_bytes(b"x")
    (settings.loras / "linked").symlink_to(other)
    registry = Registry(settings)
    found = {each.name: each for each in conversion.pickles(registry)}
    assert found["ours/a.b.bin"].target == settings.loras / "ours" / "a.b.safetensors"
    assert found["linked/theirs.pt"].target == settings.loras / "theirs.safetensors"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=conversion.RESERVE))
    with pytest.raises(RequestError, match=r"no room for the converted copy of theirs\.pt; free 1 MiB\."):
        conversion.check(found["linked/theirs.pt"])
    for kind, name, words in (
        ("style", "a", "kind must be one of"),
        ("lora", 3, "name must be a name"),
        ("lora", "../lora/a", "There is no pickle"),
    ):
        with pytest.raises(RequestError, match=words):
            Conversions(registry).add(kind, name)


def test_each_kind_is_judged_by_its_own_probe(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"body.0.weight": torch.ones(1)}, path)
    verdicts = {kind: conversion.verdict(kind, path) for kind in conversion.KINDS if kind != "upscale"}
    assert not any(each.keep for each in verdicts.values())
    assert all(each.reason and each.reason.startswith("a.safetensors ") for each in verdicts.values()), (
        verdicts
    )
