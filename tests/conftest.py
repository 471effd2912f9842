"""Fixtures that the tests share: the starter checkpoint and a studio's folders in a temporary place."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Several test processes at once, with the servers that they start: each takes its share of the cores.
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from running import STARTER, free_port, studio_settings

from webbduck_gradio import collector
from webbduck_gradio.settings import HOME, Settings

if TYPE_CHECKING:
    from webbduck_gradio.web.server import StudioServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gpu-device",
        metavar="DEVICE",
        help="what tests/gpu run on, with -m gpu: cuda, cuda:1, xpu, mps or cpu (default: the graphics card)",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: much of the time a test waits for its server or browser. Only
    one where a graphics card is tested, since each would take all of its memory."""
    return 0 if config.option.markexpr == "gpu" else (os.cpu_count() or 1) + 1


LONGEST_FIRST = ("browser", "jobs", "starter", "core", "tests", "ui")
"""Folders by how long one file of theirs takes; those of the others take seconds."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no process has one left when the others have ended."""
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The modules and tests that collecting makes stay to the end: the garbage collector, which is called
    whenever a model is loaded, need not go through half a million objects of theirs each time."""
    with collector.paused():
        collected = yield
    gc.collect()
    gc.freeze()
    return collected


@pytest.fixture(scope="session")
def starter_checkpoints() -> Path:
    """A `checkpoint/` folder that holds the bundled starter checkpoint."""
    for folder in (HOME / "checkpoint", Path(os.environ.get("WEBBDUCK_TEST_CHECKPOINTS", "/nonexistent"))):
        if (folder / "sdxl" / STARTER / "model_index.json").is_file():
            return folder
    pytest.fail("The starter checkpoint is not in checkpoint/sdxl/webbduck-starter.")


@pytest.fixture
def settings(tmp_path: Path, starter_checkpoints: Path) -> Settings:
    """Folders of its own for each test."""
    return studio_settings(tmp_path, starter_checkpoints)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    """One running studio for the tests that only use it: page, API, lane and the starter checkpoint."""
    from webbduck_gradio.web.server import StudioServer

    root = tmp_path_factory.mktemp("studio")
    server = StudioServer(studio_settings(root, starter_checkpoints, port=free_port()))
    server.start()
    yield server
    server.close()
