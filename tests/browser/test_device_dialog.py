"""The dialog about the device, on a studio of its own with a stand-in for the core."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from running import free_port, studio_settings, wait_until

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


def open_dialog(page: Page) -> None:
    page.locator(".statusline .device").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Device")).to_be_visible()


def test_a_choice_by_keyboard_is_kept_and_shown_in_another_page(
    window: Callable[..., Page], server: StudioServer
) -> None:
    one, phone = window(server.url), window(server.url, viewport={"width": 390, "height": 844})
    open_dialog(one)
    dialog = one.get_by_role("dialog", name="Device")
    expect(dialog).to_contain_text("Starting up")
    expect(dialog).to_contain_text("started with --memory offload, which holds again")
    expect(dialog.get_by_role("radio", checked=True)).to_have_accessible_name("offload")
    server.services.worker.context.generator  # noqa: B018 - made, as it is after the start
    expect(dialog).to_contain_text("A card (CUDA:1)")
    for text in ("float16; bfloat16 for large checkpoints", "3.0 GiB of 12 GiB used", "duck-xl"):
        expect(dialog).to_contain_text(text)

    open_dialog(phone)
    other = phone.get_by_role("dialog", name="Device")
    one.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("radio", name="fp8")).to_be_checked()
    expect(dialog.get_by_role("radio", name="fp8")).to_have_accessible_description(
        "Also stores the UNet in 8 bits, which changes images"
    )
    expect(dialog.get_by_role("status")).to_have_text("Holds from the next job on.")
    expect(other.get_by_role("radio", name="fp8")).to_be_checked()
    expect(other.locator("dd").last).to_have_text("fp8")
    kept = server.settings.data_dir / "device.json"
    assert json.loads(kept.read_text()) == {"memory": "fp8", "compiled": False}

    other.get_by_role("switch").click()
    expect(dialog.get_by_role("switch")).to_be_checked()
    expect(dialog.get_by_text(NO_COMPILER)).to_be_visible()
    other.get_by_role("switch").click()
    expect(dialog.get_by_text(NO_COMPILER)).to_be_hidden()
    expect(dialog.get_by_role("switch")).not_to_be_checked()

    # Quick changes: the last one holds.
    for key in ("ArrowDown", "ArrowDown", "ArrowDown"):
        one.keyboard.press(key)
    for page in (dialog, other):
        expect(page.get_by_role("radio", name="Automatic")).to_be_checked()
        expect(page.locator("dd").last).to_have_text("tiled, chosen automatically")
    wait_until(lambda: not kept.exists())
    dialog.get_by_role("button", name="Free memory").click()
    expect(dialog.get_by_role("status")).to_have_text(
        "The models were unloaded; the next job loads them again."
    )
    one.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(one.locator(".statusline .device")).to_be_focused()


def test_what_cannot_be_kept_is_said_and_nothing_changes(
    window: Callable[..., Page], server: StudioServer
) -> None:
    kept = server.settings.data_dir / "device.json"
    kept.mkdir()
    try:
        page = window(server.url)
        open_dialog(page)
        dialog = page.get_by_role("dialog", name="Device")
        before = dialog.get_by_role("radio", checked=True).get_attribute("value")
        dialog.get_by_role("radio", name="leaf-offload").click()
        expect(dialog.get_by_role("status")).to_contain_text("device.json could not be saved")
        expect(dialog.get_by_role("radio", checked=True)).to_have_attribute("value", str(before))
    finally:
        kept.rmdir()


def test_the_first_tap_after_typing_on_a_phone_opens_it(
    window: Callable[..., Page], server: StudioServer
) -> None:
    page = window(server.url, viewport={"width": 390, "height": 844}, has_touch=True)
    page.locator("#prompt textarea").focus()
    page.locator(".statusline .device").tap()
    expect(page.get_by_role("dialog", name="Device")).to_be_visible()
