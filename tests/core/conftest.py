"""The real generator on the real starter checkpoint; loaded once, since it keeps what it has loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from recorder import Recorder

from webbduck_gradio.core.generation import Generator
from webbduck_gradio.models.registry import Checkpoint, Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings


@pytest.fixture(scope="session")
def registry(starter_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("studio")
    settings = Settings(
        checkpoints=starter_checkpoints, loras=folder, outputs=folder / "out", inputs=folder / "in"
    )
    return Registry(settings)


@pytest.fixture(scope="session")
def starter(registry: Registry) -> Checkpoint:
    return registry.checkpoint("webbduck-starter")


@pytest.fixture(scope="session")
def generator() -> Generator:
    return Generator("cpu")


@pytest.fixture(scope="session")
def pipe(generator: Generator, starter: Checkpoint) -> Any:
    return generator.pipelines.get(starter, lambda text: None)


Ask = Callable[..., GenerationRequest]


@pytest.fixture(scope="session")
def ask(registry: Registry) -> Ask:
    """A small, quick request; what is given replaces it."""

    def make(**fields: Any) -> GenerationRequest:
        quick = {"prompt": "a red duck on a pond", "seed": 7, "steps": 4, "width": 64, "height": 64}
        return registry.settle(quick | fields)

    return make


Paint = Callable[..., list[numpy.ndarray]]


@pytest.fixture(scope="session")
def paint(generator: Generator, starter: Checkpoint, ask: Ask) -> Paint:
    """The pixels of each picture of a request."""

    def make(**fields: Any) -> list[numpy.ndarray]:
        return [numpy.asarray(each.image) for each in generator.generate(ask(**fields), starter, Recorder())]

    return make
