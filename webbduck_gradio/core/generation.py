"""One request to its pictures, one at a time, as they finish.

A batch is a loop of single pictures with seeds seed, seed+1, ...: each is bit-identical to the same seed
drawn alone. The noise comes from a generator on the CPU, so it is the same on every device.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
from collections.abc import Iterator
from typing import Any

import psutil
import torch
from PIL import Image

from ..errors import GenerationError, OutOfMemory, WebbDuckError
from ..models.registry import Checkpoint
from ..request import GenerationRequest
from . import previews, schedulers
from .decoding import decode
from .modes import text2img
from .pipelines import Pipelines
from .prompts import Embeddings, encode
from .reporting import Picture, Reporter

log = logging.getLogger(__name__)


class Generator:
    """Makes pictures. Not for two threads at once: the worker holds the one lock."""

    def __init__(self, device: str | None = None):
        self.pipelines = Pipelines(device)

    def generate(
        self, request: GenerationRequest, checkpoint: Checkpoint, reporter: Reporter
    ) -> Iterator[Picture]:
        """Yield each picture when it is finished.

        Raises `Cancelled` (from the reporter), `ModelError`, `OutOfMemory`, `GenerationError`.
        """
        reporter.check()
        pipe, embeddings = _worded(request, lambda: self._prepare(request, checkpoint, reporter))
        for index in range(request.num_images):
            reporter.check()
            draw = _Drawing(pipe, request, checkpoint, reporter, index)
            image, warnings = _worded(request, lambda draw=draw: draw.run(embeddings))
            yield Picture(index, request.seed_of(index), image, warnings)

    def _prepare(
        self, request: GenerationRequest, checkpoint: Checkpoint, reporter: Reporter
    ) -> tuple[Any, Embeddings]:
        pipe = self.pipelines.get(checkpoint, reporter.status)
        reporter.check()
        reporter.status("Reading the prompt")
        embeddings = encode(pipe, request.prompt, request.negative_prompt, request.prompt_2)
        reporter.status("Drawing")
        return pipe, embeddings

    def describe(self) -> dict[str, Any]:
        """Device, memory in bytes, what is loaded, versions."""
        device = torch.device(self.pipelines.device)
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            name, used = torch.cuda.get_device_name(device), total - free
        else:
            memory = psutil.virtual_memory()
            name = "Apple GPU" if device.type == "mps" else platform.processor() or "CPU"
            used, total = memory.total - memory.available, memory.total
        packages = ("torch", "diffusers", "transformers", "peft", "safetensors")
        return {
            "device": self.pipelines.device,
            "name": name,
            "memory_used": used,
            "memory_total": total,
            "dtype": str(self.pipelines.dtype).removeprefix("torch."),
            "loaded": self.pipelines.loaded,
            "versions": {package: importlib.metadata.version(package) for package in packages},
        }

    def free(self) -> None:
        """Let go of the models in memory; the next job loads them again."""
        self.pipelines.free()


class _Drawing:
    """One picture of a batch: its scheduler, its noise, its progress."""

    def __init__(
        self,
        pipe: Any,
        request: GenerationRequest,
        checkpoint: Checkpoint,
        reporter: Reporter,
        index: int,
    ):
        self.pipe, self.request, self.checkpoint = pipe, request, checkpoint
        self.reporter, self.index = reporter, index

    def run(self, embeddings: Embeddings) -> tuple[Image.Image, tuple[str, ...]]:
        seed = self.request.seed_of(self.index)
        pristine = self.pipe.scheduler
        scheduler = schedulers.build(self.request.scheduler, pristine.config, self.request.steps, seed)
        previews.watch(scheduler, self.reporter.wants_preview, self._show)
        self.pipe.scheduler = scheduler
        try:
            generator = torch.Generator("cpu").manual_seed(seed)
            latents = text2img.draw(self.pipe, self.request, embeddings, generator, self._stepped)
        finally:
            # Whatever happens, the next picture finds the checkpoint as it was loaded.
            self.pipe.scheduler = pristine
        return decode(self.pipe, latents)

    def _stepped(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self.reporter.step(self.index, step + 1, pipe.num_timesteps)
        self.reporter.check()
        return tensors

    def _show(self, latents: torch.Tensor) -> None:
        self.reporter.preview(previews.picture(latents, self.checkpoint.latent_rgb))


def _worded(request: GenerationRequest, work: Any) -> Any:
    """Run `work`; what goes wrong inside torch or diffusers is logged and put in one sentence."""
    try:
        return work()
    except WebbDuckError:
        raise
    except (torch.OutOfMemoryError, MemoryError):
        log.exception("Out of memory at %d x %d", request.width, request.height)
        raise OutOfMemory(
            f"The memory is too small for {request.width} x {request.height} pixels; choose a smaller size."
        ) from None
    except Exception as error:
        log.exception("Generation failed")
        raise GenerationError(
            f"The picture could not be drawn ({error.__class__.__name__}); the log has the details."
        ) from error
