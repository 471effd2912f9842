"""What the gallery's grid is laid out by: counts, shapes and days of all that a listing shows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from itertools import chain, pairwise, repeat
from typing import Any

import pytest
from gallery_helpers import finished_run, old_run, picture

from webbduck_gradio.gallery.index.rows import MAX_SHOWN
from webbduck_gradio.gallery.index.sort import ORDERS
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.run_layout import ImageInfo
from webbduck_gradio.settings import Settings

SIZES = ((16, 16), (48, 16), (16, 24))


def decoded(encoded: list[tuple[int, Any]]) -> list[Any]:
    """And nothing is said twice."""
    values = [value for _, value in encoded]
    assert all(one != other for one, other in pairwise(values))
    return list(chain.from_iterable(repeat(value, length) for length, value in encoded))


def shapes(images: Iterable[ImageInfo]) -> list[int]:
    return [1000 * image.width // image.height if image.width and image.height else 1000 for image in images]


@pytest.fixture
def days(settings: Settings, outputs: Outputs) -> list[str]:
    """Runs of one size and of several, over three days at noon; the days, newest first."""
    noons = [time.mktime((2026, 3, day, 12, 0, 0, 0, 0, -1)) for day in (28, 28, 29, 30, 30)]
    for number, noon in enumerate(noons):
        run = finished_run(outputs, 1 + number, prompt=f"duck {'odd' if number % 2 else 'even'}")
        for index in range(1 + number):
            size = SIZES[(number + index * (number > 2)) % 3]
            picture(size=size).save(settings.outputs / run.id / f"{index}.png")
        meta = settings.outputs / run.id / "meta.json"
        meta.write_text(json.dumps(json.loads(meta.read_text()) | {"timestamp": noon + number}))
    outputs.save_upscaled(
        f"{run.id}/0.png", picture(size=(100, 10)), 2, "Lanczos"
    )  # stands with its original
    return ["2026-03-30", "2026-03-30", "2026-03-29", "2026-03-28", "2026-03-28"]


@pytest.mark.parametrize("query", ["", "duck", "odd"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_layout_agrees_with_the_lists(outputs: Outputs, days: list[str], order: str, query: str) -> None:
    runs, images = outputs.runs(0, 50, query, order), outputs.images(0, 50, query, order)
    layout, flat = outputs.layout(query, order), outputs.layout(query, order, flat=True)
    assert layout.counts == [len(run.images) for run in runs]
    assert decoded(layout.shapes) == shapes(image for run in runs for image in run.images)
    assert (len(flat.counts), decoded(flat.shapes)) == (len(images), shapes(images))
    if order == "newest":
        expected = days if query != "odd" else [days[1], days[3]]
        assert decoded(layout.days) == expected
        assert decoded(flat.days) == [
            day for day, run in zip(expected, runs, strict=True) for _ in run.images
        ]
    elif order == "oldest":
        assert decoded(layout.days) == (days[::-1] if query != "odd" else [days[3], days[1]])
    else:
        assert layout.days == flat.days == []


def test_a_large_folder_of_mixed_sizes_is_laid_out_as_it_is_shown(
    settings: Settings, outputs: Outputs
) -> None:
    old_run(settings, "many", images=MAX_SHOWN + 5)
    picture(size=(48, 16)).save(settings.outputs / "many" / "0.png")
    for query in ("", "name:many"):
        for order in ("newest", "oldest"):
            (run,) = outputs.runs(query=query, order=order)
            layout = outputs.layout(query, order)
            assert layout.counts == [MAX_SHOWN]
            assert decoded(layout.shapes) == shapes(run.images)


def test_what_has_no_size_is_square(settings: Settings, outputs: Outputs) -> None:
    (settings.outputs / "broken.png").write_bytes(b"")
    assert outputs.layout().shapes == outputs.layout(flat=True).shapes == [(1, 1000)]
