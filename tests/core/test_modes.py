"""From pictures to pictures: img2img, inpainting, second passes."""

from __future__ import annotations

import numpy
import pytest
from each_sampler import EACH_SAMPLER
from making import store
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from recorder import Recorder

from webbduck_gradio.core import image_ops
from webbduck_gradio.core.modes import inpaint
from webbduck_gradio.errors import CancelledError
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.samplers import (
    AUTOMATIC,
    JOINED,
    SAMPLERS,
    fewest_steps,
    joined_name,
    sampler_named,
)

SIZE = {"width": 96, "height": 80}
STARTER = "webbduck-starter"
BLUE = "a blue duck on a pond"


@pytest.fixture(scope="module")
def original(folders, image) -> numpy.ndarray:
    return numpy.asarray(Image.open(folders.inputs / image)).astype(int)


@pytest.fixture(scope="module")
def area(folders, mask) -> numpy.ndarray:
    return numpy.asarray(Image.open(folders.inputs / mask))


def far(one: numpy.ndarray, other: numpy.ndarray) -> float:
    return float(numpy.abs(one - other).mean())


def test_strength_decides_how_much_of_the_picture_stays(paint, image, original) -> None:
    distances = [
        far(paint(prompt=BLUE, image=image, strength=strength, steps=10, **SIZE)[0], original)
        for strength in (0.1, 0.5, 1.0)
    ]
    assert distances[0] < distances[1] < distances[2] and distances[2] > 1.5 * distances[0]


@pytest.mark.parametrize("name", EACH_SAMPLER)
def test_every_sampler_starts_from_a_picture(paint, image, original, name: str) -> None:
    """Had one kept the noise, or started from another amount of it, the picture would be lost."""
    drawn = paint(image=image, strength=0.2, steps=10, scheduler=name, **SIZE)[0]
    assert 0 < far(drawn, original) < 25


def test_pictures_are_turned_upright_fitted_and_put_on_white(paint, folders) -> None:
    tall = Image.new("RGB", (40, 80), "red")
    tall.getexif()[0x0112] = 6  # turned by a quarter: people see it 80 x 40
    ImageDraw.Draw(tall).ellipse((4, 10, 30, 60), fill="blue")
    turned = tall.transpose(Image.Transpose.ROTATE_270)

    def draw(picture: Image.Image, mode: str = "crop") -> bytes:
        return paint(image=store(folders, picture), strength=0.3, resize_mode=mode)[0].tobytes()

    assert draw(tall, "pad") == draw(turned, "pad")
    assert len({draw(turned, mode) for mode in ("crop", "pad", "stretch")}) == 3
    assert draw(Image.new("RGBA", (64, 64), (255, 0, 0, 0))) == draw(Image.new("RGB", (64, 64), "white"))


OF_EACH_KIND = {
    (each.noise, each.evaluations, each.is_adaptive): joined_name(each.name, AUTOMATIC)
    for each in reversed(SAMPLERS)
}
"""The first of the samplers that add noise alike and evaluate the model as often in a step: inpainting sees
no more of them."""


@pytest.mark.parametrize("name", OF_EACH_KIND.values())
def test_not_one_pixel_outside_the_mask_changes(paint, image, mask, original, area, name: str) -> None:
    sampler, schedule = JOINED[name]
    steps = max(4, fewest_steps(sampler_named(sampler), schedule))
    asked = {"image": image, "mask": mask, "mask_blur": 0, "scheduler": name, "strength": 0.9} | SIZE
    asked |= {"steps": steps}
    drawn = paint(prompt=BLUE, **asked)[0]
    assert (drawn[area == 0] == original[area == 0]).all()
    assert (drawn[area == 255] != original[area == 255]).any(axis=-1).mean() > 0.5


@pytest.mark.parametrize("base_model", [STARTER, "painter"])
@pytest.mark.parametrize("where", ["whole", "masked"])
def test_the_blurred_mask_is_the_border(
    paint, image, mask, original, area, base_model: str, where: str
) -> None:
    around = numpy.asarray(Image.fromarray(area).filter(ImageFilter.MaxFilter(2 * 10 + 1)))
    more = SIZE if where == "whole" else {"inpaint_padding": 8}
    asked = {"image": image, "mask": mask, "mask_blur": 4, "inpaint_area": where} | more
    drawn = paint(prompt=BLUE, base_model=base_model, **asked)[0]
    assert drawn.shape == original.shape
    assert (drawn[around == 0] == original[around == 0]).all()
    assert (drawn[area == 255] != original[area == 255]).any(axis=-1).mean() > 0.5
    edge = (around == 255) & (area == 0)
    assert 0.1 < (drawn[edge] != original[edge]).any(axis=-1).mean() < 1


