"""What a mask's pixels mean, and that nothing of it is lost on the way to another size."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from PIL import Image, ImageDraw, ImageFilter
from png_files import png

from webbduck_gradio.errors import RequestError
from webbduck_gradio.storage import masks

BOX = (8, 8, 24, 24)
INSIDE, OUTSIDE = (16, 16), (30, 30)


def painted(mode: str, ground: tuple[int, ...] | int, paint: tuple[int, ...] | int) -> Image.Image:
    image = Image.new(mode, (32, 32), ground)
    image.paste(paint, BOX)
    return image


def understood(folder: Path, image: Image.Image | bytes, **options) -> tuple[numpy.ndarray, list[str]]:
    path = folder / "mask.png"
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, options.pop("format", "PNG"), **options)
    mask, notes = masks.read(path)
    assert mask.mode == "L"
    return numpy.asarray(mask), notes


def is_the_box(mask: numpy.ndarray) -> bool:
    expected = numpy.asarray(painted("L", 0, 255))
    return bool((mask == expected).all())


@pytest.mark.parametrize(
    "image",
    [
        painted("L", 0, 255),
        painted("1", 0, 1),
        painted("RGB", (0, 0, 0), (255, 255, 255)),
        painted("RGBA", (0, 0, 0, 255), (255, 255, 255, 255)),
        painted("RGBA", (0, 0, 0, 140), (255, 255, 255, 140)),  # one transparency for all carries no shape
        painted("L", 0, 255).convert("P"),
        painted("L", 5, 250),
    ],
    ids=["grey", "bits", "rgb", "rgba", "evenly transparent", "palette", "not quite black and white"],
)
def test_white_on_black(tmp_path: Path, image: Image.Image) -> None:
    mask, notes = understood(tmp_path, image)
    assert is_the_box(mask)
    assert notes == []


def test_16_bits(tmp_path: Path) -> None:
    values = numpy.full((32, 32, 1), 300)
    values[8:24, 8:24] = 65535
    assert is_the_box(understood(tmp_path, png(values, 0))[0])


def test_what_jpeg_adds_around_edges_is_no_paint(tmp_path: Path) -> None:
    disc = Image.new("L", (96, 96))
    ImageDraw.Draw(disc).ellipse((21, 19, 66, 70), fill=255)
    disc.save(tmp_path / "disc.jpg", quality=85)
    with Image.open(tmp_path / "disc.jpg") as strayed:
        assert (numpy.asarray(strayed)[numpy.asarray(disc) == 0] > 0).mean() > 0.03
    mask = numpy.asarray(masks.read(tmp_path / "disc.jpg")[0])
    far = numpy.asarray(disc.filter(ImageFilter.MaxFilter(5))) == 0
    assert (mask[far] > 0).mean() < 0.005
    assert (mask[numpy.asarray(disc.filter(ImageFilter.MinFilter(5))) == 255] >= 250).mean() > 0.995


@pytest.mark.parametrize("paint", [(0, 0, 0), (255, 255, 255), (200, 30, 30), (0, 0, 255), (128, 128, 128)])
def test_opaque_paint_of_any_colour_counts_on_transparent(
    tmp_path: Path, paint: tuple[int, int, int]
) -> None:
    mask, notes = understood(tmp_path, painted("RGBA", (0, 0, 0, 0), (*paint, 255)))
    assert is_the_box(mask)
    (note,) = notes
    assert "shape was taken from its transparency" in note and "25 % of the picture" in note


def test_the_transparent_colour_of_a_palette_carries_the_shape_too(tmp_path: Path) -> None:
    image = painted("P", 1, 0)
    image.putpalette([0, 0, 0, 255, 255, 255])
    assert is_the_box(understood(tmp_path, image, transparency=1)[0])


def test_black_and_white_with_transparent_parts(tmp_path: Path) -> None:
    image = painted("RGBA", (0, 0, 0, 255), (255, 255, 255, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 32))
    mask, notes = understood(tmp_path, image)
    assert is_the_box(mask)
    assert "black, white and transparent" in notes[0]


def test_a_picture_with_a_hole_is_refused(tmp_path: Path) -> None:
    noise = numpy.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(numpy.uint8)
    image = Image.fromarray(noise).convert("RGBA")
    image.paste((0, 0, 0, 0), BOX)
    with pytest.raises(RequestError, match="picture with transparency"):
        understood(tmp_path, image)


@pytest.mark.parametrize("paint", [(255, 0, 0), (0, 0, 255), (0, 160, 0)])
def test_dark_colours_on_black_count_and_that_is_said(tmp_path: Path, paint: tuple[int, int, int]) -> None:
    mask, notes = understood(tmp_path, painted("RGB", (0, 0, 0), paint))
    assert is_the_box(mask)
    assert "every colour counts as painted (25 % of the picture)" in notes[0]


def test_colour_on_white_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="coloured and has no black part"):
        understood(tmp_path, painted("RGB", (255, 255, 255), (255, 0, 0)))


def test_paint_that_is_half_transparent_everywhere_counts_in_full(tmp_path: Path) -> None:
    for image in (painted("RGBA", (0, 0, 0, 0), (255, 255, 255, 120)), painted("L", 0, 130)):
        mask, notes = understood(tmp_path, image)
        assert is_the_box(mask)
        assert any("taken as fully painted" in note for note in notes)


def test_soft_parts_stay_soft(tmp_path: Path) -> None:
    ramp = numpy.tile(numpy.linspace(0, 255, 256).astype(numpy.uint8), (8, 1))
    clear = numpy.dstack([numpy.zeros((8, 256, 3), numpy.uint8), ramp])
    for image in (Image.fromarray(ramp), Image.fromarray(clear)):
        mask, notes = understood(tmp_path, image)
        assert (numpy.diff(mask[0].astype(int)) >= 0).all()
        assert len(numpy.unique(mask)) > 200
        assert "partly painted" in notes[-1]


def test_exact_keeps_every_grey(tmp_path: Path) -> None:
    """But what is nearly black or white, which JPEG makes of both."""
    ramp = numpy.tile(numpy.arange(201).astype(numpy.uint8), (8, 1))
    path = tmp_path / "ramp.png"
    for image in (
        Image.fromarray(ramp),
        Image.merge("LA", (Image.new("L", (201, 8)), Image.fromarray(ramp))),
    ):
        image.save(path)
        mask = numpy.asarray(masks.read(path, exact=True)[0])
        assert (mask == numpy.where(ramp > masks.NOISE, ramp, 0)).all()
    painted("L", 5, 250).save(path)
    assert is_the_box(numpy.asarray(masks.read(path, exact=True)[0]))
    painted("L", 0, 40).save(path)
    assert masks.read(path, exact=True)[0].getextrema() == (0, 40)


def test_a_smoothed_edge_is_not_taken_for_grey(tmp_path: Path) -> None:
    large = Image.new("L", (1024, 1024))
    ImageDraw.Draw(large).ellipse((100, 300, 180, 380), fill=255)
    smoothed = large.resize((256, 256), Image.Resampling.BOX)
    assert masks.has_grey(smoothed) and understood(tmp_path, smoothed)[1] == []
    (said,) = understood(tmp_path, smoothed.filter(ImageFilter.GaussianBlur(3)))[1]
    assert "is partly painted" in said and "soft_inpainting" in said


def test_empty_and_faint(tmp_path: Path) -> None:
    for image in (
        Image.new("L", (8, 8)),
        Image.new("RGBA", (8, 8)),
        Image.new("RGBA", (8, 8), (255,) * 3 + (0,)),
    ):
        assert not understood(tmp_path, image)[0].any()
    for image in (painted("L", 0, 40), painted("RGBA", (0, 0, 0, 0), (0, 0, 0, 40))):
        with pytest.raises(RequestError, match="too faint: its strongest paint is 40 of 255"):
            understood(tmp_path, image)


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(64, 64), (96, 40), (40, 104), (8, 8)])
def test_no_spot_is_lost_in_shrinking(mode: str, size: tuple[int, int]) -> None:
    for x, y in ((500, 500), (511, 505), (603, 577)):
        mask = Image.new("L", (1024, 1000))
        mask.putpixel((x, y), 255)
        small = numpy.asarray(masks.fit(mask, size, mode))
        assert small.shape == size[::-1]
        left, top, right, bottom = (0.0, 0.0, 1024.0, 1000.0)
        if mode == "crop":
            left, top, right, bottom = masks.cut_box(mask.size, size)
            if not (left < x < right - 1 and top < y < bottom - 1):
                continue
        if mode == "pad":
            wide, high = masks.fit_within(mask.size, size)
            assert (small == 255).sum() == size[0] * size[1] - wide * high + 1
            small = small[(size[1] - high) // 2 :, (size[0] - wide) // 2 :][:high, :wide]
        ((row, column),) = numpy.argwhere(small == 255)
        across, down = (right - left) / small.shape[1], (bottom - top) / small.shape[0]
        assert abs((column + 0.5) * across - (x - left)) <= across / 2 + 1
        assert abs((row + 0.5) * down - (y - top)) <= down / 2 + 1


def test_a_hard_mask_stays_hard_where_it_gets_larger() -> None:
    large = masks.fit(painted("L", 0, 255), (128, 128), "crop")
    assert set(large.histogram()[1:255]) == {0}
    assert abs((numpy.asarray(large) > 0).mean() - 0.25) < 0.01
    soft = painted("L", 0, 255).filter(ImageFilter.GaussianBlur(3))
    assert len(numpy.unique(numpy.asarray(masks.fit(soft, (128, 128), "crop")))) > 50


def test_the_middle_is_cut_as_pillow_cuts_it() -> None:
    from PIL import ImageOps

    picture = Image.effect_noise((150, 90), 80)
    for size in ((64, 64), (200, 40), (8, 104)):
        ours = picture.resize(size, Image.Resampling.LANCZOS, box=masks.cut_box(picture.size, size))
        assert ours.tobytes() == ImageOps.fit(picture, size, Image.Resampling.LANCZOS).tobytes()


def test_how_much_is_cut_off() -> None:
    mask = Image.new("L", (300, 100))
    ImageDraw.Draw(mask).rectangle((0, 0, 49, 99), fill=255)
    assert masks.share_cut_off(mask, (64, 64)) == 1  # 100 to 200 is kept
    ImageDraw.Draw(mask).rectangle((100, 0, 149, 99), fill=255)
    assert masks.share_cut_off(mask, (64, 64)) == 0.5
    assert masks.share_cut_off(mask, (192, 64)) == 0


def test_thin_strokes_fill_whole_cells_of_the_latents() -> None:
    mask = Image.new("L", (64, 64))
    mask.putpixel((13, 22), 40)
    cells = numpy.asarray(masks.cells(mask))
    assert (cells[16:24, 8:16] == 255).all()
    assert (cells == 255).sum() == 64


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1), (3, 2)])
@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
def test_masks_one_pixel_wide(size: tuple[int, int], mode: str) -> None:
    assert masks.fit(Image.new("L", size, 255), (64, 104), mode).getextrema() == (255, 255)
