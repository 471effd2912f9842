"""What Generate will do with an input picture is in sight, and can be changed and taken back there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from form_page import expect_form, put_away
from PIL import Image
from playwright.sync_api import Page, expect
from windows import Windows

HAS_PAINT = """() => {
    const canvas = document.querySelector('.chip-picture canvas');
    const pixels = () => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return !canvas.hidden && canvas.width > 0 && pixels().some(Boolean);
}"""


@pytest.fixture(scope="module")
def _phone(kept_windows: Windows, studio) -> Page:
    return kept_windows.open(
        studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )


@pytest.fixture(params=["wide", "phone"])
def either(request: pytest.FixtureRequest, kept_windows: Windows) -> Iterator[Page]:
    """The Studio in a wide window and on a phone, without an input picture."""
    page = request.getfixturevalue("kept_page" if request.param == "wide" else "_phone")
    put_away(page)
    page.evaluate(
        """() => {
            for (const name of ['mask', 'image']) webbduck.form.set(name, '');
            webbduck.form.unfold('image', false);
        }"""
    )
    expect_form(page, image="", mask="")
    yield page
    kept_windows.check()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chip") / "teal.png"
    Image.new("RGB", (96, 96), "teal").save(path)
    return path


def bring(page: Page, file: Path) -> None:
    page.set_input_files("#image-input .file", file)


def test_it_tells_the_mode_and_changes_the_strength(either: Page, file: Path) -> None:
    chip = either.get_by_role("group", name="Input picture", exact=True)
    expect(chip).to_be_hidden()
    either.evaluate("webbduck.form.set('strength', 0.75)")
    bring(either, file)
    words = chip.locator(".chip-words")
    expect(words).to_have_text("Img2img, strength 0.75")
    expect(chip).to_be_in_viewport(ratio=1)
    if either.viewport_size == {"width": 1440, "height": 900}:
        expect(either.locator(".chosen-picture")).to_be_in_viewport(ratio=1)

    words.click()
    strength = chip.get_by_role("slider", name="Denoising strength")
    expect(strength).to_be_focused()
    expect(words).to_have_attribute("aria-expanded", "true")
    assert violations(either, "the chip") == []
    for _ in range(5):
        either.keyboard.press("ArrowLeft")
    expect(words).to_have_text("Img2img, strength 0.5")
    expect_form(either, strength=0.5)
    either.keyboard.press("Escape")
    expect(strength).to_be_hidden()
    expect(words).to_be_focused()

    chip.get_by_role("button", name="Show the input picture and its settings").click()
    expect(either.locator("#strength input:not([type=range])")).to_be_in_viewport()
    if either.locator("#controls.open").count():
        either.locator(".sheet-head").tap()


def test_it_removes_the_picture_and_takes_that_back(either: Page, file: Path) -> None:
    bring(either, file)
    chip = either.get_by_role("group", name="Input picture", exact=True)
    expect(chip).to_be_visible()
    either.wait_for_function("webbduck.form.state().image")
    image = either.evaluate("webbduck.form.state().image")
    chip.get_by_role("button", name="Remove the input picture").click()
    expect(chip).to_be_hidden()
    expect_form(either, image="")
    expect(either.locator("#toast")).to_contain_text("Input picture removed.")
    undo = either.locator("#toast").get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    undo.click()
    expect(chip).to_be_visible()
    expect_form(either, image=image)


def test_a_painted_mask_is_drawn_on_it_and_the_prompt_is_next(either: Page, file: Path) -> None:
    either.evaluate("webbduck.form.set('prompt', 'words of before')")
    bring(either, file)
    either.wait_for_function("webbduck.form.state().image")
    expect(either.locator(".chosen-picture .facts")).to_have_text("96 × 96 px")
    either.evaluate("document.querySelector('.chosen-picture .paint').click()")
    either.locator(".mask-view").press(" ")
    either.get_by_role("button", name="Use mask").click()
    expect(either.locator(".chip-words")).to_contain_text("Inpainting, strength")
    either.wait_for_function(HAS_PAINT)
    prompt = either.locator("#prompt textarea")
    expect(prompt).to_be_focused()
    expect(prompt).to_be_in_viewport()
    assert prompt.evaluate("node => node.value.slice(node.selectionStart, node.selectionEnd)") == (
        "words of before"
    )
    mask = either.evaluate("webbduck.form.state().mask")
    either.evaluate("document.querySelector('.chosen-picture .unmask').click()")
    expect(either.locator("#toast")).to_contain_text("Mask removed.")
    expect(either.locator(".chip-words")).to_contain_text("Img2img")
    either.locator("#toast").get_by_role("button", name="Undo").click()
    expect_form(either, mask=mask)


def test_what_is_wrong_with_a_file_is_said_in_sight(either: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    bring(either, broken)
    error = either.locator("#image-input .input-error")
    expect(error).to_contain_text("picture")
    expect(error).to_be_in_viewport(ratio=1)
    error.get_by_role("button", name="Dismiss").click()
    if either.locator("#controls.open").count():
        either.locator(".sheet-head").tap()
