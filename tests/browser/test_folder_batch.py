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
