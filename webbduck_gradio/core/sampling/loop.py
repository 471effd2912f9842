"""Sampling: the images' noise, their steps and progress. The modes choose what they start from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from ...errors import GenerationError
from ...request import MAX_SEED, GenerationRequest
from ...request.samplers import sampler_named
from ...request.steps import Steps
from ...request.tiles import Tiles
from .. import previews
from ..progress import ProgressReporter
from ..slow_steps import SlowSteps
from ..unfinished import DAMAGED, Stage, Unfinished, on
from .denoiser import ModelContext, UNetDenoiser
from .guidance import guidance_of
from .inpainted import Inpainted
from .levels import sigmas_for
from .model_sigmas import ModelSigmas
from .noise import BrownianNoise, ImageNoise, JoinedNoise, Seeds, Shape, StepNoise, image_noise
from .samplers import SOLVERS
from .samplers.base import Options, State
from .tiled import TiledDenoiser

LATENT_CHANNELS = 4
LATENT_PIXELS = 8
"""Pixels of a latent's side."""
STARTING_NOISE = 2**16
"""Beyond the seeds of all parts."""
SLOPES = 3
"""The fourth order of k-diffusion's LMS and of ComfyUI's iPNDM shifts colours and leaves stains with guidance
and 20 steps."""


def options_of(request: GenerationRequest, sigmas: ModelSigmas) -> Options:
    """The sampler's settings. `sigmas`: the checkpoint's."""
    usual = sampler_named(request.sampler).eta or 0.0
    eta = usual if request.eta is None else request.eta
    return Options(
        eta=eta,
        eta_ddim=eta,
        gamma=eta,
        s_churn=request.s_churn,
        s_tmin=request.s_tmin,
        s_tmax=math.inf if request.s_tmax is None else request.s_tmax,
        s_noise=request.s_noise,
        slopes=SLOPES,
        training_sigmas=tuple(map(float, sigmas.sigmas)),
    )


@dataclass(frozen=True)
class Part:
    """One of the passes in which a mode's first stage draws an image (`Mode.parts`)."""

    number: int = 0
    count: int = 1
    canvas: Image.Image | None = None
    """The picture so far (RGB); None in the first part."""
    steps_before: int = 0
    """Steps of the parts before."""
    placed: Callable[[Image.Image], Image.Image] = lambda preview: preview
    """A preview of the whole picture from one of what the part draws."""