@pytest.mark.parametrize("where", ["whole", "masked"])
def test_keep_protects_the_masked_part(paint, image, mask, original, area, where: str) -> None:
    more = SIZE if where == "whole" else {"inpaint_padding": 8}
    asked = {"image": image, "mask": mask, "mask_blur": 0, "strength": 0.9, "inpaint_area": where} | more
    drawn = paint(prompt=BLUE, inpainting_fill="keep", **asked)[0]
    assert (drawn[area == 255] == original[area == 255]).all()
    assert (drawn[area == 0] != original[area == 0]).any(axis=-1).mean() > 0.5


@pytest.mark.parametrize(
    "more",
    [
        SIZE,
        SIZE | {"masked_content": "original", "base_model": "painter"},
        {"resize_mode": "pad", "width": 96, "height": 64},
        {"inpaint_area": "masked", "inpaint_padding": 2},
        SIZE | {"second_pass_model": STARTER},
    ],
    ids=str,
)
def test_keep_paints_what_the_inverted_mask_would(paint, folders, image, area, more: dict) -> None:
    left = Image.fromarray(numpy.where(numpy.arange(96) < 60, area, 255).astype(numpy.uint8))
    masks = [store(folders, each) for each in (left, ImageOps.invert(left))]
    more = more | {"mask_blur": 0}  # the soft edge lies outside of what the mask covers, so on the other side
    kept = paint(image=image, mask=masks[0], inpainting_fill="keep", **more)
    assert numpy.array_equal(kept, paint(image=image, mask=masks[1], **more))


@pytest.mark.parametrize(
    ("base", "changed"),
    [
        ({}, {"inpainting_fill": "keep"}),
        ({}, {"masked_content": "original"}),
        ({}, {"mask_blur": 0}),
        ({}, {"inpaint_area": "masked", "inpaint_padding": 4}),
        ({}, {"strength": 1.0}),
        ({}, {"second_pass_model": STARTER, "refinement_strength": 0.5}),
        ({"inpaint_area": "masked"}, {"inpaint_padding": 0}),
    ],
    ids=str,
)
def test_each_setting_of_inpainting_reaches_the_picture(paint, image, mask, base, changed) -> None:
    base = {"image": image, "mask": mask} | base | SIZE
    assert not numpy.array_equal(paint(**base), paint(**base | changed))


def pasted(box: tuple[int, int, int, int], blur: int, **more: object) -> numpy.ndarray:
    """How white a black picture of 128 x 128 becomes where white was drawn into it by a mask."""
    mask = Image.new("L", (128, 128))
    mask.paste(255, box)
    name = "0" * 64 + ".png"
    request = GenerationRequest.validated(
        base_model="any", image=name, mask=name, mask_blur=blur, width=128, height=128, **more
    )
    canvas = inpaint.prepare(request, Image.new("RGB", (128, 128)), mask)
    white = Image.new("RGB", (128, 128), "white")
    return numpy.asarray(inpaint.finish(canvas, white, blur))[..., 0].astype(int)


@pytest.mark.parametrize("blur", [0, 1, 4, 8, 24])
@pytest.mark.parametrize("area", ["whole", "masked"])
def test_all_that_is_painted_is_new_however_thin(blur: int, area: str) -> None:
    """A plain blur would let the original through in strokes that are thinner than it."""
    for box in ((60, 30, 61, 90), (60, 30, 64, 90), (40, 30, 80, 90)):
        white = pasted(box, blur, inpaint_area=area)
        assert white[30:90, box[0] : box[2]].min() == 255
        reach = image_ops.reach(blur)
        assert not white[:, : max(0, box[0] - reach)].any()
        assert not white[:, box[2] + reach :].any()


def test_what_is_protected_stays_to_the_bit_with_a_blur_too() -> None:
    for area in ("whole", "masked"):
        white = pasted((40, 30, 80, 90), 8, inpaint_area=area, inpainting_fill="keep")
        assert not white[30:90, 40:80].any()
        assert white[60, 80 + image_ops.reach(8) :].min() == 255
        assert numpy.abs(numpy.diff(white[60])).max() <= 255 / 8


@pytest.mark.parametrize("blur", [8, 16])
def test_an_area_that_is_drawn_alone_has_no_seam(blur: int) -> None:
    for box in ((50, 50, 70, 70), (60, 30, 62, 90)):
        white = pasted(box, blur, inpaint_area="masked", inpaint_padding=0)
        steps = max(numpy.abs(numpy.diff(white, axis=axis)).max() for axis in (0, 1))
        assert steps <= 255 / blur


