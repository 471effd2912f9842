"""What a screen reader says, what can be told apart by contrast or in forced colours, with a stand-in for
the core."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from barriers import faint_borders, violations
from form_page import unfold_all
from playwright.sync_api import Browser, Page, expect
from running import PATIENCE, free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

TABS = ("Studio", "Gallery", "Queue", "LoRAs")
STEPS = 8
PACED = "a duck drawn step by step"
turns = threading.Semaphore(0)
"""One for each step of the job of this prompt."""


def await_turn(_image: int, _step: int, request: GenerationRequest) -> None:
    if request.prompt == PACED:
        turns.acquire(timeout=PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    root = tmp_path_factory.mktemp("aloud")
    server = StudioServer(studio_settings(root, starter_checkpoints, port=free_port()))
    server.services.worker.context.make_generator = lambda: Painter(await_turn)
    server.start()
    store = server.services.store
    for prompt, images in (("a batch of ducks", 4), ("one duck", 1)):
        request = {"base_model": "webbduck-starter", "steps": 2, "width": 64, "height": 64, "seed": 5}
        job = store.submit(GenerationRequest.validated(**request, prompt=prompt, num_images=images))
        wait_until(lambda job=job: store.get(job.id).finished)
    yield server
    server.close()


@pytest.fixture(scope="module")
def page(chromium: Browser, server: StudioServer) -> Iterator[Page]:
    windows = Windows(chromium)
    yield windows.open(server.url, **WIDE)
    windows.close()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.locator(f"#tab-{name.lower()}")).to_be_visible()


def test_progress_is_said_now_and_then_not_at_each_step(page: Page) -> None:
    open_tab(page, "Studio")
    page.evaluate(
        """window.said = [];
        new MutationObserver(() => window.said.push(document.querySelector('.spoken').textContent))
            .observe(document.querySelector('.spoken'), {childList: true, subtree: true})"""
    )
    page.fill("#prompt textarea", PACED)
    page.fill("#steps input", str(STEPS))
    page.click("#generate")
    for step in range(1, STEPS):
        turns.release()
        expect(page.locator(".now .headline")).to_contain_text(f"Step {step} of {STEPS}")
    turns.release()
    expect(page.locator(".now")).to_have_attribute("data-state", "completed")
    said = page.evaluate("window.said")
    assert len(said) <= 6, said  # that it waits, its start, at most three quarters, its end
    assert said[-1].startswith("Done in")
    live = page.locator("#stage :is([role=status], [aria-live]):visible")
    assert "headline" not in " ".join(live.evaluate_all("nodes => nodes.map((node) => node.className)"))


def test_pictures_and_cards_have_names_and_all_tabs_headings_and_landmarks(page: Page) -> None:
    open_tab(page, "Gallery")
    batch = page.get_by_role("article", name="a batch of ducks")
    expect(batch.get_by_role("button", name="Open: a batch of ducks, picture 2 of 4, seed 6")).to_be_visible()
    box = batch.get_by_role("checkbox", name="Select: a batch of ducks, picture 2 of 4, seed 6")
    expect(box).to_have_count(1)
    page.locator("[data-view=single]").click()
    expect(page.get_by_role("button", name="Open: one duck, seed 5")).to_be_visible()
    page.locator("[data-view=runs]").click()
    for tab in TABS:
        open_tab(page, tab)
        expect(page.get_by_role("heading", level=2).first).to_be_attached()
        expect(page.get_by_role("region").first).to_be_visible()
    open_tab(page, "Studio")
    for name in ("Settings", "Picture"):
        expect(page.get_by_role("heading", level=2, name=name, exact=True)).to_have_count(1)
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    open_tab(page, "LoRAs")
    page.locator("[data-section=checkpoints]").click()
    expect(page.get_by_role("article", name="webbduck-starter")).to_be_visible()


def test_fields_have_borders_that_can_be_seen(page: Page) -> None:
    try:
        for theme in ("dark", "light"):
            for tab in TABS:
                open_tab(page, tab)
                if tab == "Studio":
                    unfold_all(page)
                if tab == "Queue":
                    expect(page.locator(".queue .job input[type=checkbox]").first).to_be_visible()
                assert faint_borders(page) == [], f"{theme}, {tab}"
            page.evaluate("webbduckTheme.toggle()")
    finally:
        if not page.evaluate("webbduckTheme.isDark()"):
            page.evaluate("webbduckTheme.toggle()")


@pytest.mark.parametrize("tab", ["Gallery", "Queue"])
def test_no_barrier_where_there_are_pictures_and_jobs(page: Page, tab: str) -> None:
    open_tab(page, tab)
    expect(page.locator({"Gallery": "article img.there", "Queue": ".job"}[tab]).first).to_be_visible()
    assert violations(page, tab) == []


def test_forced_colours_leave_what_is_chosen_and_the_main_button_to_be_told(page: Page) -> None:
    def ground(selector: str) -> str:
        return page.locator(selector).first.evaluate("node => getComputedStyle(node).backgroundColor")

    open_tab(page, "Studio")
    page.emulate_media(forced_colors="active")
    try:
        pairs = (
            ("button[role=tab].selected", "button[role=tab]:not(.selected)"),
            (".size-presets label.selected", ".size-presets label:not(.selected)"),
            ("#generate", "#test"),
        )
        for chosen, other in pairs:
            assert ground(chosen) != ground(other), chosen
    finally:
        page.emulate_media(forced_colors="none")


def test_escape_closes_the_help_of_the_search_and_the_keys_of_all_tabs_are_listed(page: Page) -> None:
    open_tab(page, "Gallery")
    page.fill(".g-query", "duck")
    page.locator(".g-help summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".g-help dl")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".g-help dl")).to_be_hidden()
    expect(page.locator(".g-help summary")).to_be_focused()
    expect(page.locator(".g-query")).to_have_value("duck")
    page.fill(".g-query", "")
    page.locator(".g-help summary").press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    for title in ("Gallery", "Open picture", "Queue"):
        expect(keys.get_by_role("heading", name=title, exact=True)).to_be_visible()
    assert violations(page, "Keys") == []
    page.keyboard.press("Escape")
