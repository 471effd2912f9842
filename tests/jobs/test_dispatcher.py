"""The dispatcher and the lane through a true Gradio server."""

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

from webbduck_gradio.api.gradio_internals import LAUNCH_OPTIONS
from webbduck_gradio.errors import RequestError
from webbduck_gradio.jobs.dispatcher import GPU_ENDPOINT, IDLE, Dispatcher, run_next_job
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.worker import Worker
from webbduck_gradio.web.connections import Connections, Limits, bounded

SECRET = "only-the-dispatcher-knows"
LOGIN = ("dispatcher-0123", "a-password")


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
        gr.api(
            gpu_lane,
            api_name=GPU_ENDPOINT,
            api_visibility="private",
            concurrency_id="gpu",
            concurrency_limit=1,
        )
    blocks.queue(api_open=False, default_concurrency_limit=1)
    with bounded(Connections(Limits(), proxied=False)):  # waits also for a start that takes longer than 5 s
        _, url, _ = blocks.launch(
            prevent_thread_lock=True, quiet=True, server_port=port or free_port(),
            auth=allowed if auth else None, server_name="127.0.0.1", enable_monitoring=False,
            **LAUNCH_OPTIONS,
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
def dispatchers() -> Iterator[list[Dispatcher]]:
    started: list[Dispatcher] = []
    yield started
    for dispatcher in started:
        dispatcher.stop(5)


@pytest.mark.parametrize("auth", [False, True], ids=["open", "with-login"])
def test_the_dispatcher_runs_all_jobs_in_order_through_gradio(
    store: JobStore, make_worker, ask, dispatchers, auth
) -> None:
    worker: Worker = make_worker(Painter())
    before = [store.submit(ask(f"before {n}")).id for n in range(3)]
    with served(lambda ticket: run_next_job(worker, ticket, SECRET), auth) as url:
        dispatcher = Dispatcher(store, url, SECRET, LOGIN if auth else None)
        dispatchers.append(dispatcher)
        dispatcher.start()
        after = [store.submit(ask(f"after {n}")).id for n in range(3)]
        wait_until(ended(store, 6))
        assert [job.id for job in reversed(store.recent())] == before + after
        assert {job.state for job in store.recent()} == {"completed"}
        dispatcher.stop(PATIENCE)
        assert not dispatcher.is_alive()
        left = store.submit(ask("nobody dispatchers any more"))
    assert store.get(left.id).state == "queued"


def test_a_ticket_of_somebody_else_runs_nothing(store: JobStore, make_worker, ask) -> None:
    worker = make_worker(Painter())
    store.submit(ask())
    for ticket in ("", "guess", SECRET + "x", "é", None, ["x"]):
        with pytest.raises(RequestError, match="internal to the studio"):
            run_next_job(worker, ticket, SECRET)  # type: ignore[arg-type]
    with served(lambda ticket: run_next_job(worker, ticket, SECRET)) as url:
        call = f"{url}gradio_api/call/{GPU_ENDPOINT}"
        event = httpx.post(call, json={"data": ["guess"]}, trust_env=False).json()["event_id"]
        answer = httpx.get(f"{call}/{event}", trust_env=False, timeout=PATIENCE).text
    assert "event: error" in answer
    assert store.counts()["queued"] == 1


def test_a_ticket_that_finds_no_job_is_spent(store: JobStore, make_worker) -> None:
    assert run_next_job(make_worker(Painter()), SECRET, SECRET) == IDLE


def test_a_lane_that_is_stopping_claims_nothing(store: JobStore, make_worker, ask) -> None:
    worker = make_worker(Painter())
    store.submit(ask())
    worker.shutdown()
    assert run_next_job(worker, SECRET, SECRET) == IDLE
    assert store.counts()["queued"] == 1


def test_the_dispatcher_survives_a_server_that_is_away_and_says_so_once(
    store: JobStore, make_worker, ask, dispatchers, caplog
) -> None:
    port = free_port()
    worker = make_worker(Painter())
    job = store.submit(ask())
    dispatcher = Dispatcher(store, f"http://127.0.0.1:{port}", SECRET)
    dispatcher.pause_after_error = 0.02
    tries = []
    ticket = dispatcher._post_ticket
    dispatcher._post_ticket = lambda client: (tries.append(1), ticket(client))  # type: ignore[method-assign]
    dispatchers.append(dispatcher)
    dispatcher.start()
    wait_until(lambda: len(tries) >= 4)
    assert caplog.text.count("The next job could not be started") == 1
    with served(lambda ticket: run_next_job(worker, ticket, SECRET), port=port):
        wait_until(lambda: store.get(job.id).ended)
    assert store.get(job.id).state == "completed"


def test_the_dispatcher_survives_a_lane_that_fails(store: JobStore, make_worker, ask, dispatchers) -> None:
    worker = make_worker(Painter())
    failing = iter(range(2))

    def lane(ticket: str) -> str:
        for _ in failing:
            raise RuntimeError("the database is away")
        return run_next_job(worker, ticket, SECRET)

    job = store.submit(ask())
    with served(lane) as url:
        dispatcher = Dispatcher(store, url, SECRET)
        dispatcher.pause_after_error = 0.02
        dispatchers.append(dispatcher)
        dispatcher.start()
        wait_until(lambda: store.get(job.id).ended)
    assert store.get(job.id).state == "completed"


def test_the_dispatcher_stands_no_chance_without_the_login(
    store: JobStore, make_worker, ask, dispatchers, caplog
) -> None:
    worker = make_worker(Painter())
    job = store.submit(ask())
    with served(lambda ticket: run_next_job(worker, ticket, SECRET), auth=True) as url:
        dispatcher = Dispatcher(store, url, SECRET)
        dispatcher.pause_after_error = 0.02
        dispatchers.append(dispatcher)
        dispatcher.start()
        wait_until(lambda: "401" in caplog.text)
        assert store.get(job.id).state == "queued"


def test_the_dispatcher_logs_in_again_when_the_server_forgot_it(
    store: JobStore, make_worker, ask, dispatchers
) -> None:
    worker = make_worker(Painter())
    port = free_port()
    dispatcher = Dispatcher(store, f"http://127.0.0.1:{port}/", SECRET, LOGIN)
    dispatcher.pause_after_error = 0.02
    dispatchers.append(dispatcher)
    for turn in range(2):
        job = store.submit(ask(f"turn {turn}"))
        with served(lambda ticket: run_next_job(worker, ticket, SECRET), auth=True, port=port):
            if not turn:
                dispatcher.start()
            wait_until(lambda job=job: store.get(job.id).ended)  # type: ignore[misc]
        assert store.get(job.id).state == "completed"


def test_gradios_own_cancel_frees_the_slot_but_no_second_job_runs(
    store: JobStore, make_worker, ask, dispatchers
) -> None:
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
        return run_next_job(worker, ticket, SECRET)

    with served(lane) as url:
        session = {"session_hash": "abc", "fn_index": 0}
        joined = httpx.post(
            f"{url}gradio_api/queue/join", json={"data": [SECRET], **session}, trust_env=False
        ).json()
        assert reached.wait(PATIENCE)
        httpx.post(
            f"{url}gradio_api/cancel", json={**session, "event_id": joined["event_id"]}, trust_env=False
        )
        dispatcher = Dispatcher(store, url, SECRET)
        dispatchers.append(dispatcher)
        dispatcher.start()
        assert waiting.wait(PATIENCE)  # the second ticket is in the lane while the first job still runs
        time.sleep(0.5)  # time enough to claim what it must not claim
        assert store.get(held.id).state == "running"
        assert store.get(other.id).state == "queued"
        release.set()
        wait_until(ended(store, 2))
    assert painter.most_active == 1
    assert {job.state for job in store.recent()} == {"completed"}
