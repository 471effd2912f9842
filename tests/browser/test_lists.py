"""The lists of the page: all their entries are found by keys, by typing, by touch and by a screen reader."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from barriers import violations
from form_page import expect_form
from playwright.sync_api import Locator, Page, expect
from windows import Windows

from webbduck_gradio.request.samplers import SAMPLERS, SCHEDULES

LIST = ".combobox-sheet:popover-open"
OUTSIDE = """list => {
    const { left, top, right, bottom } = list.getBoundingClientRect();
    return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
}"""


@pytest.fixture
def sampler(kept_page: Page) -> Iterator[Locator]:
    """The field of the samplers' list, which has Euler chosen, in the page that these tests share."""
    kept_page.get_by_role("tab", name="Studio").click()
    field = kept_page.locator("#sampler input")
    field.fill("Euler")
    field.press("Enter")
    expect_form(kept_page, sampler="Euler")
    field.blur()
    yield field
    kept_page.set_viewport_size({"width": 1440, "height": 900})


def marked(page: Page) -> Locator:
    """The entry that is read to a screen reader while the focus is in the field."""
    entry = page.evaluate("document.activeElement.getAttribute('aria-activedescendant')")
    return page.locator(f"#{entry}")


def test_tab_goes_past_a_list_and_arrow_keys_open_it_at_what_is_chosen(
    kept_page: Page, sampler: Locator
) -> None:
    kept_page.locator("#cfg input").focus()
    kept_page.keyboard.press("Tab")
    expect(sampler).to_be_focused()
    expect(kept_page.locator(LIST)).to_have_count(0)
    kept_page.keyboard.press("ArrowDown")
    expect(sampler).to_have_attribute("aria-expanded", "true")
    expect(kept_page.locator(f"{LIST} [role=option]")).to_have_count(len(SAMPLERS))
    expect(kept_page.locator(f"{LIST} [aria-selected=true]")).to_be_in_viewport(ratio=1)
    expect(marked(kept_page)).to_have_text("Euler")
    kept_page.keyboard.press("End")
    expect(marked(kept_page)).to_have_text("TCD")
    expect(marked(kept_page)).to_be_in_viewport(ratio=1)
    kept_page.keyboard.press("Home")
    expect(marked(kept_page)).to_have_text("DPM++ 2M")
    kept_page.keyboard.press("Escape")
    expect(kept_page.locator(LIST)).to_have_count(0)
    expect(sampler).to_be_focused()
    expect_form(kept_page, sampler="Euler")
    # Tab takes what the keys marked, closes the list and goes on.
    kept_page.keyboard.press("ArrowDown")
    kept_page.keyboard.press("ArrowDown")
    kept_page.keyboard.press("Tab")
    expect(kept_page.locator("#schedule input")).to_be_focused()
    expect(kept_page.locator(LIST)).to_have_count(0)
    expect_form(kept_page, sampler="Euler a")


def test_typing_finds_entries_by_their_words_and_by_their_family(kept_page: Page, sampler: Locator) -> None:
    entries = kept_page.locator(f"{LIST} [role=option]")
    sampler.focus()
    kept_page.keyboard.type("sde 2m")
    expect(entries).to_have_text(["DPM++ 2M SDE", "DPM++ 2M SDE Heun"])
    expect(kept_page.locator("#sampler [role=status]")).to_have_text(f"2 of {len(SAMPLERS)}")
    kept_page.keyboard.press("Control+A")
    kept_page.keyboard.type("distilled")
    expect(entries).to_have_text(["LCM", "TCD"])
    kept_page.keyboard.type("xyz")
    expect(kept_page.locator("#sampler [role=status]")).to_have_text("Nothing here is called “distilledxyz”.")
    kept_page.keyboard.press("Enter")
    expect(sampler).to_have_value("Euler")
    kept_page.keyboard.type("heun")
    expect(marked(kept_page)).to_have_text("Heun")  # not the first that contains it
    kept_page.mouse.click(1000, 300)  # elsewhere: what was only typed is not taken
    expect(kept_page.locator(LIST)).to_have_count(0)
    expect(sampler).to_have_value("Euler")
    expect_form(kept_page, sampler="Euler")


def test_an_open_list_lies_in_the_window_and_has_no_barriers(kept_page: Page, sampler: Locator) -> None:
    for height in (900, 640):
        kept_page.set_viewport_size({"width": 1440, "height": height})
        kept_page.locator("#sampler").scroll_into_view_if_needed()
        sampler.click()
        sheet = kept_page.locator(LIST)
        assert not sheet.evaluate(OUTSIDE), height
        row, inside = kept_page.locator(f"{LIST} .marked"), kept_page.locator(f"{LIST} [role=listbox]")
        expect(row).to_be_in_viewport(ratio=1)
        assert row.evaluate("row => row.offsetWidth") == inside.evaluate("list => list.clientWidth")
        assert violations(kept_page, f"open list, {height} px") == []
        sampler.press("Escape")
    expect(sampler).to_have_role("combobox")
    expect(sampler).to_have_accessible_name("Sampler")


def test_what_is_chosen_is_not_cut_off(kept_page: Page, sampler: Locator) -> None:
    """At the column's usual width; in a wider font the tooltip has all of it."""
    for field, records in ((sampler, SAMPLERS), (kept_page.locator("#schedule input"), SCHEDULES)):
        longest = max((each.name for each in records), key=len)
        field.fill(longest)
        field.press("Enter")
        expect(kept_page.locator(LIST)).to_have_count(0)
        assert field.evaluate("field => field.scrollWidth <= field.clientWidth"), longest
        field.evaluate("field => { field.style.fontSize = '24px'; }")
        field.hover()
        expect(field).to_have_attribute("title", longest)
        field.evaluate("field => { field.style.fontSize = ''; }")


def test_on_a_phone_a_list_is_a_sheet_with_a_search(kept_windows: Windows, studio) -> None:
    phone = kept_windows.open(
        studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    phone.tap(".sheet-head")
    phone.tap("#sampler input")
    sheet = phone.locator(LIST)
    assert not sheet.evaluate(OUTSIDE)
    assert sheet.bounding_box()["width"] == 390
    heights = phone.locator(f"{LIST} [role=option]").evaluate_all(
        "rows => rows.map((row) => row.offsetHeight)"
    )
    assert len(heights) == len(SAMPLERS)
    assert min(heights) >= 40
    expect(phone.locator("#sampler [role=combobox]").first).to_have_js_property("inputMode", "none")
    phone.get_by_role("combobox", name="Search: Sampler").fill("unipc")
    phone.get_by_role("option", name="UniPC").tap()
    expect(sheet).to_have_count(0)
    expect_form(phone, sampler="UniPC")
    expect(phone.locator("#controls.open")).to_be_visible()  # the sheet below stays
