"""Fixtures of the queue's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from webbduck_gradio.jobs.store import Store
from webbduck_gradio.request import GenerationRequest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".webbduck" / "jobs.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


@pytest.fixture
def ask():
    """Makes a small request; the prompt tells the jobs apart."""

    def make(prompt: str = "a red duck", **fields) -> GenerationRequest:
        small = {"base_model": "webbduck-starter", "width": 64, "height": 64, "steps": 2, "seed": 1}
        return GenerationRequest.of(prompt=prompt, **{**small, **fields})

    return make
