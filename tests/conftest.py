"""Fixtures that the tests share: the starter checkpoint and a studio's folders in a temporary place."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from webbduck_gradio.settings import HOME, Settings

if TYPE_CHECKING:
    from webbduck_gradio.ui.server import StudioServer

STARTER = "webbduck-starter"


@pytest.fixture(scope="session")
def starter_checkpoints() -> Path:
    """A `checkpoint/` folder that holds the bundled starter checkpoint."""
    for folder in (HOME / "checkpoint", Path(os.environ.get("WEBBDUCK_TEST_CHECKPOINTS", "/nonexistent"))):
        if (folder / "sdxl" / STARTER / "model_index.json").is_file():
            return folder
    pytest.fail("The starter checkpoint is not in checkpoint/sdxl/webbduck-starter.")


def studio_settings(root: Path, starter_checkpoints: Path, **more: Any) -> Settings:
    """Settings with folders of their own below `root`; the checkpoint folder links to the starter."""
    checkpoints = root / "checkpoint"
    (checkpoints / "sdxl").mkdir(parents=True)
    (checkpoints / "sdxl" / STARTER).symlink_to(starter_checkpoints / "sdxl" / STARTER)
    settings = Settings(
        checkpoints=checkpoints,
        loras=root / "lora",
        outputs=root / "outputs",
        inputs=root / "inpaint_input",
        **more,
    )
    settings.make_folders()
    return settings


@pytest.fixture
def settings(tmp_path: Path, starter_checkpoints: Path) -> Settings:
    """Folders of its own for each test."""
    return studio_settings(tmp_path, starter_checkpoints)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    """One running studio for the tests that only use it: page, API, lane and the starter checkpoint."""
    from webbduck_gradio.ui.server import StudioServer

    root = tmp_path_factory.mktemp("studio")
    server = StudioServer(studio_settings(root, starter_checkpoints, port=free_port()))
    server.start()
    yield server
    server.close()
