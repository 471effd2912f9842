"""What the benchmark of a graphics card measures: this core and plain diffusers on one loaded checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler

from ..core import devices
from ..core.image_generator import ImageGenerator
from ..core.progress import SilentReporter
from ..core.prompts import encode
from ..core.vae import DecodingPrecision, decode
from ..errors import GenerationError
from ..models.admission import build_request
from ..models.catalog.registry import Registry
from .full_size_sdxl import FORWARD, peak_memory, synchronize

PROMPT = "a red duck on a pond"


@dataclass(frozen=True)
class Row:
    """What was measured of one way to draw. Rates count images: a step of four together is four steps."""

    name: str
    batch: int
    steps: float
    """Denoising steps a second, without the first step of each image."""
    images: float
    """Images a second, with prompt and decoding."""
    share: float | None
    """Of the device's matrix-multiply peak, while denoising; None where the operations are not known."""
    peak: int
    """Most bytes taken."""

    def __str__(self) -> str:
        share = "" if self.share is None else f"{self.share:.1%}"
        return (
            f"{self.name:<34} {self.batch:5} {self.steps:9.2f} {self.images:9.3f} {share:>8} "
            f"{self.peak / 2**30:8.2f}"
        )


HEADINGS = f"{'':<34} {'batch':>5} {'steps/s':>9} {'images/s':>9} {'of peak':>8} {'peak GiB':>8}"


class StepClock(SilentReporter):
    """Seconds from the end of the first step of each image to the end of its last one, as the reporter of
    this core and as the callback of plain diffusers. It waits for the device at these two only."""

    def __init__(self, device: torch.device, steps: int):
        self.seconds = 0.0
        self._device, self._steps = device, steps
        self._began = 0.0

    def step(self, image_index: int, step: int, total: int) -> None:
        if step in (1, total):
            synchronize(self._device)
        if step == 1:
            self._began = time.perf_counter()
        if step == total:
            self.seconds += time.perf_counter() - self._began

    def after(self, pipe: Any, step: int, timestep: Any, state: dict[str, Any]) -> dict[str, Any]:
        """Called by plain diffusers after each step, which counts from 0."""
        self.step(0, step + 1, self._steps)
        return state


@dataclass
class Subject:
    """The checkpoint that is drawn with, and the generator that has loaded it."""

    generator: ImageGenerator
    registry: Registry
    name: str
    is_full_size: bool
    side: int
    matrix_peak: float = 0.0
    """Floating-point operations a second."""

    @property
    def device(self) -> torch.device:
        return torch.device(self.generator.pipelines.device)

    @property
    def pipe(self) -> Any:
        checkpoint = self.registry.checkpoint(self.name)
        return self.generator.pipelines.get(checkpoint, lambda text: None).pipe

    def draw(self, steps: int, clock: StepClock | None = None, batch: int = 1, together: bool = False) -> Any:
        """The images of a job."""
        fields: dict[str, Any] = {"prompt": PROMPT, "base_model": self.name, "seed": 1, "sampler": "Euler"}
        fields |= {"steps": steps, "width": self.side, "height": self.side, "num_images": batch}
        fields["batch_mode"] = "together" if together else "single"
        request = build_request(self.registry, fields)
        checkpoint = self.registry.checkpoint(self.name)
        return list(self.generator.generate(request, checkpoint, clock or SilentReporter()))

    def row(self, name: str, batch: int, steps: int, work: Callable[[StepClock], object]) -> Row:
        """Measure `work`, which draws `batch` images of `steps` steps."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        clock = StepClock(self.device, steps)
        start = time.perf_counter()
        work(clock)
        synchronize(self.device)
        seconds = time.perf_counter() - start
        rate = batch * (steps - 1) / clock.seconds
        known = FORWARD.get(self.side) if self.is_full_size else None
        # Two forwards a step (guidance).
        share = rate * 2 * known / self.matrix_peak if known and self.matrix_peak else None
        return Row(name, batch, rate, batch / seconds, share, peak_memory(str(self.device)))


def ours(subject: Subject, name: str, batch: int, together: bool, steps: int) -> Row:
    """This core. A job of two steps comes first, which warms caches and compiles."""
    subject.draw(2, batch=batch if together else 1, together=together)

    def work(clock: StepClock) -> None:
        pictures = subject.draw(steps, clock, batch, together)
        joined = [each.facts.get("drawn_together", 1) for each in pictures]
        if together and joined != [batch] * batch:
            print(f"  {name}, {batch}: memory allowed {max(joined)} at once", flush=True)

    return subject.row(name, batch, steps, work)


def plain(subject: Subject, name: str, batch: int, steps: int) -> Row:
    """diffusers' own pipeline with the same models, all images at once."""
    loaded, pipe = subject.generator.pipelines.in_use[-1], subject.pipe
    given = encode(pipe, PROMPT, "").arguments()
    repeated = {key: value.repeat_interleave(batch, 0) for key, value in given.items()}

    def draw(count: int, clock: StepClock | None = None) -> None:
        pipe(
            **repeated,
            width=subject.side,
            height=subject.side,
            num_inference_steps=count,
            guidance_scale=7.0,
            generator=[torch.Generator().manual_seed(index) for index in range(batch)],
            callback_on_step_end=None if clock is None else clock.after,
        )

    own = pipe.scheduler
    pipe.scheduler = EulerDiscreteScheduler.from_config(loaded.scheduler)
    try:
        draw(2)
        return subject.row(name, batch, steps, lambda clock: draw(steps, clock))
    finally:
        pipe.scheduler = own


