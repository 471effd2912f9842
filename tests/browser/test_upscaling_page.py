"""Upscaling on the page: tile sizes, Upscale with detail, and the input picture; with a stand-in core."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from running import free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.jobs.job import Job
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

MENU = ".menu:popover-open"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    settings = studio_settings(tmp_path_factory.mktemp("upscaling"), starter_checkpoints, port=free_port())
    server = StudioServer(settings)
    server.services.worker.context.make_generator = Painter
    server.start()
    server.services.submit({"prompt": "a duck", "width": 64, "height": 64, "steps": 2, "seed": 1}, "generate")
    yield server
    server.close()


@pytest.fixture(scope="module")
def page(chromium: Browser, server: StudioServer) -> Iterator[Page]:
    windows = Windows(chromium)
    yield windows.open(server.url, **WIDE)
    windows.check()
    windows.close()


def ended(server: StudioServer, kind: str) -> Job:
    """The last job, of this kind, once it is done."""

    def last() -> Job | None:
        return next((job for job in server.services.store.recent(1) if job.kind == kind), None)

    wait_until(last)
    job = last()
    assert job is not None and job.state == "completed"
    return job


def test_the_tile_size_is_chosen_and_kept(page: Page, server: StudioServer) -> None:
    page.locator("#stage .tool.upscale").click()
    sizes = page.locator(MENU).get_by_role("radiogroup", name="Tile size")
    expect(sizes.get_by_role("radio", name="256 px")).to_be_checked()
    sizes.get_by_role("radio", name="128 px").press("Space")
    page.locator(f"{MENU} .upscale-item").first.click()
    request = ended(server, "upscale").request.model_dump()
    assert (request["tile_size"], request["scale"]) == (128, 2)
    page.locator("#stage .tool.upscale").click()
    expect(sizes.get_by_role("radio", name="128 px")).to_be_checked()
    page.keyboard.press("Escape")


def test_a_picture_is_upscaled_with_detail(page: Page, server: StudioServer) -> None:
    page.locator("#stage .tool.upscale").click()
    page.locator(f"{MENU} .redraw-item").press("Enter")
    dialog = page.get_by_role("dialog", name="Upscale with detail")
    expect(dialog.get_by_label("Prompt", exact=True)).to_have_value("a duck")
    assert violations(page, ".redraw-dialog") == []
    dialog.get_by_label("Scale", exact=True).fill("9")
    expect(dialog.get_by_role("button", name="Upscale", exact=True)).to_be_disabled()
    dialog.get_by_label("Scale", exact=True).fill("1.5")
    dialog.get_by_label("Strength", exact=True).fill("0.5")
    dialog.get_by_label("Tile size", exact=True).select_option("512")
    dialog.get_by_label("Prompt", exact=True).fill("a red duck")
    dialog.get_by_role("button", name="Upscale", exact=True).click()
    request = ended(server, "redraw").request.model_dump()
    assert (request["scale"], request["strength"], request["tile_size"]) == (1.5, 0.5, 512)
    assert request["drawing"]["prompt"] == "a red duck"
    expect(page.get_by_text("and detail; Compare shows the original")).to_be_visible()


def test_an_uploaded_picture_is_upscaled(page: Page, server: StudioServer, tmp_path: Path) -> None:
    Image.new("RGB", (80, 64), "teal").save(tmp_path / "mine.png")
    page.locator('[data-fold="image"]').click()
    page.set_input_files("#image-input input.file", tmp_path / "mine.png")
    page.locator(".upscale-input").click()
    page.locator(f"{MENU} .upscale-item").first.click()
    job = ended(server, "upscale")
    box = page.locator(".upscale-box")
    expect(box).to_contain_text("saved in the gallery")
    with Image.open(server.services.outputs.resolve(job.images[0])) as copy:
        assert copy.size == (160, 128)
    box.get_by_role("button", name="Use as input picture").click()
    expect(page.locator(".chosen-picture .facts")).to_have_text("160 × 128 px")


def test_the_dialog_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#stage .tool.upscale").click()
    page.locator(f"{MENU} .redraw-item").click()
    dialog = page.get_by_role("dialog", name="Upscale with detail")
    for control in dialog.locator("input:visible, select:visible, textarea:visible, form button").all():
        box = control.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
        if control.get_attribute("type") != "checkbox":  # its label is the target
            assert box["height"] >= 40
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
