"""Many jobs in the Queue tab, and a paused queue in the Studio, with a stand-in for the core."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from running import free_port, studio_settings, wait_until
from windows import WIDE, Windows

from webbduck_gradio.request import SETTINGS, GenerationRequest
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer

sys.path.append(str(HOME / "tests" / "jobs"))
from painter import Painter

SHARED = ("webbduck-starter", "Text to image", "2 steps")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    root = tmp_path_factory.mktemp("rows")
    server = StudioServer(studio_settings(root, starter_checkpoints, port=free_port()))
    server.services.worker.context.make_generator = Painter
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def page(chromium: Browser, server: StudioServer) -> Iterator[Page]:
    windows = Windows(chromium)
    yield windows.open(server.url, **WIDE)
    windows.close()


def submit(server: StudioServer, *prompts: str) -> list[str]:
    return [
        server.services.store.submit(
            GenerationRequest.validated(
                base_model="webbduck-starter", steps=2, width=64, height=64, prompt=prompt, seed=seed
            )
        ).id
        for seed, prompt in enumerate(prompts)
    ]


def test_twenty_rows_fit_what_they_share_is_said_once_and_how_long_they_take(
    page: Page, server: StudioServer
) -> None:
    store = server.services.store
    (measured,) = submit(server, "measured")
    wait_until(lambda: store.get(measured).finished)
    with store.database.writing() as db:
        db.execute("UPDATE jobs SET seconds_per_step = 120")  # of two steps
    store.pause()
    submit(server, *(f"duck {n}" for n in range(20)))
    page.get_by_role("tab", name="Queue").click()
    rows = page.locator(".jobs.waiting .job")
    expect(rows).to_have_count(20)
    fully_seen = rows.evaluate_all(
        "rows => rows.filter((row) => row.getBoundingClientRect().bottom <= innerHeight).length"
    )
    assert fully_seen >= 14
    expect(page.locator(".queue .total")).to_have_text("20 jobs, about 1 h 20 min")
    common = page.locator(".common:visible")
    for fact in SHARED:
        expect(common.first).to_contain_text(fact)
        expect(rows.nth(3)).not_to_contain_text(fact)
    expect(rows.nth(3).locator(".facts")).to_have_text("seed 3")

    rows.nth(3).locator("summary").click()
    expect(rows.nth(3).locator("dl dt").first).to_be_visible()
    names = rows.nth(3).locator("dl dt").all_inner_texts()
    assert {"Prompt", "Steps", "Sampler"} <= set(names)
    assert SETTINGS["strength"].label not in names, "text to image has none"
    rows.nth(3).locator("summary").click()


def test_a_paused_queue_is_said_in_the_studio_and_resumed_there(page: Page, server: StudioServer) -> None:
    store = server.services.store
    store.pause()
    store.clear_queued()
    page.get_by_role("tab", name="Studio").click()
    line = page.locator(".statusline")
    expect(line.locator(".queue-part")).to_have_text("Queue empty, paused")
    line.get_by_role("button", name="Resume the queue").click()
    expect(line.locator(".queue-part")).to_have_text("Queue empty")
    expect(line.get_by_role("button", name="Resume the queue")).to_be_hidden()
    assert not store.paused

    store.pause()
    page.fill("#prompt textarea", "it waits")
    page.click("#generate")
    expect(page.locator(".now .headline")).to_have_text("Queued, next in line; the queue is paused")
    page.locator(".now").get_by_role("button", name="Resume").click()
    expect(page.locator(".now")).to_have_attribute("data-state", "completed")
    expect(page.locator(".now").get_by_role("button", name="Resume")).to_be_hidden()


def test_a_completed_job_is_queued_again_with_another_seed(page: Page, server: StudioServer) -> None:
    store = server.services.store
    store.resume()
    (first,) = submit(server, "once more")
    wait_until(lambda: store.get(first).finished)
    page.get_by_role("tab", name="Queue").click()
    done = page.locator(".jobs.ended .job[data-state=completed]", has_text="once more")
    done.get_by_role("button", name=re.compile("^Queue its settings again")).click()
    expect(done).to_have_count(2)
    latest, earlier = store.recent(2)
    assert latest.request.prompt == earlier.request.prompt
    assert latest.generation_request.seed != earlier.generation_request.seed
    assert store.get(first).images and latest.images
