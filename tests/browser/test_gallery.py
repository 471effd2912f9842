"""The Gallery tab as a person uses it: find, look, choose, delete and take back; on a phone as well."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from datetime import datetime, tzinfo

import pytest
from form_page import choose
from gallery_page import cell, expect_alone, expect_shown, picture, search, sibling
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from webbduck_gradio.gallery import run_writer
from webbduck_gradio.request import GenerationRequest


def test_search_as_it_is_typed_and_by_the_filter_row(gallery: Page, album: list[str]) -> None:
    gallery.fill(".g-query", "")
    gallery.locator(".g-query").press_sequentially("albumword teal")
    expect(gallery.locator(".g-count")).to_have_text("1 picture in 1 run")
    expect(cell(gallery, album[2])).to_be_visible()
    search(gallery, "albumword seed:3001")
    expect_alone(gallery, sibling(album[3], 1))
    search(gallery, "albumword")
    gallery.get_by_role("button", name="Filters", exact=True).click()
    # "Euler" alone, not "Euler a".
    choose(gallery, "Filter by sampler", re.compile(r"^Euler \("))
    expect(gallery.locator(".g-query")).to_have_value('albumword sampler:="Euler"')
    expect(gallery.locator(".g-count")).to_have_text("3 pictures in 3 runs")
    choose(gallery, "Filter by LoRA", re.compile(r"^lantern-glow \("))
    expect(gallery.locator(".g-count")).to_have_text("1 picture in 1 run")
    expect(gallery.get_by_role("button", name="Filters, 2 active")).to_be_visible()
    choose(gallery, "Filter by date", "Yesterday")
    expect(gallery.locator(".g-nothing")).to_contain_text("Nothing matches")
    choose(gallery, "Filter by date", "Any date")
    choose(gallery, "Filter by LoRA", "Any LoRA")
    choose(gallery, "Filter by sampler", "Any sampler")
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    search(gallery, "albumword date:nonsense")
    expect(gallery.locator(".g-problem")).to_contain_text("date: takes a day, month or year")


def test_runs_or_single_pictures_in_every_order(gallery: Page, album: list[str]) -> None:
    expect(gallery.locator('[data-index="0"] .cell')).to_have_count(4)
    gallery.get_by_role("button", name="Single").click()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures")
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-id", sibling(album[5], 3))
    choose(gallery, "Order", "Oldest first")
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-id", album[0])
    gallery.get_by_role("button", name="Runs").click()
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-run", album[0].rpartition("/")[0])
    choose(gallery, "Order", "Prompt A–Z")  # crimson a, crimson e, gold b, gold f, navy, teal
    for place, number in enumerate((0, 4, 1, 5, 3, 2)):
        run = gallery.locator(f'[data-index="{place}"]')
        expect(run).to_have_attribute("data-run", album[number].rpartition("/")[0])
    choose(gallery, "Order", "Largest picture")
    expect(gallery.locator('[data-index="0"] .g-by')).to_have_text("96 × 96")
    choose(gallery, "Order", "Checkpoint A–Z")
    expect(gallery.locator('[data-index="0"] .g-by')).to_have_text("webbduck-starter")
    gallery.reload()  # it is remembered
    gallery.get_by_role("tab", name="Gallery").click()
    expect(gallery.get_by_role("combobox", name="Order")).to_have_value("Checkpoint A–Z")
    choose(gallery, "Order", "Newest first")


def test_rows_by_proportion_under_their_days(gallery: Page, studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ((96, 54), (54, 96), (96, 96), (96, 54))
    yesterday = time.time() - 86_400
    made = [
        shaped_run(monkeypatch, studio, size, 1 + number % 2, yesterday + number)
        for number, size in enumerate(sizes)
    ]
    made.append(shaped_run(monkeypatch, studio, (96, 96), 4, time.time()))
    try:
        search(gallery, "proportionword")
        days = gallery.locator(".g-day h3")
        expect(days).to_have_text(["Today4 pictures", "Yesterday6 pictures"])
        shown = ((3, 0), (3, 1), (2, 0), (1, 0), (1, 1), (0, 0))
        cells = [cell(gallery, f"{made[run]}/{index}.png") for run, index in shown]
        expect(cells[-1].locator("img.there")).to_be_visible()
        boxes = [each.bounding_box() for each in cells]
        assert len({(box["y"], box["height"]) for box in boxes}) == 1  # one row
        for box, shape in zip(boxes, (16 / 9, 16 / 9, 1, 9 / 16, 9 / 16, 16 / 9), strict=True):
            assert box["width"] / box["height"] == pytest.approx(shape, rel=0.02)
        # Down from a cell to the nearest one below it, and up again.
        cell(gallery, f"{made[4]}/3.png").locator(".open").focus()
        gallery.keyboard.press("ArrowDown")
        expect(cells[2].locator(".open")).to_be_focused()
        gallery.keyboard.press("ArrowUp")
        expect(cell(gallery, f"{made[4]}/3.png").locator(".open")).to_be_focused()
        # What lies on a picture is inside of it.
        cells[3].hover()
        inside = boxes[3]
        for name in (".tick", ".use", ".heart"):
            expect(cells[3].locator(name)).to_have_css("opacity", "1")
            box = cells[3].locator(name).bounding_box()
            assert box["x"] >= inside["x"] and box["x"] + box["width"] <= inside["x"] + inside["width"]
        cells[3].locator(".heart").click()
        expect(cells[3].locator(".heart")).to_have_attribute("aria-pressed", "true")
        assert f"{made[1]}/0.png" in studio.services.outputs.favourites
        # The heading stays while its pictures pass below it.
        gallery.set_viewport_size({"width": 1440, "height": 300})
        gallery.locator(".g-scroll").evaluate("box => { box.scrollTop = 60; }")
        bar = gallery.locator(".g-bar").bounding_box()
        gallery.wait_for_function(
            "top => Math.abs(document.querySelector('.g-day h3').getBoundingClientRect().top - top) < 2",
            arg=bar["y"] + bar["height"],
        )
        gallery.set_viewport_size({"width": 1440, "height": 900})
        cells[2].hover()
        cells[2].locator(".use").click()
        expect(gallery.locator("#prompt textarea")).to_have_value(re.compile("proportionword"))
    finally:
        for run in made:
            studio.services.trash.delete_run(run)


def shaped_run(patch: pytest.MonkeyPatch, studio, size: tuple[int, int], count: int, when: float) -> str:
    """A run of pictures of this size, made at this time (seconds since 1970)."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Then:
            return cls.fromtimestamp(when, tz)

    patch.setattr(run_writer, "datetime", Then)
    outputs = studio.services.outputs
    request = GenerationRequest.validated(
        prompt="proportionword", base_model="webbduck-starter", seed=5, num_images=count
    )
    run = outputs.new_run(request, "generate", "job-of-rows")
    for index in range(count):
        run.save(index, picture("teal", size), 5 + index)
    run.close("completed")
    return run.id


