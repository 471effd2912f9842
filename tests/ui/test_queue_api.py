"""Steering the queue through the API: retry, pause, resume, move, and a client's own cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from running import PATIENCE, wait_until

SMALL = {"width": 64, "height": 64}


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


@pytest.fixture(autouse=True)
def resumed(studio) -> Iterator[None]:
    """Whatever a test does, the shared studio's queue is empty and runs again afterwards."""
    yield
    store = studio.services.store
    store.clear_queued()
    store.resume()
    if running := store.running():
        store.cancel(running.id)
    wait_until(lambda: store.running() is None)
    store.apply_to_many(store.cancel, [job.id for job in store.suspended()])


def submit(client: Client, prompt: str, **asked: Any) -> str:
    asked = {"steps": 2, "seed": 1, "wait_for_result": False, **SMALL, **asked}
    return client.predict(prompt, **asked, api_name="/generate")[1]["job_id"]


def job(client: Client, job_id: str) -> dict:
    return client.predict(job_id, api_name="/job")


def test_paused_jobs_wait_and_move_and_run_in_the_new_order(client: Client) -> None:
    assert client.predict(api_name="/pause")["paused"] is True
    first, second, third = (submit(client, f"a duck {n}") for n in range(3))
    time.sleep(1.0)
    assert client.predict(api_name="/queue")["active_job_id"] is None
    client.predict(third, 1, api_name="/move")
    queue = client.predict(first, "down", api_name="/move")
    assert [each["job_id"] for each in queue["jobs"]] == [third, second, first]
    assert [each["position"] for each in queue["jobs"]] == [1, 2, 3]
    with pytest.raises(AppError, match="The position must be"):
        client.predict(first, 9, api_name="/move")
    client.predict(api_name="/resume")
    wait_until(lambda: job(client, first)["status"] == "completed")
    ended = [each["job_id"] for each in client.predict(api_name="/queue")["recent"][:3]]
    assert ended == [first, second, third]


def test_retry_is_a_new_job_with_the_same_seeds(client: Client) -> None:
    client.predict(api_name="/pause")
    first = submit(client, "a duck", seed=None, num_images=2)
    client.predict(first, api_name="/cancel")
    again = client.predict(first, api_name="/retry")
    assert again["job_id"] != first
    assert again["request"] == job(client, first)["request"]
    with pytest.raises(AppError, match="only a failed, cancelled or interrupted job can be retried"):
        client.predict(again["job_id"], api_name="/retry")


def test_the_33rd_is_refused_and_nothing_is_lost(client: Client) -> None:
    client.predict(api_name="/pause")
    jobs = [submit(client, "a duck") for _ in range(32)]
    with pytest.raises(AppError, match="The queue is full: 32 jobs are waiting"):
        submit(client, "one too many")
    assert [each["job_id"] for each in client.predict(api_name="/queue")["jobs"]] == jobs


def test_a_clients_cancel_cancels_its_job_alone(studio, client: Client) -> None:
    # Eight pictures: what runs goes on until the end of the test, however slow the test is.
    calls = [
        client.submit(f"a duck {n}", steps=60, num_images=8, seed=n, **SMALL, api_name="/generate")
        for n in range(2)
    ]
    store = studio.services.store
    wait_until(lambda: store.running() is not None and len(store.queued()) == 1)
    wait_until(lambda: len(studio.services.calls) == 2)
    queued = store.queued()[0]
    running = store.running()
    by_prompt = {f"a duck {n}": call for n, call in enumerate(calls)}
    by_prompt[queued.request.prompt].cancel()
    wait_until(lambda: store.get(queued.id).state == "cancelled")
    step = store.get(running.id)
    assert (step.state, step.cancel_requested) == ("running", False)
    store.cancel(running.id, after_image=True)
    images, info = by_prompt[running.request.prompt].result(timeout=PATIENCE)
    assert info["job_id"] == running.id and len(images) == len(info["images"]) >= 1


def test_cancel_after_the_image_keeps_it(client: Client) -> None:
    running = submit(client, "a duck", steps=50, num_images=8)
    wait_until(lambda: job(client, running)["step"] > 0)
    client.predict(running, True, api_name="/cancel")
    wait_until(lambda: job(client, running)["status"] == "cancelled")
    ended = job(client, running)
    assert 1 <= len(ended["images"]) < 8
    assert f"{len(ended['images'])} of 8" in ended["headline"]


def test_put_aside_and_go_on(client: Client, studio) -> None:
    asked = {"steps": 40, "num_images": 2, "seed": 3}
    images, _ = client.predict("a duck", **asked, **SMALL, api_name="/generate")
    whole = submit(client, "a duck", **asked)
    wait_until(lambda: job(client, whole)["step"] > 0)
    client.predict(whole, api_name="/suspend")
    wait_until(lambda: job(client, whole)["status"] != "running")
    aside = job(client, whole)
    assert aside["status"] == "suspended"
    assert aside["can_continue"] is True
    at = aside["continues_at"]
    assert aside["headline"] == f"Put aside at image {at['image'] + 1} of 2, step {at['step']} of 40"
    queue = client.predict(api_name="/queue")
    assert [each["job_id"] for each in queue["suspended"]] == [whole]
    assert queue["counts"]["suspended"] == 1
    assert whole not in [each["job_id"] for each in queue["jobs"] + queue["recent"]]
    between = submit(client, "a boat")
    wait_until(lambda: job(client, between)["status"] == "completed")
    assert client.predict(whole, api_name="/continue")["job_id"] == whole
    wait_until(lambda: job(client, whole)["status"] == "completed")
    assert job(client, whole)["seeds"] == [3, 4]
    ended = [studio.settings.outputs / each for each in job(client, whole)["images"]]
    assert [Image.open(each).tobytes() for each in ended] == [Image.open(each).tobytes() for each in images]
    with pytest.raises(AppError, match="is completed; only a job that was put aside or interrupted"):
        client.predict(whole, api_name="/continue")
    with pytest.raises(AppError, match="cannot be put aside: it is already completed"):
        client.predict(whole, api_name="/suspend")


def test_a_waiting_call_ends_when_its_job_is_put_aside(client: Client, studio) -> None:
    store = studio.services.store
    call = client.submit("a duck", steps=150, num_images=8, seed=1, **SMALL, api_name="/generate")
    wait_until(lambda: (running := store.running()) is not None and running.step > 0)
    running = store.running()
    store.suspend(running.id)
    if store.get(running.id).images:  # a fast machine had one finished: it is returned, as after a cancel
        assert call.result(timeout=PATIENCE)[1]["status"] == "suspended"
    else:
        with pytest.raises(AppError, match=f"job {running.id} was put aside; /continue lets it go on"):
            call.result(timeout=PATIENCE)


def test_calls_leave_nothing_behind_in_gradio(client: Client, studio) -> None:
    """It would sum up its last ten thousand calls after each one."""
    for _ in range(20):
        client.predict(api_name="/caption_styles")
    # Nor does each job leave a session with a copy of the page.
    before = set(studio._page.state_holder.session_data)
    for number in range(5):
        client.predict(f"duck {number}", steps=1, seed=1, **SMALL, api_name="/generate")
    assert len(set(studio._page.state_holder.session_data) - before) <= 1
    queue = studio._page._queue
    assert queue.cached_event_analytics_summary == {"functions": {}}
