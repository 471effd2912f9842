"""What is used of Gradio's inside was read in one version of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import gradio as gr
import httpx
import pytest
import uvicorn
from gradio import http_server
from running import PATIENCE, free_port
from starlette.applications import Starlette

from webbduck_gradio.api import gradio_internals
from webbduck_gradio.web.connections import Connections, Limits, bounded


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("gradio") == gradio_internals.VERSION, "read api/gradio_internals.py anew"


def test_the_page_of_a_share_link_gets_its_scripts_from_here() -> None:
    tag = (
        b'<script type="module" crossorigin src="https://gradio.s3-us-west-2.amazonaws.com/6/x.js"></script>'
    )
    page = gradio_internals.page_served_locally(b'<link rel="manifest" href="/manifest.json">' + tag)
    assert b"https://" not in page and b'href="./manifest.json"' in page
    assert b'<script type="module"' in page and b"stylesheet" in page


def test_an_event_without_a_table_of_values_counts_as_nothing() -> None:
    for sent in (None, 3, "text", [1]):
        assert gradio_internals.event_data(gr.EventData(None, sent)) == {}
    assert gradio_internals.event_data(gr.EventData(None, {"id": "x"})) == {"id": "x"}


def test_a_call_copies_no_configuration_of_the_page(studio) -> None:
    with httpx.Client(base_url=studio.url, timeout=60) as client:
        for text in ("a cat", "a photo"):
            url = "/gradio_api/call/v2/tokenize"
            call = client.post(url, json={"text": text}).json()["event_id"]
            assert '"tokens": 2' in client.get(f"{url}/{call}").text
    holder, page = studio._page.state_holder, studio._page
    assert holder.session_data
    # Gradio adds what a call changes: at most its inputs and outputs.
    newest = next(reversed(holder.session_data.values()))
    assert len(newest.config_values) < len(page.blocks) / 2
    assert len(newest.blocks_config.blocks) >= len(page.blocks), "the page itself is there"


def test_a_server_at_rest_wakes_a_hundred_times_a_second_at_most(studio) -> None:
    assert studio._page._queue.sleep_when_free == 0.01 and not studio._page._queue.stopped


def test_the_page_leaves_out_what_only_the_api_has(studio) -> None:
    every = httpx.get(f"{studio.url}/config").json()
    shown = httpx.get(f"{studio.url}/config", params={"page": ""}).json()
    types = {each["id"]: each["type"] for each in every["components"]}
    assert "api" in types.values(), "programs read the endpoints there"
    assert [each["id"] for each in shown["components"]] == [key for key in types if types[key] != "api"]

    def placed(node: dict[str, Any]) -> Iterator[str]:
        for child in node.get("children", []):
            yield types[child["id"]]
            yield from placed(child)

    assert "api" in placed(every["layout"]) and "api" not in placed(shown["layout"])
    assert len(shown["dependencies"]) == len(every["dependencies"]), '"Use via API" shows all of them'


def server(lifespan: Any) -> http_server.Server:
    app = Starlette(lifespan=lifespan)
    return http_server.Server(uvicorn.Config(app, port=free_port(), log_level="critical"))


def test_a_server_that_starts_slowly_is_waited_for() -> None:
    begun, go_on = threading.Event(), threading.Event()

    @asynccontextmanager
    async def slow(app: Starlette) -> AsyncIterator[None]:
        begun.set()
        await anyio.to_thread.run_sync(go_on.wait)
        yield

    with bounded(Connections(Limits(), proxied=False)), ThreadPoolExecutor(1) as pool:
        slowly = server(slow)
        waiting = pool.submit(slowly.run_in_thread)
        assert begun.wait(PATIENCE)
        with pytest.raises(TimeoutError):
            waiting.result(6)  # Gradio gives up after five seconds
        go_on.set()
        waiting.result(PATIENCE)
        slowly.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_cannot_start_is_reported() -> None:
    @asynccontextmanager
    async def broken(app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("it cannot start")
        yield

    with (
        bounded(Connections(Limits(), proxied=False)),
        pytest.raises(gradio_internals.ServerFailedToStartError),
    ):
        server(broken).run_in_thread()
