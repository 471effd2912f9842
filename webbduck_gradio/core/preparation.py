"""Loads what a request needs, before any of its images is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from PIL import Image

from ..errors import ModelError, OutOfMemoryError
from ..models import admission
from ..models.catalog.registry import Checkpoint, Registry
from ..models.input_checks import InputImages
from ..models.lora_uses import LoraUse
from ..models.prompt_resolver import ResolvedPrompt, resolve_prompt
from ..models.vaes import Vae
from ..request import GenerationRequest
from . import devices
from .checkpoint_cache import CheckpointCache, key_of
from .detection import Detectors
from .loaded_checkpoint import LoadedCheckpoint
from .modes import MODES
from .modes.details import Details
from .modes.hires import HiresPass
from .one_image import PreparedJob
from .origin import Origin, caveats, check, origin_of
from .progress import ProgressReporter
from .prompts import Embeddings, encode
from .sampling.denoiser import ModelContext
from .unfinished import Unfinished

MAX_CACHED_PROMPTS = 16
MOST_STEPS = 1000
"""What acts in the first of so many steps is added before the prompt is encoded, the rest when its step
comes."""


class Preparation:
    """Prepares jobs one after the other; keeps the embeddings of the last prompts."""

    def __init__(
        self,
        pipelines: CheckpointCache,
        registry: Registry | None,
        inputs: InputImages | None,
        detectors: Detectors,
        threads: int,
    ):
        """`registry` and `inputs`: as `ImageGenerator` takes them. `threads`: that jobs are drawn with."""
        self._pipelines, self._registry, self._inputs = pipelines, registry, inputs
        self._detectors, self._threads = detectors, threads
        self._embeddings: dict[Any, Embeddings] = {}

    def forget(self) -> None:
        """Free the embeddings."""
        self._embeddings.clear()

    def prepare(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: ProgressReporter,
        saved: Unfinished | None,
        inputs: Sequence[str] = (),
    ) -> PreparedJob:
        """Load what draws the request, and check whether `saved` may go on. `inputs`: digests of images
        that it depends on beside the request's own."""
        wordings = [self._wording(request)]
        if request.has_hires:
            wordings.append(self._wording(request.for_hires_pass()))
        second = self._second(request)
        mode = MODES[request.mode].prepare(request, self._inputs)
        checkpoints = self.checkpoints(request, checkpoint)
        upscaler = admission.hires_upscaler(self._registry, request)

        @cache  # only asked for when a state is saved
        def lasting() -> Origin:
            used: list[Image.Image | str] = [*mode.inputs, *inputs]
            models = checkpoints, self.vae(request), upscaler
            return origin_of(request, wordings, *models, used, self._pipelines, self._threads)

        details = None
        if request.details:
            load = partial(self._load, checkpoint=checkpoint, reporter=reporter, keep=checkpoints)
            details = Details(request, self._catalog(), self._detectors.find, load, mode.limit)

        def origin() -> Origin:
            more = {} if details is None else {"details": details.origin()}
            return {**lasting(), **self._pipelines.decoding(checkpoints), **more}

        if saved:
            check(saved.origin, origin())
            if saved.origin["tiles"]:
                self._pipelines.return_to(saved.origin["policy"])

        def model(place: int, wording: ResolvedPrompt) -> ModelContext:
            return self._load(request, checkpoints[place], wording, reporter, checkpoints[:place])

        models = [model(0, wordings[0])]
        if second is not None:
            is_same = key_of(second) == key_of(checkpoint)
            models.append(models[0] if is_same else model(1, wordings[0]))
        hires = None
        if request.has_hires:
            models.append(model(len(models), wordings[1]))
            hires = HiresPass(request, models[-1], upscaler)
        notes: tuple[str, ...] = ()
        if saved:
            for each, name in zip(models, saved.origin["vae"], strict=False):
                if each.loaded.decoding is not None:
                    each.loaded.decoding.return_to(name)
            notes = tuple(caveats(saved.origin, origin()))
        continues = second is not None and admission.is_refiner_handoff(request, second)
        other = models[1] if second is not None else None
        first, last = models[0], models[-1]
        passes = first, other, continues, hires, last, details
        return PreparedJob(request, wordings[0], mode, origin, notes, *passes)

    def checkpoints(self, request: GenerationRequest, first: Checkpoint) -> list[Checkpoint]:
        """Those of the passes in turn; the first pass's, the second's and the hires pass's."""
        found = [first, *filter(None, [self._second(request)])]
        if request.has_hires:
            own = admission.hires_checkpoint(self._catalog(), request) if request.hires_model else first
            found.append(own)
        return found

    def _second(self, request: GenerationRequest) -> Checkpoint | None:
        if not request.second_pass_model:
            return None
        return admission.second_pass_checkpoint(self._catalog(), request)

    def vae(self, request: GenerationRequest) -> Vae | None:
        """The request's VAE; None = the checkpoints' own. Raises `NotFoundError`, `ModelError`."""
        return self._catalog().vae(request.vae) if request.vae else None

    def _load(
        self,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        wording: ResolvedPrompt,
        reporter: ProgressReporter,
        keep: Sequence[Checkpoint] = (),
    ) -> ModelContext:
        loras = [use for use in wording.uses if not keep or use.lora.is_compatible_with(checkpoint)]
        try:
            first = [use.at(0, MOST_STEPS) for use in loras]
            loaded = self._pipelines.get(checkpoint, reporter.status, first, keep, reporter.check)
        except (RuntimeError, MemoryError, OSError) as error:
            if not devices.is_out_of_memory(error):
                raise
            devices.log_shortage(f"loading {checkpoint.path}")
            raise OutOfMemoryError(
                f"There is not enough memory to load {checkpoint.name}; close other programs that use it, "
                "or choose a memory policy that needs less (--memory)."
            ) from None
        reporter.check()
        return ModelContext(loaded, self._encoded(request, loaded, wording, loras, reporter), loras)

    def _encoded(
        self,
        request: GenerationRequest,
        loaded: LoadedCheckpoint,
        wording: ResolvedPrompt,
        uses: Sequence[LoraUse],
        reporter: ProgressReporter,
    ) -> Embeddings:
        texts = (wording.prompt, wording.negative_prompt, wording.prompt_2)
        loras = tuple((str(use.lora.path), use.lora.stamp, use.encoder_strength) for use in uses)
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