class SamplingRun:
    """Sampling of image `index` of a request, and those after it that are drawn together with it. `warnings`:
    sentences that its modes add; `facts`: what they add to the metadata. `stage`, `picture` and `part`: as an
    unfinished image has them."""

    def __init__(
        self,
        request: GenerationRequest,
        index: int,
        reporter: ProgressReporter,
        origin: Callable[[], Mapping[str, Any]] = dict,
        memory_warnings: Sequence[str] = (),
        slow_steps: SlowSteps | None = None,
        count: int = 1,
    ):
        """`origin`, `memory_warnings`: for the saved state of an unfinished image. `slow_steps`: the job's,
        where slow steps are looked for. `count`: of images."""
        self.request, self.index, self.count, self.reporter = request, index, count, reporter
        self.warnings: list[str] = []
        self.facts: dict[str, Any] = {}
        self.stage: Stage = "first"
        self.picture: Image.Image | None = None
        self.part = Part()
        self.stages: dict[str, Image.Image] = {}
        """Finished pictures on the way to the final one, where the request asks for them."""
        self.span = 0.0, 1.0
        """The part of the image's work that the current pass is, from and to."""
        self.pass_name = ""
        """Of the current pass; "" where the image has only one."""
        self._share = 0.0
        self.slow_steps = slow_steps
        self._origin, self._memory_warnings = origin, memory_warnings

    def begin(
        self,
        model: ModelContext,
        size: tuple[int, int],
        *,
        steps: Steps | None = None,
        latents: torch.Tensor | None = None,
        inpainted: Inpainted | None = None,
        second: bool = False,
        request: GenerationRequest | None = None,
        tiles: Tiles | None = None,
    ) -> SamplingPass:
        """A pass over images of `size` (width, height in pixels).

        `steps`: None = those of the request's first pass.
        `latents`: clean ones that it starts from, (1 or the run's images, 4, height / 8, width / 8); None =
        noise alone.
        `second`: whether it follows another pass; the first one's noise would otherwise be repeated.
        `request`: what holds its sampler, schedule and guidance; None = the run's.
        `tiles`: in which the UNet sees the image, whose coarse content stays that of `latents`; None = it
        sees all at once.
        """
        steps = steps or self.request.first_pass_steps
        seeds = [self._seeds(self.index + number, second) for number in range(self.count)]
        return SamplingPass(
            self, request or self.request, model, size, seeds, steps, latents, inpainted, tiles
        )

    def worked(self, share: float) -> None:
        """Report that this share of the current pass is done."""
        self._share = within(self.span, share)
        self.reporter.worked(self.index + self.count * self._share, self.pass_name)

    def seed_noise(self, size: tuple[int, int]) -> torch.Tensor:
        """Noise of unit variance, (count, 4, height / 8, width / 8), of the images' seeds alone, without a
        variation: what AUTOMATIC1111 takes as "latent noise". `size`: width and height in pixels."""
        indices = range(self.index, self.index + self.count)
        plain = [
            replace(self._seeds(each, second=False), variation_strength=0.0, resized_from=None)
            for each in indices
        ]
        return torch.stack([image_noise(each, _latent_shape(size)) for each in plain])

    def starting_noise(self, shape: Shape) -> torch.Tensor:
        """Noise (1, *shape) of unit variance for what a pass starts from; another than the pass's own."""
        seed = self.request.seed_of(self.index) + (STARTING_NOISE + self.part.number) * (MAX_SEED + 1)
        return image_noise(Seeds(seed=seed, source=self.request.noise_source), shape)[None]

    def _seeds(self, index: int, second: bool) -> Seeds:
        alone = self.request.for_single_image(index)
        # A later pass needs other noise, also on a Brownian path.
        later = 1 if second else self.part.number + 1 if self.part.number else 0
        beyond = later * (MAX_SEED + 1)
        width, height = alone.seed_resize_width, alone.seed_resize_height
        return Seeds(
            seed=alone.seed + beyond,
            source=alone.noise_source,
            variation_seed=(alone.variation_seed or 0) + beyond,
            variation_strength=alone.variation_strength,
            resized_from=(height // LATENT_PIXELS, width // LATENT_PIXELS) if width and height else None,
            step_seed_delta=alone.ensd,
        )

    def unfinished(self, state: State, total: int, noise: torch.Tensor, evaluations: int) -> Unfinished:
        """What is saved of the image after a step. `total`: of all parts. `noise`: its position.
        `evaluations`: in this pass."""
        part = self.part
        return Unfinished(
            index=self.index,
            step=part.steps_before + state.step,
            total=total,
            part=part.number,
            steps_before=part.steps_before,
            canvas=part.canvas,
            share=self._share,
            stage=self.stage,
            state=on(state, "cpu", copy=True),
            noise=noise,
            evaluations=evaluations,
            picture=self.picture,
            stages=dict(self.stages),
            warnings=tuple(self.warnings),
            memory_warnings=tuple(self._memory_warnings),
            origin=self._origin(),
        )


def within(span: tuple[float, float], share: float) -> float:
    """What `share` (0 to 1) of a span is in the whole."""
    begin, end = span
    return begin + (end - begin) * share


class SamplingPass:
    """One pass over the latents of a run's images, by one checkpoint or by two in turn."""

    def __init__(
        self,
        owner: SamplingRun,
        request: GenerationRequest,
        model: ModelContext,
        size: tuple[int, int],
        seeds: Sequence[Seeds],
        steps: Steps,
        latents: torch.Tensor | None,
        inpainted: Inpainted | None,
        tiles: Tiles | None = None,
    ):
        self._inpainted, self._tiles, self._redrawn = inpainted, tiles, latents if tiles else None
        config = model.loaded.scheduler
        self._run, self._size = owner, size
        self._guidance = replace(guidance_of(request), weights=model.embeddings.weights)
        self._evaluations = 0
        self._model_sigmas = ModelSigmas.from_config(config)
        schedule = sigmas_for(request, config, self._model_sigmas, steps.scheduled)
        # A schedule may have more steps than were asked for.
        self._levels = schedule if steps.drawn == steps.scheduled else schedule[-1 - steps.drawn :]
        self._solver = SOLVERS[request.sampler]
        self._options = options_of(request, self._model_sigmas)
        self._sigmas = self._solver.plan(self._levels, self._options)
        shape = _latent_shape(size)
        has_path = sampler_named(request.sampler).noise == "path"
        sources: list[ImageNoise] = [
            BrownianNoise(each.seed, shape, schedule, each.source) if has_path else StepNoise(each, shape)
            for each in seeds
        ]
        self._noise: ImageNoise = JoinedNoise(sources) if len(sources) > 1 else sources[0]
        self._first_noise = torch.stack([image_noise(each, shape) for each in seeds])
        x = self._first_noise.to(model.loaded.device) * self._sigmas[0]
        self._state = State(x if latents is None else x + latents.to(x))

    @property
    def steps_done(self) -> int:
        """Steps that were taken."""
        return self._state.step

    def restore(self, saved: Unfinished) -> None:
        """Go on from a saved state. Raises `GenerationError` if it is none of such a pass."""
        saved.check(self._state.x, self._noise.state())
        try:
            self._noise.restore(saved.noise)
        except RuntimeError:
            raise GenerationError(DAMAGED) from None
        self._state, self._evaluations = saved.state, saved.evaluations

    def sample(self, model: ModelContext, until: float = 1.0) -> torch.Tensor:
        """The latents of all images (n, 4, h, w), float32 and in the UNet's range, after the steps up to the
        share `until` of them; at 1 they are clean, before that they are left for another checkpoint.

        Raises `CancelledError` from the reporter, and whatever torch raises.
        """
        device = model.loaded.device
        inpainted = self._inpainted and self._inpainted.at(device, self._levels, self._first_noise)
        count, evaluations = self._run.count, self._evaluations
        tiles = self._tiles
        size = (tiles.width, tiles.height) if tiles else self._size
        total = len(self._sigmas) - 1
        self._use_loras(model, size, self._state.step, total)
        one = UNetDenoiser(model, self._model_sigmas, self._guidance, size, inpainted, evaluations, count)
        denoise: UNetDenoiser | TiledDenoiser = one
        state = on(self._state, device)

        def begin_tile(number: int) -> None:
            assert tiles is not None
            self._run.reporter.check()
            self._run.worked((state.step + number / tiles.count) / max(total, state.step + 1))
            self._run.reporter.status(
                f"Step {state.step + 1} of {max(total, state.step + 1)}, tile {number + 1} of {tiles.count}"
            )

        if tiles is not None and self._redrawn is not None:
            denoise = TiledDenoiser(one, tiles, self._redrawn.to(device), begin_tile)
        last, limited = int(total * until), any(use.is_limited for use in model.loras or ())
        if self._run.slow_steps:
            self._run.slow_steps.begin()
        while not self._solver.is_finished(state, self._sigmas) and (until == 1 or state.step < last):
            denoise.share = state.step / total
            if limited:
                self._use_loras(model, size, state.step, total)
            begun_at = denoise.begun_at = self._solver.sigma(state, self._sigmas)
            state = self._solver.step(state, self._sigmas, denoise, self._noise, self._options)
            shown = state.denoised
            if inpainted is not None:
                sigma = self._solver.sigma(state, self._sigmas)
                state = replace(state, x=inpainted.held(state.x, sigma, begun_at))
                shown = None if shown is None else inpainted.shown(shown, begun_at)
            self._evaluations = denoise.evaluations
            # A sampler with adaptive steps may take more than planned.
            self._report(state, max(total, state.step), shown, model.loaded.checkpoint.latent_rgb)
        # For another checkpoint earlier predictions mean nothing; multistep samplers begin anew.
        self._state = State(state.x, state.step)
        return state.x

    def _use_loras(self, model: ModelContext, size: tuple[int, int], step: int, total: int) -> None:
        """Have the UNet on the device, with the LoRAs that act in this step."""
        loras = None if model.loras is None else [use.at(step, total) for use in model.loras]
        rows = self._guidance.rows * self._run.count
        model.loaded.for_sampling(size, rows, loras, self._run.reporter.check)

    def _report(
        self, state: State, total: int, shown: torch.Tensor | None, rgb: Sequence[Sequence[float]] | None
    ) -> None:
        """`shown`: the prediction that a preview is made of."""
        reporter, slow_steps, part = self._run.reporter, self._run.slow_steps, self._run.part
        planned = len(self._sigmas) - 1
        total += part.steps_before + (part.count - part.number - 1) * planned
        if slow_steps and (warning := slow_steps.step()):
            self._run.warnings.append(warning)
        self._run.worked((part.steps_before + state.step) / total)
        reporter.step(self._run.index, part.steps_before + state.step, total)
        if shown is not None and reporter.wants_preview():
            reporter.preview(part.placed(previews.latents_to_rgb(shown, rgb)))
        if reporter.wants_state():
            reporter.state(self._run.unfinished(state, total, self._noise.state(), self._evaluations))
        reporter.check()


def _latent_shape(size: tuple[int, int]) -> tuple[int, int, int]:
    """Channels, height and width of the latents of an image of `size` (width, height in pixels)."""
    return LATENT_CHANNELS, size[1] // LATENT_PIXELS, size[0] // LATENT_PIXELS
