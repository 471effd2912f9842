"""Samplers and schedules: the one table of both.

A sampler is the rule by which a step is taken, a schedule the noise levels that the steps lead along. Names
are AUTOMATIC1111's. A sampler that diffusers has is added by a record in `SAMPLERS` and nothing else: page,
API, metadata in both directions, admission and the core go by this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUTOMATIC = "Automatic"
UNIFORM, SGM_UNIFORM = "Uniform", "SGM Uniform"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A way to lay noise levels. `aliases`: other programs' names, in any case, "_" being a space."""

    name: str
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """What asks a scheduler of diffusers for it, where diffusers lays it as it should be."""


SCHEDULES = (
    Schedule(name=AUTOMATIC),
    Schedule(name=UNIFORM, aliases=("normal", "none")),
    Schedule(name="Karras", options={"use_karras_sigmas": True}),
    Schedule(name="Exponential", options={"use_exponential_sigmas": True}),
    Schedule(name=SGM_UNIFORM, options={"timestep_spacing": "trailing"}),
)
"""Uniform: even timesteps down to the last (ComfyUI's "normal"). SGM Uniform: one more, without the last."""

EVERY = tuple(each.name for each in SCHEDULES if each.name != AUTOMATIC)
LONG = tuple(name for name in EVERY if name != SGM_UNIFORM)
"""For samplers that leave out the last level but one: on SGM Uniform, which has left out the one below,
their pictures get too smooth."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One sampler. `aliases`: other programs' names, without `_gpu`, `_k` and `k_`; "_" is a space."""

    name: str
    solver: str
    """Class of diffusers; `core.sampling.schedulers.SOLVERS` has our own versions of some."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of that class."""
    schedules: tuple[str, ...] = EVERY
    """Schedules that it can be drawn on, beside Automatic."""
    automatic: str | None = UNIFORM
    """The schedule that A1111's "Automatic" is for it; None = timesteps of its own."""
    has_zero_snr: bool = False
    """Can start from pure noise, as checkpoints with zero terminal SNR need."""
    can_be_split: bool = True
    """Others lose or keep noise where a refiner takes over."""
    fewest_steps: Mapping[str, int] = field(default_factory=dict)
    """By schedule, the steps below which it overshoots and leaves noise."""
    discards_penultimate: bool = False
    """Takes one noise level more and leaves out the last but one, as A1111 does for it."""
    aliases: tuple[str, ...] = ()


_MULTISTEP = "DPMSolverMultistepScheduler"

SAMPLERS = (
    Sampler(
        name="DPM++ 2M",
        solver=_MULTISTEP,
        options={"algorithm_type": "dpmsolver++", "solver_order": 2},
        automatic="Karras",
        has_zero_snr=True,
        aliases=("dpmpp_2m", "k_dpmpp_2"),
    ),
    Sampler(
        name="DPM++ 2M SDE",
        solver=_MULTISTEP,
        options={"algorithm_type": "sde-dpmsolver++", "solver_order": 2},
        automatic="Exponential",
        has_zero_snr=True,
        aliases=("dpmpp_2m_sde", "SamplerDPMPP_2M_SDE"),
    ),
    Sampler(
        name="DPM++ 3M SDE",
        solver=_MULTISTEP,
        # The second step is of the same family as the third order, and that holds to the last but one.
        options={
            "algorithm_type": "sde-dpmsolver++",
            "solver_order": 3,
            "solver_type": "heun",
            "lower_order_final": False,
        },
        schedules=LONG,
        automatic="Exponential",
        has_zero_snr=True,
        discards_penultimate=True,
        aliases=("dpmpp_3m_sde", "SamplerDPMPP_3M_SDE"),
    ),
    Sampler(
        name="DPM++ SDE",
        solver="DPMSolverSDEScheduler",
        automatic="Karras",
        aliases=("dpmpp_sde", "SamplerDPMPP_SDE"),
    ),
    Sampler(
        name="Euler", solver="EulerDiscreteScheduler", has_zero_snr=True, aliases=("euler", "SamplerEuler")
    ),
    Sampler(
        name="Euler a",
        solver="EulerAncestralDiscreteScheduler",
        has_zero_snr=True,
        aliases=("euler_ancestral", "SamplerEulerAncestral"),
    ),
    Sampler(
        name="Heun",
        solver="HeunDiscreteScheduler",
        can_be_split=False,
        fewest_steps={"Karras": 9, "Exponential": 9},
    ),
    Sampler(
        name="DPM2",
        solver="KDPM2DiscreteScheduler",
        schedules=LONG,
        automatic="Karras",
        discards_penultimate=True,
        aliases=("dpm_2", "kdpm_2"),
    ),
    Sampler(
        name="DPM2 a",
        solver="KDPM2AncestralDiscreteScheduler",
        schedules=LONG,
        automatic="Karras",
        fewest_steps={"Exponential": 9},
        discards_penultimate=True,
        aliases=("dpm_2_ancestral", "dpm_2_a", "kdpm_2_a"),
    ),
    Sampler(name="LMS", solver="LMSDiscreteScheduler", aliases=("SamplerLMS",)),
    Sampler(
        name="UniPC",
        solver="UniPCMultistepScheduler",
        options={"solver_type": "bh2"},
        schedules=("Karras", "Exponential"),
        automatic=None,
        has_zero_snr=True,
        aliases=("uni_pc", "uni_pc_bh2"),
    ),
    Sampler(
        name="DDIM",
        solver="DDIMScheduler",
        options={"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"},
        schedules=(),
        automatic=None,
        has_zero_snr=True,
    ),
)

