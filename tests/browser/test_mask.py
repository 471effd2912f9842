"""The mask's editor: what was painted is, pixel for pixel, what the core gets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from form_page import expect_form
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from running import wait_until

from webbduck_gradio.core.image_ops import read_mask

PAINTED = """() => {
    const sheet = document.querySelector('.mask-editor .sheet');
    const pixels = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height).data;
    const bits = new Uint8Array(pixels.length / 32);
    for (let at = 0; at < pixels.length / 4; at += 1) if (pixels[4 * at + 3] >= 128) bits[at >> 3] |= 128 >> (at & 7);
    let text = '';
    for (let at = 0; at < bits.length; at += 8192) text += String.fromCharCode(...bits.subarray(at, at + 8192));
    return btoa(text);
}"""  # noqa: E501


def read_painted(page: Page, width: int, height: int) -> np.ndarray:
    """What the editor shows as painted."""
    bits = np.frombuffer(base64.b64decode(page.evaluate(PAINTED)), dtype=np.uint8)
    return np.unpackbits(bits).reshape(height, width).astype(bool)


@pytest.fixture
def standing_still(studio) -> Iterator[None]:
    store = studio.services.store
    store.pause()
    yield
    store.clear_queued()
    store.resume()


# Either is larger than its place in the editor, so that a pixel of the screen is more than one of it.
@pytest.mark.parametrize(
    ("width", "height"), [(2048, 1152), pytest.param(4096, 2304, marks=pytest.mark.slow)]
)
def test_what_was_painted_is_what_the_core_gets(
    page: Page, studio, tmp_path: Path, standing_still: None, width: int, height: int
) -> None:
    painted = partial(read_painted, width=width, height=height)
    left_end, right_end, middle, row = width // 8, width * 7 // 8, width // 2, height * 7 // 16
    shown = tmp_path / "large.jpg"
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(shown)
    page.click("[data-fold=image]")
    page.set_input_files("#image-input .file", shown)
    expect(page.locator(".chosen-picture .facts")).to_have_text(f"{width} × {height} px")
    page.click(".chosen-picture .paint")
    view = page.locator(".mask-view")
    box = view.bounding_box()
    assert box
    left, top, zoom = page.evaluate(
        "document.querySelector('.paper').style.transform.match(/-?[\\d.]+/g).map(Number)"
    )

    def on_screen(x: float, y: float) -> tuple[float, float]:
        return box["x"] + left + x * zoom, box["y"] + top + y * zoom

    def stroke(start: tuple[float, float], end: tuple[float, float]) -> None:
        page.mouse.move(*on_screen(*start))
        page.mouse.down()
        page.mouse.move(*on_screen(*end), steps=5)
        page.mouse.up()

    size = int(page.locator(".brush-size").inner_text().removesuffix(" px"))
    stroke((left_end, row), (right_end, row))
    across = painted(page)
    # Independent of the editor: all that is nearer to the line than the brush's radius, give or take a pixel
    # of the screen.
    y, x = np.mgrid[0:height, 0:width]
    far = np.hypot(np.maximum(0, np.maximum(left_end - x, x - right_end)), y - row)
    slack = 1 / zoom + 1
    assert across[far < size / 2 - slack].all()
    assert not across[far > size / 2 + slack].any()

    page.keyboard.press("e")
    stroke((middle, row // 2), (middle, row * 3 // 2))
    erased = painted(page)
    assert across[row, middle] and not erased[row, middle] and not (erased & ~across).any()
    page.keyboard.press("i")
    assert (painted(page) == ~erased).all()
    page.keyboard.press("Control+z")
    assert (painted(page) == erased).all()
    page.keyboard.press("Control+z")
    assert (painted(page) == across).all()
    page.keyboard.press("Delete")
    assert not painted(page).any()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.keyboard.press("Control+z")
    page.mouse.wheel(0, -300)  # zoomed in, a dab is as exact
    page.keyboard.press("b")
    page.keyboard.press(" ")
    wanted = painted(page)
    page.get_by_role("button", name="Use mask").click()
    page.wait_for_function("webbduck.form.state().mask")

    page.fill("#prompt textarea", "a duck on what was painted")
    page.click("#generate")
    store = studio.services.store
    wait_until(lambda: store.queued() or page.locator(".notice.error").count())
    job = store.queued()[-1]
    got = np.asarray(read_mask(studio.services.inputs.path(job.request.mask))) == 255
    assert got.shape == (height, width)
    assert (got == wanted).all()

    # Opened again it shows what was kept, and taking it over unchanged keeps its name.
    page.click(".chosen-picture .paint")
    wait_until(lambda: (painted(page) == wanted).all(), 60)
    page.get_by_role("button", name="Use mask").click()
    expect(page.locator(".mask-editor")).to_have_count(0)
    expect_form(page, mask=job.request.mask)


OPACITIES = """() => {
    const sheet = document.querySelector('.mask-editor .sheet');
    const pixels = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height).data;
    return Array.from({ length: pixels.length / 4 }, (_, each) => pixels[4 * each + 3]);
}"""


def test_a_soft_brush_paints_greys_that_are_kept_to_the_bit(page: Page, studio, tmp_path: Path) -> None:
    width, height = 320, 160

    def shown() -> np.ndarray:
        return np.array(page.evaluate(OPACITIES), int).reshape(height, width)

    def slider(name: str) -> Locator:
        return page.get_by_role("slider", name=f"Brush {name}")

    def stroke(row: int) -> None:
        left, top, zoom = page.evaluate(
            "document.querySelector('.paper').style.transform.match(/-?[\\d.]+/g).map(Number)"
        )
        box = page.locator(".mask-view").bounding_box()
        assert box
        for step, x in enumerate((60, 160, 260)):
            page.mouse.move(box["x"] + left + x * zoom, box["y"] + top + row * zoom)
            if not step:
                page.mouse.down()
        page.mouse.up()

    def saved() -> np.ndarray:
        """The mask, once the page has another one than before."""
        before = page.evaluate("webbduck.form.state().mask")
        page.get_by_role("button", name="Use mask").click()
        page.wait_for_function("before => webbduck.form.state().mask !== before", arg=before)
        path = studio.services.inputs.path(page.evaluate("webbduck.form.state().mask"))
        with Image.open(path) as mask:
            return np.asarray(mask.convert("L")).astype(int)

    Image.new("RGB", (width, height), "teal").save(tmp_path / "teal.png")
    page.evaluate("webbduck.form.unfold('image')")
    page.set_input_files("#image-input .file", tmp_path / "teal.png")
    expect(page.locator(".chosen-picture .facts")).to_have_text(f"{width} × {height} px")
    page.click(".chosen-picture .paint")
    slider("size").fill("72")  # about 38 px
    size = int(page.locator(".brush-size").inner_text().removesuffix(" px"))
    soft = page.get_by_role("checkbox", name="Soft inpainting")
    stroke(40)
    expect(soft).to_be_hidden()  # a smoothed edge is not grey
    hard = shown()
    for _ in range(10):
        page.keyboard.press("{")
    expect(page.locator(".brush-hardness")).to_have_text("0 %")
    for _ in range(5):
        page.keyboard.press("<")
    expect(page.locator(".brush-opacity")).to_have_text("50 %")
    expect(slider("opacity")).to_have_attribute("aria-valuetext", "50 %")
    stroke(110)
    expect(soft).to_be_visible()
    both = shown()
    assert (both[:70] == hard[:70]).all()
    # From the stroke's middle outwards: half, then less and less, and nothing beyond the brush.
    profile = both[110 : 110 + size // 2 + 2, 160]
    assert 120 <= profile[0] <= 128 and 35 <= profile[size // 4] <= 90 and profile[-1] == 0
    assert (np.diff(profile) <= 0).all() and abs(both[110, 100] - both[110, 220]) <= 1

    page.keyboard.press("e")
    stroke(40)
    assert 120 <= shown()[40, 160] <= 135, "half of the full paint is gone"
    page.keyboard.press("Control+z")
    assert (shown() == both).all()
    page.keyboard.press("Control+y")
    page.keyboard.press("i")
    erased = shown()
    page.keyboard.press("i")
    assert (shown() == 255 - erased).all()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert (shown() == both).all()
    soft.check()
    assert (saved() == both).all()
    expect_form(page, soft_inpainting="on")

    # Opened again it is the same to the bit, and says what its greys mean, also in a small window.
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("document.querySelector('.chosen-picture .paint').click()")
    expect(soft).to_be_checked()
    assert (shown() == both).all()
    for target in (*map(slider, ("size", "hardness", "opacity")), page.locator(".mask-soft")):
        box = target.bounding_box()
        assert box and box["height"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= 390
    soft.uncheck()
    page.keyboard.press("Delete")
    expect(soft).to_be_hidden()
    page.locator(".mask-view").press(" ")
    assert set(np.unique(saved())) == {0, 255}
    expect_form(page, soft_inpainting="on")  # without greys the editor leaves it alone

    # A start that needs a high strength says so below its control.
    hint = page.locator("#masked-content + .content-hint")
    expect(hint).to_be_empty()
    page.evaluate("webbduck.form.choose('masked_content', 'latent noise')")
    expect(hint).to_have_text("Latent noise shows through at denoising strength 0.75; take at least 0.8.")
    page.evaluate("webbduck.form.set('strength', '0.9')")
    expect(hint).to_be_empty()
