"""The frame around the input picture: dragged, moved by keys, typed and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from barriers import violations
from form_page import expect_form, put_away
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from windows import Windows

RULES = (
    "aria-allowed-attr", "aria-hidden-focus", "aria-input-field-name", "aria-required-attr",
    "aria-valid-attr-value", "button-name", "color-contrast", "label", "target-size",
)  # fmt: skip
"""Those of axe that the editor could break; all of them take long on the page below it."""


@pytest.fixture(scope="module")
def _phone(kept_windows: Windows, studio) -> Page:
    return kept_windows.open(
        studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outpaint") / "teal.png"
    Image.new("RGB", (256, 192), "teal").save(path)
    return path


@pytest.fixture(params=["wide", "phone"])
def either(request: pytest.FixtureRequest, kept_windows: Windows, file: Path) -> Iterator[Page]:
    """A window whose editor is open on a picture of 256 x 192."""
    page = request.getfixturevalue("kept_page" if request.param == "wide" else "_phone")
    put_away(page)
    page.evaluate("for (const each of ['outpaint', 'mask', 'image']) webbduck.form.set(each, '')")
    page.evaluate("webbduck.form.set('strength', 0.75)")
    expect_form(page, image="", outpaint="", strength=0.75)
    page.set_input_files("#image-input .file", file)
    page.wait_for_function("webbduck.form.state().image")
    page.locator(".chosen-picture .outpaint").evaluate("button => button.click()")
    expect(handle(page, "right")).to_be_focused()
    yield page
    kept_windows.check()


def handle(page: Page, side: str) -> Locator:
    return page.get_by_role("slider", name=f"Extend on the {side}")


def is_phone(page: Page) -> bool:
    return bool(page.viewport_size and page.viewport_size["width"] == 390)


def drag(page: Page, side: str, across: float, down: float) -> None:
    """With a finger where there is one, else with the mouse."""
    box = handle(page, side).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    points = [(x + across * share, y + down * share) for share in (0, 0.5, 1)]
    if is_phone(page):
        session = page.context.new_cdp_session(page)
        for number, (left, top) in enumerate(points):
            kind = "touchMove" if number else "touchStart"
            touches = [{"x": left, "y": top}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        session.detach()
        return
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def sides_of(page: Page) -> dict[str, int]:
    return json.loads(page.evaluate("webbduck.form.state().outpaint") or "{}")


def expect_sides(page: Page, **wanted: Any) -> None:
    for side in ("left", "right", "top", "bottom"):
        expect(handle(page, side)).to_have_attribute("aria-valuenow", str(wanted.get(side, 0)))


def test_it_is_dragged_moved_by_keys_and_typed(either: Page) -> None:
    drag(either, "left", -30, 0)
    expect(handle(either, "left")).not_to_have_attribute("aria-valuenow", "0")
    dragged = int(handle(either, "left").get_attribute("aria-valuenow") or 0)
    assert dragged % 8 == 0 and dragged > 0
    either.get_by_role("button", name="Reset", exact=True).click()
    expect_sides(either)
    handle(either, "right").press("ArrowRight")
    handle(either, "right").press("Shift+ArrowRight")
    handle(either, "top").press("ArrowUp")
    handle(either, "top").press("ArrowDown")
    handle(either, "bottom").press("ArrowDown")
    expect_sides(either, right=72, bottom=8)
    handle(either, "bottom").press("Home")
    top = either.get_by_label("Top", exact=True)
    top.fill("30")
    top.press("Tab")
    expect(either.locator(".outpaint-state")).to_contain_text("Top is 32 px, the nearest that is possible.")
    either.get_by_role("button", name="%", exact=True).click()
    left = either.get_by_label("Left", exact=True)
    left.fill("25")
    left.press("Tab")
    expect_sides(either, left=64, right=72, top=32)
    expect(either.locator(".outpaint-state")).to_contain_text("Result: 392 × 224 px, from 256 × 192 px.")
    left.press("Control+Enter")
    expect(either.locator(".outpaint-editor")).to_have_count(0)
    expect_form(either, width=392, height=224, strength=0.9)
    assert sides_of(either) == {"left": 64, "right": 72, "top": 32, "bottom": 0}
    expect(either.locator(".chip-words")).to_have_text("Outpaint: left 64, right 72, top 32, strength 0.9")
    either.locator("#toast").get_by_role("button", name="Undo").click()
    expect_form(either, outpaint="", width=256, height=256, strength=0.75)


def test_nothing_bars_anyone_from_it_and_escape_changes_nothing(either: Page) -> None:
    handle(either, "right").press("ArrowRight")
    assert violations(either, "the outpaint editor", RULES) == []
    for each in [*either.locator(".outpaint-handle").all(), *either.locator(".outpaint-bar button").all()]:
        box = each.bounding_box()
        assert box and min(box["width"], box["height"]) >= (40 if is_phone(either) else 24)
    either.keyboard.press("Escape")
    expect(either.locator(".outpaint-editor")).to_have_count(0)
    expect_form(either, outpaint="", width=256)
