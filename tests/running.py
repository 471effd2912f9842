"""What the tests need to run a studio of their own."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webbduck_gradio.settings import HOME, Settings

if TYPE_CHECKING:
    from webbduck_gradio.web.server import StudioServer

STARTER = "webbduck-starter"
APP = HOME / "app.py"
PAINTED_APP = HOME / "tests" / "painted_app.py"
"""The same with a stand-in for the core, which starts without torch."""
PATIENCE = 300.0
"""Seconds after which a test gives up; only a defect takes that long, also on a loaded machine."""
WORKERS = 14
"""Most test processes at once (pytest-xdist); each looks for free ports in a range of its own."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
PORTS = range(18_000 + 1_000 * WORKER, 19_000 + 1_000 * WORKER)
"""Below those that the system hands out for connections, which could take a free one at any moment."""


def studio_settings(root: Path, starter_checkpoints: Path, **more: Any) -> Settings:
    """Settings with folders of their own below `root`; the checkpoint folder links to the starter. Nothing is
    loaded before the first job, unless `preload` asks for it."""
    checkpoints = root / "checkpoint"
    (checkpoints / "sdxl").mkdir(parents=True)
    (checkpoints / "sdxl" / STARTER).symlink_to(starter_checkpoints / "sdxl" / STARTER)
    settings = Settings(
        checkpoints=checkpoints,
        loras=root / "lora",
        outputs=root / "outputs",
        inputs=root / "inpaint_input",
        tags=root / "tags",
        wildcards=root / "wildcards",
        styles=root / "styles.csv",
        **{"preload": False, **more},
    )
    settings.make_folders()
    return settings


@contextmanager
def starter_detector(studio: StudioServer, starter_checkpoints: Path) -> Iterator[None]:
    """The starter's detector in a studio that tests share. Afterwards its folder stays, empty: one that is
    gone would be taken for a drive that comes back."""
    folder = studio.settings.checkpoints / "detect"
    shutil.copytree(starter_checkpoints / "detect", folder, dirs_exist_ok=True)
    wait_until(studio.services.registry.detectors)
    yield
    for each in folder.iterdir():
        each.unlink()
    wait_until(lambda: not studio.services.registry.detectors())


def free_port() -> int:
    """A port that nobody listens at."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_until(happened: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Return as soon as `happened()` is true; fail when it is not after `seconds`."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