def test_choose_delete_and_restore_from_the_trash(gallery: Page, studio, album: list[str]) -> None:
    studio.services.trash.empty()
    cell(gallery, album[1]).hover()
    cell(gallery, album[1]).locator(".tick").click()
    cell(gallery, album[0]).locator(".open").click(modifiers=["Shift"])
    expect(gallery.locator(".g-selected")).to_contain_text("3 selected")  # 1/0, 1/1 and 0/0
    gallery.locator(".g-selected .delete").click()
    expect(gallery.locator(".toast")).to_contain_text("4 pictures moved to the trash")  # with the copy
    expect(gallery.locator(".g-count")).to_have_text("8 pictures in 4 runs")
    gallery.locator(".g-open-trash").click()
    entry = gallery.locator(".g-entry")
    expect(entry).to_have_count(1)
    expect(entry.locator("img")).to_have_count(4)
    gallery.wait_for_function(
        "[...document.querySelectorAll('.g-entry img')].every(each => each.naturalWidth)"
    )
    entry.get_by_role("button", name="Restore").click()
    expect(gallery.locator(".g-trash")).to_contain_text("The trash is empty")
    gallery.get_by_role("button", name="Gallery", exact=True).click()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")


def test_a_run_into_the_trash_which_is_emptied_only_after_a_question(gallery: Page, studio) -> None:
    studio.services.trash.empty()
    request = GenerationRequest.validated(prompt="albumword doomed", base_model="webbduck-starter", seed=5)
    run = studio.services.outputs.new_run(request, "generate", "job-doomed")
    run.save(0, picture("navy"), 5)
    run.close("completed")
    head = gallery.locator(f'.g-run[data-run="{run.id}"]')
    head.hover()
    head.get_by_role("button", name="Delete this run").click()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    gallery.locator(".g-open-trash").click()
    gallery.get_by_role("button", name="Empty the trash").click()
    expect(gallery.locator(".g-confirm")).to_contain_text("Delete 1 picture permanently?")
    gallery.get_by_role("button", name="Cancel").click()
    assert len(studio.services.trash.entries()) == 1
    gallery.get_by_role("button", name="Empty the trash").click()
    gallery.get_by_role("button", name="Delete permanently").click()
    expect(gallery.locator(".g-trash")).to_contain_text("The trash is empty")
    assert studio.services.trash.entries() == []
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".g-scroll")).to_be_visible()


