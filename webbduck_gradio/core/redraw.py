"""Redraws an enlarged picture in tiles with img2img ("Upscale with detail").

The whole picture's latents go through the sampler together, with one noise for all of it; the UNet and the
VAE see them tile by tile (`sampling.tiled`). So neighbouring tiles agree at each step, the state after a step
is that of any picture, and of what is as large as the result only 8 bits a colour are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy
import torch
from PIL import Image

from ..errors import GenerationError, OutOfMemoryError
from ..models.catalog.registry import Checkpoint
from ..models.upscalers import LANCZOS, Upscaler
from ..models.vaes import Vae
from ..request import GenerationRequest, RedrawRequest
from ..request.tiles import Tiling
from . import seamless, tile_blending, unfinished
from .checkpoint_cache import CheckpointCache
from .facts import facts_of
from .modes.img2img import encoded
from .modes.passes import decoded
from .one_image import PreparedJob, translate_errors
from .origin import digest
from .progress import Continuation, GeneratedImage, ProgressReporter
from .sampling.loop import SamplingRun, within
from .sampling.tiled import parts
from .slow_steps import SlowSteps
from .tile_reporter import TileReporter
from .unfinished import FOREIGN, Unfinished

ENLARGED, READ, DRAWN = 0.04, 0.08, 0.92
"""About what share of the work is done after the upscaler, after encoding and after the steps."""


class Generator(Protocol):
    """What of `ImageGenerator` is needed here."""

    pipelines: CheckpointCache
    threads: int

    def upscaled(
        self,
        image: Image.Image,
        scale: float,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
        *,
        tiling: Tiling,
    ) -> tuple[Image.Image, tuple[str, ...]]: ...

    def prepare(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        saved: Unfinished | None,
        inputs: Sequence[str] = (),
    ) -> PreparedJob: ...

    def vae(self, request: GenerationRequest) -> Vae | None: ...

    def rows(self, request: GenerationRequest) -> int: ...

    def fall_back(self, decoding: bool) -> str | None: ...


def redrawn(
    generator: Generator,
    image: Image.Image,
    request: RedrawRequest,
    checkpoint: Checkpoint,
    upscaler: Upscaler | None,
    reporter: ProgressReporter,
    continuation: Continuation,
) -> GeneratedImage:
    """As `ImageGenerator.redraw`."""
    saved = unfinished.read(continuation.state) if continuation.state else None
    enlarged, notes = generator.upscaled(
        image,
        request.scale,
        upscaler,
        TileReporter(reporter, "Upscaling", lambda share: reporter.worked(share * ENLARGED, "")),
        tiling=request.tiling,
    )
    alpha = enlarged.getchannel("A") if enlarged.mode == "RGBA" else None
    enlarged = enlarged.convert("RGB")
    size, source = enlarged.size, digest(enlarged)
    drawing, pipelines = request.drawing, generator.pipelines
    size_of_tile, vae = (drawing.width, drawing.height), generator.vae(drawing)
    rows = generator.rows(drawing)
    pipelines.start_job(size_of_tile, rows, [checkpoint], vae)
    pipelines.compiling.start_job(reporter)

    def prepare(saved: Unfinished | None) -> PreparedJob:
        return generator.prepare(drawing, checkpoint, reporter, saved, [source])

    slow_steps = SlowSteps() if pipelines.card.kind == "cuda" else None
    work = _Redrawing(request, enlarged, reporter, prepare, generator.fall_back, slow_steps)
    del enlarged  # of which the work has its own copy
    pixels, plan = work.draw(saved)
    picture = Image.fromarray(pixels[: size[1], : size[0]])
    if alpha is not None:
        picture.putalpha(alpha)
    facts = {
        **facts_of(plan, pipelines, generator.threads, 1),
        "upscaler": upscaler.name if upscaler else LANCZOS,
        "tiles": work.tiles.count,
    }
    warnings = (*notes, *work.warnings, *filter(None, [pipelines.compile_problem]))
    return GeneratedImage(0, drawing.seed, picture, tuple(dict.fromkeys(warnings)), facts)


class _Redrawing:
    """One picture that is being redrawn."""

    def __init__(
        self,
        request: RedrawRequest,
        enlarged: Image.Image,
        reporter: ProgressReporter,
        prepare: Callable[[Unfinished | None], PreparedJob],
        fall_back: Callable[[bool], str | None],
        slow_steps: SlowSteps | None,
    ):
        """`enlarged`: RGB, of the result's size. `prepare`, `fall_back`: the generator's."""
        self._request, self._reporter = request, reporter
        self.tiles = request.tiles(enlarged.size)
        self._canvas = _extended(enlarged, self.tiles.canvas)
        self._prepare, self._fall_back, self._slow_steps = prepare, fall_back, slow_steps
        self._warnings: tuple[str, ...] = ()
        self._memory_warnings: list[str] = []
        self._latents: torch.Tensor | None = None
        """Those that were drawn, on the CPU, until they are decoded."""

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._warnings, *self._memory_warnings)

    def draw(self, saved: Unfinished | None) -> tuple[numpy.ndarray, PreparedJob]:
        """The pixels of the redrawn canvas. Raises what `ImageGenerator.generate` raises."""
        if saved is not None:
            if saved.stage != "first":
                raise GenerationError(FOREIGN)
            self._memory_warnings += saved.memory_warnings
        drawing, plan = self._request.drawing, None
        while True:
            try:
                plan = translate_errors(drawing, partial(self._prepare, saved))
                self._reporter.check()
                translate_errors(drawing, partial(self._draw, plan, saved))
                return self._canvas, plan
            except OutOfMemoryError as error:
                message, decoding = str(error), error.decoding
            # Outside the handler: its error's traceback keeps the tensors alive.
            plan = saved = None
            if (warning := self._fall_back(decoding)) is None:
                raise OutOfMemoryError(message)
            self._memory_warnings.append(warning)

    def _draw(self, plan: PreparedJob, saved: Unfinished | None) -> None:
        with seamless.wrapped(plan.networks, seamless.AXES[self.tiles.tiling_of_one]):
            self._drawn(plan, saved)

    def _drawn(self, plan: PreparedJob, saved: Unfinished | None) -> None:
        run = SamplingRun(
            plan.request, 0, self._reporter, plan.origin, self._memory_warnings, self._slow_steps
        )
        run.span = READ, DRAWN
        run.warnings += self._warnings
        if saved is not None:
            run.warnings += [*saved.warnings, *plan.caveats]
        if self._latents is None:
            self._latents = self._sampled(plan, run, saved)
            self._warnings = tuple(run.warnings)
        self._decode(plan, run, self._latents)
        self._warnings = tuple(dict.fromkeys(run.warnings))

    def _sampled(self, plan: PreparedJob, run: SamplingRun, saved: Unfinished | None) -> torch.Tensor:
        """The latents (1, 4, height / 8, width / 8) of the redrawn canvas."""
        sampling = run.begin(
            plan.first,
            self.tiles.canvas,
            steps=self._request.tile_steps,
            latents=self._encoded(plan, run),
            tiles=self.tiles,
        )
        if saved is not None:
            sampling.restore(saved)
        return sampling.sample(plan.first).cpu()

    def _encoded(self, plan: PreparedJob, run: SamplingRun) -> torch.Tensor:
        """The latents of the enlarged picture."""
        width, height = (side // 8 for side in self.tiles.canvas)
        latents = torch.zeros(1, 4, height, width)
        for number, part in enumerate(parts(self.tiles)):
            self._begin(run, "Reading", number, (ENLARGED, READ))
            left, top, right, bottom = self.tiles.box(number)
            rows = tile_blending.places(top, bottom, len(self._canvas))
            columns = tile_blending.places(left, right, self._canvas.shape[1])
            tile = Image.fromarray(self._canvas[rows[:, None], columns])
            part.add(latents, encoded(run, plan.first, tile).cpu())
        return latents

    def _decode(self, plan: PreparedJob, run: SamplingRun, latents: torch.Tensor) -> None:
        """Replace the canvas by the pixels of these latents."""
        places = list(parts(self.tiles))
        device = plan.first.loaded.device

        def tile(number: int) -> numpy.ndarray:
            self._begin(run, "Decoding", number, (DRAWN, 1.0))
            (image,) = decoded(run, plan.first, places[number].of(latents).to(device))
            return numpy.asarray(image)

        tile_blending.blend(self._canvas, self.tiles, tile)

    def _begin(self, run: SamplingRun, what: str, number: int, span: tuple[float, float]) -> None:
        self._reporter.check()
        self._reporter.worked(within(span, number / self.tiles.count), run.pass_name)
        self._reporter.status(f"{what}, tile {number + 1} of {self.tiles.count}")


def _extended(image: Image.Image, size: tuple[int, int]) -> numpy.ndarray:
    """Pixels (height, width, 3) of `size`, whose last row and column are repeated where `image` ends."""
    pixels = numpy.asarray(image)
    beyond = size[1] - image.height, size[0] - image.width
    return numpy.pad(pixels, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
