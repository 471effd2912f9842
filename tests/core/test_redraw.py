"""Redrawing in tiles: no seams, the same scene, more detail; the same bits again and after a break."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core import devices, tile_blending, vae
from webbduck_gradio.core.progress import Continuation, GeneratedImage, UnfinishedState
from webbduck_gradio.core.sampling import tiled
from webbduck_gradio.core.upscaling import size_of
from webbduck_gradio.errors import CancelledError, GenerationError, SuspendedError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import CaptionRequest, RedrawRequest
from webbduck_gradio.request.tiles import Tiles, Tiling
from webbduck_gradio.settings import HOME, Settings
from webbduck_gradio.starter.drawing.scenes import Attributes, draw
from webbduck_gradio.starter.evaluation.measures import sharpness, subject_colour

DUCK = Attributes("duck", "yellow", "meadow", "day", "right", None, None)
START = Continuation()

Redraw = Callable[..., GeneratedImage]


@pytest.fixture(scope="module")
def drawing() -> Image.Image:
    """A drawing of the starter's kind, 256 x 256."""
    return Image.fromarray(draw(DUCK, seed=5))


@pytest.fixture(scope="module")
def small(drawing) -> Image.Image:
    return drawing.resize((48, 40), Image.Resampling.BOX)


@pytest.fixture(scope="module")
def do(generator, registry, ask) -> Redraw:
    def make(
        image: Image.Image,
        recorder: Recorder | None = None,
        on: Continuation = START,
        tile_size: int = 64,
        overlap: int = 32,
        scale: float = 2.0,
        strength: float = 0.5,
        tiling: Tiling = "none",
        **fields: Any,
    ) -> GeneratedImage:
        tiles = Tiles.over(size_of(image.size, scale), tile_size, overlap, tiling)
        request = RedrawRequest(
            image="a/0.png",
            drawing=ask(width=tiles.width, height=tiles.height, **fields),
            tile_size=tile_size,
            overlap=overlap,
            scale=scale,
            strength=strength,
            tiling=tiling,
        )
        checkpoint = registry.checkpoint(request.drawing.base_model)
        return generator.redraw(image, request, checkpoint, None, recorder or Recorder(), on)

    return make


@pytest.fixture(scope="module")
def plain(do, small) -> GeneratedImage:
    """The small picture at twice its size, in four tiles and two steps."""
    return do(small)


@pytest.fixture(scope="module")
def redrawn(do, drawing) -> GeneratedImage:
    """The drawing at 512 x 512, in nine tiles."""
    asked = {"prompt": "a yellow duck in a meadow", "scheduler": "Euler", "cfg": 4.0}
    return do(drawing, tile_size=256, overlap=64, steps=10, strength=0.2, **asked)


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
        assert all(one + tile - other >= overlap for one, other in pairwise(starts))
        total = numpy.zeros(length)
        for start, each in zip(starts, tile_blending.weights(starts, tile, length, overlap), strict=True):
            total[start : start + tile] += each
        assert numpy.allclose(total, 1)


def test_tiles_of_one_picture_are_joined_to_that_picture() -> None:
    picture = numpy.random.default_rng(0).integers(0, 255, (200, 168, 3)).astype(numpy.uint8)
    tiles = Tiles.over((168, 200), 64, 24)
    canvas = numpy.zeros_like(picture)

    def part(number: int) -> numpy.ndarray:
        left, top, right, bottom = tiles.box(number)
        return picture[top:bottom, left:right]

    tile_blending.blend(canvas, tiles, part)
    assert (canvas == picture).all()


