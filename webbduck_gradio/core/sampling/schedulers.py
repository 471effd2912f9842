"""The samplers by the names that AUTOMATIC1111 gave them, each built from a checkpoint's own noise schedule.

`from_config` of diffusers keeps settings of the scheduler before hidden in the configuration, so that they
come back later: every scheduler here is therefore made anew from the checkpoint's pristine configuration,
for every picture.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
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

from ...errors import RequestError
from ...request import SCHEDULERS


class OwnLevels:
    """Mixed into a scheduler of diffusers: Karras' noise levels come from `levels` instead.

    diffusers takes their ends from the timesteps that it would have drawn without Karras, so that they stop
    far too early with few steps and on checkpoints that ask for "trailing" ones.
    """

    levels: Callable[[int], np.ndarray] | None = None
    """Steps -> that many noise levels, falling, without the zero at the end. None = diffusers' own."""
    num_inference_steps: int

    def _convert_to_karras(self, in_sigmas: Any, num_inference_steps: int | None = None) -> np.ndarray:
        steps = num_inference_steps or self.num_inference_steps
        if self.levels is not None:
            return self.levels(steps)
        return levels("Karras", np.flip(np.sort(in_sigmas)), steps)  # only while it is being built


class Multistep(DPMSolverMultistepScheduler):
    """DPM++ of the multistep kind, on noise levels of our own where `levels` is set."""

    levels: Callable[[int], np.ndarray] | None = None

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        mu: float | None = None,
        timesteps: list[int] | None = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, mu, timesteps)
        if self.levels is None or num_inference_steps is None:
            return
        sigmas = self.levels(num_inference_steps)
        self.sigmas = torch.from_numpy(np.append(sigmas, 0).astype(np.float32))
        self.timesteps = _timesteps(self, sigmas).to(device)

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


class Euler(OwnLevels, EulerDiscreteScheduler):
    """Euler on the whole range of noise where it is Karras'."""