DEFAULT_SAMPLER, DEFAULT_SCHEDULE = "DPM++ 2M", "Karras"

_BY_NAME = {each.name: each for each in SAMPLERS}


def sampler_named(name: str) -> Sampler:
    """The record of a sampler. Raises KeyError for an unknown name."""
    return _BY_NAME[name]


def schedules_of(sampler: Sampler) -> tuple[str, ...]:
    """All that may be chosen with a sampler."""
    return AUTOMATIC, *sampler.schedules


def resolved_schedule(sampler: Sampler, schedule: str) -> str | None:
    """The schedule that is meant, "Automatic" being the sampler's own; None = timesteps of its own."""
    return sampler.automatic if schedule == AUTOMATIC else schedule


def fewest_steps(sampler: Sampler, schedule: str) -> int:
    """Steps that the schedule needs with this sampler."""
    return sampler.fewest_steps.get(resolved_schedule(sampler, schedule) or "", 1)


def joined_name(sampler: str, schedule: str) -> str:
    """One name for both, as A1111 before 1.9 wrote them: "DPM++ 2M Karras"; "DPM++ 2M" is on Uniform."""
    resolved = resolved_schedule(_BY_NAME[sampler], schedule)
    return sampler if resolved in (None, UNIFORM) else f"{sampler} {resolved}"


JOINED = {
    joined_name(sampler.name, schedule): (sampler.name, schedule)
    for sampler in SAMPLERS
    for schedule in (sampler.automatic or AUTOMATIC, *sampler.schedules)
}
"""Sampler and schedule of every joined name."""


def split_scheduler(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with `sampler` and `schedule` for `scheduler`, or a `sampler`, that holds both in one name.

    A sampler without a schedule is on Automatic. Raises `ValueError` for an unknown name, and where the one
    name says something else than the two.
    """
    fields = dict(asked)
    name, sampler, schedule = fields.pop("scheduler", None), fields.get("sampler"), fields.get("schedule")
    if name is None and isinstance(sampler, str) and schedule is None:
        alone = sampler, AUTOMATIC
        fields["sampler"], fields["schedule"] = alone if sampler in _BY_NAME else JOINED.get(sampler, alone)
    if name is None:
        return fields
    if not isinstance(name, str) or name not in JOINED:
        raise ValueError(
            "scheduler must be one of the names of /schedulers, such as DPM++ 2M Karras or Euler"
        )
    both = JOINED[name]
    if (sampler, schedule) == (both[0], AUTOMATIC) and joined_name(*both) == joined_name(both[0], AUTOMATIC):
        return fields
    if sampler not in (None, both[0]) or schedule not in (None, both[1]):
        raise ValueError(f"scheduler {name} is something else than sampler and schedule; give one of them")
    return {**fields, "sampler": both[0], "schedule": both[1]}


def joined_of(stored: Mapping[str, Any]) -> str | None:
    """The joined name in settings of any version and program; a sampler's own name where that is unknown."""
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
    """Our names of another program's sampler and schedule, or of both in one name; None where one is unknown.

    Without a schedule it is Uniform. `_gpu` (ComfyUI), `k_` (k-diffusion) and `_k` (InvokeAI: Karras) are
    understood.
    """
    name = _key(sampler).removesuffix(" gpu")
    if name.endswith(" k"):
        name, schedule = name.removesuffix(" k"), "Karras"
    given = _SCHEDULE_KEYS.get(_key(schedule or UNIFORM))
    found = _SAMPLER_KEYS.get(name) or _SAMPLER_KEYS.get(name.removeprefix("k "))
    if found is None:
        both = _JOINED_KEYS.get(name)
        return both if both and (not schedule or given in (AUTOMATIC, UNIFORM, both[1])) else None
    if given == AUTOMATIC or (given == UNIFORM and found.automatic is None):
        return found.name, found.automatic or AUTOMATIC  # timesteps of one's own are even ones
    return (found.name, given) if given in found.schedules else None


def sampler_of_config(config: Mapping[str, Any]) -> Sampler | None:
    """The sampler that a configuration of diffusers asks for; None where there is none like it."""
    named = [each for each in SAMPLERS if each.solver == config.get("_class_name")]
    return max(named, key=lambda each: _agreements(each, config), default=None)


def _agreements(sampler: Sampler, config: Mapping[str, Any]) -> int:
    return sum(config.get(key) == value for key, value in sampler.options.items())