def test_a_zip_of_the_selection_holds_the_metadata(gallery: Page, album: list[str]) -> None:
    gallery.locator(".cell .open").first.focus()
    gallery.keyboard.press("Control+a")
    expect(gallery.locator(".g-selected")).to_contain_text("11 selected")
    with gallery.expect_download() as download:
        gallery.locator(".g-selected .export").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = archive.namelist()
        pictures = [name for name in names if name.endswith(".png")]
        assert len(pictures) == 12 and set(album) <= set(names)  # and the upscaled image
        assert sum(name.endswith("meta.json") for name in names) == 6
        with Image.open(io.BytesIO(archive.read(album[2]))) as image:
            chunk = json.loads(image.info["webbduck"])
    assert chunk["request"]["seed"] == 2000
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".g-selected")).not_to_be_visible()


def test_what_changes_on_disk_appears_and_what_is_in_view_stays(
    gallery: Page, studio, album: list[str]
) -> None:
    folder = studio.settings.outputs / "by another program"
    folder.mkdir()
    try:
        (folder / "albumword.png").write_bytes(b"")
        expect(cell(gallery, "by another program/albumword.png")).to_contain_text("not a readable picture")
        picture("teal").save(folder / "albumword 2.png")
        expect(cell(gallery, "by another program/albumword 2.png").locator("img.there")).to_be_visible()
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")


