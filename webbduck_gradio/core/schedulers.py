"""The samplers by the names that AUTOMATIC1111 gave them, each built from a checkpoint's own noise schedule.

`from_config` of diffusers keeps settings of the scheduler before hidden in the configuration, so that they
come back later: every scheduler here is therefore made anew from the checkpoint's pristine configuration,
for every picture.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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

from ..errors import RequestError
from ..request import SCHEDULERS


class SeededSDE(DPMSolverSDEScheduler):
    """DPM++ SDE whose noise is drawn on the CPU, so that it is the same on every device."""

    noise_sampler: Any

    def step(self, model_output: Any, timestep: Any, sample: Any, *args: Any, **more: Any) -> Any:
        if self.noise_sampler is None:
            sigmas = self.sigmas[self.sigmas > 0].cpu()
            like = torch.empty(sample.shape, dtype=torch.float32)
            # A little wider than the schedule: rounding would otherwise ask just outside of it.
            bounds = float(sigmas.min()) * 0.999, float(sigmas.max()) * 1.001
            tree = BrownianTreeNoiseSampler(like, *bounds, seed=self.noise_sampler_seed)
            self.noise_sampler = lambda high, low: tree(high.cpu(), low.cpu()).to(sample)
        return super().step(model_output, timestep, sample, *args, **more)


class StartableLMS(LMSDiscreteScheduler):
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
class Recipe:
    """`kind`: class of diffusers. `scaled`: its samples are x0 + sigma * noise, not of unit variance."""

    kind: type
    settings: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False
    seeded: bool = False
    """Draws its noise from a seed of its own, not from the generator."""


_KARRAS = {"use_karras_sigmas": True}
_EXPONENTIAL = {"use_exponential_sigmas": True}
_SGM = {"timestep_spacing": "trailing"}
_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
_3M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}

RECIPES: dict[str, Recipe] = {
    "DPM++ 2M": Recipe(DPMSolverMultistepScheduler, _2M),
    "DPM++ 2M Karras": Recipe(DPMSolverMultistepScheduler, _2M | _KARRAS),
    "DPM++ 2M Exponential": Recipe(DPMSolverMultistepScheduler, _2M | _EXPONENTIAL),
    "DPM++ 2M SGM Uniform": Recipe(DPMSolverMultistepScheduler, _2M | _SGM),
    "DPM++ 2M SDE Exponential": Recipe(DPMSolverMultistepScheduler, _2M_SDE | _EXPONENTIAL),
    "DPM++ 2M SDE": Recipe(DPMSolverMultistepScheduler, _2M_SDE),
    "DPM++ 2M SDE Karras": Recipe(DPMSolverMultistepScheduler, _2M_SDE | _KARRAS),
    "DPM++ 3M SDE": Recipe(DPMSolverMultistepScheduler, _3M_SDE),
    "DPM++ 3M SDE Karras": Recipe(DPMSolverMultistepScheduler, _3M_SDE | _KARRAS),
    "DPM++ 3M SDE Exponential": Recipe(DPMSolverMultistepScheduler, _3M_SDE | _EXPONENTIAL),
    "DPM++ SDE": Recipe(SeededSDE, scaled=True, seeded=True),
    "DPM++ SDE Karras": Recipe(SeededSDE, _KARRAS, scaled=True, seeded=True),
    "DPM++ SDE SGM Uniform": Recipe(SeededSDE, _SGM, scaled=True, seeded=True),
    "Euler": Recipe(EulerDiscreteScheduler, scaled=True),
    "Euler Karras": Recipe(EulerDiscreteScheduler, _KARRAS, scaled=True),
    "Euler SGM Uniform": Recipe(EulerDiscreteScheduler, _SGM, scaled=True),
    "Euler a": Recipe(EulerAncestralDiscreteScheduler, scaled=True),
    "Heun": Recipe(HeunDiscreteScheduler, scaled=True),
    "DPM2": Recipe(KDPM2DiscreteScheduler, scaled=True),
    "DPM2 Karras": Recipe(KDPM2DiscreteScheduler, _KARRAS, scaled=True),
    "DPM2 a": Recipe(KDPM2AncestralDiscreteScheduler, scaled=True),
    "DPM2 a Karras": Recipe(KDPM2AncestralDiscreteScheduler, _KARRAS, scaled=True),
    "LMS": Recipe(StartableLMS, scaled=True),
    "LMS Karras": Recipe(StartableLMS, _KARRAS, scaled=True),
    "UniPC": Recipe(UniPCMultistepScheduler, {"solver_type": "bh2"}),
    "DDIM": Recipe(
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
    recipe = RECIPES.get(name)
    if recipe is None:
        raise RequestError(f"scheduler must be one of: {', '.join(SCHEDULERS)}.")
    config = {key: pristine[key] for key in _SCHEDULE if pristine.get(key) is not None}
    config["timestep_spacing"] = spacing(pristine, steps)
    config |= recipe.settings
    if recipe.seeded:
        config["noise_sampler_seed"] = seed
    if pristine.get("rescale_betas_zero_snr"):
        config["rescale_betas_zero_snr"] = True
    known = inspect.signature(recipe.kind).parameters
    return recipe.kind(**{key: value for key, value in config.items() if key in known})


def spacing(pristine: Mapping[str, Any], steps: int) -> str:
    """How the timesteps lie.

    'leading', SDXL's published default, starts at t=801 of 999 for 5 steps, as if there were less noise
    than there is. 'linspace' always starts at the top, as AUTOMATIC1111's samplers do; with few steps
    'trailing' recovers a known distribution better. Distilled checkpoints ask for 'trailing' themselves.
    """
    return "trailing" if steps < FEW or pristine.get("timestep_spacing") == "trailing" else "linspace"


def is_scaled(scheduler: Any) -> bool:
    """Whether its samples are x0 + sigma * noise (Euler and kin) instead of unit variance."""
    return any(recipe.scaled for recipe in RECIPES.values() if recipe.kind is type(scheduler))
