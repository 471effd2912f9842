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
from ..models.named_embeddings import is_unlisted
from ..models.prompt_resolver import ResolvedPrompt, details_vary, resolve_prompt, varies
from ..models.prompt_schedule import (
    Count,
    count_of,
    hires_count,
    prompt_schedule,
    second_pass_count,
)
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
from .prompts import ScheduledEmbeddings, encode_schedule
from .sampling.denoiser import ModelContext
from .sampling.guidance import rows_of
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
        self._embeddings: dict[Any, ScheduledEmbeddings] = {}

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
        index: int = 0,
    ) -> PreparedJob:
        """Load what draws image `index` of the request and those with the same texts, and check whether
        `saved` may go on. `inputs`: digests of images that it depends on beside the request's own."""
        wordings = self._wordings(request, index)
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
            details = Details(request, self._catalog(), self._detectors.find, load, mode.limit, index)

        def origin() -> Origin:
            more = {} if details is None else {"details": details.origin()}
            return {**lasting(), **self._pipelines.decoding(checkpoints), **more}

        if saved:
            check(saved.origin, origin())
            if saved.origin["tiles"]:
                self._pipelines.return_to(saved.origin["policy"])

        def model(place: int, wording: ResolvedPrompt, count: Count) -> ModelContext:
            return self._load(
                request, checkpoints[place], wording, reporter, checkpoints[:place], count=count
            )

        models = [model(0, wordings[0], count_of(request))]
        continues = second is not None and admission.is_refiner_handoff(request, second)
        if second is not None:
            is_same = key_of(second) == key_of(checkpoint)
            count = count_of(request) if continues else second_pass_count(request)
            models.append(model(0 if is_same else 1, wordings[0], count))
        hires = None
        if request.has_hires:
            models.append(model(len(models), wordings[1], hires_count(request)))
            hires = HiresPass(request, models[-1], upscaler)
        # Words that a wildcard gives since it was edited, or files that came since the job was queued.
        notes = tuple(each for wording in wordings for each in wording.notes if is_unlisted(each))
        if saved:
            for each, name in zip(models, saved.origin["vae"], strict=False):
                if each.loaded.decoding is not None:
                    each.loaded.decoding.return_to(name)
            notes += tuple(caveats(saved.origin, origin()))
        other = models[1] if second is not None else None
        first, last = models[0], models[-1]
        passes = first, other, continues, hires, last, details
        named = [each for wording in wordings for each in wording.embeddings]
        named += details.embeddings if details is not None else []
        embeddings = tuple(dict.fromkeys(named))
        return PreparedJob(request, tuple(wordings), mode, origin, notes, *passes, embeddings)

    def with_equal_texts(self, plan: PreparedJob, first: int, most: int) -> int:
        """How many images from `first` on, up to `most`, have the texts of the one that was prepared."""
        if not varies(plan.request):
            return most
        if details_vary(plan.request):
            return 0
        equal = (tuple(self._wordings(plan.request, first + count)) == plan.wordings for count in range(most))
        return next((count for count, is_equal in enumerate(equal) if not is_equal), most)

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
        *,
        count: Count | None = None,
    ) -> ModelContext:
        """`count`: of the pass; None = the first pass of the request."""
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
        return ModelContext(loaded, self._encoded(request, loaded, wording, loras, reporter, count), loras)

    def _encoded(
        self,
        request: GenerationRequest,
        loaded: LoadedCheckpoint,
        wording: ResolvedPrompt,
        uses: Sequence[LoraUse],
        reporter: ProgressReporter,
        count: Count | None,
    ) -> ScheduledEmbeddings:
        texts = (wording.prompt, wording.negative_prompt, wording.prompt_2)
        schedule = prompt_schedule(*texts, count or count_of(request))
        loras = tuple((str(use.lora.path), use.lora.stamp, use.encoder_strength) for use in uses)
        index = wording.index.fitting(loaded.checkpoint)
        vectors = tuple((str(each.path), each.stamp) for each in index.used(schedule.every_text))
        key = (key_of(loaded.checkpoint), loras, schedule, vectors, request.clip_skip, request.emphasis)
        found = self._embeddings.pop(key, None)
        if found is None:
            reporter.status("Encoding the prompt")
            with loaded.placement.encoding():
                found = encode_schedule(loaded.pipe, schedule, request.clip_skip, request.emphasis, index)
        self._embeddings[key] = found
        for old in list(self._embeddings)[:-MAX_CACHED_PROMPTS]:
            del self._embeddings[old]
        return found

    def rows(self, request: GenerationRequest) -> int:
        """Rows of the UNet's batch for the image that has most, see `rows_of`."""
        images = range(request.num_images if varies(request) else 1)
        wordings = (self._wordings(request, index) for index in images)
        return max(rows_of(request, [each.schedule.weights for each in passes]) for passes in wordings)

    def _wordings(self, request: GenerationRequest, index: int) -> list[ResolvedPrompt]:
        """What the prompts of the first pass and of the hires pass come to."""
        passes = [request, request.for_hires_pass()] if request.has_hires else [request]
        has_own_texts = request.loras or request.styles or varies(request)
        if self._registry is None and not has_own_texts:
            return [_as_typed(each) for each in passes]
        catalog = self._catalog()
        first = resolve_prompt(catalog, request, index)
        return [first, *(resolve_prompt(catalog, each, index, request, "hires ") for each in passes[1:])]

    def _catalog(self) -> Registry:
        if self._registry is None:
            raise ModelError(
                "This generator has no catalog; give it one to use styles, LoRAs or a second pass."
            )
        return self._registry


def _as_typed(request: GenerationRequest) -> ResolvedPrompt:
    texts = (request.prompt, request.negative_prompt, request.prompt_2)
    return ResolvedPrompt(*texts, (), (), prompt_schedule(*texts, count_of(request)))
