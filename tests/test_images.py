"""Every kind of pixel becomes 8 bits as people see it: depth, transparency, turning, colours, frames."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest
from PIL import Image, ImageCms
from png_files import png

from webbduck_gradio.errors import StorageError
from webbduck_gradio.storage import images

RAMP = numpy.linspace(0, 65535, 16).astype(int).reshape(2, 8, 1)
EVEN = numpy.linspace(0, 255, 16).round().astype(int).reshape(2, 8, 1)


def seen(data: bytes) -> numpy.ndarray:
    with images.open_picture(io.BytesIO(data), "it") as image:
        return numpy.asarray(images.plain(image)).astype(int)


def saved(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_are_scaled(colour_type: int, channels: int) -> None:
    colours = 1 if channels < 3 else 3
    values = numpy.repeat(RAMP, channels, axis=2)
    shown = seen(png(values, colour_type))
    assert numpy.abs(shown[..., :3] - EVEN).max() <= (0 if channels == 1 else 1)
    assert shown.shape[2] == (3 if channels == colours else 4)
    if channels > colours:
        assert numpy.abs(shown[..., 3:] - EVEN).max() <= 1


@pytest.mark.parametrize("mode", ["I", "F"])
def test_whole_and_broken_numbers(mode: str) -> None:
    values = RAMP[..., 0] if mode == "I" else RAMP[..., 0] / 65535
    image = Image.fromarray(values.astype("int32" if mode == "I" else "float32"))
    assert image.mode == mode
    assert (numpy.asarray(images.plain(image))[..., 0] == EVEN[..., 0]).all()


@pytest.mark.parametrize("depth", [1, 2, 4, 16])
def test_one_transparent_grey_at_any_depth(depth: int) -> None:
    most = 2**depth - 1
    values = numpy.zeros((1, 8, 1), int)
    values[0, :4] = most
    shown = seen(png(values, 0, depth, key=(most,)))
    assert shown[0, :, 3].tolist() == [0] * 4 + [255] * 4
    assert shown[0, 4:, 0].tolist() == [0] * 4


def test_one_transparent_colour_of_16_bits() -> None:
    values = numpy.zeros((1, 8, 3), int)
    values[0, :4] = (65535, 0, 0x8080)
    shown = seen(png(values, 2, key=(65535, 0, 0x8080)))
    assert shown[0, :, 3].tolist() == [0] * 4 + [255] * 4


def test_transparency_of_every_kind_goes_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (10, 200, 30, 0))
    clear.putpixel((0, 0), (10, 200, 30, 255))
    palette = clear.convert("RGB").quantize(2)
    grey = Image.merge("LA", (Image.new("L", (4, 4), 10), clear.getchannel("A")))
    files = [saved(clear), saved(grey), saved(clear, "WEBP", lossless=True)]
    files.append(saved(palette, transparency=palette.getpixel((1, 1))))
    for data in files:
        with images.open_picture(io.BytesIO(data), "it") as image:
            shown = images.opaque(images.plain(image))
        assert shown.mode == "RGB"
        assert shown.getpixel((3, 3)) == (255, 255, 255)
    with images.open_picture(io.BytesIO(files[0]), "it") as image:
        assert images.opaque(images.plain(image)).getpixel((0, 0)) == (10, 200, 30)


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_stand_upright(turn: int) -> None:
    from PIL import ImageOps

    values = numpy.arange(24, dtype=numpy.uint8).reshape(4, 6) * 10
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(Image.fromarray(values), exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageOps.exif_transpose(image)
    with images.open_picture(io.BytesIO(data), "it") as image:
        assert images.upright_size(image) == expected.size
    assert (seen(data)[..., 0] == numpy.asarray(expected)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01"]
)
def test_broken_exif_costs_nothing(exif: bytes) -> None:
    assert seen(saved(Image.new("RGB", (5, 3), "red"), "JPEG", exif=exif)).shape == (3, 5, 3)


def test_colours_of_another_profile_are_converted_and_it_is_not_kept() -> None:
    """A profile of swapped primaries, as a stand-in for those of cameras: Lab, where (54, 81, 70) is red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    named = saved(Image.new("RGB", (4, 4), (200, 30, 90)), icc_profile=profile.tobytes())
    assert seen(named)[0, 0].tolist() == [200, 30, 90]
    swapped = bytearray(profile.tobytes())
    count = int.from_bytes(swapped[128:132], "big")
    tags = {bytes(swapped[132 + 12 * at : 136 + 12 * at]): 132 + 12 * at for at in range(count)}
    red, green = (slice(tags[name] + 4, tags[name] + 12) for name in (b"rXYZ", b"gXYZ"))
    swapped[red], swapped[green] = swapped[green], swapped[red]
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "Mine".encode("utf-16-be"))
    data = saved(Image.new("RGB", (4, 4), (200, 30, 90)), icc_profile=bytes(swapped))
    assert numpy.abs(seen(data)[0, 0] - [30, 200, 90]).max() <= 2
    with images.open_picture(io.BytesIO(data), "it") as image:
        assert images.plain(image).info == {}
    broken = saved(Image.new("RGB", (4, 4), (200, 30, 90)), icc_profile=b"no profile")
    assert seen(broken)[0, 0].tolist() == [200, 30, 90]


def test_cmyk_and_single_bits() -> None:
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red = seen(saved(inks, "JPEG"))[0, 0]
    assert red[0] > 200 and red[1:].max() < 60
    assert seen(saved(Image.new("1", (3, 3), 1))).min() == 255


def test_the_first_of_several_pictures(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    more = {"save_all": True, "append_images": [second]}
    files = {
        "camera.jpg": (
            saved(first, "MPO", **more),
            "The picture's file holds 2 pictures; the first is used.",
        ),
        "a.png": (saved(first, "PNG", **more), "The picture is animated; its first frame is used."),
        "a.webp": (saved(first, "WEBP", **more), "The picture is animated; its first frame is used."),
    }
    for name, (data, sentence) in files.items():
        (tmp_path / name).write_bytes(data)
        look = images.probe(tmp_path / name, "The picture")
        assert look.notes("The picture") == [sentence]
        assert look.size == (16, 16)
        red, _, blue = images.read(tmp_path / name, "it").getpixel((8, 8))
        assert red > 200 and blue < 60


def test_what_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    for data, transparent, deep in (
        (saved(Image.new("RGB", (4, 2))), False, False),
        (saved(Image.new("RGBA", (4, 2), (1, 2, 3, 255))), False, False),
        (saved(Image.new("RGBA", (4, 2), (1, 2, 3, 254))), True, False),
        (png(numpy.full((2, 4, 1), 300), 0), False, True),
        (png(numpy.full((2, 4, 4), 300), 6), True, True),
    ):
        path.write_bytes(data)
        look = images.probe(path, "it")
        assert (look.transparent, look.deep, look.size) == (transparent, deep, (4, 2))
        assert bool(look.notes("it")) == deep


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (saved(Image.new("RGB", (4, 4)), "GIF"), "GIF"),
        (saved(Image.new("RGB", (4, 4)), "TIFF"), "TIFF"),
        (saved(Image.new("RGB", (4, 4)), "BMP"), "BMP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
    ],
)
def test_other_formats_are_named_without_their_decoders(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "it.png").write_bytes(data)
    for source in (io.BytesIO(data), tmp_path / "it.png"):
        with (
            pytest.raises(StorageError, match=f"It is {name}; only PNG, JPEG and WebP can be used"),
            images.open_picture(source, "It"),
        ):
            pass
