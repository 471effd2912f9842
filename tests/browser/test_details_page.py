"""The fold "Details": passes as cards, what they ask for, and the regions of the picture that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import faint_borders, violations
from form_page import choose
from playwright.sync_api import Page, expect
from running import starter_detector

DETECTOR = "webbduck-starter-detector"


@pytest.fixture(scope="module", autouse=True)
def detector(studio, starter_checkpoints: Path) -> Iterator[None]:
    with starter_detector(studio, starter_checkpoints):
        yield


@pytest.fixture
def opened(kept_page: Page) -> Page:
    """The page with the fold open and one pass in it."""
    kept_page.evaluate("webbduck.form.unfold('regions')")
    while kept_page.locator(".detail-cards .remove").count():
        kept_page.locator(".detail-cards .remove").first.click()
    kept_page.get_by_role("button", name="Add a pass").click()
    return kept_page


def generate(page: Page, seed: str) -> dict:
    """The request of the job that Generate makes now."""
    page.fill("#seed textarea, #seed input", seed)
    page.fill("#steps input", "6")
    page.fill("#width input", "64")
    page.fill("#height input", "64")
    page.click("#generate")
    found = page.wait_for_function(
        "seed => { const state = webbduck.last.get('jobs');"
        "const job = [...state.jobs, ...state.recent].find(job => job.request.seed === seed);"
        "return job ?? null; }",
        arg=int(seed),
    )
    return found.json_value()["request"]


def test_what_the_cards_say_is_asked(opened: Page, painted) -> None:
    page = opened
    first = page.locator(".detail-cards > li").first
    expect(first.get_by_role("combobox", name="Detector")).to_have_value(DETECTOR)
    expect(first).to_contain_text("Finds: duck head, hat.")
    first.get_by_label("Prompt", exact=True).fill("a face [SEP] [PROMPT]")
    first.get_by_label("Strength").fill("0,55")
    first.get_by_label("Confidence").press("ArrowUp")
    first.get_by_label("Padding, px").fill("16")
    first.get_by_role("button", name="More settings").press("Enter")
    expect(first.get_by_role("button", name="More settings")).to_be_focused()
    first.get_by_label("Negative prompt").fill("fog")
    first.get_by_label("Classes").fill("duck head, hat")
    first.get_by_label("At most").fill("2")
    first.get_by_label("Steps").fill("12")
    choose(page, "Order", "Left to right")
    page.get_by_role("button", name="Add a pass").click()
    expect(page.locator(".detail-cards > li")).to_have_count(2)
    expect(page.locator("[data-fold=regions] .fold-summary")).to_have_text(f"With {DETECTOR}, {DETECTOR}")
    usual = {
        "detector": DETECTOR, "prompt": "", "negative_prompt": "", "strength": 0.4, "confidence": 0.3,
        "padding": 32, "mask_blur": 4, "dilate": 4, "classes": [], "order": "confidence", "count": 0,
        "min_area": 0, "max_area": 1, "steps": None, "cfg": None, "sampler": None, "schedule": None,
    }  # fmt: skip
    asked = {
        "prompt": "a face [SEP] [PROMPT]", "negative_prompt": "fog", "strength": 0.55, "confidence": 0.35,
        "padding": 16, "classes": ["duck head", "hat"], "count": 2, "steps": 12, "order": "left to right",
    }  # fmt: skip
    assert generate(page, "601")["details"] == [usual | asked, usual]
    page.get_by_role("button", name="Remove pass 2").click()
    expect(page.get_by_role("button", name="Remove pass 1")).to_be_focused()
    assert generate(page, "602")["details"] == [usual | asked]
    page.get_by_role("button", name="Remove pass 1").click()
    expect(page.get_by_role("button", name="Add a pass")).to_be_focused()
    assert generate(page, "603")["details"] == []


def test_what_is_no_number_is_said(opened: Page, painted) -> None:
    opened.locator(".detail-cards").get_by_label("Strength").fill("much")
    expect(opened.locator(".detail-cards").get_by_label("Strength")).to_have_attribute("aria-invalid", "true")
    opened.click("#generate")
    expect(opened.locator("#problem-details")).to_contain_text(
        "Strength of a detail pass must be a number, not much."
    )
    opened.locator(".detail-cards").get_by_label("Strength").fill("7")
    opened.click("#generate")
    expect(opened.locator("#problem-details")).to_contain_text("details.strength must be a number above 0")


def test_the_regions_of_the_picture_that_is_shown(opened: Page, painted) -> None:
    page = opened
    show = page.get_by_role("button", name="Show regions")
    generate(page, "610")
    page.wait_for_function("webbduck.last.get('shown')")
    show.click()
    found = page.locator(".detail-regions")
    expect(found.get_by_role("listitem")).to_have_text(["duck head 87 %"])
    # Over the picture, where it was found: 8 to 40 of 64 px across, 16 to 48 down.
    picture, box = (page.locator(each).bounding_box() for each in (".region-picture", ".region"))
    assert picture and box
    for place, side, start in (("x", "width", 8 / 64), ("y", "height", 16 / 64)):
        assert abs(box[place] - picture[place] - start * picture[side]) < 2
        assert abs(box[side] - 0.5 * picture[side]) < 5
    page.locator(".detail-cards").get_by_label("Confidence").fill("0.95")
    expect(found).to_be_empty()
    show.click()
    expect(found).to_have_text("Nothing found; lower the confidence.")


PASTE = """([selector, text]) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    const options = { clipboardData, bubbles: true, cancelable: true };
    document.querySelector(selector).dispatchEvent(new ClipboardEvent("paste", options));
}"""


def test_a_pasted_text_brings_its_passes_and_undo_takes_them_back(opened: Page) -> None:
    text = (
        "a duck\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512, "
        f"ADetailer model: {DETECTOR}.pt, ADetailer prompt: a face, ADetailer inpaint only masked: True, "
        f"ADetailer model 2nd: {DETECTOR}.pt, ADetailer inpaint only masked 2nd: True"
    )
    opened.evaluate(PASTE, ["#prompt textarea", text])
    cards = opened.locator(".detail-cards > li")
    expect(cards).to_have_count(2)
    expect(cards.first.get_by_label("Prompt", exact=True)).to_have_value("a face")
    opened.locator("#toast").get_by_role("button", name="Undo").click()
    expect(cards).to_have_count(1)


def test_on_a_phone_it_is_used_with_a_finger(kept_page: Page, opened: Page) -> None:
    kept_page.set_viewport_size({"width": 390, "height": 844})
    try:
        kept_page.evaluate("webbduck.form.showGroup('regions', true)")
        kept_page.locator(".more-toggle").click()
        parts = kept_page.locator(
            ".details button, .details .typed-number, .details textarea, .details .combobox input"
        )
        for part in parts.all():
            box = part.bounding_box()
            assert (
                box is not None and box["height"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= 390
            )
        assert faint_borders(kept_page) == []
        assert violations(kept_page, "the details") == []
    finally:
        kept_page.keyboard.press("Escape")
        kept_page.set_viewport_size({"width": 1440, "height": 900})
