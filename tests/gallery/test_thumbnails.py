"""Thumbnails: small, made once, and never a way to bring the studio down."""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
from gallery_helpers import finished_run, picture
from PIL import Image

from webbduck_gradio.errors import NotFoundError, StorageError
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.settings import Settings


@pytest.fixture
def thumbnails(settings: Settings, outputs: Outputs) -> Thumbnails:
    return Thumbnails(settings, outputs)


def place(settings: Settings, image: Image.Image, name: str = "0.png") -> str:
    folder = settings.outputs / "run"
    folder.mkdir(exist_ok=True)
    image.save(folder / name)
    return f"run/{name}"


def test_small_and_inside_its_folder(settings: Settings, thumbnails: Thumbnails):
    path = thumbnails.thumbnail(place(settings, picture("green", (1024, 512))))
    assert path.is_relative_to(settings.thumbnails)
    with Image.open(path) as small:
        assert small.format == "WEBP" and small.size == (384, 192)
        assert small.convert("RGB").getpixel((100, 100))[1] > 100
    with Image.open(thumbnails.thumbnail("run/0.png", 256)) as small:
        assert small.size == (256, 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "I;16", "CMYK"])
def test_every_kind_of_pixel(settings: Settings, thumbnails: Thumbnails, mode: str):
    name = "0.jpg" if mode == "CMYK" else "0.png"
    with Image.open(thumbnails.thumbnail(place(settings, Image.new(mode, (500, 500)), name))) as small:
        small.load()


def test_16_bits_are_scaled_and_palettes_are_smooth(settings: Settings, thumbnails: Thumbnails):
    ramp = numpy.tile(numpy.linspace(0, 65535, 500).astype("uint16"), (500, 1))
    with Image.open(thumbnails.thumbnail(place(settings, Image.fromarray(ramp)))) as small:
        shown = numpy.asarray(small.convert("L")).astype(int)
    assert numpy.abs(shown[190, ::64] - numpy.linspace(0, 255, 384)[::64]).max() < 4
    lines = Image.fromarray((numpy.indices((768, 768)).sum(axis=0) % 2 * 255).astype("uint8"))
    with Image.open(thumbnails.thumbnail(place(settings, lines.convert("P"), "1.png"))) as small:
        assert numpy.abs(numpy.asarray(small.convert("L")).astype(int)[8:-8, 8:-8] - 128).max() < 20


def test_photographs_stand_upright(settings: Settings, thumbnails: Thumbnails):
    folder = settings.outputs / "run"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture(size=(800, 400)).save(folder / "0.jpg", exif=exif)
    with Image.open(thumbnails.thumbnail("run/0.jpg")) as small:
        assert small.size == (192, 384)


def test_made_once_also_when_many_ask(
    settings: Settings, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
):
    image_id = place(settings, picture(size=(900, 900)))
    made: list[str] = []
    original = Thumbnails._make
    monkeypatch.setattr(
        Thumbnails, "_make", lambda self, *args: made.append(args[1]) or original(self, *args)
    )
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: thumbnails.thumbnail(image_id), range(32)))
    assert len(paths) == 1 and made == [image_id]
    assert not thumbnails._locks


@pytest.mark.parametrize("left", [0, 8, 12, 100])
def test_what_a_power_cut_left_of_one_is_made_again(settings: Settings, thumbnails: Thumbnails, left: int):
    place(settings, Image.effect_noise((300, 300), 90).convert("RGB"))
    made = thumbnails.thumbnail("run/0.png")
    whole = made.read_bytes()
    made.write_bytes(whole[:left])
    assert thumbnails.thumbnail("run/0.png").read_bytes() == whole


