"""FIFOs, folders, devices and links to them under the names of files that are read; plug-ins of others."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from running import STARTER

from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.captioners import find_captioners
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.models.scan import Folders
from webbduck_gradio.settings import Settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kinds of files and permissions of POSIX")


def link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name(f".{path.name}.fifo"))
    path.symlink_to(path.with_name(f".{path.name}.fifo"))


ODD: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "link to a fifo": link_to_fifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
}


@pytest.mark.parametrize("odd", ODD)
def test_no_strange_file_keeps_the_catalog_from_being_read(settings: Settings, odd: str) -> None:
    starter, loras, root = settings.checkpoints / "sdxl" / STARTER, settings.loras, settings.checkpoints
    for name in ("ink", "wax"):
        make_lora(loras / f"{name}.safetensors", starter)
    shutil.copytree(starter.resolve(), root / "sdxl" / "mine", copy_function=shutil.copyfile)
    shutil.copytree(starter.resolve(), root / "sdxl" / "other", copy_function=shutil.copyfile)
    (root / "sdxl" / "mine" / "model_index.json").unlink()
    (root / "sdxl" / "other" / "unet" / "config.json").unlink()
    for path in (
        loras / "ink.json", loras / "ink.civitai.info", loras / "ink.preview.png", loras / "loras.json",
        loras / "pipe.safetensors", loras / "adapter_config.json", root / "sdxl" / "models.json",
        root / "sdxl" / "mine" / "model_index.json", root / "sdxl" / "other" / "unet" / "config.json",
        root / "upscale" / "odd.safetensors", root / "caption" / "odd" / "config.json",
        root / "vae" / "odd.safetensors",
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        ODD[odd](path)
    shutil.copyfile(loras / "wax.safetensors", loras / "adapter_model.safetensors")
    registry = Registry(settings)
    registry.refresh()
    assert registry.lora("ink").preview is None and registry.lora("wax").unusable is None
    assert registry.checkpoint(STARTER).unusable is None
    for name in ("mine", "other"):
        if odd != "folder" or name == "other":
            assert registry.checkpoint(name).unusable, name
    said = " ".join(registry.problems)
    for name in ("ink.json", "ink.civitai.info", "loras.json", "models.json"):
        assert f"{name} cannot be read (not a regular file)" in said
    with pytest.raises(ModelError, match=r"loras\.json cannot be read"):
        registry.edit_lora("wax", {"trigger": "x"})
    registry.upscalers(), registry.vaes(), registry.captioners()
    if odd != "folder":
        assert "not a regular file" in str(registry.any_lora("pipe").unusable)


@pytest.mark.parametrize("what", ["folder above", "__pycache__", "compiled", "a module beside it", None])
def test_a_plug_in_that_others_could_replace_is_not_run(
    settings: Settings, tmp_path: Path, what: str | None
) -> None:
    plugins = tmp_path / "shared" / "plugins"
    mine = plugins / "captioners" / "mine"
    (mine / "__pycache__").mkdir(parents=True)
    for name in ("captioner.py", "helper.py", "__pycache__/captioner.cpython-311.pyc"):
        (mine / name).write_text("")
    place = {
        "folder above": tmp_path / "shared",
        "__pycache__": mine / "__pycache__",
        "compiled": mine / "__pycache__" / "captioner.cpython-311.pyc",
        "a module beside it": mine / "helper.py",
    }.get(what or "")
    if place is not None:
        place.chmod(0o777)
    found = next(
        each
        for each in find_captioners(dataclasses.replace(settings, plugins=plugins), Folders())
        if each.name == "mine"
    )
    if place is None:
        assert found.unusable is None
    else:
        assert found.unusable and f"others than you can change {place.name}" in found.unusable
