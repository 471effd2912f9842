"""What all samplers share: their parts, their state, and the loop that runs one.

A sampler solves the diffusion ODE or SDE in the variance-exploding form of Karras et al. 2022 ("Elucidating
the Design Space of Diffusion-Based Generative Models"): latents are x = clean + sigma * noise. It is a pure
function of a `State`: it does one step and returns the next state, so that a run can stop after any step and
go on later with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch


class Prediction(NamedTuple):
    """What the model takes the clean latents to be. Both have the shape of x."""

    denoised: torch.Tensor
    """After guidance."""
    unconditional: torch.Tensor
    """With the negative prompt alone; where that is not evaluated, with the prompt alone. Equal to `denoised`
    without guidance."""


Denoiser = Callable[[torch.Tensor, float], Prediction]
"""(x, sigma) -> the model's prediction. One call is one evaluation of the model."""


class NoiseSource(Protocol):
    """Noise that a sampler adds."""

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        """Noise of unit variance and of the shape of `x`, for a step from `sigma` down to `following`.

        A source that draws independent numbers ignores both; a Brownian path depends on them alone.
        """


class Restart(NamedTuple):
    """A return to more noise within a run (Xu et al. 2023, "Restart Sampling", algorithm 1)."""

    sigma_min: float
    """Where the run goes back; the schedule's nearest sigma is taken."""
    steps: int
    """Steps from `sigma_max` back down to `sigma_min`."""
    times: int
    """How often it goes back."""
    sigma_max: float
    """Where it goes back to; the schedule's nearest sigma is taken."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of samplers. Each sampler reads those that it knows."""

    eta: float = 1.0
    """Share of the noise that is drawn anew at each step, 0 to 1; 0 makes an ancestral sampler an ODE one."""
    s_churn: float = 0.0
    """Noise added before steps, over the whole run (Karras et al. 2022, algorithm 2)."""
    s_tmin: float = 0.0
    """Lowest sigma at which `s_churn` acts."""
    s_tmax: float = math.inf
    """Highest sigma at which `s_churn` acts."""
    s_noise: float = 1.0
    """Factor of all noise that is added."""
    slopes: int = 4
    """Most slopes that LMS, iPNDM and PLMS combine, which is their order; 3 is more stable with few steps and
    strong guidance."""
    rtol: float = 0.05
    """Relative error that DPM adaptive allows in a step."""
    atol: float = 0.0078
    """Absolute error that DPM adaptive allows in a step; 1/128, half a grey level of 8-bit pictures."""
    restarts: tuple[Restart, ...] | None = None
    """Where Restart goes back to more noise; None = AUTOMATIC1111's choice for the number of steps."""
    eta_ddim: float = 0.0
    """`eta` of the DDIM family, which is deterministic unless asked otherwise (Song et al. 2020)."""
    gamma: float = 0.3
    """TCD's share of the way that is denoised further than asked and noised again, 0 (deterministic) to 1."""
    training_sigmas: tuple[float, ...] = ()
    """Noise level of each training timestep of the checkpoint, ascending; empty = those of SDXL."""


@dataclass(frozen=True)
class State:
    """What a sampler carries from one step to the next; all that is needed to go on."""

    x: torch.Tensor
    """Latents after `step` steps, of any shape."""
    step: int = 0
    """Steps done."""
    denoised: torch.Tensor | None = None
    """The latest prediction of the clean latents, for previews."""
    memory: tuple[torch.Tensor, ...] = ()
    """Tensors that later steps need, such as earlier predictions, newest last."""
    numbers: tuple[float, ...] = ()
    """Numbers that later steps need, such as an adaptive step size."""


Step = Callable[[State, Sequence[float], Denoiser, NoiseSource, Options], State]
"""(state, sigmas, denoise, noise, options) -> the state after one more step. `sigmas`: descending, the last
one usually 0; step i goes from `sigmas[i]` to `sigmas[i + 1]`."""


def sigma_of(state: State, sigmas: Sequence[float]) -> float:
    """The sigma of the state's latents."""
    return sigmas[state.step]


def finished(state: State, sigmas: Sequence[float]) -> bool:
    """Whether no step is left."""
    return state.step >= len(sigmas) - 1


@dataclass(frozen=True, kw_only=True)
class Solver:
    """An algorithm and what the loop must know about it."""

    step: Step
    plan: Callable[[Sequence[float], Options], Sequence[float]] = lambda sigmas, options: sigmas
    """The sigmas of all its steps, from those of the schedule; most samplers leave them as they are."""
    is_finished: Callable[[State, Sequence[float]], bool] = finished
    """For samplers whose number of steps is not known beforehand."""
    sigma: Callable[[State, Sequence[float]], float] = sigma_of
    """For samplers that choose their own sigmas."""


def run(
    solver: Solver,
    state: State,
    sigmas: Sequence[float],
    denoise: Denoiser,
    noise: NoiseSource,
    options: Options,
    on_step: Callable[[State], None] = lambda state: None,
) -> State:
    """The state after all steps that are left. `sigmas`: as planned by the solver. `on_step` is called after
    each step and may raise to stop."""
    while not solver.is_finished(state, sigmas):
        state = solver.step(state, sigmas, denoise, noise, options)
        on_step(state)
    return state
