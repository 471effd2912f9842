"""Runs of the samplers as the core plans them, on a perfect model of N(0.7, 0.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from webbduck_gradio.core.sampling.levels import sigmas_for
from webbduck_gradio.core.sampling.loop import SLOPES
from webbduck_gradio.core.sampling.model_sigmas import ModelSigmas
from webbduck_gradio.core.sampling.noise import BrownianNoise, Seeds, StepNoise, image_noise
from webbduck_gradio.core.sampling.samplers import SOLVERS
from webbduck_gradio.core.sampling.samplers.base import Options, Prediction, State, run
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.request.samplers import JOINED, Sampler, fewest_steps, sampler_named

SDXL = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
MEAN, DEVIATION = 0.7, 0.4


def sampler_of(name: str) -> Sampler:
    return sampler_named(JOINED[name][0])


def fewest(name: str) -> int:
    return fewest_steps(sampler_of(name), JOINED[name][1])


def levels(name: str, steps: int, **config: object) -> list[float]:
    """The sigmas of a joined name, before the sampler's own plan."""
    asked = SDXL | config
    return sigmas_for(request_for(name), asked, ModelSigmas.from_config(asked), steps)


def request_for(name: str, **more: Any) -> GenerationRequest:
    """A request with this sampler and schedule, by their joined name."""
    sampler, schedule = JOINED[name]
    return GenerationRequest(base_model="any", sampler=sampler, schedule=schedule, **more)


def perfect(x: torch.Tensor, sigma: float) -> Prediction:
    """What a perfect model takes x to be."""
    denoised = MEAN + DEVIATION**2 / (DEVIATION**2 + sigma**2) * (x - MEAN)
    return Prediction(denoised, denoised)


class BrownianPath:
    """The noise along a path, each piece drawn once: it depends on its two sigmas alone, and to draw it takes
    most of a run."""

    def __init__(self, shape: tuple[int, int, int], schedule: tuple[float, ...]):
        self._noise = BrownianNoise(0, shape, schedule)
        self._drawn: dict[tuple[float, float], torch.Tensor] = {}

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        if (sigma, following) not in self._drawn:
            self._drawn[sigma, following] = self._noise(x, sigma, following)
        return self._drawn[sigma, following].clone()


path = cache(BrownianPath)
"""Several samplers walk along the same one."""


class Trial:
    """A run over `shape`, all of the schedule or, as img2img does, its last `strength`."""

    def __init__(
        self,
        name: str,
        steps: int,
        strength: float = 1,
        shape: tuple[int, int, int] = (4, 50, 50),
        **config: object,
    ):
        schedule = levels(name, steps, **config)
        model = ModelSigmas.from_config(SDXL | config)
        self.solver = SOLVERS[sampler_of(name).name]
        self.options = Options(slopes=SLOPES, training_sigmas=tuple(map(float, model.sigmas)))
        taken = len(schedule) - 1 if strength == 1 else int(steps * strength)
        self.sigmas = self.solver.plan(schedule[-1 - taken :], self.options)
        seeds = Seeds(seed=0)
        is_path = sampler_of(name).noise == "path"
        self.noise = path(shape, tuple(schedule)) if is_path else StepNoise(seeds, shape)
        clean = torch.randn(1, *shape, generator=torch.Generator().manual_seed(9)) * DEVIATION + MEAN
        self.start = image_noise(seeds, shape)[None] * self.sigmas[0] + (clean if strength < 1 else 0)

    def end(self, on_step: Callable[[State], None] = lambda state: None) -> torch.Tensor:
        state = State(self.start)
        return run(self.solver, state, self.sigmas, perfect, self.noise, self.options, on_step).x

    def end_in_two(self, switch: float) -> torch.Tensor:
        """The same with a sampler that knows nothing of the steps before `switch`, as at a refiner."""
        state = State(self.start)
        while state.step < int((len(self.sigmas) - 1) * switch):
            state = self.solver.step(state, self.sigmas, perfect, self.noise, self.options)
        state = State(state.x, state.step)
        return run(self.solver, state, self.sigmas, perfect, self.noise, self.options).x


@cache
def spread(name: str) -> tuple[float, float]:
    """Mean and deviation after 30 steps."""
    end = Trial(name, 30).end()
    return float(end.mean()), float(end.std())
