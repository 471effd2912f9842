"""What cannot be read now is not what is not there: models whose folder or file is away for a moment."""

from __future__ import annotations

import builtins
import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lora_files import make_lora
from running import STARTER

from webbduck_gradio.errors import NotFoundError
from webbduck_gradio.models import scan
from webbduck_gradio.models.admission import build_request, obstacle
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="errors and links of POSIX")


@pytest.fixture
def catalog(settings: Settings, tmp_path: Path) -> Registry:
    """A checkpoint that is copied, LoRAs at the top, in a folder, and behind a link."""
    starter = settings.checkpoints / "sdxl" / STARTER
    shutil.copytree(starter.resolve(), settings.checkpoints / "sdxl" / "mine", copy_function=shutil.copyfile)
    make_lora(settings.loras / "ink.safetensors", starter)
    make_lora(settings.loras / "styles" / "wash.safetensors", starter)
    make_lora(tmp_path / "drive" / "wax.safetensors", starter)
    (settings.loras / "linked").symlink_to(tmp_path / "drive")
    for kind in ("upscale", "caption"):
        shutil.copytree(
            starter.resolve().parent.parent / kind, settings.checkpoints / kind, dirs_exist_ok=True
        )
    registry = Registry(settings)
    registry.edit_lora("ink", {"trigger": "mine"})
    assert registry.problems == ()
    return registry


