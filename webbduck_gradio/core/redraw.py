"""Redraws an enlarged picture tile by tile with img2img ("Upscale with detail").

Each tile is drawn from the enlarged picture alone, never from its neighbours, and from noise that depends on
its place (`sampling.canvas_noise`), so that the order of the tiles does not matter. Finished tiles are kept
as PNG files in memory until all are there.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from ..errors import GenerationError, OutOfMemoryError
from ..models.catalog.registry import Checkpoint
from ..models.upscalers import LANCZOS, Upscaler
from ..request import RedrawRequest
from ..request.tiles import Tiles
from . import tile_blending, unfinished_redraw
from .facts import facts_of
from .modes.img2img import encoded
from .one_image import PreparedJob, decoded, translate_errors
from .progress import Continuation, GeneratedImage, ProgressReporter
from .sampling.canvas_noise import Window
from .sampling.guidance import guidance_of
from .sampling.loop import LATENT_PIXELS, SamplingRun
from .slow_steps import SlowSteps
from .unfinished import FOREIGN
from .unfinished_redraw import UnfinishedRedraw

if TYPE_CHECKING:
    from .image_generator import ImageGenerator
    from .progress import UnfinishedState

PREVIEW_SIDE = 768
"""Longest side of the previews, which show the whole picture."""
FASTEST = 1
"""PNG compression of the finished tiles."""


def redrawn(
    generator: ImageGenerator,
    image: Image.Image,
    request: RedrawRequest,
    checkpoint: Checkpoint,
    upscaler: Upscaler | None,
    reporter: ProgressReporter,
    continuation: Continuation,
) -> GeneratedImage:
    """As `ImageGenerator.redraw`."""
    saved = unfinished_redraw.read(continuation.state) if continuation.state else None
    enlarged, notes = generator.upscaled(
        image, request.scale, upscaler, StatusReporter(reporter, "Upscaling")
    )
    alpha = enlarged.getchannel("A") if enlarged.mode == "RGBA" else None
    enlarged = enlarged.convert("RGB")
    drawing, pipelines = request.drawing, generator.pipelines
    pipelines.start_job((drawing.width, drawing.height), guidance_of(drawing).rows, [checkpoint])
    pipelines.compiling.start_job(reporter)

    def prepare(saved: UnfinishedRedraw | None) -> PreparedJob:
        return generator.prepare(drawing, checkpoint, reporter, saved, [enlarged])

    work = Redrawing(request, enlarged, reporter, prepare)
    picture = work.draw(saved, generator.fall_back)
    if alpha is not None:
        picture.putalpha(alpha)
    assert work.plan is not None
    facts = {
        **facts_of(work.plan, pipelines, generator.threads, 1),
        "upscaler": upscaler.name if upscaler else LANCZOS,
        "tiles": work.count,
    }
    texts = (*notes, *work.warnings, *work.memory_warnings, *filter(None, [pipelines.compile_problem]))
    return GeneratedImage(0, drawing.seed, picture, tuple(dict.fromkeys(texts)), facts)


Prepare = Callable[[UnfinishedRedraw | None], PreparedJob]
"""Loads what draws the tiles, and checks whether a saved state may go on."""


class Redrawing:
    """One picture that is being redrawn."""

    def __init__(
        self,
        request: RedrawRequest,
        enlarged: Image.Image,
        reporter: ProgressReporter,
        prepare: Prepare,
        slow_steps: SlowSteps | None = None,
    ):
        """`enlarged`: RGB, of the result's size. `slow_steps`: as `one_image.draw` takes it."""
        self._request, self._size = request, enlarged.size
        self._tiles = Tiles.over(enlarged.size, request.tile_size, request.overlap)
        self._canvas = _extended(enlarged, self._tiles.canvas)
        self._prepare, self._slow_steps = prepare, slow_steps
        self._reporter = TileReporter(reporter, self._tiles, enlarged)
        self.warnings: list[str] = []
        self.memory_warnings: list[str] = []
        self._drawn: list[bytes] = []
        self.plan: PreparedJob | None = None

    def draw(self, saved: UnfinishedRedraw | None, fall_back: Callable[[bool], str | None]) -> Image.Image:
        """The redrawn picture (RGB). `fall_back(decoding)`: make memory free after it ran out, and say how;
        None if nothing is left to try. Raises what `ImageGenerator.generate` raises."""
        if saved is not None:
            if len(saved.tiles) > self._tiles.count:
                raise GenerationError(FOREIGN)
            self._drawn += saved.tiles
            self.warnings += saved.warnings
            self.memory_warnings += saved.memory_warnings
        while len(self._drawn) < self._tiles.count or self.plan is None:
            try:
                if self.plan is None:
                    self.plan = translate_errors(self._request.drawing, partial(self._prepare, saved))
                    self.warnings += self.plan.caveats
                while len(self._drawn) < self._tiles.count:
                    number = len(self._drawn)
                    tile = translate_errors(self._request.drawing, partial(self._draw_tile, number))
                    self._finish_tile(number, tile)
                break
            except OutOfMemoryError as error:
                message, decoding = str(error), error.decoding
            # Outside the handler: its error's traceback keeps the tensors alive.
            self.plan = saved = None
            if (warning := fall_back(decoding)) is None:
                raise OutOfMemoryError(message)
            self.memory_warnings.append(warning)
        tile_blending.blend(self._canvas, self._tiles, self._pixels)
        self._drawn.clear()
        width, height = self._size
        return Image.fromarray(self._canvas[:height, :width])

    def _draw_tile(self, number: int) -> Image.Image:
        assert self.plan is not None
        left, top, right, bottom = self._tiles.box(number)
        self._reporter.begin(number)
        self._reporter.check()
        run = SamplingRun(self.plan.request, 0, self._reporter, slow_steps=self._slow_steps)
        model = self.plan.first
        latents = encoded(run, model, Image.fromarray(self._canvas[top:bottom, left:right]))
        sampling = run.begin(
            model,
            (self._tiles.width, self._tiles.height),
            steps=self._request.tile_steps,
            latents=latents,
            window=Window(top // LATENT_PIXELS, left // LATENT_PIXELS),
        )
        (tile,) = decoded(run, model, sampling.sample(model))
        self.warnings += run.warnings
        return tile

    def _finish_tile(self, number: int, tile: Image.Image) -> None:
        assert self.plan is not None
        file = io.BytesIO()
        tile.save(file, "PNG", compress_level=FASTEST)
        self._drawn.append(file.getvalue())
        reporter = self._reporter
        reporter.finished(number, tile)
        if len(self._drawn) < self._tiles.count and reporter.all.wants_state():
            step, total = reporter.place
            reporter.all.state(
                UnfinishedRedraw(
                    step=step,
                    total=total,
                    tiles=tuple(self._drawn),
                    warnings=tuple(dict.fromkeys(self.warnings)),
                    memory_warnings=tuple(self.memory_warnings),
                    origin=self.plan.origin(),
                )
            )
        reporter.all.check()

    def _pixels(self, number: int) -> numpy.ndarray:
        with Image.open(io.BytesIO(self._drawn[number]), formats=("PNG",)) as tile:
            pixels = numpy.asarray(tile)
        if pixels.shape != (self._tiles.height, self._tiles.width, 3):
            raise GenerationError(FOREIGN)
        return pixels

    @property
    def count(self) -> int:
        return self._tiles.count


class StatusReporter:
    """Reports the steps of something that comes before the picture's own steps as its status. `all`: the
    job's own reporter."""

    def __init__(self, reporter: ProgressReporter, name: str):
        self.all, self._name = reporter, name

    def step(self, image_index: int, step: int, total: int) -> None:
        self.all.status(f"{self._name}, tile {step} of {total}")

    def status(self, text: str) -> None:
        self.all.status(text)

    def check(self) -> None:
        self.all.check()

    def wants_preview(self) -> bool:
        return False

    def preview(self, image: Image.Image) -> None:
        """Never called."""

    def wants_state(self) -> bool:
        return False

    def state(self, state: UnfinishedState) -> None:
        """Never called."""


class TileReporter:
    """Reports the progress of one tile as a part of the whole picture's. A `ProgressReporter`; `all`: the
    job's own.

    Within a tile no state is saved; the job can be put aside after it.
    """

    def __init__(self, reporter: ProgressReporter, tiles: Tiles, enlarged: Image.Image):
        self.all = reporter
        self._tiles, self._number, self._steps = tiles, 0, 0
        self.place = 0, 0
        """Step and total, as they were reported last."""
        self._small = enlarged.copy() if max(enlarged.size) <= PREVIEW_SIDE else _thumbnail(enlarged)
        self._factor = self._small.width / enlarged.width

    def begin(self, number: int) -> None:
        """Tile `number` is drawn from now on."""
        self._number = number

    def finished(self, number: int, tile: Image.Image) -> None:
        """Tile `number` is drawn."""
        self._show(number, tile)
        if self.all.wants_preview():
            self.all.preview(self._small.copy())

    def step(self, image_index: int, step: int, total: int) -> None:
        # A sampler with adaptive steps may take more than it planned.
        self._steps = max(self._steps, total)
        whole = self._tiles.count * self._steps
        self.place = self._number * self._steps + step, whole
        self.all.step(0, *self.place)

    def preview(self, image: Image.Image) -> None:
        self._show(self._number, image)
        self.all.preview(self._small.copy())

    def _show(self, number: int, image: Image.Image) -> None:
        left, top, right, bottom = (round(side * self._factor) for side in self._tiles.box(number))
        self._small.paste(image.resize((max(1, right - left), max(1, bottom - top))), (left, top))

    def wants_preview(self) -> bool:
        return self.all.wants_preview()

    def check(self) -> None:
        self.all.check()

    def wants_state(self) -> bool:
        return False

    def state(self, state: UnfinishedState) -> None:
        """Never called."""

    def status(self, text: str) -> None:
        self.all.status(text)


def _thumbnail(image: Image.Image) -> Image.Image:
    factor = PREVIEW_SIDE / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def _extended(image: Image.Image, size: tuple[int, int]) -> numpy.ndarray:
    """Pixels (height, width, 3) of `size`, whose last row and column are repeated where `image` ends."""
    pixels = numpy.asarray(image)
    beyond = size[1] - image.height, size[0] - image.width
    if beyond == (0, 0):
        return pixels.copy()
    return numpy.pad(pixels, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
