"""Generates the images of a request, one at a time or, if asked for, several together.

A batch is a loop over single images with the seeds seed, seed+1, ...: each is bit-identical to the same seed
generated alone, or equal to it but for roundings where it is drawn together with others. The noise is
computed on the CPU, so it is the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ..errors import GenerationError, OutOfMemoryError
from ..models.captioners import Captioner
from ..models.catalog.registry import Checkpoint, Registry
from ..models.detectors import Detector
from ..models.input_checks import InputImages
from ..models.upscalers import Upscaler
from ..models.vaes import Vae
from ..request import CaptionRequest, GenerationRequest, RedrawRequest, UpscaleRequest
from ..request.conditions import SecondPass, conditions
from . import devices, unfinished
from .captioning import caption
from .checkpoint_cache import CheckpointCache
from .description import described
from .detection import Detectors, Region
from .device_state import DeviceChoice, DeviceState
from .facts import facts_of
from .memory_needs import rows_that_fit
from .modes import MODES
from .one_image import PreparedJob, draw, translate_errors
from .placement import UNET
from .preparation import Preparation
from .progress import Continuation, GeneratedImage, ProgressReporter
from .redraw import redrawn
from .sampling.guidance import rows_of
from .slow_steps import SlowSteps
from .unfinished import Unfinished
from .upscaling import LANCZOS, upscale

FROM_THE_START = Continuation()
ONE_BY_ONE = "Memory ran out while pictures were drawn together; they were drawn one by one."
REPLACED = (
    "Memory policy '{}' was used instead of '{}', with which memory ran out at this size before; choose it "
    "again to try once more."
)
DECODED_IN_TILES = "Memory ran out; generated again, decoded in tiles."


class ImageGenerator:
    """Generates, upscales and captions images. Not thread-safe: the worker runs it on a single thread."""

    def __init__(
        self,
        device: str | None = None,
        registry: Registry | None = None,
        policy: str | None = None,
        precision: str | None = None,
        inputs: InputImages | None = None,
        compiled: bool = False,
        kernels: Path | None = None,
    ):
        """`registry` provides LoRAs and second-pass checkpoints, `inputs` input images. `policy` and
        `compiled`: as `DeviceChoice` has them. The other arguments are those of `CheckpointCache`. Raises
        `SettingsError`."""
        self.pipelines = CheckpointCache(device, policy, precision, kernels=kernels)
        self.pipelines.compiling.wanted = compiled
        self._choice = DeviceChoice(policy, compiled)
        self._detectors = Detectors()
        self.threads = torch.get_num_threads()
        self._preparation = Preparation(self.pipelines, registry, inputs, self._detectors, self.threads)

    def generate(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        continuation: Continuation = FROM_THE_START,
    ) -> Iterator[GeneratedImage]:
        """Yield each image when it is finished. One that goes on from a saved state is bit-identical to what
        it would have been without the interruption, or has a warning.

        Raises `CancelledError` (from the reporter), `ModelError`, `OutOfMemoryError`, `GenerationError`; the
        last and `ModelError` also for a saved state that cannot be used.
        """
        self._settle()
        reporter.check()
        self.pipelines.start_job(
            self._largest_pass(request, checkpoint),
            self.rows(request),
            self._preparation.checkpoints(request, checkpoint),
            self._preparation.vae(request),
        )
        self.pipelines.compiling.start_job(reporter)
        steps = SlowSteps() if self.pipelines.card.kind == "cuda" else None
        saved = self._saved(continuation)
        memory_warnings = list(saved.memory_warnings) if saved else []
        if asked := self.pipelines.replaced:
            memory_warnings.append(REPLACED.format(self.pipelines.policy.name, asked))
        plan: PreparedJob | None = None
        index, together, count = continuation.images, request.batch_mode == "together", 1
        while index < request.num_images:
            while True:
                try:
                    plan = plan or translate_errors(
                        request,
                        partial(self.prepare, request, checkpoint, reporter, saved, index=index),
                    )
                    reporter.check()
                    count = self._count(plan, index, together, saved)
                    drawn = translate_errors(
                        request, partial(draw, plan, index, reporter, memory_warnings, saved, steps, count)
                    )
                    break
                except OutOfMemoryError as error:
                    message, decoding = str(error), error.decoding
                # Outside the handler: its error's traceback keeps the tensors alive.
                plan = saved = None
                if count > 1 and not decoding:
                    together, count = False, 1
                    self._preparation.forget()
                    devices.empty_cache(self.pipelines.device)
                    memory_warnings.append(ONE_BY_ONE)
                    continue
                if (warning := self.fall_back(decoding)) is None:
                    raise OutOfMemoryError(message)
                memory_warnings.append(warning)
            for image in drawn.images:
                yield GeneratedImage(
                    index,
                    request.seed_of(index),
                    image,
                    (*drawn.warnings, *memory_warnings, *filter(None, [self.pipelines.compile_problem])),
                    {**facts_of(plan, self.pipelines, self.threads, count), **drawn.facts},
                    drawn.stages,
                )
                index += 1
            saved = None
            if plan is not None and index < request.num_images:
                plan = plan if self._preparation.with_equal_texts(plan, index, 1) else None

    def fall_back(self, decoding: bool) -> str | None:
        """Take less memory from now on; a warning that says how, None if nothing is left to try."""
        self._preparation.forget()
        before = self.pipelines.policy
        if not self.pipelines.reduce_memory(decoding):
            return None
        now = self.pipelines.policy
        if now == before:
            return DECODED_IN_TILES
        return f"Memory ran out; generated again with memory policy '{now.name}'."

    def _count(self, plan: PreparedJob, index: int, together: bool, saved: Unfinished | None) -> int:
        """How many images are drawn together from `index` on: as many as in a saved state, or as memory
        allows. Raises `GenerationError` if the saved state is not of such images."""
        request, loaded = plan.request, plan.first.loaded
        left = request.num_images - index
        if saved is not None:
            x = saved.state.x
            if x.ndim != 4 or not 0 < len(x) <= left:
                raise GenerationError(unfinished.FOREIGN)
            return len(x)
        kind: SecondPass | None = None
        if plan.second is not None:
            kind = "refiner" if plan.continues else "img2img"
        if not together or not conditions(request.model_dump(), kind)["joint"]:
            return 1
        room = loaded.placement.room_beside(UNET)
        rows = rows_that_fit(request.largest_size, loaded.pipe.unet.dtype.itemsize, room)
        most = min(left, rows // rows_of(request, [each.schedule.weights for each in plan.wordings]))
        return max(1, self._preparation.with_equal_texts(plan, index, most))

    def _settle(self) -> None:
        """Make the calling thread as all others: a picture must not depend on which thread of a pool runs the
        job. OpenMP's number of threads, by which sums differ in the last bit, and the current card are each
        thread's own."""
        torch.set_num_threads(self.threads)
        devices.prepare(self.pipelines.device)

    def _largest_pass(self, request: GenerationRequest, checkpoint: Checkpoint) -> tuple[int, int]:
        """Width and height in pixels."""
        if request.second_pass_model:
            return request.largest_size
        return MODES[request.mode].largest_pass(request, checkpoint.native_size)

    def _saved(self, continuation: Continuation) -> Unfinished | None:
        """The state to go on from; `prepare` checks whether it may."""
        if continuation.state is None:
            return None
        saved = unfinished.read(continuation.state)
        if saved.index != continuation.images:
            raise GenerationError(unfinished.FOREIGN)
        return saved

    def prepare(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        saved: Unfinished | None,
        inputs: Sequence[str] = (),
        index: int = 0,
    ) -> PreparedJob:
        """As `Preparation.prepare`."""
        return self._preparation.prepare(request, checkpoint, reporter, saved, inputs, index)

    def vae(self, request: GenerationRequest) -> Vae | None:
        """As `Preparation.vae`."""
        return self._preparation.vae(request)

    def rows(self, request: GenerationRequest) -> int:
        """As `Preparation.rows`."""
        return self._preparation.rows(request)

    def upscale(
        self,
        image: Image.Image,
        request: UpscaleRequest,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
    ) -> GeneratedImage:
        """The upscaled image. Unloads all other models first. Raises what `generate` raises."""
        upscaled, warnings = self.upscaled(
            image, request.scale, upscaler, reporter, request.tile_size, request.tiling
        )
        method = upscaler.name if upscaler else LANCZOS
        facts: dict[str, Any] = {"upscaler": method, "scale": request.scale}
        if request.tiling != "none":
            facts["tiling"] = request.tiling
        return GeneratedImage(0, 0, upscaled, warnings, facts)

    def upscaled(
        self,
        image: Image.Image,
        scale: float,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
        tile_size: int | None = None,
        tiling: str = "none",
    ) -> tuple[Image.Image, tuple[str, ...]]:
        """As `upscaling.upscale`, with all other models unloaded."""
        self._settle()
        self.free()
        reporter.check()
        reporter.status("Upscaling")
        model = upscaler.path if upscaler else None
        try:
            return upscale(image, scale, model, self.pipelines.device, reporter, tile_size, tiling)
        finally:
            self.free()

    def redraw(
        self,
        image: Image.Image,
        request: RedrawRequest,
        checkpoint: Checkpoint,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
        continuation: Continuation = FROM_THE_START,
    ) -> GeneratedImage:
        """The image (RGB or RGBA) enlarged, and redrawn in tiles; one that goes on from a saved state, as
        `generate`. Unloads all other models first. Raises what `generate` raises."""
        return redrawn(self, image, request, checkpoint, upscaler, reporter, continuation)

    def caption(
        self,
        image: Image.Image,
        request: CaptionRequest,
        captioner: Captioner,
        reporter: ProgressReporter | None = None,
    ) -> tuple[str, tuple[str, ...]]:
        """The caption, and warnings. Unloads all other models first, and the captioner afterwards.

        Raises `RequestError`, `ModelError`, `OutOfMemoryError`, `GenerationError`, and what the reporter
        raises.
        """
        self._settle()
        self.free()
        try:
            return caption(
                image,
                captioner,
                request.style,
                request.max_tokens,
                self.pipelines.device,
                self.pipelines.dtype_of(),
                reporter,
            )
        except (RuntimeError, MemoryError, OSError) as error:
            if not devices.is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                f"There is not enough memory for {captioner.name}; choose a smaller captioner."
            ) from None
        finally:
            self.free()

    def detect(
        self, image: Image.Image, detector: Detector, confidence: float, reporter: ProgressReporter
    ) -> list[Region]:
        """The regions of a picture, the most confident first. Raises `ModelError`, `GenerationError`, and
        what the reporter raises."""
        self._settle()
        reporter.status(f"Detecting with {detector.name}")
        reporter.check()
        return self._detectors.find(image, detector, confidence)

    def choose(self, choice: DeviceChoice) -> None:
        """From now on, do as the user chose. Called between jobs, on the thread that runs them."""
        self._choice, self.pipelines.compiling.wanted = choice, choice.compiled
        self.pipelines.choose(choice.memory)

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        """As `CheckpointCache.preload`."""
        self._settle()
        self.pipelines.preload(checkpoint, check)

    def describe(self) -> DeviceState:
        """Device, memory in bytes, loaded checkpoints and package versions."""
        return described(self.pipelines, self._choice, self.threads)

    def free(self) -> None:
        """Unload all models; the next job reloads them."""
        self.pipelines.free()
        self._detectors.free()
        self._preparation.forget()
