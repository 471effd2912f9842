"""Builds the samplers of `request.samplers` as diffusers schedulers on a checkpoint's own noise schedule.

diffusers' `from_config` keeps settings of the previous scheduler in the config, where they can take effect
again later. Each image therefore gets a new scheduler, built from the checkpoint's original config.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import diffusers
import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LMSDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler, DPMSolverSDEScheduler

from ...request.samplers import (
    SCHEDULES,
    SGM_UNIFORM,
    UNIFORM,
    Sampler,
    resolved_schedule,
    sampler_named,
)


class CustomLevels:
    """Mixin for a diffusers scheduler that takes its noise levels (sigmas) from `levels` if that is set."""

    custom_schedules: ClassVar[tuple[str, ...]] = ("Karras", "Exponential")
    """Schedules computed by `noise_levels`; diffusers computes the others correctly."""
    levels: Callable[[int], np.ndarray] | None = None
    """Number of steps -> noise levels, descending, without the final zero. None = diffusers' own."""


class CustomKarras(CustomLevels):
    """Replaces diffusers' Karras sigmas by `levels`. diffusers takes their range from the timesteps of the
    schedule without Karras, so they end far too early with few steps and with "trailing" spacing."""

    num_inference_steps: int

    def _convert_to_karras(self, in_sigmas: Any, num_inference_steps: int | None = None) -> np.ndarray:
        steps = num_inference_steps or self.num_inference_steps
        if self.levels is not None:
            return self.levels(steps)
        return noise_levels("Karras", np.flip(np.sort(in_sigmas)), steps)  # only during construction


class Multistep(CustomLevels, DPMSolverMultistepScheduler):
    """DPM++ of the multistep kind."""

    custom_schedules = (UNIFORM,)  # diffusers omits the last level there, like "SGM Uniform"

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        mu: float | None = None,
        timesteps: list[int] | None = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, mu, timesteps)
        _replace_levels(self, num_inference_steps, device)

    def multistep_dpm_solver_third_order_update(
        self, model_output_list: Any, *args: Any, **more: Any
    ) -> torch.Tensor:
        """diffusers' update with the sign of the second difference corrected: diffusers subtracts one half
        where k-diffusion's `sample_dpmpp_3m_sde` adds it."""
        x = super().multistep_dpm_solver_third_order_update(model_output_list, *args, **more)
        if self.config.algorithm_type != "sde-dpmsolver++":
            return x
        assert self.step_index is not None
        nearby = self.sigmas[self.step_index - 2 : self.step_index + 2]
        alphas, sigmas = self._sigma_to_alpha_sigma_t(nearby)
        before, last, step = (alphas.log() - sigmas.log()).diff()
        newest, second, third = reversed(model_output_list[-3:])
        slopes = (newest - second) * (step / last), (second - third) * (step / before)
        bend = (slopes[0] - slopes[1]) * (step / (last + before))
        return x + alphas[-1] * bend


class UniPC(CustomLevels, UniPCMultistepScheduler):
    """UniPC with fractional timesteps; diffusers rounds them."""

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: bool | None = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, sigmas, mu)
        _replace_levels(self, num_inference_steps, device)


class EulerAncestral(CustomLevels, EulerAncestralDiscreteScheduler):
    """Euler a on any schedule; diffusers supports evenly spaced timesteps only."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        super().set_timesteps(num_inference_steps, device)
        _replace_levels(self, num_inference_steps, device)


class Euler(CustomKarras, EulerDiscreteScheduler):
    """Euler on the full range of noise levels."""


class Heun(CustomKarras, HeunDiscreteScheduler):
    """Heun on the full range of noise levels."""


class DPM2(CustomKarras, KDPM2DiscreteScheduler):
    """DPM2 on custom noise levels, with their exact, fractional timesteps."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        # On the CPU first: diffusers creates float64 tensors, which Apple's GPUs do not support.
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact_timesteps(self, num_inference_steps, device)


