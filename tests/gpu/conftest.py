"""Tests of a graphics card: `python -m pytest -m gpu tests/gpu`. With `--gpu-device cpu` the same code runs
on the processor, which shows that the tests are right before they meet a card."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))

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
from pictures import psnr
from recorder import Recorder

from webbduck_gradio.core.devices import best_device, chosen_device
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation
from webbduck_gradio.gallery.input_images import InputImageStore

HERE = Path(__file__).parent
LEFT_OUT = "left out unless asked for: python -m pytest -m gpu tests/gpu takes a graphics card for itself"
NO_CARD = "there is no graphics card; --gpu-device cpu runs the same tests on the processor"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Left out in one place, so that the summary has one line for all."""
    is_asked = item.config.option.markexpr == "gpu"
    if not is_asked or (item.config.getoption("--gpu-device") is None and best_device() == "cpu"):
        pytest.skip(NO_CARD if is_asked else LEFT_OUT)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device that is tested, as `--device` has it."""
    return chosen_device(request.config.getoption("--gpu-device"))


@pytest.fixture(scope="session")
def kind(device: str) -> str:
    """The type of the device: cuda, xpu, mps or cpu."""
    return device.partition(":")[0]


@pytest.fixture(scope="session")
def new(device: str, registry: Any) -> Callable[..., Any]:  # noqa: F811
    """A generator on the device that has loaded nothing; float32 unless another precision is given."""

    def make(policy: str | None = "resident", precision: str | None = "float32", **more: Any) -> Any:
        inputs = InputImageStore(registry.settings)
        return ImageGenerator(device, registry, policy, precision, inputs, **more)

    return make


@pytest.fixture(scope="session")
def card(new: Callable[..., Any]) -> Any:
    """The generator on the device that most tests share."""
    return new()


Draw = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def draw(card: Any, registry: Any, ask: Any, image: str, mask: str) -> Draw:  # noqa: F811
    """The images of a small request; `by`: the generator, None = the shared one on the device. For `image`
    and `mask`, True means the shared input pictures."""

    def make(reporter: Any = None, on: Any = None, by: Any = None, **fields: Any) -> list[Any]:
        given = {"image": image, "mask": mask}
        asked = {"steps": 6} | fields
        request = ask(**{name: given[name] if value is True else value for name, value in asked.items()})
        checkpoint = registry.checkpoint(request.base_model)
        drawn = (by or card).generate(request, checkpoint, reporter or Recorder(), on or Continuation())
        return list(drawn)

    return make


@pytest.fixture(scope="session")
def same(kind: str) -> Callable[[Any, Any, float], None]:
    """Fail unless two pictures are as near as `bound` (dB); on the processor, equal."""

    def check(one: Any, other: Any, bound: float) -> None:
        found = psnr(one, other)
        assert found >= (math.inf if kind == "cpu" else bound), f"{found:.1f} dB"

    return check


@pytest.fixture(autouse=True)
def _nothing_left(kind: str) -> Iterator[None]:
    """The next test finds the card's memory as this one did."""
    yield
    if kind == "cuda":
        torch.cuda.set_per_process_memory_fraction(1.0)
