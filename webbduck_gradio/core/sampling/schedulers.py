"""The samplers of `request.samplers`, each built as a scheduler of diffusers from a checkpoint's own noise
schedule.

`from_config` of diffusers keeps settings of the scheduler before hidden in the configuration, so that they
come back later: every scheduler here is therefore made anew from the checkpoint's pristine configuration,
for every picture.
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


class OwnLevels:
    """Mixed into a scheduler of diffusers: its noise levels come from `levels` where that is set."""

    own: ClassVar[tuple[str, ...]] = ("Karras", "Exponential")
    """Schedules whose levels are laid by `levels`; diffusers lays the others as their names say."""
    levels: Callable[[int], np.ndarray] | None = None
    """Steps -> that many noise levels, falling, without the zero at the end. None = diffusers' own."""


class KarrasReplaced(OwnLevels):
    """The levels stand where diffusers would lay Karras' ones, whose ends it takes from the timesteps that it
    would have drawn without Karras, so that they stop far too early with few steps and on checkpoints that
    ask for "trailing" ones."""

    num_inference_steps: int

    def _convert_to_karras(self, in_sigmas: Any, num_inference_steps: int | None = None) -> np.ndarray:
        steps = num_inference_steps or self.num_inference_steps
        if self.levels is not None:
            return self.levels(steps)
        return levels("Karras", np.flip(np.sort(in_sigmas)), steps)  # only while it is being built


class Multistep(OwnLevels, DPMSolverMultistepScheduler):
    """DPM++ of the multistep kind."""

    own = (UNIFORM,)  # diffusers leaves out the last level there, as "SGM Uniform" does

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        mu: float | None = None,
        timesteps: list[int] | None = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, mu, timesteps)
        _lay(self, num_inference_steps, device)

    def multistep_dpm_solver_third_order_update(
        self, model_output_list: Any, *args: Any, **more: Any
    ) -> torch.Tensor:
        """As diffusers has it, but with the coefficient of the second difference that the integral gives:
        diffusers subtracts one half where it must be added (k-diffusion's `sample_dpmpp_3m_sde`)."""
        x = super().multistep_dpm_solver_third_order_update(model_output_list, *args, **more)
        if self.config.algorithm_type != "sde-dpmsolver++":
            return x
        assert self.step_index is not None
        around = self.sigmas[self.step_index - 2 : self.step_index + 2]
        alphas, sigmas = self._sigma_to_alpha_sigma_t(around)
        before, last, step = (alphas.log() - sigmas.log()).diff()
        newest, second, third = reversed(model_output_list[-3:])
        slopes = (newest - second) * (step / last), (second - third) * (step / before)
        bend = (slopes[0] - slopes[1]) * (step / (last + before))
        return x + alphas[-1] * bend


class UniPC(OwnLevels, UniPCMultistepScheduler):
    """UniPC, whose own timesteps are whole ones."""

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: bool | None = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, sigmas, mu)
        _lay(self, num_inference_steps, device)


class EulerAncestral(OwnLevels, EulerAncestralDiscreteScheduler):
    """Euler a, for which diffusers has even timesteps only."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        super().set_timesteps(num_inference_steps, device)
        _lay(self, num_inference_steps, device)


class Euler(KarrasReplaced, EulerDiscreteScheduler):
    """Euler on the whole range of noise."""


class Heun(KarrasReplaced, HeunDiscreteScheduler):
    """Heun on the whole range of noise."""


class DPM2(KarrasReplaced, KDPM2DiscreteScheduler):
    """DPM2 on noise levels of our own, with the timesteps that belong to them to the fraction."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        # Not on the device: there diffusers makes float64, which Apple's GPUs do not know.
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact(self, num_inference_steps, device)


class DPM2a(KarrasReplaced, KDPM2AncestralDiscreteScheduler):
    """The same with fresh noise after each step."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact(self, num_inference_steps, device)


class SeededSDE(KarrasReplaced, DPMSolverSDEScheduler):
    """DPM++ SDE whose noise is drawn on the CPU, so that it is the same on every device."""

    noise_sampler: Any

    def step(self, model_output: Any, timestep: Any, sample: Any, *args: Any, **more: Any) -> Any:
        if self.noise_sampler is None:
            sigmas = self.sigmas[self.sigmas > 0].cpu()
            like = torch.empty(sample.shape, dtype=torch.float32)
            # Exactly these bounds: every other pair is another path, and another picture than A1111's. The
            # tree rounds them to six places; what is asked must not lie outside of that.
            low, high = round(float(sigmas.min()), 6), round(float(sigmas.max()), 6)
            tree = BrownianTreeNoiseSampler(like, low, high, seed=self.noise_sampler_seed)
            inside = partial(torch.clamp, min=low, max=high)
            self.noise_sampler = lambda begin, end: tree(
                inside(begin.cpu().double()), inside(end.cpu().double())
            ).to(sample)
        return super().step(model_output, timestep, sample, *args, **more)


class StartableLMS(KarrasReplaced, LMSDiscreteScheduler):
    """LMS that may start in the middle (img2img, second pass): there the order grows with the steps that
    were really taken; diffusers takes it from the place in the schedule and gets the noise wrong.

    Of third order: k-diffusion's fourth, with guidance and 20 evenly spread steps, blows colours up.
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
"""Our versions of diffusers' schedulers, by the names of those."""

_SCHEDULE = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "steps_offset",
)
"""What belongs to the checkpoint, not to the sampler."""


FEW = 10
"""Below this number of steps 'linspace' makes second-order samplers overshoot (14 for .4 at 2 steps)."""


