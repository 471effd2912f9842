"""The samplers by the names that AUTOMATIC1111 gave them, each built from a checkpoint's own noise schedule.

`from_config` of diffusers keeps settings of the scheduler before hidden in the configuration, so that they
come back later: every scheduler here is therefore made anew from the checkpoint's pristine configuration,
for every picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers

from ..errors import RequestError
from ..request import SCHEDULERS


@dataclass(frozen=True)
class Recipe:
    """`kind`: class in diffusers. `scaled`: its samples are x0 + sigma * noise, not of unit variance."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False
    seeded: bool = False
    """Draws its noise from a seed of its own, not from the generator."""


_KARRAS = {"use_karras_sigmas": True}
_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
_3M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}
_MULTISTEP = "DPMSolverMultistepScheduler"

RECIPES: dict[str, Recipe] = {
    "DPM++ 2M": Recipe(_MULTISTEP, _2M),
    "DPM++ 2M Karras": Recipe(_MULTISTEP, _2M | _KARRAS),
    "DPM++ 2M SDE": Recipe(_MULTISTEP, _2M_SDE),
    "DPM++ 2M SDE Karras": Recipe(_MULTISTEP, _2M_SDE | _KARRAS),
    "DPM++ 3M SDE": Recipe(_MULTISTEP, _3M_SDE),
    "DPM++ 3M SDE Karras": Recipe(_MULTISTEP, _3M_SDE | _KARRAS),
    "DPM++ SDE": Recipe("DPMSolverSDEScheduler", scaled=True, seeded=True),
    "DPM++ SDE Karras": Recipe("DPMSolverSDEScheduler", _KARRAS, scaled=True, seeded=True),
    "Euler": Recipe("EulerDiscreteScheduler", scaled=True),
    "Euler a": Recipe("EulerAncestralDiscreteScheduler", scaled=True),
    "Heun": Recipe("HeunDiscreteScheduler", scaled=True),
    "DPM2": Recipe("KDPM2DiscreteScheduler", scaled=True),
    "DPM2 Karras": Recipe("KDPM2DiscreteScheduler", _KARRAS, scaled=True),
    "DPM2 a": Recipe("KDPM2AncestralDiscreteScheduler", scaled=True),
    "DPM2 a Karras": Recipe("KDPM2AncestralDiscreteScheduler", _KARRAS, scaled=True),
    "LMS": Recipe("LMSDiscreteScheduler", scaled=True),
    "LMS Karras": Recipe("LMSDiscreteScheduler", _KARRAS, scaled=True),
    "UniPC": Recipe("UniPCMultistepScheduler", {"solver_type": "bh2"}),
    "DDIM": Recipe(
        "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"}
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


FEW = 8
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
    kind = getattr(diffusers, recipe.kind)
    known = kind._get_init_keys(kind)
    return kind(**{key: value for key, value in config.items() if key in known})


def spacing(pristine: Mapping[str, Any], steps: int) -> str:
    """How the timesteps lie.

    'leading', SDXL's published default, starts at t=801 of 999 for 5 steps, as if there were less noise
    than there is. 'linspace' always starts at the top, as AUTOMATIC1111's samplers do; with few steps
    'trailing' recovers a known distribution better. Distilled checkpoints ask for 'trailing' themselves.
    """
    return "trailing" if steps < FEW or pristine.get("timestep_spacing") == "trailing" else "linspace"


def is_scaled(scheduler: Any) -> bool:
    """Whether its samples are x0 + sigma * noise (Euler and kin) instead of unit variance."""
    kind = type(scheduler).__name__
    return any(recipe.scaled for recipe in RECIPES.values() if recipe.kind == kind)