def test_damage_of_one_is_found_wherever_it_is(settings: Settings, thumbnails: Thumbnails):
    place(settings, Image.effect_noise((300, 300), 90).convert("RGB"))
    made = thumbnails.thumbnail("run/0.png")
    whole = made.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for damaged in (
        whole[:12] + os.urandom(len(whole) - 12),
        whole[:4096] + bytes(len(whole) - 4096),  # blocks that a power cut left unwritten
        bytes(flipped),
        whole + b"more",
    ):
        made.write_bytes(damaged)
        assert thumbnails.thumbnail("run/0.png").read_bytes() == whole
    with Image.open(made) as small:
        small.load()


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "I;16"])
def test_a_large_one_is_shrunk_in_parts_that_do_not_show(
    settings: Settings, thumbnails: Thumbnails, mode: str
):
    """Brightness that rises evenly from the top left: a seam, a shift or a lost row would show."""
    width, height = 1500, 2003
    rising = numpy.add.outer(numpy.arange(height) / height, numpy.arange(width) / width) / 2
    if mode == "I;16":
        large = Image.fromarray((rising * 65535).astype("uint16"))
    else:
        large = Image.fromarray((rising * 255).astype("uint8")).convert(mode)
    with Image.open(thumbnails.thumbnail(place(settings, large))) as small:
        assert small.size == (288, 384)
        shown = numpy.asarray(small.convert("L")).astype(float)
    expected = numpy.add.outer((numpy.arange(384) + 0.5) / 384, (numpy.arange(288) + 0.5) / 288) * 127.5
    assert numpy.abs(shown - expected)[2:-2, 2:-2].max() < 5


def test_a_changed_picture_gets_a_new_one(settings: Settings, thumbnails: Thumbnails):
    before = thumbnails.thumbnail(place(settings, picture("red", (400, 400))))
    after = thumbnails.thumbnail(place(settings, picture("blue", (401, 400))))
    assert before != after


def test_no_more_than_allowed_at_a_time(
    settings: Settings, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch
):
    ids = [place(settings, picture(size=(300, 300)), f"{number}.png") for number in range(12)]
    lock, running, most = threading.Lock(), 0, 0
    original = Thumbnails._make

    def counted(self, *args):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        original(self, *args)
        with lock:
            running -= 1

    monkeypatch.setattr(Thumbnails, "_make", counted)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(thumbnails.thumbnail, ids))
    assert 1 <= most <= settings.thumb_concurrency


def bomb(path: Path, side: int = 20_000) -> None:
    """A small PNG file that says that it is huge, and would be once decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" + bytes(side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_a_bomb_is_refused_and_not_decoded(settings: Settings, thumbnails: Thumbnails):
    (settings.outputs / "run").mkdir()
    bomb(settings.outputs / "run" / "0.png")
    with pytest.raises(StorageError, match="more than 178 megapixels"):
        thumbnails.thumbnail("run/0.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no picture", b"RIFF\0\0\0\0WEBPVP8 "])
def test_broken_pictures_get_a_sentence(settings: Settings, thumbnails: Thumbnails, content: bytes):
    (settings.outputs / "run").mkdir()
    (settings.outputs / "run" / "0.png").write_bytes(content)
    with pytest.raises(StorageError, match=r"run/0\.png .*damaged"):
        thumbnails.thumbnail("run/0.png")
    assert not list(settings.thumbnails.rglob("*.webp"))
    assert not thumbnails._locks


def test_a_cut_off_picture_gets_a_sentence(settings: Settings, thumbnails: Thumbnails):
    place(settings, Image.effect_noise((300, 300), 90))
    path = settings.outputs / "run" / "0.png"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(StorageError, match=r"run/0\.png cannot be read"):
        thumbnails.thumbnail("run/0.png")


def test_unknown_ids(thumbnails: Thumbnails):
    with pytest.raises(NotFoundError):
        thumbnails.thumbnail("../x.png")


def test_a_full_disk(
    settings: Settings, thumbnails: Thumbnails, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
):
    run = finished_run(outputs)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match="disk is full"):
            thumbnails.thumbnail(f"{run.id}/0.png")
    assert not [path for path in settings.data_dir.rglob("*") if path.suffix in (".tmp", ".webp")]
    assert thumbnails.thumbnail(f"{run.id}/0.png").is_file()