def decoding(subject: Subject) -> Iterator[str]:
    """Lines: how long the VAE takes for one image in each precision, whole and in tiles."""
    pipe, side = subject.pipe, subject.side
    latents = torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    latents = latents.to(subject.device)
    precisions = {pipe.vae.dtype, torch.float32}
    if subject.device.type != "cpu":
        precisions |= {torch.float16, torch.bfloat16}
    for dtype in sorted(precisions, key=str):
        for tiled in (False, True):
            if tiled and side <= devices.TILE:
                continue
            devices.set_vae_tiling(pipe.vae, tiled)
            yield f"{devices.name_of(dtype)}, {'tiles' if tiled else 'whole'}: " + _decoded(
                subject, latents, dtype
            )
    devices.set_vae_tiling(pipe.vae, False)
    with channels_last(pipe.vae):
        yield f"{devices.name_of(pipe.vae.dtype)}, whole, channels last: " + _decoded(
            subject, latents, pipe.vae.dtype
        )


def _decoded(subject: Subject, latents: torch.Tensor, dtype: torch.dtype) -> str:
    """The fastest of three, and the most memory."""
    pipe, best, note = subject.pipe, float("inf"), ""
    if subject.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(subject.device)
    for _ in range(3):
        start = time.perf_counter()
        try:
            decode(pipe, latents, DecodingPrecision([dtype]))
        except GenerationError:  # random weights; the time is the same
            note = ", not finite"
        synchronize(subject.device)
        best = min(best, time.perf_counter() - start)
    return f"{best * 1000:.0f} ms, peak {peak_memory(str(subject.device)) / 2**30:.2f} GiB{note}"


@contextmanager
def channels_last(model: Any) -> Iterator[None]:
    """Its weights in this memory layout meanwhile."""
    model.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        model.to(memory_format=torch.contiguous_format)


@contextmanager
def fused_projections(model: Any) -> Iterator[None]:
    """Query, key and value of its attention in one matrix product meanwhile."""
    model.fuse_qkv_projections()
    try:
        yield
    finally:
        model.unfuse_qkv_projections()


LAYOUTS: Mapping[str, Callable[[Any], Any]] = {
    "channels last": channels_last,
    "fused projections": fused_projections,
}
