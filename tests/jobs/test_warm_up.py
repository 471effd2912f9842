"""The core's thread while it makes ready for the first job: it gives way to what is asked of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
from painter import Painter
from running import PATIENCE, wait_until

from webbduck_gradio.errors import ModelError
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.models.catalog.registry import Checkpoint


class Loading(Painter):
    """Loads until it is told to end, or its `check` stops it."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.end = threading.Event(), threading.Event()
        self.outcome = ""

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        self.began.set()
        self.outcome = "stopped"
        while not self.end.is_set():
            check()
            time.sleep(0.01)
        self.outcome = f"{checkpoint.name} loaded"


class Started:
    """A worker in the middle of `warm_up`."""

    def __init__(self, worker, core: Loading):
        self.worker, self.core = worker, core
        self._thread = threading.Thread(target=worker.warm_up)
        self._thread.start()
        assert core.began.wait(PATIENCE)

    def outcome(self) -> str:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.core.outcome


@pytest.fixture
def loading(make_worker) -> Started:
    core = Loading()
    return Started(make_worker(core), core)


def test_a_job_for_the_same_checkpoint_waits_for_it(store: JobStore, loading: Started, ask) -> None:
    job = store.submit(ask())
    ticket = threading.Thread(target=loading.worker.run_next)
    ticket.start()
    wait_until(lambda: loading.worker._unfinished == 2)
    loading.core.end.set()
    assert loading.outcome() == "webbduck-starter loaded"
    ticket.join()
    assert store.get(job.id).state == "completed"


def test_a_job_for_another_checkpoint_does_not_wait(store: JobStore, loading: Started, ask) -> None:
    job = store.submit(ask(base_model="another"))
    assert loading.worker.run_next() == job.id
    assert loading.outcome() == "stopped"


def test_a_choice_about_the_device_waits_for_it(loading: Started) -> None:
    loading.worker.context.device_choices.change(memory="tiled")
    loading.worker.apply_choice()
    assert loading.core.choice.memory is None
    loading.core.end.set()
    assert loading.outcome() == "webbduck-starter loaded"
    wait_until(lambda: loading.core.choice.memory == "tiled")


def test_freeing_the_memory_ends_it(loading: Started) -> None:
    loading.worker.free()
    assert loading.outcome() == "stopped"


def test_stopping_the_studio_ends_it(loading: Started) -> None:
    assert loading.worker.shutdown(PATIENCE)
    assert loading.outcome() == "stopped"


def test_with_jobs_waiting_for_another_checkpoint_it_does_not_begin(
    store: JobStore, make_worker, ask
) -> None:
    core = Loading()
    store.submit(ask(base_model="another"))
    make_worker(core).warm_up()
    assert not core.began.is_set()


@pytest.mark.parametrize("error", [ModelError("It is broken."), ZeroDivisionError()], ids=["said", "defect"])
def test_a_failure_is_for_the_log_only(store: JobStore, make_worker, ask, caplog, error) -> None:
    class Failing(Painter):
        def preload(self, *_) -> None:
            raise error

    worker = make_worker(Failing())
    worker.warm_up()
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert ("It is broken." in record.getMessage()) == isinstance(error, ModelError)
    assert (record.exc_info is None) == isinstance(error, ModelError)
    job = store.submit(ask())
    assert worker.run_next() == job.id and store.get(job.id).state == "completed"
