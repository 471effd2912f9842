"""The Queue tab in Chromium: what waits can be seen, ordered, paused, cancelled, retried, edited."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from webbduck_gradio.request import GenerationRequest


@pytest.fixture(autouse=True)
def paused(studio) -> Iterator[None]:
    """The queue stands still, so that what a test does to it is all that happens; it is empty afterwards."""
    store = studio.services.store
    store.clear_finished()
    store.pause()
    yield
    store.clear_queued()
    store.resume()
    if running := store.running():
        store.cancel(running.id)
    end = time.monotonic() + 60
    while store.running():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def queue(page: Page, studio) -> Page:
    """Three jobs that wait, and the tab open."""
    submit(studio, "first", "second", "third")
    page.get_by_role("tab", name="Queue").click()
    expect(rows(page)).to_have_count(3)
    return page


def submit(studio, *prompts: str) -> None:
    native = studio.services.registry.checkpoint("webbduck-starter").native_size
    for seed, prompt in enumerate(prompts):
        request = GenerationRequest.of(
            base_model="webbduck-starter", prompt=prompt, seed=seed, steps=2, width=native, height=native
        )
        studio.services.store.submit(request)


def rows(page: Page):
    return page.locator(".jobs.waiting .job")


def row(page: Page, prompt: str):
    return page.locator(".jobs .job", has=page.get_by_text(prompt, exact=True))


def expect_order(page: Page, *prompts: str) -> None:
    expect(rows(page).locator(".prompt")).to_have_text(list(prompts))


def test_the_tab_counts_what_is_open(queue: Page) -> None:
    expect(queue.get_by_role("tab", name="Queue")).to_have_attribute("data-count", "3, paused")
    expect(queue.locator(".queue .note")).to_contain_text("Paused")


def test_buttons_and_keyboard_reorder(queue: Page) -> None:
    row(queue, "third").get_by_role("button", name="Move to the top").click()
    expect_order(queue, "third", "first", "second")
    row(queue, "third").get_by_role("button", name="Move down").click()
    expect_order(queue, "first", "third", "second")
    row(queue, "second").locator("summary").focus()
    queue.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "first", "second", "third")
    queue.keyboard.press("Alt+ArrowUp")
    expect_order(queue, "second", "first", "third")


def test_dragging_reorders(queue: Page) -> None:
    row(queue, "third").drag_to(row(queue, "first"), source_position={"x": 300, "y": 10})
    expect_order(queue, "third", "first", "second")


def test_unfolded_details_and_the_choice_stay_when_something_changes(queue: Page, studio) -> None:
    row(queue, "second").locator("summary").click()
    row(queue, "third").get_by_role("checkbox").check()
    submit(studio, "fourth")
    expect(rows(queue)).to_have_count(4)
    expect(row(queue, "second").locator(".details")).to_be_visible()
    expect(row(queue, "second").locator(".details")).to_contain_text("webbduck-starter")
    expect(row(queue, "third").get_by_role("checkbox")).to_be_checked()
    expect(queue.locator(".chosen .count")).to_have_text("1 job chosen")


def test_several_are_cancelled_retried_and_removed_together(queue: Page, studio) -> None:
    for prompt in ("first", "third"):
        row(queue, prompt).get_by_role("checkbox").check()
    queue.locator(".chosen [data-each=cancel]").click()
    expect_order(queue, "second")
    ended = queue.locator(".jobs.ended .job[data-state=cancelled]")
    expect(ended.filter(has_text="first").first).to_be_visible()
    queue.locator(".chosen [data-each=retry]").click()
    expect(rows(queue)).to_have_count(3)
    before = len(studio.services.store.recent(100))
    queue.locator(".chosen [data-each=remove]").click()
    expect(queue.locator(".chosen")).to_be_hidden()
    assert len(studio.services.store.recent(100)) == before - 2


def test_resume_runs_them(queue: Page) -> None:
    queue.locator("[data-do=resume]").click()
    expect(rows(queue)).to_have_count(0, timeout=90_000)
    expect(queue.locator(".jobs.ended .job[data-state=completed]").first.locator(".prompt")).to_have_text(
        "third"
    )


def test_edit_as_new_fills_the_studio(queue: Page) -> None:
    row(queue, "second").get_by_role("button", name="Put its settings into the Studio").click()
    expect(queue.locator("#prompt textarea")).to_have_value("second")
    expect(queue.locator("#prompt textarea")).to_be_visible()
    expect(queue.locator("#steps input")).to_have_value("2")
    expect(queue.locator("#seed textarea, #seed input")).to_have_value("1")


def test_two_browsers_see_the_same(queue: Page, chromium: Browser, studio) -> None:
    context = chromium.new_context()
    other = context.new_page()
    other.goto(studio.url)
    other.wait_for_selector(".statusline .device")
    other.get_by_role("tab", name="Queue").click()
    expect_order(other, "first", "second", "third")
    row(other, "first").get_by_role("button", name="Move down").click()
    expect_order(queue, "second", "first", "third")
    row(queue, "second").locator(".cancel").click()
    expect_order(other, "first", "third")
    context.close()
