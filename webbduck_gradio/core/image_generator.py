"""Generates the images of a request, one at a time or, if asked for, several together.

A batch is a loop over single images with the seeds seed, seed+1, ...: each is bit-identical to the same seed
generated alone, or equal to it but for roundings where it is drawn together with others. The noise is
computed on the CPU, so it is the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from ..errors import GenerationError, ModelError, OutOfMemoryError
from ..models import admission
from ..models.captioners import Captioner
from ..models.catalog.registry import Checkpoint, Registry
from ..models.input_checks import InputImages
from ..models.prompt_resolver import ResolvedPrompt, resolve_prompt
from ..models.upscalers import Upscaler
from ..models.vaes import Vae
from ..request import CaptionRequest, GenerationRequest, UpscaleRequest
from ..request.conditions import SecondPass, conditions
from . import devices, unfinished
from .captioning import caption
from .checkpoint_cache import CheckpointCache, LoadedCheckpoint, key_of
from .device_state import DeviceChoice, DeviceState
from .facts import facts_of
from .lora_adapters import Use
from .memory_needs import rows_that_fit
from .modes import MODES
from .one_image import PreparedJob, draw, translate_errors
from .origin import Origin, caveats, check, origin_of, versions
from .placement import UNET
from .progress import Continuation, GeneratedImage, ProgressReporter
from .prompts import Embeddings, encode
from .sampling.denoiser import ModelContext
from .sampling.guidance import guidance_of
from .slow_steps import SlowSteps
from .unfinished import Unfinished
from .upscaling import LANCZOS, upscale

MAX_CACHED_PROMPTS = 16
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
        self._registry, self._inputs = registry, inputs
        self._embeddings: dict[Any, Embeddings] = {}
        self._threads = torch.get_num_threads()

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
        second = self._second(request)
        self.pipelines.start_job(
            (request.width, request.height),
            guidance_of(request).rows,
            [checkpoint] if second is None else [checkpoint, second],
            self._vae(request),
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
                        request, partial(self._prepare, request, checkpoint, reporter, saved)
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
                self._embeddings.clear()
                if count > 1 and not decoding:
                    together, count = False, 1
                    devices.empty_cache(self.pipelines.device)
                    memory_warnings.append(ONE_BY_ONE)
                    continue
                before = self.pipelines.policy
                if not self.pipelines.reduce_memory(decoding):
                    raise OutOfMemoryError(message)
                now = self.pipelines.policy
                memory_warnings.append(
                    DECODED_IN_TILES
                    if now == before
                    else f"Memory ran out; generated again with memory policy '{now.name}'."
                )
            for image in drawn.images:
                yield GeneratedImage(
                    index,
                    request.seed_of(index),
                    image,
                    (*drawn.warnings, *memory_warnings, *filter(None, [self.pipelines.compile_problem])),
                    facts_of(plan, self.pipelines, self._threads, count),
                    drawn.stages,
                )
                index += 1
            saved = None

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
        size, itemsize = (request.width, request.height), loaded.pipe.unet.dtype.itemsize
        rows = rows_that_fit(size, itemsize, loaded.placement.room_beside(UNET))
        return max(1, min(left, rows // guidance_of(request).rows))

    def _settle(self) -> None:
        """Make the calling thread as all others: a picture must not depend on which thread of a pool runs the
        job. OpenMP's number of threads, by which sums differ in the last bit, and the current card are each
        thread's own."""
        torch.set_num_threads(self._threads)
        devices.prepare(self.pipelines.device)

    def _saved(self, continuation: Continuation) -> Unfinished | None:
        """The state to go on from; `_prepare` checks whether it may."""
        if continuation.state is None:
            return None
        saved = unfinished.read(continuation.state)
        if saved.index != continuation.images:
            raise GenerationError(unfinished.FOREIGN)
        return saved

    def _prepare(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        saved: Unfinished | None,
    ) -> PreparedJob:
        wording = self._wording(request)
        second = self._second(request)
        compatible = [use for use in wording.loras if second and use[0].is_compatible_with(second)]
        mode = MODES[request.mode].prepare(request, self._inputs)
        checkpoints = [checkpoint] if second is None else [checkpoint, second]
        lasting = cache(  # only asked for when a state is saved
            partial(
                origin_of,
                request,
                wording,
                checkpoints,
                self._vae(request),
                mode.inputs,
                self.pipelines,
                self._threads,
            )
        )

        def origin() -> Origin:
            return {**lasting(), **self.pipelines.decoding(checkpoints)}

        if saved:
            check(saved.origin, origin())
            if saved.origin["tiles"]:
                self.pipelines.return_to(saved.origin["policy"])
        first, other = self._load(request, checkpoint, wording, wording.loras, reporter), None
        if second is not None:
            other = (
                first
                if key_of(second) == key_of(checkpoint)
                else self._load(request, second, wording, compatible, reporter, keep=[checkpoint])
            )
        notes: tuple[str, ...] = ()
        if saved:
            for model, name in zip((first, other), saved.origin["vae"], strict=False):
                if model is not None and model.loaded.decoding is not None:
                    model.loaded.decoding.return_to(name)
            notes = tuple(caveats(saved.origin, origin()))
        continues = second is not None and admission.is_refiner_handoff(request, second)
        reporter.status("Generating")
        return PreparedJob(request, wording, mode, origin, notes, first, other, continues)

    def _second(self, request: GenerationRequest) -> Checkpoint | None:
        if not request.second_pass_model:
            return None
        return admission.second_pass_checkpoint(self._catalog(), request)

    def _vae(self, request: GenerationRequest) -> Vae | None:
        """The request's VAE; None = the checkpoints' own. Raises `NotFoundError`, `ModelError`."""
        return self._catalog().vae(request.vae) if request.vae else None

    def _load(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        wording: ResolvedPrompt,
        loras: Sequence[Use],
        reporter: ProgressReporter,
        keep: Sequence[Checkpoint] = (),
    ) -> ModelContext:
        try:
            loaded = self.pipelines.get(checkpoint, reporter.status, loras, keep)
        except (RuntimeError, MemoryError, OSError) as error:
            if not devices.is_out_of_memory(error):
                raise
            devices.log_shortage(f"loading {checkpoint.path}")
            raise OutOfMemoryError(
                f"There is not enough memory to load {checkpoint.name}; close other programs that use it, "
                "or choose a memory policy that needs less (--memory)."
            ) from None
        reporter.check()
        return ModelContext(loaded, self._encoded(request, loaded, wording, loras, reporter))

    def _encoded(
        self,
        request: GenerationRequest,
        loaded: LoadedCheckpoint,
        wording: ResolvedPrompt,
        uses: Sequence[Use],
        reporter: ProgressReporter,
    ) -> Embeddings:
        texts = (wording.prompt, wording.negative_prompt, wording.prompt_2)
        loras = tuple((str(lora.path), lora.stamp, weight) for lora, weight in uses)
        key = (key_of(loaded.checkpoint), loras, texts, request.clip_skip, request.emphasis)
        found = self._embeddings.pop(key, None)
        if found is None:
            reporter.status("Encoding the prompt")
            with loaded.placement.encoding():
                found = encode(loaded.pipe, *texts, clip_skip=request.clip_skip, emphasis=request.emphasis)
        self._embeddings[key] = found
        for old in list(self._embeddings)[:-MAX_CACHED_PROMPTS]:
            del self._embeddings[old]
        return found

    def _wording(self, request: GenerationRequest) -> ResolvedPrompt:
        if self._registry is None and not request.loras:
            return ResolvedPrompt(request.prompt, request.negative_prompt, request.prompt_2, (), ())
        return resolve_prompt(self._catalog(), request)

    def _catalog(self) -> Registry:
        if self._registry is None:
            raise ModelError("This generator has no catalog; give it one to use LoRAs or a second pass.")
        return self._registry

    def upscale(
        self,
        image: Image.Image,
        request: UpscaleRequest,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
    ) -> GeneratedImage:
        """The upscaled image. Unloads all other models first. Raises what `generate` raises."""
        self._settle()
        self.free()
        reporter.check()
        reporter.status("Upscaling")
        model = upscaler.path if upscaler else None
        try:
            upscaled, warnings = upscale(image, request.scale, model, self.pipelines.device, reporter)
        finally:
            self.free()
        method = upscaler.name if upscaler else LANCZOS
        return GeneratedImage(0, 0, upscaled, warnings, {"upscaler": method, "scale": request.scale})

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
        device, card = torch.device(self.pipelines.device), self.pipelines.card
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            used = total - free
        else:
            main = psutil.virtual_memory()
            used, total = main.total - main.available, main.total
        in_use, names = self.pipelines.in_use, self.pipelines.names
        small, large = (devices.name_of(self.pipelines.dtype_of(is_large)) for is_large in (False, True))
        return {
            "device": self.pipelines.device,
            "name": card.name,
            "threads": self._threads,
            "memory_used": used,
            "memory_total": total,
            "dtype": in_use[-1].dtype if in_use else small,
            "dtypes": {"small": small, "large": large},
            "policy": self.pipelines.policy.name,
            "memory": self._choice.memory,
            "compiled": self._choice.compiled,
            "compile_problem": self.pipelines.compile_problem,
            "loaded": names[-1] if names else None,
            "in_memory": names,
            "versions": versions(),
            "libraries": devices.libraries(self.pipelines.device),
        }

    def free(self) -> None:
        """Unload all models; the next job reloads them."""
        self.pipelines.free()
        self._embeddings.clear()
