"""Redrawing in tiles: no seams, the same scene, more detail; the same bits in any order and after a break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from making import store
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core import redraw, tile_blending
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation, GeneratedImage, UnfinishedState
from webbduck_gradio.core.sampling.canvas_noise import CanvasNoise, Window, canvas_noise
from webbduck_gradio.core.sampling.noise import BrownianNoise, Seeds, StepNoise
from webbduck_gradio.core.upscaling import size_of
from webbduck_gradio.errors import CancelledError, GenerationError, SuspendedError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import RedrawRequest
from webbduck_gradio.request.tiles import Tiles
from webbduck_gradio.starter.drawing.scenes import Attributes, draw

WORDS = "a yellow duck in a meadow"
DUCK = Attributes("duck", "yellow", "meadow", "day", "right", None, None)

Redraw = Callable[..., GeneratedImage]


@pytest.fixture(scope="module")
def drawing() -> Image.Image:
    """A drawing of the starter's kind, 256 x 256."""
    return Image.fromarray(draw(DUCK, seed=5))


@pytest.fixture(scope="module")
def do(generator: ImageGenerator, registry: Registry, ask: Any) -> Redraw:
    def make(
        image: Image.Image,
        recorder: Recorder | None = None,
        continuation: Continuation = Continuation(),
        tile_size: int = 64,
        overlap: int = 16,
        upscaler: str | None = None,
        **fields: Any,
    ) -> GeneratedImage:
        own = {name: fields.pop(name) for name in ("scale", "strength") if name in fields}
        tiles = Tiles.over(size_of(image.size, own.get("scale", 2.0)), tile_size, overlap)
        request = RedrawRequest(
            image="a/0.png",
            drawing=ask(width=tiles.width, height=tiles.height, **fields),
            tile_size=tile_size,
            overlap=overlap,
            **own,
        )
        model = registry.upscaler(upscaler) if upscaler else None
        checkpoint = registry.checkpoint(request.drawing.base_model)
        return generator.redraw(image, request, checkpoint, model, recorder or Recorder(), continuation)

    return make


def pixels(image: Image.Image) -> numpy.ndarray:
    return numpy.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("size", "side", "overlap"),
    [((64, 64), 64, 8), ((1000, 333), 128, 16), ((8192, 8191), 256, 32), ((10, 500), 64, 32)],
)
def test_tiles_cover_the_canvas_and_overlap_enough(size, side, overlap) -> None:
    tiles = Tiles.over(size, side, overlap)
    for starts, tile, length, asked in (
        (tiles.lefts, tiles.width, tiles.canvas[0], size[0]),
        (tiles.tops, tiles.height, tiles.canvas[1], size[1]),
    ):
        assert length >= asked and length % 8 == 0 and tile <= max(side, 64)
        assert starts[0] == 0 and starts[-1] + tile == length
        assert all(start % 8 == 0 for start in starts)
        assert all(one + tile - other >= overlap for one, other in zip(starts, starts[1:], strict=False))
        weights = numpy.zeros(length)
        for start, each in zip(starts, tile_blending.weights(starts, tile, length, overlap), strict=True):
            weights[start : start + tile] += each
        assert numpy.allclose(weights, 1)


def test_tiles_of_one_picture_are_joined_to_that_picture() -> None:
    picture = numpy.random.default_rng(0).integers(0, 255, (200, 168, 3)).astype(numpy.uint8)
    tiles = Tiles.over((168, 200), 64, 24)
    canvas = numpy.zeros_like(picture)

    def part(number: int) -> numpy.ndarray:
        left, top, right, bottom = tiles.box(number)
        return picture[top:bottom, left:right]

    tile_blending.blend(canvas, tiles, part)
    assert (canvas == picture).all()


@pytest.mark.parametrize("source", ["cpu", "nv"])
def test_noise_belongs_to_the_place_on_the_canvas(source) -> None:
    seeds = Seeds(seed=5, source=source, variation_seed=9, variation_strength=0.3, step_seed_delta=7)
    makers = {
        "steps": StepNoise,
        "path": lambda each, shape: BrownianNoise(each.seed, shape, (5.0, 2.0, 1.0, 0.0), each.source),
    }
    one, other = Window(60, 10), Window(70, 90)  # they share 22 rows and 8 columns
    shape = (4, 32, 88)
    first = [canvas_noise(seeds, shape, window) for window in (one, other)]
    assert (first[0][:, 10:, 80:] == first[1][:, :22, :8]).all()
    assert abs(float(first[0].mean())) < 0.05 and abs(float(first[0].std()) - 1) < 0.05
    for make in makers.values():
        noises = [CanvasNoise(seeds, shape, window, make) for window in (one, other)]
        for levels in ((5.0, 2.0), (2.0, 1.0)):
            drawn = [noise(first[0], *levels) for noise in noises]
            assert (drawn[0][:, 10:, 80:] == drawn[1][:, :22, :8]).all()
            assert abs(float(drawn[0].std()) - 1) < 0.1


def test_a_redrawn_picture_shows_the_same_in_more_detail_and_no_seam(do, drawing) -> None:
    asked = {"prompt": WORDS, "steps": 12, "strength": 0.35, "scheduler": "Euler", "cfg": 5.0}
    result = do(drawing, tile_size=256, overlap=64, **asked)
    drawn = pixels(result.image)
    plain = pixels(drawing.resize((512, 512), Image.Resampling.LANCZOS))
    assert drawn.shape == plain.shape and result.facts["tiles"] == 9
    # The same scene and colours.
    small = [pixels(Image.fromarray(each.astype(numpy.uint8)).resize((64, 64))) for each in (drawn, plain)]
    print("far", numpy.abs(small[0] - small[1]).mean(), (drawn - plain).mean(axis=(0, 1)))
    grad = lambda a: (numpy.abs(numpy.diff(a, axis=0)).mean(), numpy.abs(numpy.diff(a, axis=1)).mean())
    print("sharp", grad(drawn), grad(plain))
    Image.fromarray(drawn.astype(numpy.uint8)).save("/tmp/b18/tiles-redraw.png")
    Image.fromarray(plain.astype(numpy.uint8)).save("/tmp/b18/tiles-plain.png")
    dx = numpy.abs(numpy.diff(drawn, axis=1)).mean(axis=(0, 2))
    px = numpy.abs(numpy.diff(plain, axis=1)).mean(axis=(0, 2))
    print(numpy.round(dx[100:220] - px[100:220], 2))
