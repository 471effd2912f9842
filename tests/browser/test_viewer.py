"""What the Studio's viewer says about a picture and does with it, with a stand-in for the core."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import violations
from form_page import put_away
from lora_files import make_lora
from playwright.sync_api import Browser, Page, expect
from running import PATIENCE, STARTER, free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

MISSING = "a duck <lora:not-there:1>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    settings = studio_settings(tmp_path_factory.mktemp("viewer"), starter_checkpoints, port=free_port())
    starter = settings.checkpoints / "sdxl" / STARTER
    make_lora(settings.loras / "crayon.safetensors", starter, {"modelspec.trigger_phrase": "in crayon"})
    server = StudioServer(settings)
    server.services.worker.context.make_generator = Painter
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def window(chromium: Browser, server: StudioServer) -> Iterator[Page]:
    windows = Windows(chromium)
    page = windows.open(server.url, **WIDE)
    for name in ("#width", "#height"):
        page.fill(f"{name} input", "128")
    page.fill("#steps input", "2")
    yield page
    windows.close()


@pytest.fixture
def page(window: Page) -> Page:
    """The Studio, showing a finished picture about which nothing is left to say."""
    put_away(window)
    window.get_by_role("tab", name="Studio").click()
    generate(window, "a plain duck")
    for opener in window.locator(".notes-button:visible").all():
        opener.click()
        notices = window.locator(".notes-list .notice")
        while count := notices.count():
            notices.first.get_by_role("button").click()
            expect(notices).to_have_count(count - 1)
    expect(window.locator(".notes-button")).to_be_hidden()
    return window


def generate(page: Page, prompt: str) -> None:
    """Make a picture and wait for it; the one before may be of the same prompt."""
    before = page.evaluate("document.querySelector('img.main')?.getAttribute('src') ?? ''")
    page.fill("#prompt textarea", prompt)
    page.click("#generate")
    page.wait_for_function(
        """([prompt, before]) => {
            const image = document.querySelector("img.main:not([hidden])");
            const source = image?.getAttribute("src") ?? "";
            return document.querySelector(".now[data-state=completed]")
                && image?.alt === prompt && source.startsWith("media/image/") && source !== before
                && document.querySelector(".frame:not(.waiting)");
        }""",
        arg=[prompt, before],
    )


def boxes(page: Page, *selectors: str) -> list[dict]:
    return [page.locator(each).first.bounding_box() for each in selectors]


def test_notices_take_no_room_and_information_is_no_warning(page: Page) -> None:
    before = boxes(page, ".frame", ".strip", ".statusline")
    generate(page, "a duck of many words <lora:crayon:1>")
    opener = page.locator(".notes-button")
    expect(opener).to_contain_text("2 notes")
    expect(page.get_by_role("button", name="2 notes (1 warning)")).to_be_visible()
    assert boxes(page, ".frame", ".strip", ".statusline") == before
    opener.click()
    notes = page.locator(".notes-list")
    expect(notes.locator(".notice.information")).to_contain_text("Note: Added to the prompt: in crayon")
    expect(notes.locator(".notice.warning")).to_contain_text("Warning: painted")
    looks = [
        notes.locator(f".{kind} svg").evaluate("svg => [svg.outerHTML, getComputedStyle(svg).stroke]")
        for kind in ("information", "warning")
    ]
    assert looks[0][0] != looks[1][0] and looks[0][1] != looks[1][1], "by shape as well as by colour"
    assert violations(page, "notes") == []
    notes.locator(".warning").get_by_role("button", name="Dismiss").click()
    expect(opener).to_contain_text("Note: Added to the prompt: in crayon")
    page.keyboard.press("Escape")
    expect(notes).to_be_hidden()
    expect(opener).to_be_focused()


def test_an_error_is_said_in_full_and_takes_no_room(page: Page) -> None:
    before = boxes(page, ".frame", ".statusline")
    page.fill("#prompt textarea", MISSING)
    page.click("#generate")
    error = page.locator(".stage .notice.error")
    expect(error).to_contain_text("Error: There is no LoRA named")
    expect(error).to_be_in_viewport()
    assert boxes(page, ".frame", ".statusline") == before
    page.fill("#prompt textarea", "a duck")
    error.get_by_role("button", name="Dismiss").click()
    expect(error).to_have_count(0)


def test_messages_appear_at_one_place_that_covers_nothing(page: Page) -> None:
    page.fill("#prompt textarea", MISSING)
    page.click("#generate")
    expect(page.locator(".stage .notice.error")).to_be_visible()
    places = []
    for tab in ("Studio", "Gallery", "Queue", "LoRAs"):
        page.get_by_role("tab", name=tab).click()
        page.evaluate(
            "async () => (await webbduckModule('shared/toast.js')).toast('A message of some words.', () => 0)"
        )
        places += boxes(page, "#toast")
        lower = page.locator("#toast").evaluate("node => node.getBoundingClientRect().bottom")
        assert lower <= page.locator("#tabs > .tab-wrapper").evaluate(
            "bar => bar.getBoundingClientRect().bottom"
        )
        left = places[-1]["x"]
        for each in page.get_by_role("tab").all():
            box = each.bounding_box()
            assert box is None or box["x"] + box["width"] <= left
    assert places == places[:1] * 4


def upscale(page: Page, upscaler: str, scale: str) -> None:
    page.hover("img.main")
    page.get_by_role("button", name="Upscale", exact=True).click()
    menu = page.get_by_role("group", name="Upscale", exact=True)
    menu.get_by_role("radio", name=upscaler).check()
    menu.get_by_role("button", name=scale).click()


def test_upscaling_is_chosen_followed_and_found_again(
    page: Page, server: StudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    slow = Painter.upscale

    def one_tile_at_a_time(painter, image, request, model, reporter):
        reporter.step(0, 1, 4)
        going.wait(PATIENCE)
        return slow(painter, image, request, model, reporter)

    monkeypatch.setattr(Painter, "upscale", one_tile_at_a_time)
    expect(page.locator(".picture-size")).to_have_text("64 × 64 px")
    expect(page.locator(".strip button")).to_have_count(0)
    original = page.get_attribute("img.main", "src")
    upscale(page, "Lanczos", "4× 256 × 256 px")
    expect(page.locator(".now .headline")).to_have_text("Upscaling 4×: tile 1 of 4")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("aria-valuenow", "25")
    page.locator(".now .cancel").click()
    wait_until(lambda: server.services.store.running().cancel_requested)
    going.set()
    expect(page.locator(".now .headline")).to_contain_text("Done")
    assert page.get_attribute("img.main", "src") == original
    expect(page.locator(".stage .notice.error")).to_have_count(0)
    going.clear()
    upscale(page, "Lanczos", "2× 128 × 128 px")
    expect(page.locator(".now .headline")).to_contain_text("Upscaling 2×")
    assert server.services.store.running().request.upscaler == "Lanczos"
    going.set()
    expect(page.locator(".picture-size")).to_have_text("128 × 128 px, upscaled")
    entries = page.locator(".strip button")
    expect(entries).to_have_count(2)
    expect(page.get_by_role("button", name="Picture 1 of 1, upscaled")).to_have_attribute(
        "aria-pressed", "true"
    )
    entries.first.click()
    expect(page.locator(".picture-size")).to_have_text("64 × 64 px")
    page.reload()
    expect(entries).to_have_count(2)
    page.get_by_role("button", name="Picture 1 of 1, upscaled").click()
    expect(page.locator(".picture-size")).to_have_text("128 × 128 px, upscaled")


def test_the_gallery_upscales_in_the_same_way_and_says_when_it_is_done(page: Page) -> None:
    page.get_by_role("tab", name="Gallery").click()
    page.locator(".cell .open").first.click()
    box = page.locator(".lightbox")
    expect(box.locator(".info h3")).to_have_text("a plain duck")
    box.get_by_role("button", name="Upscale", exact=True).click()
    menu = box.get_by_role("group", name="Upscale", exact=True)
    expect(menu.get_by_role("radio", name="Lanczos")).to_be_checked()
    assert violations(page, "upscale menu") == []
    menu.get_by_role("button", name="2× 128 × 128 px").click()
    toast = box.locator("#toast")
    expect(toast).to_contain_text("0.png was upscaled 2× with Lanczos.")
    toast.get_by_role("button", name="Show").click()
    expect(box.locator(".info")).to_contain_text("128 × 128 px")
