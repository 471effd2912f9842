"""What the tests need to run a studio of their own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webbduck_gradio.settings import Settings

STARTER = "webbduck-starter"


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(happened: Callable[[], Any], seconds: float = 120) -> None:
    """Return as soon as `happened()` is true; fail when it is not after `seconds`."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
