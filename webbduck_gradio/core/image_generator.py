"""Generates the images of a request, one at a time.

A batch is a loop over single images with the seeds seed, seed+1, ...: each is bit-identical to the same seed
generated alone. The noise comes from a generator on the CPU, so it is the same on every device.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psutil
import torch
from PIL import Image

from ..errors import GenerationError, ModelError, OutOfMemoryError, WebbDuckError
from ..models import admission
from ..models.captioners import Captioner
from ..models.catalog.registry import Checkpoint, Registry
from ..models.input_checks import InputImages
from ..models.prompt_resolver import ResolvedPrompt, resolve_prompt
from ..models.upscalers import Upscaler
from ..request import CaptionRequest, GenerationRequest, UpscaleRequest
from ..request.samplers import resolved_schedule, sampler_named
from . import devices, vae
from .captioning import caption
from .checkpoint_cache import CheckpointCache, LoadedCheckpoint, key_of
from .device_state import DeviceState
from .lora_adapters import Use
from .modes import MODES, Mode, second_pass
from .progress import GeneratedImage, ProgressReporter
from .prompts import Embeddings, encode
from .sampling.denoiser import ModelContext
from .sampling.levels import schedule_in_use
from .sampling.loop import SamplingRun
from .upscaling import LANCZOS, upscale

log = logging.getLogger(__name__)

Result = TypeVar("Result")

PACKAGES = ("torch", "diffusers", "transformers", "peft", "safetensors")
"""Packages whose version changes an image's bits."""

MAX_CACHED_PROMPTS = 16


@dataclass(frozen=True)
class PreparedJob:
    """Everything that generating a request needs, shared by the images of the batch."""

    request: GenerationRequest
    wording: ResolvedPrompt
    mode: Mode
    first: ModelContext
    second: ModelContext | None = None
    continues: bool = False
    """Whether the second pass is a refiner, which continues the first pass's latents."""


