"""A studio with a password, for the tests of what is closed without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from running import free_port, studio_settings

if TYPE_CHECKING:
    from webbduck_gradio.web.server import StudioServer


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Iterator[StudioServer]:
    """A studio with the user duck and the password secret."""
    from webbduck_gradio.web.server import StudioServer

    root = tmp_path_factory.mktemp("locked")
    settings = studio_settings(root, starter_checkpoints, port=free_port(), auth=(("duck", "secret"),))
    server = StudioServer(settings)
    server.start()
    yield server
    server.close()
