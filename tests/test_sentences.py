"""What is said to clients names files, never the folders that they lie in: those tell of the owner's disk."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable

import pytest
from PIL import Image

from webbduck_gradio.errors import WebbDuckError, redact_paths
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs import worker
from webbduck_gradio.jobs.context import JobContext
from webbduck_gradio.jobs.handlers import HANDLERS
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage.atomic import write_atomically
from webbduck_gradio.ui.studio.preset_store import PresetStore


def empty(settings: Settings) -> Registry:
    nothing = settings.outputs.parent / "nothing"
    return Registry(dataclasses.replace(settings, checkpoints=nothing / "checkpoint", loras=nothing / "lora"))


def no_checkpoint(settings: Settings) -> None:
    build_request(empty(settings), {"prompt": "a duck"})


def unknown_checkpoint(settings: Settings) -> None:
    empty(settings).checkpoint("other")


def no_captioner(settings: Settings) -> None:
    empty(settings).captioner(None)


def unknown_lora(settings: Settings) -> None:
    empty(settings).any_lora("other")


def presets_that_are_broken(settings: Settings) -> None:
    path = settings.data_dir / "presets.json"
    path.write_text("{")
    PresetStore(path).content()


def folder_that_is_a_file(settings: Settings) -> None:
    (settings.outputs / "run").write_text("")
    write_atomically(settings.outputs / "run" / "0.png", lambda file: file.write(b"x"), settings.data_dir)


def full_disk(settings: Settings) -> None:
    def write(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(settings.outputs / "run" / "0.png"))

    write_atomically(settings.outputs / "0.png", write, settings.data_dir)


@pytest.mark.parametrize(
    "fails",
    [
        no_checkpoint,
        unknown_checkpoint,
        no_captioner,
        unknown_lora,
        presets_that_are_broken,
        folder_that_is_a_file,
        full_disk,
    ],
)
def test_no_refusal_names_a_folder(settings: Settings, fails: Callable[[Settings], None]) -> None:
    with pytest.raises(WebbDuckError) as refused:
        fails(settings)
    assert str(settings.outputs.parent) not in str(refused.value)
    assert str(refused.value).endswith(".")


def test_no_warning_names_a_folder(settings: Settings) -> None:
    """It goes into the picture's metadata too, and with the picture to whoever gets it."""
    context = JobContext(
        settings, empty(settings), Outputs(settings), InputImageStore(settings), lambda: pytest.fail()
    )
    folder = settings.outputs / "2020-01-01_00-00-00"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "0.png")
    _, warnings = HANDLERS["upscale"].prepare(context, {"image": f"{folder.name}/0.png"})
    assert warnings == ["There is no usable upscaling model in checkpoint/upscale; Lanczos is used."]


def test_a_file_that_a_job_could_not_read_is_told_by_its_name(settings: Settings) -> None:
    error = OSError(errno.EACCES, "Permission denied", str(settings.loras / "ink.safetensors"))
    assert worker._disk_error_message(error).startswith("A file ink.safetensors could not be read")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no file in /home/duck/checkpoint/sdxl/mine", "no file in mine"),
        ("'/srv/models/a.safetensors' is broken", "'a.safetensors' is broken"),
        (r"C:\Users\duck\models\a.safetensors is gone", "a.safetensors is gone"),
        ("(/srv/x/unet/config.json)", "(config.json)"),
        ("unet/config.json has 4/9 channels", "unet/config.json has 4/9 channels"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("1 / 2 and ./here/it/is", "1 / 2 and ./here/it/is"),
    ],
)
def test_texts_of_other_libraries(text: str, told: str) -> None:
    assert redact_paths(text) == told