def test_a_soft_mask_blends(paint, folders, image, original) -> None:
    across = numpy.tile(numpy.linspace(0, 255, 96), (80, 1)).astype(numpy.uint8)
    soft = store(folders, Image.fromarray(across))
    (drawn,) = paint(prompt=BLUE, image=image, mask=soft, mask_blur=0, strength=1.0, **SIZE)
    changes = numpy.abs(drawn - original).sum(axis=(0, 2))
    parts = [part.sum() for part in numpy.array_split(changes, 4)]
    assert 0 < parts[0] < parts[1] < parts[3] and parts[0] < parts[3] / 4


def test_a_stroke_thinner_than_a_latent_pixel_is_drawn() -> None:
    """The pipeline looks at one pixel of each 8 x 8 of the mask."""
    thin = Image.new("L", (96, 80))
    thin.paste(255, (43, 18, 45, 62))
    name = "0" * 64 + ".png"
    for area in ("whole", "masked"):
        request = GenerationRequest.validated(
            base_model="any", image=name, mask=name, inpaint_area=area, **SIZE
        )
        canvas = inpaint.prepare(request, Image.new("RGB", (96, 80)), thin)
        assert numpy.asarray(canvas.area)[::8, ::8].any()


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1)])
def test_pictures_one_pixel_wide_are_fitted(size: tuple[int, int]) -> None:
    for mode in ("crop", "pad", "stretch"):
        fitted = image_ops.fit(Image.new("RGB", size, "red"), (64, 104), mode)
        assert fitted.getcolors() == [(64 * 104, (255, 0, 0))]


def test_a_second_pass_never_touches_what_the_mask_protects(paint, image, mask, original, area) -> None:
    drawn = paint(image=image, mask=mask, mask_blur=0, second_pass_model=STARTER, prompt=BLUE, **SIZE)[0]
    assert (drawn[area == 0] == original[area == 0]).all()


def test_a_split_with_the_same_model_equals_one_pass(paint) -> None:
    whole = paint(scheduler="Euler", steps=15)[0]
    split = paint(scheduler="Euler", steps=15, second_pass_model=STARTER, second_pass_mode="refiner")[0]
    assert numpy.abs(whole - split).max() <= 2


def test_a_true_refiner_takes_over(paint) -> None:
    recorder = Recorder()
    one, two = paint(steps=10), paint(recorder, steps=10, second_pass_model="refiner")
    assert not numpy.array_equal(one, two)
    assert recorder.steps == [(0, step, 10) for step in range(1, 11)]
    assert recorder.texts[-1] == "Second pass"
    assert not numpy.array_equal(paint(steps=10, second_pass_model="refiner", refiner_switch=0.5), two)


def test_any_other_checkpoint_refines_the_finished_picture(paint) -> None:
    recorder = Recorder()
    asked = {"steps": 10, "second_pass_model": STARTER}
    one = paint(steps=10)[0]
    gentle = paint(recorder, **asked, refinement_strength=0.2)[0]
    assert [total for _, _, total in recorder.steps] == [10] * 10 + [2] * 2
    strong = paint(**asked, refinement_strength=0.9)[0]
    assert 0 < far(gentle, one) < far(strong, one)
    assert not numpy.array_equal(paint(**asked, refinement_strength=0.2, second_pass_steps=20)[0], gentle)
    assert paint(steps=10, second_pass_model="refiner", second_pass_mode="img2img")[0].shape == one.shape


MODES = {
    "img2img": lambda image, mask: {"image": image} | SIZE,
    "inpaint": lambda image, mask: {"image": image, "mask": mask} | SIZE,
    "refiner": lambda image, mask: {"second_pass_model": "refiner"},
    "refined": lambda image, mask: {"second_pass_model": STARTER, "refinement_strength": 0.5},
}


@pytest.mark.parametrize("scheduler", ["DPM++ 2M Karras", "DPM++ SDE Karras", "Euler a"])
@pytest.mark.parametrize("mode", MODES)
def test_batches_equal_their_pictures_alone_in_every_mode(
    paint, image, mask, mode: str, scheduler: str
) -> None:
    asked = MODES[mode](image, mask) | {"scheduler": scheduler}
    first, second = paint(**asked, num_images=2)
    assert not numpy.array_equal(first, second)
    assert numpy.array_equal(paint(**asked, seed=8)[0], second)


@pytest.mark.parametrize("mode", MODES)
def test_cancel_at_any_step_of_any_mode_leaves_no_trace(paint, image, mask, mode: str) -> None:
    asked = MODES[mode](image, mask)
    recorder = Recorder()
    expected = paint(recorder, **asked)
    for after in range(len(recorder.steps)):
        stopped = Recorder(cancel_after=after)
        with pytest.raises(CancelledError):
            paint(stopped, **asked)
        assert len(stopped.steps) == after
    assert numpy.array_equal(paint(**asked), expected)
