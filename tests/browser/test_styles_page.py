"""Styles in the page: chosen, ordered, edited, recalled, and put into the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from playwright.sync_api import Page, expect

ROWS = "name,prompt,negative_prompt\n---- Light ----,,\nNight,{prompt} at night,pond\nRed,red,\n"


@pytest.fixture(scope="module", autouse=True)
def file(studio) -> Iterator[Path]:
    studio.settings.styles.write_text(ROWS)
    studio.services.registry.refresh()
    yield studio.settings.styles
    for each in studio.settings.styles.parent.glob("styles.csv*"):
        each.unlink()


USE_SETTINGS = """() => webbduckModule("studio/settings_menu.js").then((menu) =>
    menu.changeSettings("use_settings", { id: webbduck.last.get("shown") }))"""


def open_styles(page: Page) -> None:
    page.get_by_role("button", name="Styles").click()
    expect(page.locator(".style-list li").first).to_be_visible()


def generate(page: Page, seed: str) -> dict:
    """The request of the job that Generate makes now."""
    for name, value in (("seed", seed), ("steps", "2"), ("width", "64"), ("height", "64")):
        page.fill(f"#{name} input", value)
    page.click("#generate")
    found = page.wait_for_function(
        "seed => { const state = webbduck.last.get('jobs');"
        "return [...state.jobs, ...state.recent].find(job => job.request.seed === seed) ?? null; }",
        arg=int(seed),
    )
    return found.json_value()["request"]


def test_styles_are_chosen_ordered_edited_and_put_into_the_prompt(
    kept_page: Page, painted, file: Path
) -> None:
    page = kept_page
    page.fill("#prompt textarea", "a duck")
    open_styles(page)
    expect(page.locator(".style-group")).to_have_text("Light")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    search = page.get_by_role("searchbox", name="Search styles")
    search.fill("red")
    expect(page.locator(".style-list li")).to_have_count(1)
    search.press("Enter")
    check = page.locator(".style-list input")
    expect(check).to_be_checked()
    expect(check).to_have_css("appearance", "auto")  # it has a tick only if somebody draws it
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".open-styles")).to_have_text("Styles (2)")
    expect(page.locator(".open-styles")).to_be_focused()
    rows = page.locator(".style-rows .name")
    expect(rows).to_have_text(["Night", "Red"])
    page.get_by_text("Finished prompt").click()
    expect(page.locator(".style-finished p")).to_have_text(["a duck at night, red", "pond"])
    page.get_by_role("button", name="Move up: Red").press("Enter")
    expect(rows).to_have_text(["Red", "Night"])
    expect(page.get_by_role("button", name="Move down: Red")).to_be_focused()
    expect(page.locator(".style-finished p").first).to_have_text("a duck, red at night")
    grips = page.locator(".style-rows .grip")
    for names in (["Night", "Red"], ["Red", "Night"]):
        grips.nth(1).drag_to(grips.nth(0), target_position={"x": 9, "y": 1})
        expect(rows).to_have_text(names)

    # Edited: the chosen one follows, and the change can be undone.
    open_styles(page)
    page.get_by_role("button", name="Edit Night").click()
    page.locator(".styles-dialog").get_by_label("Name").fill("Late")
    page.locator(".styles-dialog").get_by_label("Prompt", exact=True).fill("{prompt}, late")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".style-list li[data-name=Late]")).to_be_visible()
    expect(rows).to_have_text(["Red", "Late"])
    assert file.read_text() == ROWS.replace("Night,{prompt} at night", 'Late,"{prompt}, late"')
    page.get_by_role("button", name="Done").click()
    request = generate(page, "701")
    late = {"name": "Late", "prompt": "{prompt}, late", "negative_prompt": "pond"}
    assert [each["name"] for each in request["styles"]] == ["Red", "Late"] and request["styles"][1] == late

    # A picture's styles come back with the texts that it recorded.
    page.wait_for_function("webbduck.last.get('shown')")
    open_styles(page)
    page.get_by_role("button", name="Edit Late").click()
    page.get_by_role("button", name="Set preview").click()
    expect(page.locator(".style-list li[data-name=Late] img")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    file.write_text(ROWS.replace("Night,{prompt} at night", "Late,now"))
    page.evaluate(USE_SETTINGS)
    expect(page.locator(".style-rows .hint")).to_contain_text("the style was changed since")
    page.get_by_role("button", name="Remove: Red").click()
    page.get_by_role("button", name="Use it as it is now").click()
    expect(page.locator(".style-rows .hint")).to_have_count(0)
    expect(page.locator(".style-finished p").first).to_have_text("a duck, now")

    page.get_by_role("button", name="Put into the prompt").click()
    expect(page.locator("#prompt textarea")).to_have_value("a duck, now")
    expect(page.locator("#negative textarea")).to_have_value("pond")
    expect(rows).to_have_count(0)
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#prompt textarea")).to_have_value("a duck")
    expect(rows).to_have_text(["Late"])


def test_on_a_phone_they_are_made_and_deleted_with_a_finger(kept_page: Page, file: Path) -> None:
    page = kept_page
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        page.fill("#prompt textarea", "a boat, blue")
        open_styles(page)
        for part in page.locator(".styles-dialog button, .style-list label").all():
            box = part.bounding_box()
            assert box is not None and box["height"] >= 40 and box["x"] + box["width"] <= 390
        assert violations(page, "the styles") == []
        page.get_by_role("button", name="New from prompt").click()
        expect(page.locator(".styles-dialog").get_by_label("Prompt", exact=True)).to_have_value(
            "a boat, blue"
        )
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#toast")).to_contain_text("A style needs a name.")
        page.locator(".styles-dialog").get_by_label("Name").fill("Boat")
        assert violations(page, "the editor of a style") == []
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".style-list li[data-name=Boat]")).to_be_visible()
        page.get_by_role("button", name="Edit Boat").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.locator(".style-list li[data-name=Boat]")).to_have_count(0)
        page.locator("#toast").get_by_role("button", name="Undo").click()
        expect(page.locator(".style-list li[data-name=Boat]")).to_be_visible()
        assert file.read_text().endswith('Boat,"a boat, blue",\n')
    finally:
        page.keyboard.press("Escape")
        page.set_viewport_size({"width": 1440, "height": 900})
