"""Fixtures that the tests share: the starter checkpoint and a studio's folders in a temporary place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from webbduck_gradio.settings import HOME, Settings

STARTER = "webbduck-starter"


@pytest.fixture(scope="session")
def starter_checkpoints() -> Path:
    """A `checkpoint/` folder that holds the bundled starter checkpoint."""
    for folder in (HOME / "checkpoint", Path(os.environ.get("WEBBDUCK_TEST_CHECKPOINTS", "/nonexistent"))):
        if (folder / "sdxl" / STARTER / "model_index.json").is_file():
            return folder
    pytest.fail("The starter checkpoint is not in checkpoint/sdxl/webbduck-starter.")


@pytest.fixture
def settings(tmp_path: Path, starter_checkpoints: Path) -> Settings:
    """Folders of its own for each test; the checkpoint folder links to the starter."""
    checkpoints = tmp_path / "checkpoint"
    (checkpoints / "sdxl").mkdir(parents=True)
    (checkpoints / "sdxl" / STARTER).symlink_to(starter_checkpoints / "sdxl" / STARTER)
    settings = Settings(
        checkpoints=checkpoints,
        loras=tmp_path / "lora",
        outputs=tmp_path / "outputs",
        inputs=tmp_path / "inpaint_input",
    )
    settings.make_folders()
    return settings