class ImageGenerator:
    """Generates, upscales and captions images. Not thread-safe: the worker runs it on a single thread."""

    def __init__(
        self,
        device: str | None = None,
        registry: Registry | None = None,
        policy: str | None = None,
        precision: str | None = None,
        inputs: InputImages | None = None,
    ):
        """`registry` provides LoRAs and second-pass checkpoints, `inputs` input images. The other arguments
        are those of `CheckpointCache`. Raises `SettingsError`."""
        self.pipelines = CheckpointCache(device, policy, precision)
        self._registry, self._inputs = registry, inputs
        self._embeddings: dict[Any, Embeddings] = {}
        self._threads = torch.get_num_threads()

    def generate(
        self, request: GenerationRequest, checkpoint: Checkpoint, reporter: ProgressReporter
    ) -> Iterator[GeneratedImage]:
        """Yield each image when it is finished.

        Raises `CancelledError` (from the reporter), `ModelError`, `OutOfMemoryError`, `GenerationError`.
        """
        # OpenMP's thread count is per calling thread, and sums depend on it in the last bit: an image must
        # not depend on which thread of a pool runs the job.
        torch.set_num_threads(self._threads)
        reporter.check()
        pixels = request.width * request.height
        self.pipelines.start_job(pixels)
        memory_warnings: list[str] = []
        plan: PreparedJob | None = None
        for index in range(request.num_images):
            while True:
                try:
                    plan = plan or _translate_errors(
                        request, lambda: self._prepare(request, checkpoint, reporter)
                    )
                    reporter.check()
                    image, warnings = _translate_errors(
                        request, partial(_generate_image, plan, index, reporter)
                    )
                    break
                except OutOfMemoryError as error:
                    message, decoding = str(error), error.decoding
                # Outside the handler: its error's traceback keeps the tensors alive.
                plan = None
                self._embeddings.clear()
                if not self.pipelines.reduce_memory(pixels, decoding):
                    raise OutOfMemoryError(message)
                memory_warnings.append(
                    f"Memory ran out; generated again with memory policy '{self.pipelines.policy.name}'."
                )
            yield GeneratedImage(
                index,
                request.seed_of(index),
                image,
                (*warnings, *memory_warnings),
                self._reproduction_metadata(plan),
            )

    def _prepare(
        self, request: GenerationRequest, checkpoint: Checkpoint, reporter: ProgressReporter
    ) -> PreparedJob:
        wording = self._wording(request)
        second = (
            admission.second_pass_checkpoint(self._catalog(), request) if request.second_pass_model else None
        )
        compatible = [use for use in wording.loras if second and use[0].is_compatible_with(second)]
        mode = MODES[request.mode].prepare(request, self._inputs)
        first = self._load(request, checkpoint, wording, wording.loras, reporter)
        if second is None:
            plan = PreparedJob(request, wording, mode, first)
        else:
            keep = [checkpoint]
            other = (
                first
                if key_of(second) == key_of(checkpoint)
                else self._load(request, second, wording, compatible, reporter, keep)
            )
            continues = admission.is_refiner_handoff(request, second)
            plan = PreparedJob(request, wording, mode, first, other, continues)
        reporter.status("Generating")
        return plan

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
                "or start the studio with --memory offload."
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

    def _reproduction_metadata(self, plan: PreparedJob) -> dict[str, Any]:
        """Metadata for reproducing the image: device, dtype, versions, resolved prompt, LoRAs."""
        loaded = plan.first.loaded
        facts: dict[str, Any] = {
            "device": str(loaded.device),
            "dtype": loaded.dtype,
            "threads": self._threads,
            "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        }
        if loaded.device.type == "cuda":
            facts["gpu"] = torch.cuda.get_device_name(loaded.device)
        request = plan.request
        asked = resolved_schedule(sampler_named(request.sampler), request.schedule)
        in_use = schedule_in_use(request, loaded.scheduler, request.steps)
        if asked and in_use != asked:
            facts["schedule"] = in_use
        if plan.wording.prompt != plan.request.prompt:
            facts["resolved_prompt"] = plan.wording.prompt
        if plan.wording.loras:
            facts["loras"] = [{"name": lora.name, "weight": weight} for lora, weight in plan.wording.loras]
        if plan.second is not None:
            facts["second_pass"] = "refiner" if plan.continues else "img2img"
        if self.pipelines.policy.tiled:
            # Decoding in tiles changes the image a little.
            facts["memory_policy"] = self.pipelines.policy.name
        return facts

    def upscale(
        self,
        image: Image.Image,
        request: UpscaleRequest,
        upscaler: Upscaler | None,
        reporter: ProgressReporter,
    ) -> GeneratedImage:
        """The upscaled image. Unloads all other models first. Raises what `generate` raises."""
        torch.set_num_threads(self._threads)
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
        torch.set_num_threads(self._threads)
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

    def preload(self, checkpoint: Checkpoint, check: Callable[[], None]) -> None:
        """As `CheckpointCache.preload`."""
        torch.set_num_threads(self._threads)
        self.pipelines.preload(checkpoint, check)

    def describe(self) -> DeviceState:
        """Device, memory in bytes, loaded checkpoints and package versions."""
        device = torch.device(self.pipelines.device)
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            name, used = torch.cuda.get_device_name(device), total - free
        else:
            main = psutil.virtual_memory()
            name = "Apple GPU" if device.type == "mps" else platform.processor() or "CPU"
            used, total = main.total - main.available, main.total
        in_use, names = self.pipelines.in_use, self.pipelines.names
        small, large = (devices.name_of(self.pipelines.dtype_of(is_large)) for is_large in (False, True))
        return {
            "device": self.pipelines.device,
            "name": name,
            "threads": self._threads,
            "memory_used": used,
            "memory_total": total,
            "dtype": in_use[-1].dtype if in_use else small,
            "dtypes": {"small": small, "large": large},
            "policy": self.pipelines.policy.name,
            "loaded": names[-1] if names else None,
            "in_memory": names,
            "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        }

    def free(self) -> None:
        """Unload all models; the next job reloads them."""
        self.pipelines.free()
        self._embeddings.clear()


def _generate_image(
    plan: PreparedJob, index: int, reporter: ProgressReporter
) -> tuple[Image.Image, tuple[str, ...]]:
    """One image, and its warnings."""
    request, second = plan.request, plan.second
    if second is not None:
        second.loaded.offload()
    run, last = SamplingRun(request, index, reporter), plan.first
    first_pass = plan.mode.begin(run, plan.first)
    latents = first_pass.sample(plan.first, request.refiner_switch if plan.continues else 1.0)
    if second is not None and plan.continues:
        reporter.status("Second pass")
        plan.first.loaded.offload()
        latents, last = first_pass.sample(second), second
    image = _decoded(run, last, latents)
    if second is not None and not plan.continues:
        reporter.status("Second pass")
        plan.first.loaded.offload()
        image = _decoded(run, second, second_pass.begin(run, second, image).sample(second))
    return plan.mode.finish(image), tuple(dict.fromkeys(run.warnings))


def _decoded(run: SamplingRun, model: ModelContext, latents: torch.Tensor) -> Image.Image:
    request = run.request
    try:
        image, warnings = vae.decode(model.loaded.pipe, latents)
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        devices.log_shortage(f"decoding {request.width} x {request.height} pixels")
        raise OutOfMemoryError(_too_large_message(request), decoding=True) from None
    run.warnings.extend(warnings)
    return image


def _translate_errors(request: GenerationRequest, work: Callable[[], Result]) -> Result:
    """Run `work`; log errors of torch and diffusers, and raise them as `OutOfMemoryError` or
    `GenerationError`."""
    try:
        return work()
    except WebbDuckError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            devices.log_shortage(f"generating {request.width} x {request.height} pixels")
            raise OutOfMemoryError(_too_large_message(request)) from None
        log.exception("Generation failed")
        raise GenerationError(
            f"The picture could not be generated ({error.__class__.__name__}); the log has the details."
        ) from error


def _too_large_message(request: GenerationRequest) -> str:
    loras = " or fewer LoRAs" if request.loras else ""
    return (
        f"There is not enough memory for {request.width} x {request.height} pixels; "
        f"choose a smaller size{loras}."
    )