class DPM2a(CustomKarras, KDPM2AncestralDiscreteScheduler):
    """DPM2 with new noise after each step."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact_timesteps(self, num_inference_steps, device)


class SeededSDE(CustomKarras, DPMSolverSDEScheduler):
    """DPM++ SDE with noise sampled on the CPU, so that it is the same on every device."""

    noise_sampler: Any

    def step(self, model_output: Any, timestep: Any, sample: Any, *args: Any, **more: Any) -> Any:
        if self.noise_sampler is None:
            sigmas = self.sigmas[self.sigmas > 0].cpu()
            like = torch.empty(sample.shape, dtype=torch.float32)
            # Other bounds would give another Brownian path, and so another image than A1111's. The tree
            # rounds them to six decimals; queries must stay inside the rounded interval.
            low, high = round(float(sigmas.min()), 6), round(float(sigmas.max()), 6)
            tree = BrownianTreeNoiseSampler(like, low, high, seed=self.noise_sampler_seed)
            inside = partial(torch.clamp, min=low, max=high)
            self.noise_sampler = lambda begin, end: tree(
                inside(begin.cpu().double()), inside(end.cpu().double())
            ).to(sample)
        return super().step(model_output, timestep, sample, *args, **more)


class StartableLMS(CustomKarras, LMSDiscreteScheduler):
    """LMS that can start in the middle of the schedule (img2img, second pass): the order grows with the steps
    actually taken; diffusers derives it from the position in the schedule, which leaves wrong noise.

    Third order: k-diffusion's fourth oversaturates colours with guidance and 20 evenly spaced steps.
    """

    def step(
        self, model_output: Any, timestep: Any, sample: Any, order: int = 3, return_dict: bool = True
    ) -> Any:
        order = min(order, len(self.derivatives) + 1)
        return super().step(model_output, timestep, sample, order=order, return_dict=return_dict)


SOLVERS: dict[str, type[Any]] = {
    "DPMSolverMultistepScheduler": Multistep,
    "DPMSolverSDEScheduler": SeededSDE,
    "EulerAncestralDiscreteScheduler": EulerAncestral,
    "EulerDiscreteScheduler": Euler,
    "HeunDiscreteScheduler": Heun,
    "KDPM2AncestralDiscreteScheduler": DPM2a,
    "KDPM2DiscreteScheduler": DPM2,
    "LMSDiscreteScheduler": StartableLMS,
    "UniPCMultistepScheduler": UniPC,
}
"""Our subclasses of diffusers' schedulers, by the name of the base class."""

_SCHEDULE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "steps_offset",
)
"""Config keys that belong to the checkpoint, not to the sampler."""

MIN_LINSPACE_STEPS = 10
"""With fewer steps, 'linspace' makes second-order samplers overshoot (14 instead of 0.4 at 2 steps)."""


def build(sampler: str, schedule: str, pristine: Mapping[str, Any], steps: int, seed: int) -> Any:
    """A new scheduler for a sampler and a schedule that it supports (names of `request.samplers`).

    `pristine`: the checkpoint's scheduler config. `steps` decides the timestep spacing; `seed` is for
    samplers that add noise of their own.
    """
    record = sampler_named(sampler)
    solver = SOLVERS.get(record.solver) or getattr(diffusers, record.solver)
    effective = schedule_in_use(sampler, schedule, pristine, steps)
    config = {key: pristine[key] for key in _SCHEDULE if pristine.get(key) is not None}
    config["timestep_spacing"] = timestep_spacing(pristine, steps)
    config["noise_sampler_seed"] = seed
    has_zero_snr = bool(pristine.get("rescale_betas_zero_snr"))
    if has_zero_snr:
        config["rescale_betas_zero_snr"] = True
    custom = effective if _needs_custom_levels(solver, record, effective, has_zero_snr) else None
    if custom is None:
        config |= _options_of(effective)
    elif issubclass(solver, CustomKarras):
        config["use_karras_sigmas"] = True  # makes diffusers call `_convert_to_karras`
    config |= record.options
    known = inspect.signature(solver).parameters
    scheduler = solver(**{key: value for key, value in config.items() if key in known})
    if custom is not None:
        scheduler.levels = partial(
            noise_levels, custom, _training_levels(scheduler), discard=record.discards_penultimate
        )
    return scheduler


