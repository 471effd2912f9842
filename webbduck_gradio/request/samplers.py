"""The table of samplers and schedules.

A sampler is the algorithm of a denoising step, a schedule the sequence of noise levels. Names are
AUTOMATIC1111's, or Forge's. A new one is a record here and a pure function in `core.sampling`: page, API,
metadata in both directions and admission are driven by this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AUTOMATIC = "Automatic"
UNIFORM, SGM_UNIFORM, BETA = "Uniform", "SGM Uniform", "Beta"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A sequence of noise levels. `aliases`: other programs' names, case-insensitive, "_" meaning a space."""

    name: str
    fewest_steps: int = 1
    """Number of steps below which it does not begin near the top."""
    has_zero_snr: bool = True
    """Whether it suits checkpoints with zero terminal SNR, whose top level is 300 times that of others."""
    steps_of: Callable[[int], int] = lambda steps: steps
    """Number of steps that it takes if so many are asked for."""
    has_range: bool = False
    """Whether it runs from `sigma_max` to `sigma_min`; others have levels or timesteps of their own."""
    has_rho: bool = False
    aliases: tuple[str, ...] = ()


def _ddim_steps(steps: int) -> int:
    """Distances between whole timesteps are rounded down, so that some numbers of steps become larger."""
    return len(range(1, 1000, max(1000 // steps, 1)))


SCHEDULES = (
    Schedule(name=AUTOMATIC),
    Schedule(name=UNIFORM, aliases=("none",)),
    Schedule(name="Karras", has_range=True, has_rho=True),
    Schedule(name="Exponential", has_range=True),
    Schedule(name="Polyexponential", has_range=True, has_rho=True),
    Schedule(name=SGM_UNIFORM, has_range=True),
    Schedule(name="KL Optimal", has_range=True),
    Schedule(name="Align Your Steps", aliases=("ays", "align_your_steps_11")),
    Schedule(name="Align Your Steps 32", aliases=("ays 32",)),
    Schedule(name="Simple"),
    Schedule(name="Normal", has_range=True),
    Schedule(name="DDIM", fewest_steps=2, steps_of=_ddim_steps, aliases=("ddim_uniform",)),
    Schedule(name=BETA, has_zero_snr=False, has_range=True),
    Schedule(name="Turbo"),
)
"""What each is: `core.sampling.schedules`."""

_ALL = tuple(each.name for each in SCHEDULES if each.name != AUTOMATIC)
_BESIDE_OWN = tuple(name for name in _ALL if name != UNIFORM)
"""For samplers with timesteps of their own, which are evenly spaced."""
_LOW = (
    "Karras",
    "Exponential",
    "Polyexponential",
    "Align Your Steps",
    "Align Your Steps 32",
    "Normal",
    "DDIM",
)
"""Schedules whose last level is so low that second-order samplers overshoot in the step before it."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler. `aliases`: other programs' names, without `_gpu`, `_k` and `k_`; "_" means a space."""

    name: str
    family: str
    """Title under which the page lists it: samplers that compute their steps in a similar way."""
    schedules: tuple[str, ...] = _ALL
    """Schedules that it supports, beside Automatic."""
    automatic: str | None = UNIFORM
    """The schedule that A1111's "Automatic" selects for it; None = its own timesteps."""
    own: str = SGM_UNIFORM
    """The schedule that its own timesteps come to."""
    is_adaptive: bool = False
    """Whether it decides on the number of steps itself."""
    can_be_split: bool = True
    """Whether a refiner can take over in the middle; others place their steps themselves."""
    evaluations: int = 1
    """Of the model in each step, as AUTOMATIC1111 counts them for prompts that change."""
    fewest_steps: Mapping[str, int] = field(default_factory=dict)
    """By schedule, the number of steps below which it overshoots and leaves noise."""
    discards_penultimate: bool = False
    """Whether it computes one more noise level and discards the penultimate, as A1111 does for it."""
    noise: Literal["none", "steps", "path"] = "none"
    """The noise that it adds: independent at each step, or from one Brownian path."""
    eta: float | None = None
    """Its usual eta, if it has one: the share of the noise that is drawn anew at each step."""
    has_churn: bool = False
    """Whether noise can be added before its steps (Karras et al. 2022, algorithm 2)."""
    cfg_factor: float = 1.0
    """What CFG is multiplied by: CFG++ wants a scale of 0 to 1, but in A1111 it is set as for the others."""
    config_class: str = ""
    """The diffusers class by which checkpoint folders name it."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Values in that config that tell it from others of the class."""
    aliases: tuple[str, ...] = ()


_MULTISTEP = "DPMSolverMultistepScheduler"
_CFG_PLUS_PLUS = 1 / 12.5

SAMPLERS = (
    Sampler(
        name="DPM++ 2M", family="DPM++",
        automatic="Karras",
        config_class=_MULTISTEP,
        config={"algorithm_type": "dpmsolver++", "solver_order": 2},
        aliases=("dpmpp_2m", "k_dpmpp_2"),
    ),
    Sampler(
        name="DPM++ 2M SDE", family="DPM++", noise="path", eta=1.0,
        automatic="Exponential",
        config_class=_MULTISTEP,
        config={"algorithm_type": "sde-dpmsolver++", "solver_order": 2},
        aliases=("dpmpp_2m_sde", "SamplerDPMPP_2M_SDE"),
    ),
    Sampler(
        name="DPM++ 2M SDE Heun", family="DPM++", noise="path", eta=1.0,
        automatic="Exponential",
        aliases=("dpmpp_2m_sde_heun",),
    ),
    Sampler(
        name="DPM++ 3M SDE", family="DPM++", noise="path", eta=1.0,
        automatic="Exponential",
        discards_penultimate=True,
        config_class=_MULTISTEP,
        config={"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        aliases=("dpmpp_3m_sde", "SamplerDPMPP_3M_SDE"),
    ),
    Sampler(
        name="DPM++ SDE", family="DPM++", noise="path", eta=1.0, evaluations=2,
        automatic="Karras",
        config_class="DPMSolverSDEScheduler",
        aliases=("dpmpp_sde", "SamplerDPMPP_SDE"),
    ),
    Sampler(
        name="DPM++ 2S a", family="DPM++", noise="steps", eta=1.0, evaluations=2,
        automatic="Karras",
        config_class="DPMSolverSinglestepScheduler",
        aliases=("dpmpp_2s_ancestral", "dpmpp_2s", "SamplerDPMPP_2S_Ancestral"),
    ),
    Sampler(
        name="Euler", family="Euler", has_churn=True,
        config_class="EulerDiscreteScheduler",
        aliases=("euler", "SamplerEuler"),
    ),
    Sampler(
        name="Euler a", family="Euler", noise="steps", eta=1.0,
        config_class="EulerAncestralDiscreteScheduler",
        aliases=("euler_ancestral", "SamplerEulerAncestral"),
    ),
    Sampler(
        name="Heun", family="Heun", has_churn=True, evaluations=2,
        fewest_steps={**dict.fromkeys(_LOW, 5), BETA: 9},
        config_class="HeunDiscreteScheduler",
    ),
    Sampler(name="HeunPP2", family="Heun", has_churn=True, evaluations=3, aliases=("heunpp2",)),
    Sampler(
        name="DPM2", family="DPM", has_churn=True, evaluations=2,
        automatic="Karras",
        discards_penultimate=True,
        config_class="KDPM2DiscreteScheduler",
        aliases=("dpm_2", "kdpm_2"),
    ),
    Sampler(
        name="DPM2 a", family="DPM", noise="steps", eta=1.0, evaluations=2,
        automatic="Karras",
        discards_penultimate=True,
        fewest_steps={"Karras": 5, "Exponential": 6, "Polyexponential": 6},
        config_class="KDPM2AncestralDiscreteScheduler",
        aliases=("dpm_2_ancestral", "dpm_2_a", "kdpm_2_a"),
    ),
    Sampler(name="LMS", family="Multistep", config_class="LMSDiscreteScheduler", aliases=("SamplerLMS",)),
    Sampler(
        name="DPM fast", family="DPM", noise="steps", eta=1.0,
        schedules=(),
        automatic=None,
        own="Karras",
        can_be_split=False,
        fewest_steps={"Karras": 6},
        aliases=("dpm_fast",),
    ),
    Sampler(
        name="DPM adaptive", family="DPM", noise="steps", eta=1.0,
        schedules=(),
        automatic=None,
        own="Karras",
        is_adaptive=True,
        can_be_split=False,
        aliases=("dpm_adaptive",),
    ),
    Sampler(
        name="Restart", family="Heun", noise="steps", evaluations=2,
        automatic="Karras",
        can_be_split=False,
        fewest_steps={**dict.fromkeys(_LOW, 5), BETA: 9},
    ),
    Sampler(
        name="UniPC", family="Multistep",
        schedules=_BESIDE_OWN,
        automatic=None,
        config_class="UniPCMultistepScheduler",
        aliases=("uni_pc", "uni_pc_bh2"),
    ),
    Sampler(
        name="DEIS", family="Multistep",
        automatic="Karras",
        config_class="DEISMultistepScheduler",
        aliases=("deis_multistep",),
    ),
    Sampler(name="iPNDM", family="Multistep", automatic="Karras", aliases=("ipndm",)),
    Sampler(name="Res Multistep", family="Multistep", aliases=("res_multistep",)),
    Sampler(name="ER SDE", family="Multistep", noise="steps", eta=1.0, aliases=("er_sde",)),
    Sampler(
        name="DDIM", family="DDIM and DDPM", eta=0.0,
        schedules=_BESIDE_OWN,
        automatic=None,
        config_class="DDIMScheduler",
    ),
    Sampler(name="DDPM", family="DDIM and DDPM", noise="steps", automatic=SGM_UNIFORM, aliases=("ddpm",)),
    Sampler(
        name="PLMS", family="Multistep",
        automatic=SGM_UNIFORM,
        fewest_steps={**dict.fromkeys(_LOW, 3), BETA: 3},
        aliases=("pndm",),
    ),
    Sampler(
        name="LCM", family="For distilled models", noise="steps",
        automatic=SGM_UNIFORM,
        config_class="LCMScheduler",
        aliases=("SamplerLCM",),
    ),
    Sampler(
        name="TCD", family="For distilled models", noise="steps", eta=0.3,
        automatic=SGM_UNIFORM,
        config_class="TCDScheduler",
    ),
    Sampler(
        name="DDIM CFG++", family="DDIM and DDPM", eta=0.0,
        schedules=_BESIDE_OWN,
        automatic=None,
        cfg_factor=_CFG_PLUS_PLUS,
    ),
    Sampler(name="Euler CFG++", family="Euler", cfg_factor=_CFG_PLUS_PLUS, aliases=("euler_cfg_pp",)),
    Sampler(
        name="Euler a CFG++", family="Euler", noise="steps", eta=1.0,
        cfg_factor=_CFG_PLUS_PLUS,
        aliases=("euler_ancestral_cfg_pp",),
    ),
)  # fmt: skip

DEFAULT_SAMPLER, DEFAULT_SCHEDULE = "DPM++ 2M", "Karras"

_BY_NAME = {each.name: each for each in SAMPLERS}
_SCHEDULES = {each.name: each for each in SCHEDULES}


def sampler_named(name: str) -> Sampler:
    """The record of a sampler. Raises KeyError for an unknown name."""
    return _BY_NAME[name]


def schedules_of(sampler: Sampler) -> tuple[str, ...]:
    """All schedules that can be chosen with a sampler, Automatic included."""
    return AUTOMATIC, *sampler.schedules


def resolved_schedule(sampler: Sampler, schedule: str) -> str | None:
    """`schedule`, or the sampler's own for "Automatic"; None = the sampler's own timesteps."""
    return sampler.automatic if schedule == AUTOMATIC else schedule


def schedule_record(sampler: Sampler, schedule: str) -> Schedule:
    """The record of the schedule that a sampler takes if `schedule` is chosen."""
    return _SCHEDULES[resolved_schedule(sampler, schedule) or sampler.own]


def steps_taken(sampler: Sampler, schedule: str, steps: int, discards_penultimate: bool) -> int:
    """Steps that the schedule takes if `steps` are asked for; a sampler with adaptive steps takes its own."""
    spare = int(discards_penultimate)  # one level more, of which the penultimate is discarded
    return schedule_record(sampler, schedule).steps_of(steps + spare) - spare


def fewest_steps(sampler: Sampler, schedule: str) -> int:
    """Fewest steps that this sampler needs on the schedule."""
    record = schedule_record(sampler, schedule)
    return max(sampler.fewest_steps.get(record.name, 1), record.fewest_steps)


def joined_name(sampler: str, schedule: str) -> str:
    """Both in one name, as in A1111 before 1.9: "DPM++ 2M Karras"; "DPM++ 2M" alone means Uniform."""
    resolved = resolved_schedule(_BY_NAME[sampler], schedule)
    return sampler if resolved in (None, UNIFORM) else f"{sampler} {resolved}"


JOINED = {
    joined_name(sampler.name, schedule): (sampler.name, schedule)
    for sampler in SAMPLERS
    for schedule in (sampler.automatic or AUTOMATIC, *sampler.schedules)
}
"""(sampler, schedule) of each joined name."""


def split_scheduler(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with a joined name in `scheduler` or `sampler` split into `sampler` and `schedule`.

    A sampler without a schedule gets Automatic. Raises `ValueError` for an unknown name, and if `scheduler`
    contradicts the other two.
    """
    fields = dict(asked)
    name, sampler, schedule = fields.pop("scheduler", None), fields.get("sampler"), fields.get("schedule")
    if name is None and isinstance(sampler, str) and schedule is None:
        alone = sampler, AUTOMATIC
        fields["sampler"], fields["schedule"] = alone if sampler in _BY_NAME else JOINED.get(sampler, alone)
    if name is None:
        return fields
    if not isinstance(name, str) or name not in JOINED:
        raise ValueError("scheduler must be a name listed by /schedulers, such as DPM++ 2M Karras or Euler")
    both = JOINED[name]
    if (sampler, schedule) == (both[0], AUTOMATIC) and joined_name(*both) == joined_name(both[0], AUTOMATIC):
        return fields
    if sampler not in (None, both[0]) or schedule not in (None, both[1]):
        raise ValueError(f"scheduler {name} contradicts sampler and schedule; give only one of the two")
    return {**fields, "sampler": both[0], "schedule": both[1]}


def joined_of(stored: Mapping[str, Any]) -> str | None:
    """The joined name in settings of any version or program; an unknown name is returned unchanged."""
    sampler, schedule = stored.get("sampler"), stored.get("schedule")
    known = _BY_NAME.get(sampler) if isinstance(sampler, str) else None
    if known and schedule in schedules_of(known):
        return joined_name(known.name, schedule)
    return next((each for each in (stored.get("scheduler"), sampler) if isinstance(each, str)), None)


def _key(text: str) -> str:
    return text.strip().casefold().replace("_", " ")


_SAMPLER_KEYS = {_key(name): each for each in SAMPLERS for name in (each.name, *each.aliases)}
_SCHEDULE_KEYS = {_key(name): each.name for each in SCHEDULES for name in (each.name, *each.aliases)}
_JOINED_KEYS = {_key(name): both for name, both in JOINED.items()}


def find_sampler(sampler: str, schedule: str | None = None) -> tuple[str, str] | None:
    """(sampler, schedule) for another program's names, or its joined name; None if one of them is unknown.

    Without a schedule it is Uniform, or SGM Uniform where that is the sampler's own. `_gpu` (ComfyUI), `k_`
    (k-diffusion) and `_k` (InvokeAI: Karras) are recognised.
    """
    name = _key(sampler).removesuffix(" gpu")
    if name.endswith(" k"):
        name, schedule = name.removesuffix(" k"), "Karras"
    given = _SCHEDULE_KEYS.get(_key(schedule or UNIFORM))
    found = _SAMPLER_KEYS.get(name) or _SAMPLER_KEYS.get(name.removeprefix("k "))
    if found is None:
        both = _JOINED_KEYS.get(name)
        return both if both and (not schedule or given in (AUTOMATIC, UNIFORM, both[1])) else None
    if not schedule and found.automatic == SGM_UNIFORM:
        given = SGM_UNIFORM
    if given == AUTOMATIC or (given == UNIFORM and found.automatic is None):
        return found.name, found.automatic or AUTOMATIC  # a sampler's own timesteps are uniform
    return (found.name, given) if given in found.schedules else None


def sampler_of_config(config: Mapping[str, Any]) -> Sampler | None:
    """The sampler closest to a diffusers scheduler config; None if none uses its class."""
    name = config.get("_class_name")
    named = [each for each in SAMPLERS if name and each.config_class == name]
    return max(named, key=lambda each: _agreements(each, config), default=None)


def _agreements(sampler: Sampler, config: Mapping[str, Any]) -> int:
    return sum(config.get(key) == value for key, value in sampler.config.items())
