"""A checkpoint that is loaded before it is needed: only into free memory, and given up at once if asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import pytest
import torch
from recorder import Recorder

from webbduck_gradio.core import devices, interruptible
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import CancelledError


def never() -> None: ...


def stopping_after(calls: int) -> Callable[[], None]:
    left = [calls]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise CancelledError("Something else is wanted.")

    return check


def test_the_next_picture_finds_it_and_is_the_same(registry, starter, ask, paint) -> None:
    generator = ImageGenerator("cpu", registry)
    generator.preload(starter, never)
    assert generator.describe()["loaded"] == starter.name
    recorder = Recorder()
    (picture,) = generator.generate(ask(steps=1), starter, recorder)
    assert numpy.array_equal(picture.image, paint(steps=1)[0])
    assert "Loading webbduck-starter; the first picture takes longer" not in recorder.texts


def test_it_can_be_stopped_anywhere_and_leaves_nothing(registry, starter, ask, monkeypatch) -> None:
    """In a precision that is not torch's own, which the libraries switch to while they load."""
    monkeypatch.setattr(interruptible, "CHECK_SECONDS", 0)
    generator, usual = ImageGenerator("cpu", registry, precision="bfloat16"), torch.get_default_dtype()
    (expected,) = generator.generate(ask(steps=1), starter, Recorder())
    for calls in (0, 3, 40, 400, 1200):
        generator.free()
        with pytest.raises(CancelledError):
            generator.preload(starter, stopping_after(calls))
        assert generator.describe()["in_memory"] == []
        assert torch.get_default_dtype() == usual
    (picture,) = generator.generate(ask(steps=1), starter, Recorder())
    assert numpy.array_equal(picture.image, expected.image)


def test_another_one_in_memory_stays_alone(registry, starter) -> None:
    generator, refiner = ImageGenerator("cpu", registry), registry.checkpoint("refiner")
    generator.preload(refiner, never)
    generator.preload(starter, never)
    assert generator.describe()["in_memory"] == [refiner.name]


@pytest.mark.parametrize(("free", "loads"), [(0.99, False), (1.01, True)])
def test_nothing_is_loaded_that_does_not_fit(registry, starter, monkeypatch, free, loads) -> None:
    needed = starter.size_bytes * 2  # twice half precision
    monkeypatch.setattr(devices, "free_bytes", lambda device: int(free * needed))
    generator = ImageGenerator("cpu", registry)
    generator.preload(starter, never)
    assert generator.describe()["in_memory"] == [starter.name] * loads
