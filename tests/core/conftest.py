"""The fixtures that these tests share with those of a graphics card."""

import pytest
from core_fixtures import (  # noqa: F401
    ask,
    folders,
    generator,
    image,
    mask,
    paint,
    pipe,
    registry,
    starter,
)

from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.core.image_generator import ImageGenerator


@pytest.fixture(autouse=True)
def usual_policy(request: pytest.FixtureRequest) -> None:
    """What ran out of memory on purpose is forgotten: all tests of a process share one generator."""
    shared = request.getfixturevalue("generator") if "generator" in request.fixturenames else None
    if isinstance(shared, ImageGenerator):  # a parameter of this name is something else
        shared.choose(DeviceChoice())