@pytest.mark.parametrize("many", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_many_pictures_stay_a_few_in_the_page(gallery: Page, studio, many: int) -> None:
    folder, file = studio.settings.outputs / "many", io.BytesIO()
    folder.mkdir()
    picture("teal", (16, 16)).save(file, format="PNG")
    for number in range(many):
        (folder / f"many{number:04}.png").write_bytes(file.getvalue())
    try:
        search(gallery, "name:many")
        expect(gallery.locator(".g-count")).to_have_text("200 pictures in 1 run", timeout=120_000)
        expect(gallery.locator(".g-head")).to_contain_text(f"200 of {many:,}")  # a folder of another program
        gallery.get_by_role("button", name="Single").click()
        expect(gallery.locator(".g-count")).to_have_text(f"{many:,} pictures")
        cells = gallery.locator(".cell[data-id]")
        first = gallery.locator('.cell[data-index="0"]')
        gallery.evaluate(
            "() => { const box = document.querySelector('.g-scroll'); box.scrollTop = box.scrollHeight; }"
        )
        last = gallery.locator(f'.cell[data-index="{many - 1}"]')
        expect(last.locator("img.there")).to_be_visible()
        expect(first).to_have_count(0)
        assert cells.count() < 250
        # What is looked at stays in view when something comes before it.
        gallery.evaluate("() => { document.querySelector('.g-scroll').scrollTop = 4000; }")
        middle = gallery.locator('.cell[data-index="150"]')
        expect(middle.locator("img.there")).to_be_visible()
        looked_at = middle.get_attribute("data-id") or ""
        gallery.evaluate(
            "id => document.querySelector(`.cell[data-id='${id}']`).scrollIntoView({ block: 'start' })",
            looked_at,
        )
        picture("gold", (16, 16)).save(folder / "many newest.png")
        expect(gallery.locator(".g-count")).to_have_text(f"{many + 1:,} pictures")
        expect(cell(gallery, looked_at)).to_be_in_viewport()
        (folder / "many newest.png").unlink()
        expect(gallery.locator(".g-count")).to_have_text(f"{many:,} pictures")
        expect(cell(gallery, looked_at)).to_be_in_viewport()
        # Shift chooses all between, also those that are not in the page.
        gallery.evaluate("() => { document.querySelector('.g-scroll').scrollTop = 0; }")
        first.locator(".open").click(modifiers=["Control"])
        gallery.evaluate(
            "() => { const box = document.querySelector('.g-scroll'); box.scrollTop = box.scrollHeight; }"
        )
        last.locator(".open").click(modifiers=["Shift"])
        expect(gallery.locator(".g-selected")).to_contain_text(f"{many:,} selected")
        gallery.locator(".g-selected .delete").click()
        expect(gallery.locator(".toast")).to_contain_text(f"{many:,} pictures moved to the trash")
        assert list(folder.glob("*.png")) == []
    finally:
        studio.services.trash.empty()
        folder.rmdir()


def test_on_a_phone(chromium: Browser, studio, album: list[str]) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(120_000)
    tab = context.new_page()
    tab.goto(studio.url)
    tab.wait_for_selector(".statusline .device")
    tab.wait_for_function("window.webbduck?.form.state()")  # what is typed earlier is lost on a slow machine
    tab.get_by_role("tab", name="Gallery").click()
    search(tab, "albumword")
    expect(tab.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.get_by_role("button", name="Filters", exact=True).click()
    for name in ("Filter by sampler", "Order"):
        expect(tab.get_by_role("combobox", name=name)).to_be_visible()
    tab.get_by_role("button", name="Filters", exact=True).click()
    cell(tab, album[5]).locator(".open").tap()
    expect_shown(tab, album[5])
    finger = Finger(tab)
    finger.swipe(".lightbox .g-stage", -200, 0)
    expect_shown(tab, sibling(album[5], 1))
    finger.swipe(".lightbox .g-stage", 200, 0)
    expect_shown(tab, album[5])
    finger.swipe(".lightbox .g-stage", 0, -250)  # up to what the picture tells, not to another one
    tab.wait_for_function(AT_REST, polling=300)  # while it still glides, a tap only stops it
    expect_shown(tab, album[5])
    tab.get_by_role("button", name="Close (Esc)").tap()
    finger.hold(f'.cell[data-id="{album[5]}"] .open')
    expect(tab.locator(".g-selected")).to_contain_text("1 selected")
    expect(tab.locator(".lightbox")).not_to_be_visible()
    cell(tab, sibling(album[5], 1)).locator(".open").tap()
    expect(tab.locator(".g-selected")).to_contain_text("2 selected")
    cell(tab, album[5]).locator(".open").tap()  # the one that was held
    expect(tab.locator(".g-selected")).to_contain_text("1 selected")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


AT_REST = """() => {
  const box = document.querySelector('.lightbox'), before = box.lastTop;
  box.lastTop = box.scrollTop;
  return box.scrollTop > 100 && box.scrollTop === before;
}"""


class Finger:
    """Touches as a screen sends them, in CSS pixels from the middle of an element."""

    def __init__(self, page: Page):
        self._page, self._session = page, page.context.new_cdp_session(page)

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def _middle(self, selector: str) -> tuple[float, float]:
        self._page.locator(selector).scroll_into_view_if_needed()
        box = self._page.locator(selector).bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def swipe(self, selector: str, dx: float, dy: float) -> None:
        x, y = self._middle(selector)
        self._send("touchStart", (x, y))
        for part in range(1, 9):
            self._send("touchMove", (x + dx * part / 8, y + dy * part / 8))
        self._send("touchEnd")

    def hold(self, selector: str) -> None:
        self._send("touchStart", self._middle(selector))
        self._page.wait_for_timeout(900)
        self._send("touchEnd")
