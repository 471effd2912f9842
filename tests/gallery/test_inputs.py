"""Input pictures: stored by content, checked before."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from gallery_helpers import picture, request
from PIL import Image
from test_thumbnails import bomb

from webbduck_gradio.errors import NotFoundError, RequestError
from webbduck_gradio.gallery.input_images import MAX_INPUT_BYTES, InputImageStore
from webbduck_gradio.settings import Settings


@pytest.fixture
def inputs(settings: Settings) -> InputImageStore:
    return InputImageStore(settings)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "ending"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_the_bytes_are_kept_under_their_hash(
    inputs: InputImageStore, tmp_path: Path, format: str, ending: str
):
    data = encoded(picture(), format)
    file_id = inputs.store(data)
    assert file_id == f"{hashlib.sha256(data).hexdigest()}.{ending}"
    assert inputs.path(file_id).read_bytes() == data
    (tmp_path / "name.with.wrong.gif").write_bytes(data)
    assert inputs.store(tmp_path / "name.with.wrong.gif") == file_id
    assert request(image=file_id).image == file_id  # it is what the request takes


def test_the_same_bytes_are_stored_once(inputs: InputImageStore, settings: Settings):
    inputs.store(encoded(picture()))
    inputs.store(encoded(picture()))
    assert len([path for path in settings.inputs.iterdir() if path.is_file()]) == 1


def test_what_is_no_usable_picture_is_refused(inputs: InputImageStore, settings: Settings, tmp_path: Path):
    noise = encoded(Image.effect_noise((300, 300), 90))
    bomb(tmp_path / "bomb.png")
    refused: list[tuple[bytes | Path, str]] = [
        (b"", "not a readable picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a readable picture"),
        (encoded(picture(), "GIF"), "only PNG, JPEG and WebP"),
        (encoded(picture(), "TIFF"), "only PNG, JPEG and WebP"),
        (noise[:20_000], "cannot be read"),
        (tmp_path / "bomb.png", "megapixels"),
        (encoded(Image.new("1", (9000, 9000))), "9000 x 9000 pixels; at most 64 megapixels"),
        (bytes(MAX_INPUT_BYTES + 1), "more than 64 MiB"),
        (tmp_path / "missing.png", "could not be read"),
    ]
    for source, sentence in refused:
        with pytest.raises(RequestError, match=sentence):
            inputs.store(source)
    assert not [path for path in settings.inputs.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("format", "ending"), [("PNG", "png"), ("WEBP", "webp"), ("MPO", "jpg")])
def test_files_of_several_pictures_are_kept(inputs: InputImageStore, format: str, ending: str):
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    file_id = inputs.store(data)
    assert file_id.endswith(f".{ending}")
    assert inputs.path(file_id).read_bytes() == data


@pytest.mark.parametrize(
    "file_id", ["", "x.png", "../" + "0" * 64 + ".png", "0" * 64 + ".png", "0" * 64, None, "\0"]
)
def test_unknown_ids(inputs: InputImageStore, file_id):
    with pytest.raises(NotFoundError):
        inputs.path(file_id)


def test_links_are_not_followed(inputs: InputImageStore, settings: Settings, tmp_path: Path):
    picture().save(tmp_path / "secret.png")
    name = "a" * 64 + ".png"
    (settings.inputs / name).symlink_to(tmp_path / "secret.png")
    with pytest.raises(NotFoundError):
        inputs.path(name)


def test_a_picture_that_is_wanted_again_is_young_again(inputs: InputImageStore, settings: Settings):
    data = encoded(picture())
    path = inputs.path(inputs.store(data))
    os.utime(path, (1, 1))
    inputs.store(data)
    assert path.stat().st_mtime > 1, "or it would be tidied away as unused, with a job about to ask for it"