@pytest.mark.parametrize(
    ("size", "side", "overlap"),
    [((64, 128), 64, 8), ((1000, 336), 128, 16), ((8192, 72), 256, 32), ((264, 520), 256, 128)],
)
def test_tiles_of_a_seamless_picture_go_on_at_the_opposite_border(size, side, overlap) -> None:
    tiles = Tiles.over(size, side, overlap, "both")
    assert tiles.canvas == size
    for starts, tile, length in zip(
        (tiles.lefts, tiles.tops), (tiles.width, tiles.height), size, strict=True
    ):
        assert starts[0] == 0 and all(start % 8 == 0 for start in starts) and tile <= length
        if tile < length:
            ends = [start + tile for start in starts]
            assert all(end - other >= overlap for end, other in zip(ends, (*starts[1:], length), strict=True))
        total = numpy.zeros(length)
        for start, each in zip(starts, tile_blending.weights(starts, tile, length, overlap), strict=True):
            total[numpy.arange(start, start + tile) % length] += each
        assert numpy.allclose(total, 1)
    picture = numpy.random.default_rng(0).integers(0, 255, (*size[::-1], 3)).astype(numpy.uint8)
    canvas = numpy.zeros_like(picture)

    def part(number: int) -> numpy.ndarray:
        left, top, right, bottom = tiles.box(number)
        return picture.take(range(top, bottom), 0, mode="wrap").take(range(left, right), 1, mode="wrap")

    tile_blending.blend(canvas, tiles, part)
    assert (canvas == picture).all()


def border(picture: Image.Image, axis: int) -> float:
    """Difference over the border, as a share of the mean one between neighbours inside."""
    pixels = numpy.asarray(picture).astype(float)
    across = numpy.abs(pixels.take(0, axis) - pixels.take(-1, axis)).mean()
    return float(across / numpy.abs(numpy.diff(pixels, axis=axis)).mean())


@pytest.mark.parametrize("tile_size", [64, 128])
def test_a_seamless_picture_stays_so(do, paint, tile_size) -> None:
    """In tiles that go over the border, and in one that is as large as the picture."""
    asked = {"prompt": "a yellow duck in a green meadow", "seed": 5}
    (pixels,) = paint(**asked, width=128, height=128, steps=6, tiling="both")
    seamless = Image.fromarray(pixels.astype("uint8"))
    more = {**asked, "tile_size": tile_size, "scale": 1.0, "strength": 0.8, "steps": 6}
    plain, kept = do(seamless, **more), do(seamless, **more, tiling="both")
    for axis in (0, 1):
        assert border(kept.image, axis) < 2 < 4 < border(plain.image, axis)


def seam(picture: numpy.ndarray, plain: numpy.ndarray) -> float:
    """How much steeper what was drawn is at the borders of tiles than beside them; 1 = no steeper. Compared
    at multiples of 8 px, where the VAE's own cells meet as well."""
    tiles = Tiles.over(picture.shape[1::-1], 256, 64)
    steep, beside = [], []
    for axis, starts in ((1, tiles.lefts), (0, tiles.tops)):
        added = numpy.abs(numpy.diff(picture.astype(float) - plain, axis=axis)).mean(axis=(1 - axis, 2))
        ends = {end for start in starts for end in (start, start + 256) if 0 < end < len(added)}
        steep += [added[end - 1] for end in ends]
        beside += [added[end + away - 1] for end in ends for away in (-32, -24, -16, -8, 8, 16, 24, 32)]
    return float(numpy.mean(steep) / numpy.mean(beside))


def test_no_seam_is_above_the_noise_of_the_picture(redrawn, drawing) -> None:
    picture = numpy.asarray(redrawn.image)
    plain = numpy.asarray(drawing.resize((512, 512), Image.Resampling.LANCZOS)).astype(float)
    assert seam(picture, plain) < 1.2
    broken = picture.astype(float)
    broken[:, 256:] += 6  # of 255
    assert seam(broken, plain) > 1.3


def test_scene_and_colour_are_kept_and_edges_are_sharper(redrawn, drawing, generator, tmp_path) -> None:
    picture = numpy.asarray(redrawn.image)
    plain = numpy.asarray(drawing.resize((512, 512), Image.Resampling.LANCZOS))
    assert redrawn.image.size == (512, 512) and redrawn.facts["tiles"] == 9
    assert subject_colour(picture, "duck", "meadow", "day") == "yellow"
    assert numpy.abs(picture.mean(axis=(0, 1)) - plain.mean(axis=(0, 1))).max() < 4
    assert sharpness(picture) > 1.1 * sharpness(plain)
    bundled = Registry(Settings(checkpoints=HOME / "checkpoint", loras=tmp_path)).captioner(None)
    words, _ = generator.caption(redrawn.image, CaptionRequest(image="a/0.png"), bundled)
    assert "yellow duck" in words and "meadow" in words


