"""Fixtures of the queue's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.jobs.context import JobContext
from webbduck_gradio.jobs.store import JobStore
from webbduck_gradio.jobs.worker import Worker
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.data_dir / "jobs.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[JobStore]:
    store = JobStore(path)
    yield store
    store.close()


@pytest.fixture
def make_worker(store: JobStore, settings: Settings) -> Callable[..., Worker]:
    """Makes a worker on the fixture's store with the generator that it is given."""

    def make(generator) -> Worker:
        inputs = InputImageStore(settings)
        context = JobContext(settings, Registry(settings), Outputs(settings), inputs, lambda: generator)
        return Worker(store, context)

    return make


@pytest.fixture
def ask():
    """Makes a small request; the prompt tells the jobs apart."""

    def make(prompt: str = "a red duck", **fields) -> GenerationRequest:
        small = {"base_model": "webbduck-starter", "width": 64, "height": 64, "steps": 2, "seed": 1}
        return GenerationRequest.validated(prompt=prompt, **{**small, **fields})

    return make
