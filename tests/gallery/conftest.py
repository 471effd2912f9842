"""A gallery in a temporary folder."""

from __future__ import annotations

import pytest

from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.settings import Settings


@pytest.fixture
def outputs(settings: Settings) -> Outputs:
    return Outputs(settings)