class DPM2(OwnLevels, KDPM2DiscreteScheduler):
    """DPM2 on noise levels of our own, with the timesteps that belong to them to the fraction."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        # Not on the device: there diffusers makes float64, which Apple's GPUs do not know.
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact(self, num_inference_steps, device)


class DPM2a(OwnLevels, KDPM2AncestralDiscreteScheduler):
    """The same with fresh noise after each step."""

    def set_timesteps(
        self, num_inference_steps: int, device: Any = None, num_train_timesteps: int | None = None
    ) -> None:
        super().set_timesteps(num_inference_steps, None, num_train_timesteps)
        self.timesteps = _exact(self, num_inference_steps, device)


class SeededSDE(OwnLevels, DPMSolverSDEScheduler):
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


class StartableLMS(OwnLevels, LMSDiscreteScheduler):
    """LMS that may start in the middle (img2img, second pass): there the order grows with the steps that
    were really taken; diffusers takes it from the place in the schedule and gets the noise wrong.

    Of third order: k-diffusion's fourth, with guidance and 20 evenly spread steps, blows colours up.
    """

    def step(
        self, model_output: Any, timestep: Any, sample: Any, order: int = 3, return_dict: bool = True
    ) -> Any:
        order = min(order, len(self.derivatives) + 1)
        return super().step(model_output, timestep, sample, order=order, return_dict=return_dict)


@dataclass(frozen=True)
class SamplerConfig:
    """`kind`: class of diffusers. `scaled`: its samples are x0 + sigma * noise, not of unit variance."""

    kind: type
    settings: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False
    seeded: bool = False
    """Draws its noise from a seed of its own, not from the generator."""
    discard: bool = False
    """Takes one noise level more and leaves out the last but one, as AUTOMATIC1111 does for it."""


_KARRAS = {"use_karras_sigmas": True}
_EXPONENTIAL = {"use_exponential_sigmas": True}
_SGM = {"timestep_spacing": "trailing"}
_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
# The second step is of the same family as the third order, and that holds to the last but one.
_3M_SDE = {
    "algorithm_type": "sde-dpmsolver++",
    "solver_order": 3,
    "solver_type": "heun",
    "lower_order_final": False,
}

SAMPLER_CONFIGS: dict[str, SamplerConfig] = {
    "DPM++ 2M": SamplerConfig(Multistep, _2M),
    "DPM++ 2M Karras": SamplerConfig(Multistep, _2M | _KARRAS),
    "DPM++ 2M Exponential": SamplerConfig(Multistep, _2M | _EXPONENTIAL),
    "DPM++ 2M SGM Uniform": SamplerConfig(Multistep, _2M | _SGM),
    "DPM++ 2M SDE Exponential": SamplerConfig(Multistep, _2M_SDE | _EXPONENTIAL),
    "DPM++ 2M SDE": SamplerConfig(Multistep, _2M_SDE),
    "DPM++ 2M SDE Karras": SamplerConfig(Multistep, _2M_SDE | _KARRAS),
    "DPM++ 3M SDE": SamplerConfig(Multistep, _3M_SDE, discard=True),
    "DPM++ 3M SDE Karras": SamplerConfig(Multistep, _3M_SDE | _KARRAS, discard=True),
    "DPM++ 3M SDE Exponential": SamplerConfig(Multistep, _3M_SDE | _EXPONENTIAL, discard=True),
    "DPM++ SDE": SamplerConfig(SeededSDE, scaled=True, seeded=True),
    "DPM++ SDE Karras": SamplerConfig(SeededSDE, _KARRAS, scaled=True, seeded=True),
    "DPM++ SDE SGM Uniform": SamplerConfig(SeededSDE, _SGM, scaled=True, seeded=True),
    "Euler": SamplerConfig(Euler, scaled=True),
    "Euler Karras": SamplerConfig(Euler, _KARRAS, scaled=True),
    "Euler SGM Uniform": SamplerConfig(Euler, _SGM, scaled=True),
    "Euler a": SamplerConfig(EulerAncestralDiscreteScheduler, scaled=True),
    "Heun": SamplerConfig(HeunDiscreteScheduler, scaled=True),
    "DPM2": SamplerConfig(DPM2, scaled=True, discard=True),
    "DPM2 Karras": SamplerConfig(DPM2, _KARRAS, scaled=True, discard=True),
    "DPM2 a": SamplerConfig(DPM2a, scaled=True, discard=True),
    "DPM2 a Karras": SamplerConfig(DPM2a, _KARRAS, scaled=True, discard=True),
    "LMS": SamplerConfig(StartableLMS, scaled=True),
    "LMS Karras": SamplerConfig(StartableLMS, _KARRAS, scaled=True),
    "UniPC": SamplerConfig(UniPCMultistepScheduler, {"solver_type": "bh2"}),
    "DDIM": SamplerConfig(
        DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"}
    ),
}

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


def build(name: str, pristine: Mapping[str, Any], steps: int, seed: int) -> Any:
    """A fresh scheduler named `name` for the noise schedule `pristine` (a scheduler's configuration).

    `steps` decides how the timesteps lie; `seed` is for the samplers that draw noise of their own.
    Raises `RequestError` for unknown names.
    """
    recipe = SAMPLER_CONFIGS.get(name)
    if recipe is None:
        raise RequestError(f"scheduler must be one of: {', '.join(SCHEDULERS)}.")
    config = {key: pristine[key] for key in _SCHEDULE if pristine.get(key) is not None}
    config["timestep_spacing"] = timestep_spacing(pristine, steps)
    config |= recipe.settings
    if recipe.seeded:
        config["noise_sampler_seed"] = seed
    if pristine.get("rescale_betas_zero_snr"):
        config["rescale_betas_zero_snr"] = True
    kind = _own_levels(name, recipe, config["timestep_spacing"])
    if kind and issubclass(recipe.kind, OwnLevels):
        config["use_karras_sigmas"] = True  # the place where they are put in
    known = inspect.signature(recipe.kind).parameters
    scheduler = recipe.kind(**{key: value for key, value in config.items() if key in known})
    if kind:
        scheduler.levels = partial(levels, kind, _whole(scheduler), discard=recipe.discard)
    return scheduler


def _own_levels(name: str, recipe: SamplerConfig, laid: str) -> str | None:
    """The kind of noise levels that we make ourselves for this sampler; None where diffusers' are right."""
    schedule = next((each for each in ("Karras", "Exponential") if name.endswith(each)), "Uniform")
    if recipe.discard:
        return schedule
    if issubclass(recipe.kind, OwnLevels):
        return schedule if schedule == "Karras" else None
    if issubclass(recipe.kind, Multistep) and laid == "linspace" and schedule == "Uniform":
        return schedule  # diffusers leaves out the last level there, as "SGM Uniform" does
    return None


def levels(kind: str, whole: np.ndarray, steps: int, discard: bool = False) -> np.ndarray:
    """`steps` noise levels, falling, without the zero at the end, as k-diffusion and AUTOMATIC1111 lay them.

    `kind`: "Karras" (rho 7), "Exponential" or "Uniform" (even timesteps). `whole`: the checkpoint's levels,
    rising. `discard`: of one level more, all but the lowest.
    """
    count = steps + discard
    low, high = whole[0], whole[-1]
    if kind == "Karras":
        laid = np.linspace(high ** (1 / 7), low ** (1 / 7), count) ** 7
    elif kind == "Exponential":
        laid = np.exp(np.linspace(np.log(high), np.log(low), count))
    else:
        places = np.linspace(len(whole) - 1, 0, count)
        laid = np.exp(np.interp(places, np.arange(len(whole)), np.log(whole)))
    return laid[:steps]


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


def ends_early(name: str, pristine: Mapping[str, Any], steps: int) -> bool:
    """Whether a name without a schedule is drawn on the levels of "SGM Uniform" (see `timestep_spacing`)."""
    recipe = SAMPLER_CONFIGS[name]
    plain = not recipe.discard and not name.endswith(("Karras", "Exponential", "SGM Uniform"))
    return plain and name not in ("UniPC", "DDIM") and timestep_spacing(pristine, steps) == "trailing"


def is_sigma_scaled(scheduler: Any) -> bool:
    """Whether its samples are x0 + sigma * noise (Euler and kin) instead of unit variance."""
    return any(recipe.scaled for recipe in SAMPLER_CONFIGS.values() if recipe.kind is type(scheduler))
