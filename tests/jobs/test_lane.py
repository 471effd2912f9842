"""The pump and the lane through a true Gradio server."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from painter import Painter
from running import PATIENCE, free_port, wait_until

from webbduck_gradio.errors import RequestError
from webbduck_gradio.jobs.dispatcher import IDLE, LANE, Dispatcher, claim_and_run
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.worker import Worker

SECRET = "only-the-pump-knows"
LOGIN = ("pump-0123", "a-password")


@contextmanager
def served(lane: Callable[[str], str], auth: bool = False, port: int | None = None) -> Iterator[str]:
    """A minimal studio: nothing but the lane, as the page registers it."""
    import gradio as gr

    def gpu_lane(ticket: str) -> str:
        try:
            return lane(ticket)
        except RequestError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def allowed(name: str, password: str) -> bool:
        return hmac.compare_digest((name + password).encode(), "".join(LOGIN).encode())

    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.api(gpu_lane, api_name=LANE, api_visibility="private", concurrency_id="gpu", concurrency_limit=1)
    blocks.queue(api_open=False, default_concurrency_limit=1)
    _, url, _ = blocks.launch(
        prevent_thread_lock=True, quiet=True, server_port=port or free_port(), auth=allowed if auth else None,
        server_name="127.0.0.1", enable_monitoring=False,
    )  # fmt: skip
    try:
        yield url
    finally:
        blocks.close(verbose=False)


def ended(store: JobStore, count: int) -> Callable[[], bool]:
    return lambda: (
        sum(n for state, n in store.counts().items() if state not in ("queued", "running")) == count
    )


@pytest.fixture
def pumps() -> Iterator[list[Dispatcher]]:
    started: list[Dispatcher] = []
    yield started
    for pump in started:
        pump.stop(5)


@pytest.mark.parametrize("auth", [False, True], ids=["open", "with-login"])
def test_the_pump_runs_all_jobs_in_order_through_gradio(
    store: JobStore, make_worker, ask, pumps, auth
) -> None:
    worker: Worker = make_worker(Painter())
    before = [store.submit(ask(f"before {n}")).id for n in range(3)]
    with served(lambda ticket: claim_and_run(store, worker, ticket, SECRET), auth) as url:
        pump = Dispatcher(store, url, SECRET, LOGIN if auth else None)
        pumps.append(pump)
        pump.start()
        after = [store.submit(ask(f"after {n}")).id for n in range(3)]
        wait_until(ended(store, 6))
        assert [job.id for job in reversed(store.recent())] == before + after
        assert {job.state for job in store.recent()} == {"completed"}
        pump.stop(PATIENCE)
        assert not pump.is_alive()
        left = store.submit(ask("nobody pumps any more"))
    assert store.get(left.id).state == "queued"


def test_a_ticket_of_somebody_else_runs_nothing(store: JobStore, make_worker, ask) -> None:
    worker = make_worker(Painter())
    store.submit(ask())
    for ticket in ("", "guess", SECRET + "x", "é", None, ["x"]):
        with pytest.raises(RequestError, match="the studio's own"):
            claim_and_run(store, worker, ticket, SECRET)  # type: ignore[arg-type]
    with served(lambda ticket: claim_and_run(store, worker, ticket, SECRET)) as url:
        call = f"{url}gradio_api/call/{LANE}"
        event = httpx.post(call, json={"data": ["guess"]}, trust_env=False).json()["event_id"]
        answer = httpx.get(f"{call}/{event}", trust_env=False, timeout=PATIENCE).text
    assert "event: error" in answer
    assert store.counts()["queued"] == 1


def test_a_ticket_that_finds_no_job_is_spent(store: JobStore, make_worker) -> None:
    assert claim_and_run(store, make_worker(Painter()), SECRET, SECRET) == IDLE


def test_a_lane_that_is_stopping_claims_nothing(store: JobStore, make_worker, ask) -> None:
    worker = make_worker(Painter())
    store.submit(ask())
    worker.shutdown()
    assert claim_and_run(store, worker, SECRET, SECRET) == IDLE
    assert store.counts()["queued"] == 1


def test_the_pump_survives_a_server_that_is_away_and_says_so_once(
    store: JobStore, make_worker, ask, pumps, caplog
) -> None:
    port = free_port()
    worker = make_worker(Painter())
    job = store.submit(ask())
    pump = Dispatcher(store, f"http://127.0.0.1:{port}", SECRET)
    pump.pause_after_error = 0.02
    tries = []
    ticket = pump._ticket
    pump._ticket = lambda client: (tries.append(1), ticket(client))  # type: ignore[method-assign]
    pumps.append(pump)
    pump.start()
    wait_until(lambda: len(tries) >= 4)
    with served(lambda ticket: claim_and_run(store, worker, ticket, SECRET), port=port):
        wait_until(lambda: store.get(job.id).ended)
    assert store.get(job.id).state == "completed"
    assert caplog.text.count("The lane could not be fed") == 1


def test_the_pump_survives_a_lane_that_fails(store: JobStore, make_worker, ask, pumps) -> None:
    worker = make_worker(Painter())
    failing = iter(range(2))

    def lane(ticket: str) -> str:
        for _ in failing:
            raise RuntimeError("the database is away")
        return claim_and_run(store, worker, ticket, SECRET)

    job = store.submit(ask())
    with served(lane) as url:
        pump = Dispatcher(store, url, SECRET)
        pump.pause_after_error = 0.02
        pumps.append(pump)
        pump.start()
        wait_until(lambda: store.get(job.id).ended)
    assert store.get(job.id).state == "completed"


def test_the_pump_stands_no_chance_without_the_login(
    store: JobStore, make_worker, ask, pumps, caplog
) -> None:
    worker = make_worker(Painter())
    job = store.submit(ask())
    with served(lambda ticket: claim_and_run(store, worker, ticket, SECRET), auth=True) as url:
        pump = Dispatcher(store, url, SECRET)
        pump.pause_after_error = 0.02
        pumps.append(pump)
        pump.start()
        wait_until(lambda: "401" in caplog.text)
        assert store.get(job.id).state == "queued"


def test_the_pump_logs_in_again_when_the_server_forgot_it(store: JobStore, make_worker, ask, pumps) -> None:
    worker = make_worker(Painter())
    port = free_port()
    pump = Dispatcher(store, f"http://127.0.0.1:{port}/", SECRET, LOGIN)
    pump.pause_after_error = 0.02
    pumps.append(pump)
    for turn in range(2):
        job = store.submit(ask(f"turn {turn}"))
        with served(lambda ticket: claim_and_run(store, worker, ticket, SECRET), auth=True, port=port):
            if not turn:
                pump.start()
            wait_until(lambda job=job: store.get(job.id).ended)  # type: ignore[misc]
        assert store.get(job.id).state == "completed"


def test_gradios_own_cancel_frees_the_slot_but_not_the_lock(store: JobStore, make_worker, ask, pumps) -> None:
    """Whoever cancels the lane's event in Gradio cannot make two jobs run at once."""
    reached, release = threading.Event(), threading.Event()

    def hold(image: int, step: int, request) -> None:
        if request.prompt == "held":
            reached.set()
            release.wait(PATIENCE)

    painter = Painter(hold)
    worker = make_worker(painter)
    held, other = store.submit(ask("held")), store.submit(ask("other"))
    waiting = threading.Event()

    def lane(ticket: str) -> str:
        if reached.is_set():
            waiting.set()
        return claim_and_run(store, worker, ticket, SECRET)

    with served(lane) as url:
        session = {"session_hash": "abc", "fn_index": 0}
        joined = httpx.post(
            f"{url}gradio_api/queue/join", json={"data": [SECRET], **session}, trust_env=False
        ).json()
        assert reached.wait(PATIENCE)
        httpx.post(
            f"{url}gradio_api/cancel", json={**session, "event_id": joined["event_id"]}, trust_env=False
        )
        pump = Dispatcher(store, url, SECRET)
        pumps.append(pump)
        pump.start()
        assert waiting.wait(PATIENCE)  # the second ticket is in the lane while the first job still runs
        time.sleep(0.5)  # time enough to claim what it must not claim
        assert store.get(held.id).state == "running"
        assert store.get(other.id).state == "queued"
        release.set()
        wait_until(ended(store, 2))
    assert painter.most_active == 1
    assert {job.state for job in store.recent()} == {"completed"}