def build(sampler: str, schedule: str, pristine: Mapping[str, Any], steps: int, seed: int) -> Any:
    """A fresh scheduler for a sampler on a schedule that it can be drawn on (names of `request.samplers`).

    `pristine`: the checkpoint's noise schedule, a scheduler's configuration. `steps` decides how the
    timesteps lie; `seed` is for the samplers that draw noise of their own.
    """
    record = sampler_named(sampler)
    solver = SOLVERS.get(record.solver) or getattr(diffusers, record.solver)
    laid = schedule_in_use(sampler, schedule, pristine, steps)
    config = {key: pristine[key] for key in _SCHEDULE if pristine.get(key) is not None}
    config["timestep_spacing"] = timestep_spacing(pristine, steps)
    config["noise_sampler_seed"] = seed
    has_zero_snr = bool(pristine.get("rescale_betas_zero_snr"))
    if has_zero_snr:
        config["rescale_betas_zero_snr"] = True
    own = laid if _has_own_levels(solver, record, laid, has_zero_snr) else None
    if own is None:
        config |= _options_of(laid)
    elif issubclass(solver, KarrasReplaced):
        config["use_karras_sigmas"] = True  # the place where they are put in
    config |= record.options
    known = inspect.signature(solver).parameters
    scheduler = solver(**{key: value for key, value in config.items() if key in known})
    if own is not None:
        scheduler.levels = partial(levels, own, _whole(scheduler), discard=record.discards_penultimate)
    return scheduler


def _has_own_levels(solver: type, record: Sampler, laid: str | None, has_zero_snr: bool) -> bool:
    if laid is None or not issubclass(solver, OwnLevels):
        return False
    # diffusers' Exponential begins one below the top, where something of the picture is left.
    return record.discards_penultimate or laid in solver.own or (has_zero_snr and laid == "Exponential")


def _options_of(schedule: str | None) -> Mapping[str, Any]:
    return next((each.options for each in SCHEDULES if each.name == schedule), {})


def levels(kind: str, whole: np.ndarray, steps: int, discard: bool = False) -> np.ndarray:
    """`steps` noise levels, falling, without the zero at the end, as k-diffusion and AUTOMATIC1111 lay them.

    `kind`: "Karras" (rho 7), "Exponential", "Uniform" (even timesteps) or "SGM Uniform" (one more, without
    the last). `whole`: the checkpoint's levels, rising. `discard`: of one level more, all but the lowest.
    """
    count = steps + discard
    low, high = whole[0], whole[-1]
    if kind == "Karras":
        laid = np.linspace(high ** (1 / 7), low ** (1 / 7), count) ** 7
    elif kind == "Exponential":
        laid = np.exp(np.linspace(np.log(high), np.log(low), count))
    else:
        places = np.linspace(len(whole) - 1, 0, count + (kind == SGM_UNIFORM))[:count]
        laid = np.exp(np.interp(places, np.arange(len(whole)), np.log(whole)))
    return laid[:steps]


def _lay(scheduler: Any, steps: int | None, device: Any) -> None:
    """Put the scheduler's own levels in place of those that diffusers has just laid."""
    if scheduler.levels is None or steps is None:
        return
    sigmas = scheduler.levels(steps)
    scheduler.sigmas = torch.from_numpy(np.append(sigmas, 0).astype(np.float32))
    scheduler.timesteps = _timesteps(scheduler, sigmas).to(device)


def _whole(scheduler: Any) -> np.ndarray:
    product = scheduler.alphas_cumprod.double().numpy()
    return np.sqrt((1 - product) / product)


def _timesteps(scheduler: Any, sigmas: np.ndarray) -> torch.Tensor:
    """The timesteps of noise levels, to the fraction, between the checkpoint's whole ones."""
    whole = np.log(_whole(scheduler))
    return torch.from_numpy(np.interp(np.log(sigmas), whole, np.arange(len(whole))).astype(np.float32))


def _exact(scheduler: Any, steps: int, device: Any) -> torch.Tensor:
    """The timesteps of DPM2: diffusers rounds those of each step, but not those between them."""
    timesteps = scheduler.timesteps.to(torch.float32)
    if scheduler.levels is not None:
        timesteps[::2] = _timesteps(scheduler, scheduler.levels(steps))
    return timesteps.to(device)


def timestep_spacing(pristine: Mapping[str, Any], steps: int) -> str:
    """How the timesteps lie.

    'leading', SDXL's published default, starts at t=801 of 999 for 5 steps, as if there were less noise
    than there is. 'linspace' always starts at the top, as AUTOMATIC1111's samplers do; with few steps
    'trailing' recovers a known distribution better. Distilled checkpoints ask for 'trailing' themselves.
    """
    return "trailing" if steps < FEW or pristine.get("timestep_spacing") == "trailing" else "linspace"


def schedule_in_use(sampler: str, schedule: str, pristine: Mapping[str, Any], steps: int) -> str | None:
    """The schedule whose noise levels are drawn: Uniform becomes SGM Uniform where timesteps are "trailing"
    (see `timestep_spacing`). None = the sampler's own timesteps."""
    record = sampler_named(sampler)
    resolved = resolved_schedule(record, schedule)
    is_trailing = timestep_spacing(pristine, steps) == "trailing" and not record.discards_penultimate
    return SGM_UNIFORM if resolved == UNIFORM and is_trailing else resolved


def is_sigma_scaled(scheduler: Any) -> bool:
    """Whether its samples are x0 + sigma * noise (Euler and kin) instead of unit variance."""
    return bool(scheduler.init_noise_sigma != 1)
