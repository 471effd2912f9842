"""Several pictures at once: a job for each, as the queue has places, and none twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"pond {number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (64, 64), (number, 90, 200)).save(path)
    return paths


def choose(page: Page, pictures: list[Path]) -> None:
    # Before its script has run, the page would not notice.
    page.wait_for_function("Boolean(document.querySelector('#image-input .file')?.onchange)")
    page.locator("#image-input .file").set_input_files(pictures)


@pytest.mark.usefixtures("painted")
def test_each_picture_becomes_a_job_and_is_skipped_the_next_time(
    kept_page: Page, studio, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = studio.services.store
    monkeypatch.setattr(store, "max_queued", 1)  # so that some have to wait for a place
    panel = kept_page.locator(".folder-batch")
    choose(kept_page, pictures)
    expect(panel).to_contain_text("Img2img of 3 pictures")
    assert not store.queued()
    panel.get_by_role("button", name="Draw 3 pictures").press("Enter")
    expect(panel.get_by_role("button", name="Cancel all")).to_be_focused()
    expect(panel).to_contain_text("3 of 3 done.")
    jobs = store.recent(3)
    names = [studio.services.inputs.names.of(each.generation_request.image or "") for each in jobs]
    assert sorted(map(str, names)) == ["pond 0.png", "pond 1.png", "pond 2.png"]
    assert len({each.generation_request.seed for each in jobs}) == 1
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()

    choose(kept_page, pictures)
    panel.get_by_role("button", name="Draw 3 pictures").click()
    expect(panel).to_contain_text("3 skipped, whose results are there already")
    assert len(store.recent(9)) == 3
    panel.get_by_role("button", name="Close").click()


@pytest.mark.usefixtures("painted")
def test_all_of_it_can_be_cancelled_on_a_phone(
    window: Callable[..., Page], studio, pictures: list[Path]
) -> None:
    page = window(studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    choose(page, pictures)
    panel = page.locator(".folder-batch")
    begin = panel.get_by_role("button", name="Draw 3 pictures")
    assert (begin.bounding_box() or {"height": 0})["height"] >= 40
    begin.tap()
    expect(panel).to_contain_text("in the queue")
    panel.get_by_role("button", name="Cancel all").tap()
    expect(panel).to_contain_text("not completed")
    expect(panel.get_by_role("button", name="Close")).to_be_visible()
    assert studio.services.store.counts()["queued"] == 0


# A script cannot drop a real folder, and the browser's own tool drops one that cannot be read.
DROP = """([pictures, text]) => {
    const entry = (name, type) => ({
        fullPath: `/pond/${name}`, file: (use) => use(new File(["x"], name, { type })),
    });
    const children = [...pictures.map((name) => entry(name, "image/png")), entry(text, "text/plain")];
    const createReader = () => ({ readEntries: (use) => use(children.splice(0)) });
    const folder = { isDirectory: true, fullPath: "/pond", createReader };
    const event = new Event("drop", { bubbles: true, cancelable: true });
    const items = [{ webkitGetAsEntry: () => folder }];
    Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], files: [], items } });
    document.body.dispatchEvent(event);
}"""


def test_a_folder_is_dropped_or_chosen_with_the_pictures_below_it(
    kept_page: Page, pictures: list[Path]
) -> None:
    folder = pictures[0].parent
    (folder / "more").mkdir()
    pictures[2].rename(folder / "more" / "pond 2.png")
    (folder / "notes.txt").write_text("no picture")
    panel = kept_page.locator(".folder-batch")
    kept_page.wait_for_function("Boolean(document.querySelector('#image-input .folder')?.onchange)")
    kept_page.evaluate(DROP, [[each.name for each in (pictures[0], pictures[1])], "notes.txt"])
    expect(panel).to_contain_text("Img2img of 2 pictures")
    expect(kept_page.locator(".toast")).to_contain_text("1 file that is no picture left out.")
    panel.get_by_role("button", name="Close").click()

    kept_page.evaluate("webbduck.form.unfold('image')")
    with kept_page.expect_file_chooser() as chooser:
        kept_page.get_by_role("button", name="Choose a folder").press("Enter")
    chooser.value.set_files(folder)
    expect(panel).to_contain_text("Img2img of 3 pictures")
    panel.get_by_role("button", name="Close").click()
