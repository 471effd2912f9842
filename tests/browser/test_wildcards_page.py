"""Wildcards in the page: draws are previewed and put into the prompt; files are edited, and edits undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def folder(studio) -> Iterator[Path]:
    folder = studio.settings.wildcards
    folder.mkdir(exist_ok=True)
    (folder / "hue.txt").write_text("red\nblue\n")
    studio.services.registry.refresh()
    yield folder
    for each in folder.iterdir():
        each.unlink()


@pytest.mark.usefixtures("painted")
def test_a_draw_is_put_into_the_prompt_and_all_combinations_are_queued(
    kept_page: Page, studio, folder: Path
) -> None:
    page, store = kept_page, studio.services.store
    prompt = page.locator("#prompt textarea")
    preview = page.get_by_role("button", name="Preview draws")
    prompt.fill("a duck")
    expect(preview).to_be_hidden()
    prompt.fill("a __hue__ {duck|boat}")
    preview.press("Enter")
    draws = page.get_by_role("dialog", name="Draws of the prompt")
    expect(draws.get_by_role("listitem")).to_have_count(10)
    store.pause()
    try:
        draws.get_by_role("button", name="Queue all 4 combinations").click()
        expect(draws).to_be_hidden()
        (job,) = store.queued()
        assert (job.generation_request.combination, job.generation_request.num_images) == (0, 4)
    finally:
        store.clear_queued()
        store.resume()
    preview.click()
    chosen = draws.get_by_role("listitem").nth(3)
    text = chosen.locator("span").first.inner_text()
    chosen.get_by_role("button").press("Enter")
    expect(draws).to_be_hidden()
    expect(prompt).to_have_value(text)
    assert text in {f"a {hue} {what}" for hue in ("red", "blue") for what in ("duck", "boat")}
    expect(page.locator("#seed input")).not_to_have_value("")
    page.get_by_role("button", name="Undo").click()
    expect(prompt).to_have_value("a __hue__ {duck|boat}")


def test_files_are_edited_on_a_phone_and_edits_undone(
    window: Callable[..., Page], studio, folder: Path
) -> None:
    page = window(studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator(".sheet-head").tap()
    page.get_by_role("button", name="Wildcards", exact=True).tap()
    panel = page.get_by_role("dialog", name="Wildcards")
    panel.get_by_role("button", name="hue.txt").tap()
    content = panel.get_by_label("Content of the file")
    expect(content).to_have_value("red\nblue\n")
    for name in ("Save", "Rename", "Delete", "‹ All files"):
        assert (panel.get_by_role("button", name=name).bounding_box() or {"height": 0})["height"] >= 40
    content.fill("green\n")
    panel.get_by_role("button", name="‹ All files").tap()
    expect(panel).to_contain_text("The changes are not saved")
    panel.get_by_role("button", name="Save").tap()
    page.get_by_role("button", name="Undo").tap()
    expect(content).to_have_value("red\nblue\n")
    assert (folder / "hue.txt").read_text() == "red\nblue\n"

    content.fill("white\n")
    (folder / "hue.txt").write_text("of another program\n")
    panel.get_by_role("button", name="Save").tap()
    expect(panel).to_contain_text("hue.txt was changed meanwhile")
    assert (folder / "hue.txt").read_text() == "of another program\n"
    panel.get_by_role("button", name="Discard").tap()
    panel.get_by_role("button", name="New file").tap()
    panel.get_by_label("Name of the file").fill("sky")
    content.fill("clear\ncloudy\n")
    panel.get_by_role("button", name="Save").tap()
    expect(panel.get_by_label("Name of the file")).to_have_value("sky.txt")
    panel.get_by_role("button", name="Delete").tap()
    expect(panel.get_by_role("button", name="hue.txt")).to_be_visible()
    assert sorted(each.name for each in folder.iterdir()) == ["hue.txt"]
