"""Schedules: the noise levels (sigmas) at which a sampler works, as pure functions of the checkpoint's.

Names and defaults are AUTOMATIC1111's, and Forge's for those that AUTOMATIC1111 lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from .model_sigmas import ModelSigmas


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """Settings of schedules; None = the default. Each schedule reads those that it knows."""

    sigma_min: float | None = None
    """The lowest level before the final zero; by default the checkpoint's."""
    sigma_max: float | None = None
    """The highest level; by default the checkpoint's."""
    rho: float | None = None
    """Karras: how much the steps are concentrated at low levels, default 7. Polyexponential: default 1."""
    alpha: float | None = None
    """First parameter of Beta's distribution, default 0.6."""
    beta: float | None = None
    """Second parameter of Beta's distribution, default 0.6."""


DEFAULTS = ScheduleOptions()

Schedule = Callable[[ModelSigmas, int, ScheduleOptions], list[float]]
"""(the checkpoint's sigmas, number of steps, options) -> sigmas, descending, ending in 0.0; one more than
steps. The number of steps is 1 or more."""


def uniform(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Timesteps evenly spaced over the whole trained range, both ends included (k-diffusion)."""
    return _at(model, np.linspace(len(model) - 1, 0, steps))


def normal(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Timesteps evenly spaced from `sigma_max` to `sigma_min` (ComfyUI)."""
    low, high = _range(model, options)
    return _at(model, np.linspace(model.timestep(high), model.timestep(low), steps))


def sgm_uniform(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """One timestep more than `normal`, without the last: "trailing" spacing, as in Stability AI's generative
    models and recommended by Lin et al. 2024 ("Common Diffusion Noise Schedules and Sample Steps are
    Flawed")."""
    low, high = _range(model, options)
    return _at(model, np.linspace(model.timestep(high), model.timestep(low), steps + 1)[:-1])


def karras(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Evenly spaced in sigma^(1 / rho) (Karras et al. 2022, equation 5)."""
    low, high = _range(model, options)
    rho = 7.0 if options.rho is None else options.rho
    return _ended(np.linspace(high ** (1 / rho), low ** (1 / rho), steps) ** rho)


def exponential(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Evenly spaced in the logarithm of sigma, the time of DPM-Solver (Lu et al. 2022)."""
    low, high = _range(model, options)
    return _ended(np.exp(np.linspace(math.log(high), math.log(low), steps)))


def polyexponential(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """The logarithm of sigma falls as a power of the steps that are left (k-diffusion); the same as
    `exponential` with rho 1."""
    low, high = _range(model, options)
    rho = 1.0 if options.rho is None else options.rho
    share = np.linspace(1, 0, steps) ** rho
    return _ended(np.exp(math.log(low) + share * math.log(high / low)))


def kl_optimal(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Evenly spaced in the arctangent of sigma, which minimises the KL divergence for Gaussian data of unit
    variance (Sabour et al. 2024, "Align Your Steps", section 3.2).

    The model is evaluated at AUTOMATIC1111's levels. There the last step ends at `sigma_min`, which leaves
    a trace of noise; here at 0.
    """
    low, high = _range(model, options)
    return _ended(np.tan(np.linspace(math.atan(high), math.atan(low), steps + 1)[:-1]))


_ALIGN_YOUR_STEPS = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
"""Optimised for SDXL with 10 steps."""

_ALIGN_YOUR_STEPS_32 = (
    14.615, 11.1491618, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457,
    2.74396527, 2.29968659, 1.95448514, 1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443,
    0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379, 0.36258186, 0.31008517,
    0.26518925, 0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015,
)  # fmt: skip
"""Optimised for SDXL with more steps."""


def align_your_steps(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Levels optimised for SDXL (Sabour et al. 2024, "Align Your Steps"), whatever the checkpoint's are;
    log-linear between them where the number of steps differs."""
    return _resampled(_ALIGN_YOUR_STEPS, steps)


def align_your_steps_32(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """As `align_your_steps`, from 32 levels."""
    return _resampled(_ALIGN_YOUR_STEPS_32, steps)


def simple(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Whole timesteps at equal distances from the top (ComfyUI)."""
    places = len(model) - 1 - (np.arange(steps) * (len(model) / steps)).astype(int)
    return _ended(model.sigmas[places])


def ddim(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Whole timesteps upwards from 1 at equal distances (Song et al. 2021, "Denoising Diffusion Implicit
    Models", linear trajectory).

    The distance is rounded down, so that there can be more steps than asked for (25 for 24); so it is in
    AUTOMATIC1111.
    """
    return _ended(model.sigmas[1 :: max(len(model) // steps, 1)][::-1])


def beta(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """Quantiles of a Beta distribution (Lee et al. 2024, "Beta Sampling is All You Need"), over sigma as in
    AUTOMATIC1111. ComfyUI takes them over the timestep."""
    low, high = _range(model, options)
    first = 0.6 if options.alpha is None else options.alpha
    second = 0.6 if options.beta is None else options.beta
    return _ended(low + betaincinv(first, second, np.linspace(1, 0, steps)) * (high - low))


def turbo(model: ModelSigmas, steps: int, options: ScheduleOptions) -> list[float]:
    """The timesteps that SDXL Turbo was distilled on (Sauer et al. 2023, "Adversarial Diffusion
    Distillation"), spread over `steps` (Forge)."""
    timesteps = np.round(np.arange(steps, 0, -1) * (1000 / steps) - 1).astype(int)
    return _ended(model.sigmas[np.clip(timesteps, 0, len(model) - 1)])


SCHEDULES: dict[str, Schedule] = {
    "Uniform": uniform,
    "Karras": karras,
    "Exponential": exponential,
    "Polyexponential": polyexponential,
    "SGM Uniform": sgm_uniform,
    "KL Optimal": kl_optimal,
    "Align Your Steps": align_your_steps,
    "Align Your Steps 32": align_your_steps_32,
    "Simple": simple,
    "Normal": normal,
    "DDIM": ddim,
    "Beta": beta,
    "Turbo": turbo,
}
"""All schedules, by AUTOMATIC1111's or Forge's name."""


def sigmas_of(
    name: str,
    model: ModelSigmas,
    steps: int,
    options: ScheduleOptions = DEFAULTS,
    *,
    discards_penultimate: bool = False,
) -> list[float]:
    """The sigmas of a schedule by its name in `SCHEDULES`. `discards_penultimate`: AUTOMATIC1111's "Discard
    penultimate sigma", the number of steps staying the same."""
    if not discards_penultimate:
        return SCHEDULES[name](model, steps, options)
    return without_penultimate(SCHEDULES[name](model, steps + 1, options))


def without_penultimate(sigmas: Sequence[float]) -> list[float]:
    """All sigmas but the last one before the zero. Some samplers leave grain with it."""
    return [*sigmas[:-2], *sigmas[-1:]]


def _range(model: ModelSigmas, options: ScheduleOptions) -> tuple[float, float]:
    """The lowest and the highest sigma."""
    low = model.sigma_min if options.sigma_min is None else options.sigma_min
    high = model.sigma_max if options.sigma_max is None else options.sigma_max
    if not 0 < low < high:
        raise ValueError(f"a schedule needs 0 < sigma_min < sigma_max, not {low} and {high}")
    return low, high


def _at(model: ModelSigmas, timesteps: Iterable[float]) -> list[float]:
    return _ended(model.sigma(timestep) for timestep in timesteps)


def _resampled(levels: Sequence[float], steps: int) -> list[float]:
    """As many levels as steps, log-linear between those given, both ends included."""
    if steps == len(levels):
        return _ended(levels)
    places = np.linspace(0, len(levels) - 1, steps)
    return _ended(np.exp(np.interp(places, np.arange(len(levels)), np.log(levels))))


def _ended(sigmas: Iterable[float]) -> list[float]:
    return [*map(float, sigmas), 0.0]