def _needs_custom_levels(solver: type, record: Sampler, schedule: str | None, has_zero_snr: bool) -> bool:
    if schedule is None or not issubclass(solver, CustomLevels):
        return False
    if record.discards_penultimate or schedule in solver.custom_schedules:
        return True
    # diffusers' Exponential starts one level below the top, where the latents are not pure noise.
    return has_zero_snr and schedule == "Exponential"


def _options_of(schedule: str | None) -> Mapping[str, Any]:
    return next((each.options for each in SCHEDULES if each.name == schedule), {})


def noise_levels(kind: str, training: np.ndarray, steps: int, discard: bool = False) -> np.ndarray:
    """`steps` noise levels, descending, without the final zero, as in k-diffusion and AUTOMATIC1111.

    `kind`: "Karras" (Karras et al. 2022, rho 7), "Exponential", "Uniform" (evenly spaced timesteps) or
    "SGM Uniform" (one more, without the last). `training`: the checkpoint's levels, ascending. `discard`:
    compute one level more and drop the lowest.
    """
    count = steps + discard
    low, high = training[0], training[-1]
    if kind == "Karras":
        found = np.linspace(high ** (1 / 7), low ** (1 / 7), count) ** 7
    elif kind == "Exponential":
        found = np.exp(np.linspace(np.log(high), np.log(low), count))
    else:
        timesteps = np.linspace(len(training) - 1, 0, count + (kind == SGM_UNIFORM))[:count]
        found = np.exp(np.interp(timesteps, np.arange(len(training)), np.log(training)))
    return found[:steps]


def _replace_levels(scheduler: Any, steps: int | None, device: Any) -> None:
    """Replace the levels that diffusers has computed by the scheduler's custom ones."""
    if scheduler.levels is None or steps is None:
        return
    sigmas = scheduler.levels(steps)
    scheduler.sigmas = torch.from_numpy(np.append(sigmas, 0).astype(np.float32))
    scheduler.timesteps = _timesteps(scheduler, sigmas).to(device)


def _training_levels(scheduler: Any) -> np.ndarray:
    """Noise level of each training timestep, ascending."""
    product = scheduler.alphas_cumprod.double().numpy()
    return np.sqrt((1 - product) / product)


def _timesteps(scheduler: Any, sigmas: np.ndarray) -> torch.Tensor:
    """Fractional timesteps of noise levels, interpolated between the checkpoint's training timesteps."""
    training = np.log(_training_levels(scheduler))
    places = np.interp(np.log(sigmas), training, np.arange(len(training)))
    return torch.from_numpy(places.astype(np.float32))


def _exact_timesteps(scheduler: Any, steps: int, device: Any) -> torch.Tensor:
    """The timesteps of DPM2: diffusers rounds those of the steps, but not the intermediate ones."""
    timesteps = scheduler.timesteps.to(torch.float32)
    if scheduler.levels is not None:
        timesteps[::2] = _timesteps(scheduler, scheduler.levels(steps))
    return timesteps.to(device)


def timestep_spacing(pristine: Mapping[str, Any], steps: int) -> str:
    """diffusers' `timestep_spacing`.

    'leading', SDXL's published default, starts at t=801 of 999 for 5 steps, which assumes less noise than
    there is. 'linspace' always starts at the top, as AUTOMATIC1111's samplers do; with few steps 'trailing'
    recovers a known distribution better. Distilled checkpoints declare 'trailing' themselves.
    """
    few = steps < MIN_LINSPACE_STEPS
    return "trailing" if few or pristine.get("timestep_spacing") == "trailing" else "linspace"


def schedule_in_use(sampler: str, schedule: str, pristine: Mapping[str, Any], steps: int) -> str | None:
    """The schedule that is actually used: Uniform becomes SGM Uniform if timesteps are "trailing" (see
    `timestep_spacing`). None = the sampler's own timesteps."""
    record = sampler_named(sampler)
    resolved = resolved_schedule(record, schedule)
    is_trailing = timestep_spacing(pristine, steps) == "trailing" and not record.discards_penultimate
    return SGM_UNIFORM if resolved == UNIFORM and is_trailing else resolved


def is_sigma_scaled(scheduler: Any) -> bool:
    """Whether its samples are x0 + sigma * noise (the Euler family) rather than of unit variance."""
    return bool(scheduler.init_noise_sigma != 1)
