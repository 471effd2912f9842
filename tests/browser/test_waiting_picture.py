"""From the press of Generate to the first preview, with a stand-in for the core that waits when told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from running import PATIENCE, free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

LOADING = "Loading the model; the first picture takes longer"
MOVING = ".frame.waiting .track.indeterminate"
core = threading.Event()
"""Set once the core may be created."""
step = threading.Event()
"""Set while steps may be made."""


def slow_core() -> Painter:
    core.wait(PATIENCE)
    return Painter(lambda *_: step.wait(PATIENCE))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    server = StudioServer(
        studio_settings(tmp_path_factory.mktemp("waiting"), starter_checkpoints, port=free_port())
    )
    server.services.worker.context.make_generator = slow_core
    server.start()
    yield server
    core.set()
    step.set()
    server.close()


@pytest.fixture(autouse=True)
def at_rest(server: StudioServer) -> Iterator[None]:
    core.set()
    step.set()
    yield
    core.set()
    step.set()
    store = server.services.store
    wait_until(lambda: store.running() is None and not store.queued())


@pytest.fixture(scope="module")
def page(chromium: Browser, server: StudioServer) -> Iterator[Page]:
    windows = Windows(chromium)
    page = windows.open(server.url, reduced_motion="no-preference", **WIDE)
    page.fill("#steps input", "4")
    page.fill("#width input", "64")
    page.fill("#height input", "64")
    yield page
    windows.close()


@pytest.fixture
def finished(page: Page) -> str:
    """Address of the finished picture that the Studio shows."""
    page.fill("#prompt textarea", "the picture before")
    page.click("#generate")
    page.wait_for_selector(".now[data-state=completed]")
    page.wait_for_selector(".frame:not(.waiting) img.main[src^='media/image/']")
    return str(page.get_attribute("img.main", "src"))


def is_moving(page: Page) -> bool:
    return page.locator(f"{MOVING} .bar").evaluate(
        "bar => bar.getAnimations().some(each => each.playState === 'running')"
    )


def test_the_model_is_said_to_load_while_it_does(page: Page, server: StudioServer) -> None:
    context = server.services.worker.context
    context._generator = None
    core.clear()
    page.fill("#prompt textarea", "the first of all")
    page.click("#generate")
    expect(page.locator(".now .headline")).to_have_text(LOADING)
    assert is_moving(page)
    core.set()
    page.wait_for_selector(".now[data-state=completed]")
    # In the same way where the core is made ready beforehand: the job waits in the queue for that.
    context._generator = None
    core.clear()
    warming = threading.Thread(target=server.services.worker.warm_up)
    warming.start()
    page.click("#generate")
    expect(page.locator(".now .headline")).to_have_text(LOADING)
    assert is_moving(page)
    core.set()
    page.wait_for_selector(".now[data-state=completed]")
    warming.join()


def test_a_press_shows_at_once_that_it_counts(page: Page, finished: str) -> None:
    page.route("**/gradio_api/**", lambda _: None)
    page.click("#generate")
    expect(page.locator(".now .headline")).to_have_text("Sending")
    assert is_moving(page)
    assert page.get_attribute("img.main", "src") == finished, "the last picture is still there"
    page.unroute("**/gradio_api/**")  # which lets go on what was held
    page.wait_for_function("before => document.querySelector('img.main').getAttribute('src') !== before",
                           arg=finished)  # fmt: skip
    page.wait_for_selector(".now[data-state=completed]")
    expect(page.locator(".track")).to_be_hidden()


def test_a_refused_press_leaves_the_picture_as_it_was(page: Page, finished: str) -> None:
    page.fill("#steps input", "0")
    page.click("#generate")
    expect(page.locator("#problem-steps")).to_be_visible()
    page.fill("#steps input", "4")
    page.wait_for_selector(f".frame:not(.waiting) img.main[src='{finished}']")
    expect(page.locator(".track")).to_be_hidden()
    expect(page.locator(".tools")).not_to_have_attribute("hidden", "")


def test_the_last_picture_stays_dimmed_until_the_first_preview(page: Page, finished: str) -> None:
    step.clear()
    page.fill("#prompt textarea", "the picture after")
    page.click("#generate")
    page.wait_for_selector(".now[data-state=running]")
    assert is_moving(page)
    picture = page.locator(".frame.waiting img.main")
    expect(picture).to_be_visible()
    assert picture.get_attribute("src") == finished
    assert picture.get_attribute("alt") == "", "it is not the picture that the job makes"
    assert float(picture.evaluate("image => getComputedStyle(image).opacity")) < 0.7
    page.emulate_media(reduced_motion="reduce")
    assert not is_moving(page), "with reduced motion the line stands still"
    expect(page.locator(f"{MOVING} .bar")).to_be_visible()
    page.emulate_media(reduced_motion="no-preference")
    step.set()
    page.wait_for_selector(".frame:not(.waiting) img.main:not([src*='preview'])")
    page.wait_for_selector(".now[data-state=completed]")