def everything(registry: Registry) -> list[object]:
    return [
        registry.checkpoints(), registry.loras(), registry.upscalers(), registry.captioners(),
        registry.missing_loras, registry.missing_checkpoints,
    ]  # fmt: skip


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the system refuse to list or open what lies at a path or below it, with an error number."""

    def refuse(where: Path | None, number: int = 0, what: str = "both") -> None:
        def check(path: object) -> None:
            if where is not None and isinstance(path, str | os.PathLike):
                text = os.fspath(path)
                if text == str(where) or str(text).startswith(f"{where}/"):
                    raise OSError(number, os.strerror(number), text)

        def guarded(real: Callable) -> Callable:
            def call(path: object = ".", *args: object, **more: object) -> object:
                check(path)
                return real(path, *args, **more)

            return call

        monkeypatch.undo()
        if what in ("both", "list"):
            monkeypatch.setattr(scan.os, "scandir", guarded(os.scandir))
        if what in ("both", "open"):
            monkeypatch.setattr(os, "open", guarded(os.open))
            monkeypatch.setattr("io.open", guarded(builtins.open))

    return refuse


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize(
    "which", ["checkpoint", "sdxl", "lora", "styles", "upscale", "caption", "mine", "unet"]
)
def test_a_folder_that_refuses_keeps_what_was_known(
    catalog: Registry, refusing: Callable[..., None], which: str, number: int
) -> None:
    root, loras = catalog.settings.checkpoints, catalog.settings.loras
    place = {
        "checkpoint": root, "sdxl": root / "sdxl", "lora": loras, "styles": loras / "styles",
        "upscale": root / "upscale", "caption": root / "caption", "mine": root / "sdxl" / "mine",
        "unet": root / "sdxl" / "mine" / "unet",
    }[which]  # fmt: skip
    before, notes = everything(catalog), (loras / "loras.json").read_bytes()
    refusing(place, number, "list")
    catalog.refresh()
    assert everything(catalog) == before
    (problem,) = catalog.problems
    named = place.parent if which == "unet" else place
    assert os.strerror(number).lower() in problem and str(named) in problem
    refusing(None)
    assert (loras / "loras.json").read_bytes() == notes, "no entry is marked as gone"
    catalog.refresh()
    assert everything(catalog) == before and catalog.problems == ()


@pytest.mark.parametrize("which", ["checkpoint", "checkpoint/sdxl", "lora", "drive"])
def test_a_folder_that_vanishes_as_a_whole(catalog: Registry, tmp_path: Path, which: str) -> None:
    folder = {
        "checkpoint": catalog.settings.checkpoints,
        "checkpoint/sdxl": catalog.settings.checkpoints / "sdxl",
        "lora": catalog.settings.loras,
        "drive": tmp_path / "drive",
    }[which]
    before = everything(catalog)
    request = build_request(catalog, {"prompt": "a <lora:linked/wax:1> duck", "seed": 1})
    away = folder.rename(tmp_path / "away")
    catalog.refresh()
    assert everything(catalog) == before
    assert len(catalog.problems) == 1 and "is not there" in catalog.problems[0]
    assert str(obstacle(catalog, request)).endswith(
        "the queue resumes automatically when it is available again."
    )
    away.rename(folder)
    assert obstacle(catalog, request) is None
    catalog.refresh()
    assert everything(catalog) == before and catalog.problems == ()
    assert catalog.lora("ink").trigger == "mine"


def test_what_is_really_gone_goes(catalog: Registry) -> None:
    loras = catalog.settings.loras
    (loras / "ink.safetensors").unlink()
    (loras / "linked").unlink()
    shutil.rmtree(loras / "styles")
    shutil.rmtree(catalog.settings.checkpoints / "sdxl" / "mine")
    shutil.rmtree(catalog.settings.checkpoints / "upscale")
    (catalog.settings.checkpoints / "upscale").mkdir()
    catalog.refresh()
    assert catalog.loras() == () and [each.name for each in catalog.checkpoints()] == [STARTER]
    assert catalog.upscalers() == () and catalog.problems == ()
    assert set(catalog.missing_loras) == {"ink", "styles/wash", "linked/wax"}
    assert catalog.missing_checkpoints == ("mine",)


def test_a_drive_whose_mount_point_is_empty_now(
    catalog: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, folder = everything(catalog), catalog.settings.loras
    folder.rename(tmp_path / "drive that is away")
    folder.mkdir()
    real = os.stat

    def on_another_device(path, *args, **more):  # type: ignore[no-untyped-def]
        found = real(path, *args, **more)
        if str(path) == str(folder):
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:10]))
        return found

    monkeypatch.setattr(scan.os, "stat", on_another_device)
    catalog.refresh()
    assert everything(catalog) == before and "its drive is not mounted" in catalog.problems[0]
    assert list(folder.iterdir()) == [], "nothing is written where the drive will be"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_file_that_cannot_be_opened_for_a_moment(
    catalog: Registry, refusing: Callable[..., None], number: int
) -> None:
    starter = catalog.settings.checkpoints / "sdxl" / STARTER
    place = catalog.settings.loras / "ink.safetensors"
    make_lora(place, starter, {"modelspec.description": "changed"})
    make_lora(catalog.settings.loras / "new.safetensors", starter)
    refusing(catalog.settings.loras, number, "open")
    catalog.refresh()
    assert catalog.lora("ink").description == "", "as it was"
    reason = os.strerror(number).lower()
    new = next(each for each in catalog.loras() if each.name == "new")
    assert new.unusable and reason in new.unusable
    assert any(str(place) in each and reason in each for each in catalog.problems)
    refusing(None)
    catalog.refresh()
    assert catalog.lora("ink").description == "changed" and catalog.lora("new").unusable is None
    assert catalog.problems == ()


def test_a_vae_that_cannot_be_read_for_a_moment_is_a_problem(
    catalog: Registry, refusing: Callable[..., None]
) -> None:
    starter = catalog.settings.checkpoints / "sdxl" / STARTER
    folder = catalog.settings.checkpoints / "vae"
    shutil.copytree((starter / "vae").resolve(), folder / "mine", copy_function=shutil.copyfile)
    catalog.refresh()
    assert catalog.vae("mine") is not None and catalog.problems == ()
    refusing(folder, errno.EIO, "list")
    catalog.refresh()
    (problem,) = catalog.problems
    assert "input/output error" in problem and "vae" in problem
    refusing(None)
    catalog.refresh()
    assert catalog.problems == ()


def test_a_checkpoint_whose_files_cannot_be_opened_for_a_moment(
    catalog: Registry, refusing: Callable[..., None]
) -> None:
    folder = catalog.settings.checkpoints / "sdxl" / "mine"
    before = catalog.checkpoint("mine")
    os.utime(folder / "unet" / "config.json", (1, 1))
    refusing(folder / "unet" / "config.json", errno.EIO, "open")
    catalog.refresh()
    assert catalog.checkpoint("mine") == before and "input/output error" in catalog.problems[0]
    refusing(None)
    catalog.refresh()
    assert catalog.problems == () and catalog.checkpoint("mine").unusable is None


def test_others_learn_no_path_and_are_told_why_nothing_is_found(
    catalog: Registry, refusing: Callable[..., None]
) -> None:
    settings = dataclasses.replace(catalog.settings, host="0.0.0.0")
    refusing(settings.loras / "styles", errno.EIO, "list")
    registry = Registry(settings)  # at a start nothing is known of it
    (problem,) = registry.problems
    assert problem.startswith("styles in the LoRA folder cannot be read (input/output error)")
    with pytest.raises(NotFoundError, match="styles in the LoRA folder cannot be read"):
        registry.lora("styles/wash")
    refusing(None)
    assert "missing" not in json.loads((settings.loras / "loras.json").read_text())["styles/wash"]
    registry.refresh()
    assert registry.lora("styles/wash") and registry.headers_read == 0, "what was read before is remembered"
