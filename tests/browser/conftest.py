"""Chromium for the tests that drive the page; they are left out, and named, where there is none."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from form_page import put_away
from gallery_page import album, gallery
from playwright.sync_api import Browser, Page, expect, sync_playwright
from running import wait_until
from windows import PATIENCE, WIDE, Windows

sys.path.append(str(Path(__file__).resolve().parents[1] / "jobs"))

from painter import Painter

__all__ = ["album", "gallery"]  # fixtures of the gallery's tests

PROGRAMS = (
    *("chromium-headless-shell", "chrome-headless-shell"),
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
)
"""The first two have the page alone, the others the window around it as well, which takes a third of the
processor time of a test."""
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        text = (
            "Chromium is not installed, so the page is not tested "
            "(Debian: apt install chromium-headless-shell)."
        )
        if os.environ.get("WEBBDUCK_REQUIRE_BROWSER"):
            pytest.fail(text)
        pytest.skip(text)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def no_jobs(chromium: Browser, studio) -> None:
    """Each test starts without jobs, so that the page cannot show it the picture of another one."""
    store = studio.services.store
    store.clear_queued()
    store.apply_to_many(store.cancel, [job.id for job in store.suspended()])
    if running := store.running():
        store.cancel(running.id)
    wait_until(lambda: store.running() is None)
    store.clear_finished()


STEP_SECONDS = 0.2


@pytest.fixture
def painted(studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the core, for tests of a job that goes on for as long as the page takes.

    It waits between its steps, where the core would take the processor from the page.
    """
    painter = Painter(lambda *_: time.sleep(STEP_SECONDS))
    monkeypatch.setattr(studio.services.worker.context, "_generator", painter)


@pytest.fixture
def window(chromium: Browser, studio) -> Iterator[Callable[..., Page]]:
    """Opens the studio in a browser of its own: window(url, script=..., **options).

    An error in the page's scripts fails the test.
    """
    windows = Windows(chromium)

    def open_it(url: str = studio.url, script: str = "", **options: Any) -> Page:
        return windows.open(url, script, **options)

    yield open_it
    windows.close()


@pytest.fixture
def page(window: Callable[..., Page]) -> Page:
    """The studio in a fresh wide window."""
    return window(**WIDE)


@pytest.fixture(scope="module")
def kept_windows(chromium: Browser) -> Iterator[Windows]:
    """Opens the pages that the tests of one file share, since to load one takes most of a short test."""
    windows = Windows(chromium)
    yield windows
    windows.close()


@pytest.fixture(scope="module")
def _kept(kept_windows: Windows, studio) -> Page:
    return kept_windows.open(studio.url, **WIDE)


@pytest.fixture
def kept_page(_kept: Page, kept_windows: Windows) -> Iterator[Page]:
    """A wide window that the tests of one file share. Each finds it without dialogs and messages; the rest is
    as the one before left it."""
    put_away(_kept)
    yield _kept
    kept_windows.check()