def test_again_it_is_the_same_to_the_bit_and_another_seed_is_not(do, small, plain) -> None:
    assert do(small).image.tobytes() == plain.image.tobytes()
    other = do(small, seed=plain.seed + 1)
    assert other.seed == plain.seed + 1 and other.image.tobytes() != plain.image.tobytes()


def test_the_order_of_the_tiles_does_not_matter(do, small, plain, monkeypatch) -> None:
    forwards = numpy.asarray(plain.image).astype(int)
    parts = tiled.parts
    monkeypatch.setattr(tiled, "parts", lambda *given: reversed(list(parts(*given))))
    backwards = numpy.asarray(do(small).image).astype(int)
    assert numpy.abs(forwards - backwards).max() <= 1  # sums of float32 in another order


def test_transparency_is_kept_at_a_size_that_is_no_multiple(do, small) -> None:
    picture = small.convert("RGBA")
    alpha = Image.linear_gradient("L").resize(small.size)
    picture.putalpha(alpha)
    result = do(picture, scale=2.3)
    assert result.image.size == (110, 92) and result.facts["tiles"] == 6
    larger = alpha.resize(result.image.size, Image.Resampling.LANCZOS)
    assert result.image.mode == "RGBA" and result.image.getchannel("A").tobytes() == larger.tobytes()


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ SDE", "Heun", "DPM++ 2M"])
def test_samplers_of_all_kinds_draw_it(do, small, sampler) -> None:
    recorder = Recorder(previews=True)
    result = do(small, recorder, sampler=sampler)
    assert recorder.steps[-1][1:] == (2, 2) and len(recorder.previews) == 2
    assert "Step 1 of 2, tile 1 of 4" in recorder.texts and result.image.size == (96, 80)


class Stop(Recorder):
    """Cancels when it is told a text."""

    def __init__(self, text: str):
        super().__init__()
        self.text = text

    def check(self) -> None:
        if self.text in self.texts:
            raise CancelledError("Stopped.")


@pytest.mark.parametrize(
    "text", ["Reading, tile 2 of 4", "Step 2 of 2, tile 3 of 4", "Decoding, tile 2 of 4"]
)
def test_it_can_be_cancelled_at_each_tile(do, small, text) -> None:
    recorder = Stop(text)
    with pytest.raises(CancelledError):
        do(small, recorder)
    assert recorder.texts[-1] == text


class Saver(Recorder):
    """Is put aside after the first step."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.saved = path, False

    def wants_state(self) -> bool:
        return not self.saved

    def state(self, state: UnfinishedState) -> None:
        assert (state.index, state.step, state.total) == self.steps[-1]
        with self.path.open("wb") as file:
            state.write(file)
        self.saved = True

    def check(self) -> None:
        if self.saved:
            raise SuspendedError("Put aside.")


def test_put_aside_it_goes_on_to_the_same_bits(do, small, tmp_path) -> None:
    path = tmp_path / "state.safetensors"
    whole = do(small, sampler="DPM++ 2M SDE", steps=6)
    with pytest.raises(SuspendedError):
        do(small, Saver(path), sampler="DPM++ 2M SDE", steps=6)
    recorder = Recorder()
    on = Continuation(0, path)
    assert do(small, recorder, on, sampler="DPM++ 2M SDE", steps=6).image.tobytes() == whole.image.tobytes()
    assert [step for _, step, _ in recorder.steps] == [2, 3]
    with pytest.raises(GenerationError, match="input picture has changed"):
        do(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT), None, on, sampler="DPM++ 2M SDE", steps=6)


def test_memory_that_runs_out_while_decoding_costs_no_step(do, small, plain, generator, monkeypatch) -> None:
    decode, refused = vae.decode, []

    def short(*given: Any) -> Any:
        if not refused:
            refused.append(True)
            raise torch.OutOfMemoryError("out of memory")
        return decode(*given)

    monkeypatch.setattr(vae, "decode", short)
    recorder = Recorder()
    before = generator.pipelines.policy
    try:
        result = do(small, recorder)
    finally:
        generator.pipelines.choose(before.name)
        generator.pipelines.choose(None)
    assert devices.is_out_of_memory(torch.OutOfMemoryError("out of memory"))
    assert [step for _, step, _ in recorder.steps] == [1, 2]
    assert any("Memory ran out" in text for text in result.warnings)
    assert result.image.size == plain.image.size
