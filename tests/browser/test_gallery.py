"""The Gallery tab as a person uses it: find, look, compare, use again, delete and take back."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from webbduck_gradio.request import GenerationRequest

COLOURS = ("crimson", "gold", "teal", "navy")


def picture(colour: str, size: tuple[int, int] = (96, 96)) -> Image.Image:
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).ellipse((16, 16, 60, 60), fill="white")
    return image


@pytest.fixture(scope="module")
def album(studio) -> Iterator[list[str]]:
    """Ids of the first pictures of six runs, oldest first, made with words that no other test uses."""
    outputs, made = studio.services.outputs, []
    for number in range(6):
        request = GenerationRequest.of(
            prompt=f"albumword {COLOURS[number % 4]} lantern {'unique' + 'abcdef'[number]}",
            negative_prompt="fog",
            base_model="webbduck-starter",
            width=96,
            height=96,
            steps=2 + number,
            seed=1000 * number,
            num_images=4 if number == 5 else 1 + number % 2,
            scheduler="Euler a" if number % 2 else "Euler",
            loras=[{"name": "lantern-glow", "weight": 0.5}] if number == 2 else [],
        )
        run = outputs.new_run(request, "generate", f"job-{number}")
        for index in range(request.num_images):
            run.save(index, picture(COLOURS[number % 4]), request.seed_of(index), ["a warning of its own"])
        run.close("completed")
        made.append(f"{run.id}/0.png")
    outputs.save_variant(made[0], picture("crimson", (192, 192)), 2, "Lanczos")
    yield made
    for image_id in made:
        studio.services.trash.delete_run(image_id.rpartition("/")[0])
    studio.services.trash.empty()


@pytest.fixture
def gallery(page: Page, album: list[str]) -> Page:
    """The tab, showing the album alone."""
    page.get_by_role("tab", name="Gallery").click()
    search(page, "albumword")
    expect(page.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    return page


def search(page: Page, text: str) -> None:
    page.fill(".g-query", text)
    page.keyboard.press("Enter")


def cell(page: Page, image_id: str):
    return page.locator(f'.cell[data-id="{image_id}"]')


def shown(page: Page) -> str:
    """Id of the picture that the lightbox shows."""
    source = page.locator(".lightbox img.main").get_attribute("data-source") or ""
    return source.removeprefix("media/image/").split("?")[0]


def expect_shown(page: Page, image_id: str) -> None:
    page.wait_for_function(
        "id => document.querySelector('.lightbox[open] img.main')?.dataset.source?.split('?')[0]"
        ".endsWith('media/image/' + id)",
        arg=image_id,
    )
    expect(page.locator(".lightbox .info h3")).to_be_visible()


def expect_alone(page: Page, image_id: str) -> None:
    cells = page.locator(".cell[data-id]")
    expect(cells).to_have_count(1)  # first: asking several for an attribute fails at once
    expect(cells).to_have_attribute("data-id", image_id)


def sibling(image_id: str, index: int) -> str:
    return f"{image_id.rpartition('/')[0]}/{index}.png"


def test_search_as_it_is_typed_and_by_the_filter_row(gallery: Page, album: list[str]) -> None:
    gallery.fill(".g-query", "")
    gallery.locator(".g-query").press_sequentially("albumword teal")
    expect(gallery.locator(".g-count")).to_have_text("1 picture in 1 run")
    expect(cell(gallery, album[2])).to_be_visible()
    search(gallery, "albumword seed:3001")
    expect_alone(gallery, sibling(album[3], 1))
    search(gallery, "albumword")
    # "Euler" alone, not "Euler a".
    gallery.get_by_label("Filter by sampler").select_option('sampler:="Euler"')
    expect(gallery.locator(".g-query")).to_have_value('albumword sampler:="Euler"')
    expect(gallery.locator(".g-count")).to_have_text("3 pictures in 3 runs")
    gallery.get_by_label("Filter by LoRA").select_option('lora:="lantern-glow"')
    expect(gallery.locator(".g-count")).to_have_text("1 picture in 1 run")
    gallery.get_by_label("Filter by date").select_option(label="Yesterday")
    expect(gallery.locator(".g-nothing")).to_contain_text("Nothing matches")
    gallery.get_by_label("Filter by date").select_option("")
    gallery.get_by_label("Filter by LoRA").select_option("")
    gallery.get_by_label("Filter by sampler").select_option("")
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    search(gallery, "albumword date:nonsense")
    expect(gallery.locator(".g-problem")).to_contain_text("date: takes a day, month or year")


def test_runs_or_single_pictures_in_either_order(gallery: Page, album: list[str]) -> None:
    expect(gallery.locator(".g-run").first.locator(".cell")).to_have_count(4)
    gallery.get_by_role("button", name="Single").click()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures")
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-id", sibling(album[5], 3))
    gallery.get_by_label("Order").select_option("oldest")
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-id", album[0])
    gallery.get_by_role("button", name="Runs").click()
    expect(gallery.locator('[data-index="0"]')).to_have_attribute("data-run", album[0].rpartition("/")[0])
    gallery.get_by_label("Order").select_option("newest")


def test_the_lightbox_by_keyboard(gallery: Page, album: list[str]) -> None:
    gallery.locator(".g-query").focus()
    gallery.keyboard.press("ArrowDown")
    gallery.keyboard.press("ArrowRight")
    gallery.keyboard.press("Enter")
    expect_shown(gallery, sibling(album[5], 1))
    info = gallery.locator(".lightbox .info")
    for text in (
        "albumword gold lantern",
        "fog",
        "webbduck-starter",
        "Euler a",
        "5001",
        "96 × 96 px",
        "SHA-256",
    ):
        expect(info).to_contain_text(text)
    expect(info.locator(".g-notes.warning")).to_contain_text("a warning of its own")
    expect(gallery.locator(".g-strip button")).to_have_count(4)
    gallery.keyboard.press("ArrowRight")
    expect_shown(gallery, sibling(album[5], 2))
    gallery.keyboard.press("ArrowRight")
    expect_shown(gallery, sibling(album[5], 3))
    gallery.keyboard.press("ArrowRight")  # over the end of the run
    expect_shown(gallery, album[4])
    gallery.keyboard.press("ArrowLeft")
    expect_shown(gallery, sibling(album[5], 3))
    gallery.keyboard.press("+")
    expect(gallery.locator(".g-stage")).to_have_class(re.compile("zoomed"))
    gallery.keyboard.press("0")
    expect(gallery.locator(".g-stage")).not_to_have_class(re.compile("zoomed"))
    gallery.keyboard.press("s")
    expect(gallery.get_by_role("button", name="Favourite (S)")).to_have_attribute("aria-pressed", "true")
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".lightbox")).not_to_be_visible()
    gallery.get_by_role("button", name="Favourites", exact=True).click()
    expect_alone(gallery, sibling(album[5], 3))
    expect(gallery.locator(".cell .loved")).to_be_visible()


def test_compare_with_the_upscaled_copy_and_with_any_other(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[0]).locator(".open").click()
    expect_shown(gallery, album[0])
    gallery.keyboard.press("c")
    slider = gallery.get_by_role("slider")
    expect(slider).to_be_focused()
    table = gallery.locator(".g-differences")
    expect(table).to_contain_text("192 × 192 px")
    gallery.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "52")
    gallery.keyboard.press("Escape")
    expect(slider).not_to_be_visible()
    expect(gallery.locator(".lightbox")).to_be_visible()
    gallery.keyboard.press("Escape")
    for image_id in (album[1], album[2]):
        cell(gallery, image_id).locator(".open").click(modifiers=["Control"])
    expect(gallery.locator(".g-chosen")).to_contain_text("2 chosen")
    gallery.get_by_role("button", name="Compare", exact=True).click()
    expect(table).to_contain_text("lantern-glow × 0.5")
    expect(gallery.locator(".g-label.second")).to_have_text(album[2])
    gallery.keyboard.press("Escape")
    gallery.keyboard.press("Escape")


def test_delete_a_picture_and_undo(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[5]).locator(".open").click()
    expect_shown(gallery, album[5])
    gallery.keyboard.press("Delete")
    expect_shown(gallery, sibling(album[5], 1))
    assert not (studio.settings.outputs / album[5]).exists()
    gallery.get_by_role("button", name="Undo").click()
    expect_shown(gallery, album[5])
    assert (studio.settings.outputs / album[5]).is_file()
    gallery.keyboard.press("Escape")


def test_choose_delete_and_restore_from_the_trash(gallery: Page, studio, album: list[str]) -> None:
    studio.services.trash.empty()
    cell(gallery, album[1]).hover()
    cell(gallery, album[1]).locator(".tick").click()
    cell(gallery, album[0]).locator(".open").click(modifiers=["Shift"])
    expect(gallery.locator(".g-chosen")).to_contain_text("3 chosen")  # 1/0, 1/1 and 0/0
    gallery.locator(".g-chosen .delete").click()
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
    request = GenerationRequest.of(prompt="albumword doomed", base_model="webbduck-starter", seed=5)
    run = studio.services.outputs.new_run(request, "generate", "job-doomed")
    run.save(0, picture("navy"), 5)
    run.close("completed")
    head = gallery.locator(f'.g-run[data-run="{run.id}"]')
    head.hover()
    head.get_by_role("button", name="Delete this run").click()
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    gallery.locator(".g-open-trash").click()
    gallery.get_by_role("button", name="Empty the trash").click()
    expect(gallery.locator(".g-sure")).to_contain_text("Delete 1 picture for good?")
    gallery.get_by_role("button", name="Keep them").click()
    assert len(studio.services.trash.entries()) == 1
    gallery.get_by_role("button", name="Empty the trash").click()
    gallery.get_by_role("button", name="Delete for good").click()
    expect(gallery.locator(".g-trash")).to_contain_text("The trash is empty")
    assert studio.services.trash.entries() == []
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".g-scroll")).to_be_visible()


def test_a_zip_of_what_is_chosen_holds_the_metadata(gallery: Page, album: list[str]) -> None:
    gallery.locator(".cell .open").first.focus()
    gallery.keyboard.press("Control+a")
    expect(gallery.locator(".g-chosen")).to_contain_text("11 chosen")
    with gallery.expect_download() as download:
        gallery.locator(".g-chosen .export").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        names = archive.namelist()
        pictures = [name for name in names if name.endswith(".png")]
        assert len(pictures) == 12 and set(album) <= set(names)  # and the upscaled copy
        assert sum(name.endswith("meta.json") for name in names) == 6
        with Image.open(io.BytesIO(archive.read(album[2]))) as image:
            chunk = json.loads(image.info["webbduck"])
    assert chunk["request"]["seed"] == 2000
    gallery.keyboard.press("Escape")
    expect(gallery.locator(".g-chosen")).not_to_be_visible()


def test_settings_and_prompt_into_the_studio(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="Use these settings").click()
    expect(gallery.locator("#prompt textarea")).to_have_value(re.compile("albumword teal"))
    expect(gallery.locator("#seed textarea, #seed input")).to_have_value("2000")
    expect(gallery.locator("#steps input")).to_have_value("4")
    gallery.get_by_role("tab", name="Gallery").click()
    cell(gallery, album[4]).locator(".open").click()
    gallery.get_by_role("button", name="Only the prompt").click()
    expect(gallery.locator("#prompt textarea")).to_have_value(re.compile("uniquee"))
    expect(gallery.locator("#seed textarea, #seed input")).to_have_value("2000")


def test_the_same_again_and_varied(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[4]).locator(".open").click()
    made = ended(gallery, studio, lambda: gallery.get_by_role("button", name="Regenerate").click())
    assert (made.request.seed, made.request.steps, made.request.num_images) == (4000, 6, 1)
    made = ended(gallery, studio, lambda: gallery.get_by_role("button", name="Vary").click())
    assert made.request.seed != 4000 and made.request.prompt.startswith("albumword crimson")
    gallery.keyboard.press("Escape")
    for image_id in studio.services.store.recent(2):
        studio.services.trash.delete_run(image_id.run)
    expect(gallery.locator(".g-count")).to_have_text("11 pictures in 6 runs")


def test_into_the_studio_to_be_drawn_over(gallery: Page, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="To img2img").click()
    expect(gallery.locator(".input-picture .facts")).to_have_text("96 × 96 px")
    expect(gallery.locator("#width input")).to_have_value("96")
    expect(gallery.locator("dialog.mask-editor")).not_to_be_visible()
    gallery.get_by_role("tab", name="Gallery").click()
    cell(gallery, album[3]).locator(".open").click()
    gallery.get_by_role("button", name="To inpaint").click()
    expect(gallery.locator("dialog.mask-editor")).to_be_visible()


def test_an_upscaled_copy_made_from_the_lightbox(gallery: Page, studio, album: list[str]) -> None:
    cell(gallery, album[2]).locator(".open").click()
    gallery.get_by_role("button", name="Upscale 2×").click()
    expect(gallery.locator(".toast")).to_contain_text("Upscaling is queued")
    copies = gallery.locator(".g-copies")
    expect(copies).to_contain_text("0_upscaled.png", timeout=120_000)
    copies.get_by_role("button", name="Compare").click()
    expect(gallery.locator(".g-differences")).to_contain_text("192 × 192 px")
    gallery.keyboard.press("Escape")
    gallery.get_by_role("button", name="Caption", exact=True).click()
    expect(gallery.locator(".toast")).to_contain_text(re.compile("A caption is queued|There is no captioner"))
    gallery.keyboard.press("Escape")


def ended(page: Page, studio, press: Callable[[], None]):
    """The job that a press makes, once it has ended."""
    store = studio.services.store
    before = {job.id for job in store.recent(20)}
    press()
    expect(page.locator(".toast")).to_contain_text("queued")
    page.wait_for_function(
        "ids => webbduck.last.get('jobs').recent.some(job => !ids.includes(job.job_id) && job.images.length)",
        arg=list(before),
    )
    return next(job for job in store.recent(20) if job.id not in before)


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


def test_thousands_of_pictures_stay_a_few_in_the_page(gallery: Page, studio) -> None:
    folder, file = studio.settings.outputs / "many", io.BytesIO()
    folder.mkdir()
    picture("teal", (16, 16)).save(file, format="PNG")
    for number in range(2000):
        (folder / f"many{number:04}.png").write_bytes(file.getvalue())
    try:
        search(gallery, "name:many")
        expect(gallery.locator(".g-count")).to_have_text("200 pictures in 1 run", timeout=120_000)
        expect(gallery.locator(".g-head")).to_contain_text("200 of 2,000")  # a folder of another program
        gallery.get_by_role("button", name="Single").click()
        expect(gallery.locator(".g-count")).to_have_text("2,000 pictures")
        cells = gallery.locator(".cell[data-id]")
        first = cells.first.get_attribute("data-id") or ""
        gallery.evaluate(
            "() => { const box = document.querySelector('.g-scroll'); box.scrollTop = box.scrollHeight; }"
        )
        last = gallery.locator('.cell[data-index="1999"]')
        expect(last.locator("img.there")).to_be_visible()
        assert cells.count() < 250 and cell(gallery, first).count() == 0
        # Shift chooses all between, also those that are not in the page.
        gallery.evaluate("() => { document.querySelector('.g-scroll').scrollTop = 0; }")
        cell(gallery, first).locator(".open").click(modifiers=["Control"])
        gallery.evaluate(
            "() => { const box = document.querySelector('.g-scroll'); box.scrollTop = box.scrollHeight; }"
        )
        last.locator(".open").click(modifiers=["Shift"])
        expect(gallery.locator(".g-chosen")).to_contain_text("2,000 chosen")
        gallery.locator(".g-chosen .delete").click()
        expect(gallery.locator(".toast")).to_contain_text("2,000 pictures moved to the trash")
        assert list(folder.glob("*.png")) == []
    finally:
        gallery.evaluate("() => localStorage.setItem('webbduck-gallery-view', 'runs')")
        studio.services.trash.empty()
        folder.rmdir()


def test_on_a_phone(chromium: Browser, studio, album: list[str]) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(120_000)
    tab = context.new_page()
    tab.goto(studio.url)
    tab.wait_for_selector(".statusline .device")
    tab.get_by_role("tab", name="Gallery").click()
    search(tab, "albumword")
    expect(tab.locator(".g-count")).to_have_text("11 pictures in 6 runs")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.get_by_role("button", name="Filter", exact=True).click()
    expect(tab.get_by_label("Filter by sampler")).to_be_visible()
    tab.get_by_role("button", name="Filter", exact=True).click()
    cell(tab, album[5]).locator(".open").tap()
    expect_shown(tab, album[5])
    swipe(tab, -200)
    expect_shown(tab, sibling(album[5], 1))
    swipe(tab, 200)
    expect_shown(tab, album[5])
    tab.get_by_role("button", name="Close (Esc)").tap()
    hold(tab, f'.cell[data-id="{album[5]}"] .open')
    expect(tab.locator(".g-chosen")).to_contain_text("1 chosen")
    cell(tab, sibling(album[5], 1)).locator(".open").tap()
    expect(tab.locator(".g-chosen")).to_contain_text("2 chosen")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


TOUCH = """([selector, dx, wait]) => new Promise(done => {
  const node = document.querySelector(selector), box = node.getBoundingClientRect();
  const at = (type, x) => node.dispatchEvent(new PointerEvent(type, { pointerId: 5, pointerType: 'touch',
    bubbles: true, isPrimary: true, clientX: x, clientY: box.top + box.height / 2 }));
  const middle = box.left + box.width / 2;
  at('pointerdown', middle);
  setTimeout(() => { if (dx) at('pointermove', middle + dx); at('pointerup', middle + dx);
    if (!dx) node.click(); done(); }, wait);
})"""


def swipe(page: Page, distance: int) -> None:
    page.evaluate(TOUCH, [".lightbox .g-stage", distance, 30])


def hold(page: Page, selector: str) -> None:
    page.evaluate(TOUCH, [selector, 0, 900])
