"""What is said of an input picture and its mask before a job is queued."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO

import numpy
import pytest
from PIL import Image
from png_files import png
from request_checks import validate

from webbduck_gradio.errors import RequestError
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

Keep = Callable[..., str]
Admit = Callable[..., list[str]]


@pytest.fixture
def keep(settings: Settings) -> Keep:
    """Store a picture, or a file's bytes, as an input; its id."""

    def store(image: Image.Image | bytes, format: str = "PNG", **options: object) -> str:
        data = BytesIO()
        if isinstance(image, bytes):
            data.write(image)
        else:
            image.save(data, format, **options)
        ending = {"PNG": "png", "WEBP": "webp"}.get(format, "jpg")
        name = f"{hashlib.sha256(data.getvalue()).hexdigest()}.{ending}"
        settings.inputs.mkdir(parents=True, exist_ok=True)
        (settings.inputs / name).write_bytes(data.getvalue())
        return name

    return store


@pytest.fixture
def admit(settings: Settings) -> Admit:
    registry = Registry(settings)

    def ask(**asked: object) -> list[str]:
        return validate(registry, build_request(registry, {"width": 64, "height": 64} | asked))

    return ask


def test_what_of_a_picture_is_not_used(keep: Keep, admit: Admit) -> None:
    plain = Image.new("RGB", (64, 64), "red")
    more = {"save_all": True, "append_images": [Image.new("RGB", (64, 64))]}
    flat = plain.convert("P")
    deep = numpy.full((64, 64, 1), 30000)
    for image, words in (
        (keep(plain), None),
        (keep(plain.convert("RGBA")), None),
        (keep(Image.new("RGBA", (64, 64), (9, 9, 9, 200))), "transparent parts; they are taken as white"),
        (keep(flat, transparency=flat.getpixel((0, 0))), "transparent parts; they are taken as white"),
        (keep(png(deep, 0)), "16 bits per channel; 8 of them are used"),
        (keep(plain, "MPO", **more), "file holds 2 pictures; the first is used"),
        (keep(plain, "WEBP", **more), "is animated; its first frame is used"),
        (keep(plain, "PNG", **more), "is animated; its first frame is used"),
    ):
        said = admit(image=image)
        assert len(said) == (words is not None)
        assert not words or words in said[0]


def test_how_a_mask_was_understood(keep: Keep, admit: Admit) -> None:
    image = keep(Image.new("RGB", (64, 64), "red"))
    clear = Image.new("RGBA", (64, 64))
    clear.paste((0, 0, 0, 255), (0, 0, 32, 32))
    (said,) = admit(image=image, mask=keep(clear))
    assert "taken from its transparency" in said and "25 % of the picture" in said
    faint = Image.new("L", (64, 64))
    faint.paste(50, (0, 0, 32, 32))
    with pytest.raises(RequestError, match="too faint"):
        admit(image=image, mask=keep(faint))


def test_soft_inpainting_takes_grey_as_it_is(keep: Keep, admit: Admit) -> None:
    image = keep(Image.new("RGB", (64, 64), "red"))
    grey = Image.new("L", (64, 64))
    grey.paste(50, (0, 0, 32, 32))
    asked = {"image": image, "mask": keep(grey), "soft_inpainting": True}
    assert admit(**asked) == admit(**asked, mask_blur=0) == []
    with pytest.raises(RequestError, match="at most 20 % of the 3 steps to soft inpainting"):
        admit(**asked, steps=4)
    light = keep(grey.point(lambda value: 255 - value // 2))
    with pytest.raises(RequestError, match="at most 10 % of the 3 steps to soft inpainting"):
        admit(**asked | {"mask": light, "inpainting_fill": "keep"}, steps=4)
    grey.paste(255, (0, 0, 32, 32))
    asked["mask"] = keep(grey)
    assert admit(**asked) == []
    (said,) = admit(**asked, mask_blur=0)
    assert said.startswith("soft_inpainting changes nothing with a mask without grey")


def test_a_start_that_a_low_strength_lets_through(keep: Keep, admit: Admit) -> None:
    asked = {"image": keep(Image.new("RGB", (64, 64), "red")), "mask": keep(Image.new("L", (64, 64), 255))}
    for content in ("latent noise", "latent nothing"):
        (said,) = admit(**asked, masked_content=content, strength=0.75)
        assert said.startswith(f"masked_content {content} shows through at strength 0.75; take at least 0.8")
        assert admit(**asked, masked_content=content, strength=0.8) == []
    assert admit(**asked, masked_content="original", strength=0.5) == []


def test_a_mask_in_the_part_that_is_cut_off(keep: Keep, admit: Admit) -> None:
    image = keep(Image.new("RGB", (192, 64), "red"))
    mask = Image.new("L", (192, 64))
    mask.paste(255, (0, 0, 40, 64))
    asked = {"image": image, "mask": keep(mask)}
    with pytest.raises(RequestError, match="part of the picture that crop cuts off to reach 64 x 64"):
        admit(**asked)
    for other in ({"resize_mode": "pad"}, {"inpaint_area": "masked"}, {"width": 192}):
        assert admit(**asked, **other) == []
    mask.paste(255, (60, 0, 100, 64))
    (said,) = admit(image=image, mask=keep(mask))
    assert said.startswith("55 % of the mask lies in the part of the picture that crop cuts off")


def test_a_mask_that_protects(keep: Keep, admit: Admit) -> None:
    image = keep(Image.new("RGB", (192, 64), "red"))
    mask = Image.new("L", (192, 64), 255)
    asked = {"image": image, "inpainting_fill": "keep"}
    with pytest.raises(RequestError, match="nothing is left to paint"):
        admit(**asked, mask=keep(mask))
    mask.paste(0, (0, 0, 40, 64))  # what is free lies in the part that is cut off
    with pytest.raises(RequestError, match="nothing is left to paint"):
        admit(**asked, mask=keep(mask))
    assert admit(**asked, mask=keep(mask), resize_mode="stretch") == []
    (said,) = admit(**asked, mask=keep(Image.new("L", (192, 64))))
    assert "protects nothing" in said


def test_pictures_one_pixel_wide(keep: Keep, admit: Admit) -> None:
    narrow = keep(Image.new("RGB", (1, 200)))
    mask = keep(Image.new("L", (1, 200), 255))
    for mode in ("crop", "pad", "stretch"):
        admit(image=narrow, resize_mode=mode)
        admit(image=narrow, mask=mask, resize_mode=mode)
