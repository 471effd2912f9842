"""The dialog about the device, on a studio of its own with a stand-in for the core."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from running import free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

NO_COMPILER = "There is no C++ compiler."


class Card(Painter):
    """A card whose UNet cannot be compiled."""

    def describe(self) -> dict[str, Any]:
        return {
            "device": "cuda:1",
            "name": "A card",
            "memory_used": 3 * 2**30,
            "memory_total": 12 * 2**30,
            "dtype": "float16",
            "dtypes": {"small": "float16", "large": "bfloat16"},
            "policy": self.choice.memory or "tiled",
            "compile_problem": NO_COMPILER if self.choice.compiled else None,
            "in_memory": ["duck-xl"],
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    root = tmp_path_factory.mktemp("device")
    server = StudioServer(studio_settings(root, starter_checkpoints, port=free_port(), memory="offload"))
    server.services.worker.context.make_generator = Card
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def pages(chromium: Browser, server: StudioServer) -> Iterator[tuple[Page, Page]]:
    """The studio in a wide window and on a phone."""
    windows = Windows(chromium)
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    yield windows.open(server.url, **WIDE), windows.open(server.url, **phone)
    windows.close()


@pytest.fixture
def wide(pages: tuple[Page, Page], server: StudioServer) -> Iterator[Locator]:
    """The dialog, opened by keyboard in the wide window; nothing is chosen but what the start chose."""
    page = pages[0]
    page.locator(".statusline .device").focus()
    page.keyboard.press("Enter")
    yield page.get_by_role("dialog", name="Device")
    page.keyboard.press("Escape")
    server.services.choose_device("automatic", False)


def test_what_is_known_and_where_the_choice_comes_from(wide: Locator, server: StudioServer) -> None:
    expect(wide).to_contain_text("Starting up")
    expect(wide).to_contain_text("started with --memory offload, which holds again")
    expect(wide.get_by_role("radio", checked=True)).to_have_accessible_name("offload")
    server.services.worker.context.generator  # noqa: B018 - made, as it is after the start
    expect(wide).to_contain_text("A card (CUDA:1)")
    for text in ("float16; bfloat16 for large checkpoints", "3.0 GiB of 12 GiB used", "duck-xl"):
        expect(wide).to_contain_text(text)


def test_a_choice_is_kept_and_shown_in_another_page(
    pages: tuple[Page, Page], wide: Locator, server: StudioServer
) -> None:
    kept = server.settings.data_dir / "device.json"
    server.services.worker.context.generator  # noqa: B018
    server.services.choose_device("offload")
    keys, tapped = pages[0].keyboard, pages[1]
    # The prompt, which has the focus, gets smaller and moves what is above; the tap must not miss it.
    tapped.locator("#prompt textarea").focus()
    tapped.locator(".statusline .device").tap()
    phone = tapped.get_by_role("dialog", name="Device")
    expect(phone.get_by_role("radio", name="offload", exact=True)).to_be_checked()
    expect(wide.get_by_role("radio", name="offload", exact=True)).to_be_checked()

    keys.press("ArrowDown")
    for dialog in (wide, phone):
        expect(dialog.get_by_role("radio", name="fp8")).to_be_checked()
        expect(dialog.locator("dd").last).to_have_text("fp8")
    expect(wide.get_by_role("radio", name="fp8")).to_have_accessible_description(
        "Also stores the UNet in 8 bits, which changes images"
    )
    expect(wide.get_by_role("status")).to_have_text("Holds from the next job on.")
    assert json.loads(kept.read_text()) == {"memory": "fp8", "compiled": False}

    phone.get_by_role("switch").click()
    expect(wide.get_by_role("switch")).to_be_checked()
    expect(wide.get_by_text(NO_COMPILER)).to_be_visible()
    phone.get_by_role("switch").click()
    expect(wide.get_by_role("switch")).not_to_be_checked()
    expect(wide.get_by_text(NO_COMPILER)).to_be_hidden()

    for _ in range(3):  # quick changes: the last one holds
        keys.press("ArrowDown")
    for dialog in (wide, phone):
        expect(dialog.get_by_role("radio", name="Automatic")).to_be_checked()
        expect(dialog.locator("dd").last).to_have_text("tiled")
    wait_until(lambda: not kept.exists())

    keys.press("Escape")
    expect(wide).to_be_hidden()
    expect(pages[0].locator(".statusline .device")).to_be_focused()


def test_what_was_done_is_said_and_so_is_what_failed(wide: Locator, server: StudioServer) -> None:
    said, kept = wide.get_by_role("status"), server.settings.data_dir / "device.json"
    server.services.worker.context.generator  # noqa: B018
    wide.get_by_role("button", name="Free memory").click()
    expect(said).to_have_text("The models were unloaded; the next job loads them again.")
    kept.mkdir()
    try:
        wide.get_by_role("radio", name="leaf-offload").click()
        expect(said).to_contain_text("device.json could not be saved")
        expect(wide.get_by_role("radio", name="leaf-offload")).not_to_be_checked()
    finally:
        kept.rmdir()
