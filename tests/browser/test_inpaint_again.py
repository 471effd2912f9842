"""Inpainting the result of an inpaint, again and again: the right picture, and its own mask."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from form_page import expect_form, put_away
from gallery_page import cell, expect_shown
from PIL import Image
from playwright.sync_api import Page, expect

SHOWN = """async () => {
    const picture = document.querySelector('.mask-editor .under');
    await picture.decode();
    const sheet = document.createElement('canvas'), size = [picture.naturalWidth, picture.naturalHeight];
    [sheet.width, sheet.height] = size;
    const pen = sheet.getContext('2d');
    pen.drawImage(picture, 0, 0);
    const pixels = pen.getImageData(0, 0, ...size).data;
    let text = '';
    for (const value of pixels) text += String.fromCharCode(value);
    return [...size, btoa(text)];
}"""


def in_the_editor(page: Page) -> np.ndarray:
    """Pixels of the picture that is to be painted on."""
    width, height, pixels = page.evaluate(SHOWN)
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3]


def generated(page: Page, studio) -> str:
    """Press Generate; the id of the picture, once the page shows it."""
    before = (
        page.locator("#stage img.main").get_attribute("src")
        if page.locator("#stage img.main").count()
        else None
    )
    page.click("#generate")
    page.wait_for_function(
        """before => document.querySelector('.now')?.dataset.state === 'completed'
        && document.querySelector('#stage img.main:not([hidden])')?.src?.includes('/media/image/')
        && document.querySelector('#stage img.main').getAttribute('src') !== before""",
        arg=before,
    )
    return studio.services.store.recent(1)[0].images[0]


@pytest.fixture
def page(kept_page: Page) -> Page:
    """The Studio without an input picture."""
    put_away(kept_page)
    kept_page.get_by_role("tab", name="Studio").click()
    kept_page.evaluate("for (const each of ['mask', 'image']) webbduck.form.set(each, '')")
    kept_page.wait_for_function("!webbduck.form.state().image && !webbduck.form.state().mask")
    return kept_page


# Four rounds take each of the ways once, and a mask after another one; ten repeat them.
@pytest.mark.parametrize("rounds", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_inpaints_in_a_row_each_on_the_picture_that_was_asked_for(page: Page, studio, rounds: int) -> None:
    for field, value in (("width", "128"), ("height", "128"), ("steps", "2")):
        page.fill(f"#{field} input", value)
    page.fill("#prompt textarea", "inpaintagain, a red duck on a pond")
    page.wait_for_function("webbduck.form.state().width === 128 && webbduck.form.state().steps === 2")
    made = [generated(page, studio)]
    for turn in range(rounds):
        # From the Studio the last result; from the Gallery now the last one, now an older one.
        wanted = made[-1]
        if turn % 2:
            wanted = made[-1 if turn % 4 == 1 else turn // 2]
            page.get_by_role("tab", name="Gallery").click()
            cell(page, wanted).locator(".open").click()
            expect_shown(page, wanted)
            page.get_by_role("button", name="To inpaint").click()
        else:
            page.hover("#stage img.main")
            page.click(".tool.inpaint")
        expect(page.locator(".mask-editor")).to_be_visible()
        with Image.open(studio.services.outputs.resolve(wanted)) as picture:
            expected = np.asarray(picture.convert("RGB"))
        assert np.array_equal(in_the_editor(page), expected), f"another picture in round {turn}"
        painted = page.evaluate(
            """() => {
                const sheet = document.querySelector('.mask-editor .sheet'), pen = sheet.getContext('2d');
                return pen.getImageData(0, 0, sheet.width, sheet.height).data.some(Boolean);
            }"""
        )
        assert not painted, f"an older mask lies on the picture in round {turn}"
        page.locator(".mask-view").press("ArrowLeft")  # a mask of its own for each round
        for _ in range(turn):
            page.locator(".mask-view").press("ArrowDown")
        page.locator(".mask-view").press(" ")
        page.get_by_role("button", name="Use mask").click()
        page.wait_for_function("webbduck.form.state().mask")
        made.append(generated(page, studio))
        asked = studio.services.store.recent(1)[0].request
        assert asked.mask
        expect_form(page, mask=asked.mask)
        with Image.open(studio.services.inputs.path(asked.image)) as picture:
            assert np.array_equal(np.asarray(picture.convert("RGB")), expected), (
                f"drawn over another in {turn}"
            )
    assert len(set(made)) == rounds + 1


def test_a_mask_whose_picture_went_away_is_said(page: Page, tmp_path: Path) -> None:
    for name, colour in (("one", "teal"), ("other", "gold")):
        Image.new("RGB", (96, 96), colour).save(tmp_path / f"{name}.png")
    page.evaluate("webbduck.form.unfold('image')")
    page.set_input_files("#image-input .file", tmp_path / "one.png")
    expect(page.locator(".chosen-picture .facts")).to_have_text("96 × 96 px")
    page.wait_for_function("webbduck.form.state().image")
    first = page.evaluate("webbduck.form.state().image")
    page.click(".chosen-picture .paint")
    page.locator(".mask-view").press(" ")
    page.set_input_files("#image-input .file", tmp_path / "other.png")
    page.wait_for_function("first => webbduck.form.state().image !== first", arg=first)
    page.get_by_role("button", name="Use mask").click()
    expect(page.locator("#image-input .input-error")).to_contain_text(
        "The mask was discarded because the input picture changed"
    )
    assert not page.evaluate("webbduck.form.state().mask")


def test_a_mask_that_could_not_be_sent_is_kept_for_another_try(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (96, 96), "teal").save(tmp_path / "one.png")
    page.evaluate("webbduck.form.unfold('image')")
    page.set_input_files("#image-input .file", tmp_path / "one.png")
    expect(page.locator(".chosen-picture .facts")).to_have_text("96 × 96 px")
    page.click(".chosen-picture .paint")
    page.locator(".mask-view").press(" ")
    page.route("**/gradio_api/upload*", lambda route: route.abort())
    page.get_by_role("button", name="Use mask").click()
    said = page.locator("#image-input .input-error")
    expect(said).to_contain_text("The mask is not saved yet.")
    page.unroute("**/gradio_api/upload*")
    said.get_by_role("button", name="Try again").click()
    page.wait_for_function("webbduck.form.state().mask")
    expect(said).to_be_empty()
