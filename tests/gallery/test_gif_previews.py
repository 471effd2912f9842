"""Animated pictures beside models: a still first frame, within the bounds of every other picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from webbduck_gradio.errors import StorageError
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage.images import MAX_PICTURE_PIXELS


@pytest.fixture
def thumbnails(settings: Settings) -> Thumbnails:
    return Thumbnails(settings, Outputs(settings))


@pytest.mark.parametrize("name", ["ink.preview.gif", "ink.webp"])
def test_the_first_frame_is_shown(thumbnails: Thumbnails, tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50)
    with Image.open(thumbnails.of_preview(tmp_path / name, "ink")) as shown:
        red, _, blue = shown.convert("RGB").getpixel((9, 9))
        assert shown.size == (64, 48) and getattr(shown, "n_frames", 1) == 1 and red > 200 > 60 > blue


def test_a_gif_that_claims_too_much_is_not_decoded(thumbnails: Thumbnails, tmp_path: Path) -> None:
    path = tmp_path / "ink.gif"
    Image.new("P", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"  # 65,535 x 65,535 pixels
    assert MAX_PICTURE_PIXELS < 65_535**2
    path.write_bytes(data)
    with pytest.raises(StorageError, match="megapixels and is not opened"):
        thumbnails.of_preview(path, "ink")


def test_elsewhere_a_gif_is_no_picture(thumbnails: Thumbnails, tmp_path: Path) -> None:
    Image.new("P", (8, 8)).save(tmp_path / "x.gif")
    with pytest.raises(StorageError, match="is GIF; only PNG, JPEG and WebP"):
        thumbnails.of_file(tmp_path / "x.gif", "x")
