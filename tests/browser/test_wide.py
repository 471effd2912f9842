"""The Studio on a wide screen, with a stand-in for the core: recent pictures, and the batch as a grid."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from form_page import expect_form, put_away
from playwright.sync_api import Browser, Page, expect
from running import PATIENCE, free_port, studio_settings, wait_until
from windows import Windows

from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

WIDTH = 1720
step = threading.Event()
"""Set while steps may be made."""


def submit(server: StudioServer, prompt: str, images: int = 1) -> list[str]:
    """Ids of the pictures of a job of this prompt, once they are finished."""
    store = server.services.store
    asked = {"base_model": "webbduck-starter", "steps": 2, "width": 64, "height": 64, "seed": 5}
    job = store.submit(GenerationRequest.validated(**asked, prompt=prompt, num_images=images))
    wait_until(lambda: store.get(job.id).finished)
    return list(store.get(job.id).images)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    step.set()
    server = StudioServer(
        studio_settings(tmp_path_factory.mktemp("wide"), starter_checkpoints, port=free_port())
    )
    server.services.worker.context.make_generator = lambda: Painter(lambda *_: step.wait(PATIENCE))
    server.start()
    yield server
    step.set()
    server.close()


@pytest.fixture(scope="module")
def pictures(server: StudioServer) -> list[str]:
    """A picture that the queue has forgotten, then a batch of four."""
    old = submit(server, "a duck of long ago")
    server.services.store.clear_finished()
    return old + submit(server, "a batch of ducks", 4)


@pytest.fixture(scope="module")
def window(chromium: Browser, server: StudioServer, pictures: list[str]) -> Iterator[Page]:
    windows = Windows(chromium)
    yield windows.open(server.url, viewport={"width": WIDTH, "height": 900}, color_scheme="dark")
    windows.close()


@pytest.fixture
def page(window: Page, pictures: list[str]) -> Page:
    put_away(window)
    expect(recent(window, pictures[0])).to_be_visible()
    recent(window, pictures[-1]).click()
    expect_shown(window, pictures[-1])
    return window


def recent(page: Page, image_id: str):
    return page.locator(f'.recent-list button[data-id="{image_id}"]')


def expect_shown(page: Page, image_id: str) -> None:
    expect(page.locator("img.main")).to_have_attribute("src", f"media/image/{image_id}")
    expect(recent(page, image_id)).to_have_attribute("aria-current", "true")


def test_recent_pictures_are_looked_at(page: Page, pictures: list[str]) -> None:
    recent(page, pictures[0]).click()
    expect_shown(page, pictures[0])
    expect(page.locator("img.main")).to_have_attribute("alt", "a duck of long ago")
    assert recent(page, pictures[0]).get_attribute("aria-label") == "a duck of long ago, seed 5"
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".recent-list button:focus")).to_have_attribute("aria-current", "true")
    expect(page.locator("img.main")).to_have_attribute("alt", "a batch of ducks")
    assert page.locator(".recent-list [tabindex='0']").count() == 1, "one stop for Tab"
    assert violations(page, "recent") == []
    page.set_viewport_size({"width": WIDTH - 21, "height": 900})
    expect(page.locator("#recent")).to_be_hidden()
    page.set_viewport_size({"width": WIDTH, "height": 900})
    expect(page.locator("#recent")).to_be_visible()


def test_a_new_picture_comes_in_by_itself(page: Page, server: StudioServer) -> None:
    new = submit(server, "a newcomer")[0]
    expect(page.locator(".recent-list button").first).to_have_attribute("data-id", new)
    server.services.trash.delete_images([new])
    expect(recent(page, new)).to_have_count(0)


def test_a_recent_picture_is_looked_at_while_a_job_runs(page: Page, pictures: list[str]) -> None:
    step.clear()
    page.fill("#prompt textarea", "a duck that takes its time")
    page.click("#generate")
    page.wait_for_selector(".now[data-state=running]")
    recent(page, pictures[0]).click()
    expect_shown(page, pictures[0])
    page.get_by_role("button", name="Show the running job").click()
    page.wait_for_selector(".now[data-state=running]")
    step.set()
    page.wait_for_selector(".now[data-state=completed]")


def test_a_recent_picture_is_dragged_to_the_input(page: Page, pictures: list[str]) -> None:
    picture = recent(page, pictures[0]).bounding_box()
    assert picture
    page.mouse.move(picture["x"] + 20, picture["y"] + 20)
    page.mouse.down()
    page.mouse.move(picture["x"] - 40, picture["y"] + 60, steps=4)
    zone = page.locator(".recent-zone")
    expect(zone).to_be_visible()
    zone.hover()
    page.mouse.up()
    expect(zone).to_have_count(0)
    page.wait_for_function("webbduck.form.state().image")
    page.get_by_role("button", name="Undo").click()
    expect_form(page, image="")


def test_the_batch_as_a_grid(page: Page, pictures: list[str]) -> None:
    grid = page.get_by_role("group", name="Pictures of this batch, side by side")
    page.click("#prompt textarea")
    page.keyboard.type("g")
    expect(grid).to_be_hidden()
    page.locator(".strip button").last.focus()
    page.keyboard.press("g")
    expect(grid.get_by_role("button")).to_have_count(4)
    canvas, boxes = grid.bounding_box(), [each.bounding_box() for each in grid.get_by_role("button").all()]
    assert canvas
    for box in boxes:
        assert box and box["y"] >= canvas["y"] and box["y"] + box["height"] <= canvas["y"] + canvas["height"]
        assert box["height"] > canvas["height"] * 0.4, "as large as there is room"
    assert violations(page, "grid") == []
    page.keyboard.press("Escape")
    expect(grid).to_be_hidden()
    page.get_by_role("button", name="The batch as a grid").click()
    grid.get_by_role("button", name="Picture 2 of 4").click()
    expect(grid).to_be_hidden()
    expect_shown(page, pictures[2])


def test_the_keys_are_listed(page: Page) -> None:
    page.get_by_role("button", name="Shortcuts").click()
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("The batch as a grid")
    expect(sheet).to_contain_text("Go through the recent pictures")
