"""The table of samplers and schedules.

A sampler is the algorithm of a denoising step, a schedule the sequence of noise levels. Names are
AUTOMATIC1111's. A sampler that diffusers implements needs only a record in `SAMPLERS`: page, API, metadata in
both directions, admission and the core are driven by this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUTOMATIC = "Automatic"
UNIFORM, SGM_UNIFORM = "Uniform", "SGM Uniform"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A sequence of noise levels. `aliases`: other programs' names, case-insensitive, "_" meaning a space."""

    name: str
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that select it in a diffusers scheduler, where diffusers implements it correctly."""


SCHEDULES = (
    Schedule(name=AUTOMATIC),
    Schedule(name=UNIFORM, aliases=("normal", "none")),
    Schedule(name="Karras", options={"use_karras_sigmas": True}),
    Schedule(name="Exponential", options={"use_exponential_sigmas": True}),
    Schedule(name=SGM_UNIFORM, options={"timestep_spacing": "trailing"}),
)
"""Uniform: evenly spaced timesteps down to the last (ComfyUI's "normal"). SGM Uniform: one more, without the
last."""

_ALL = tuple(each.name for each in SCHEDULES if each.name != AUTOMATIC)
_WITHOUT_SGM = tuple(name for name in _ALL if name != SGM_UNIFORM)
"""For samplers that discard the penultimate level: SGM Uniform lacks the last one already, and both together
make images too smooth."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler. `aliases`: other programs' names, without `_gpu`, `_k` and `k_`; "_" means a space."""

    name: str
    solver: str
    """Name of the diffusers class; `core.sampling.schedulers.SOLVERS` has subclasses of some."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of that class."""
    schedules: tuple[str, ...] = _ALL
    """Schedules that it supports, beside Automatic."""
    automatic: str | None = UNIFORM
    """The schedule that A1111's "Automatic" selects for it; None = its own timesteps."""
    has_zero_snr: bool = False
    """Whether it can start from pure noise, as checkpoints with zero terminal SNR require."""
    can_be_split: bool = True
    """Whether a refiner can take over in the middle; other samplers lose or keep noise there."""
    fewest_steps: Mapping[str, int] = field(default_factory=dict)
    """By schedule, the number of steps below which it overshoots and leaves noise."""
    discards_penultimate: bool = False
    """Whether it computes one more noise level and discards the penultimate, as A1111 does for it."""
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
        # The second-order step of type heun matches the third-order update, which runs to the last step but
        # one.
        options={
            "algorithm_type": "sde-dpmsolver++",
            "solver_order": 3,
            "solver_type": "heun",
            "lower_order_final": False,
        },
        schedules=_WITHOUT_SGM,
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
        schedules=_WITHOUT_SGM,
        automatic="Karras",
        discards_penultimate=True,
        aliases=("dpm_2", "kdpm_2"),
    ),
    Sampler(
        name="DPM2 a",
        solver="KDPM2AncestralDiscreteScheduler",
        schedules=_WITHOUT_SGM,
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
    """All schedules that can be chosen with a sampler, Automatic included."""
    return AUTOMATIC, *sampler.schedules


def resolved_schedule(sampler: Sampler, schedule: str) -> str | None:
    """`schedule`, or the sampler's own for "Automatic"; None = the sampler's own timesteps."""
    return sampler.automatic if schedule == AUTOMATIC else schedule


def fewest_steps(sampler: Sampler, schedule: str) -> int:
    """Fewest steps that this sampler needs on the schedule."""
    return sampler.fewest_steps.get(resolved_schedule(sampler, schedule) or "", 1)


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

    Without a schedule it is Uniform. `_gpu` (ComfyUI), `k_` (k-diffusion) and `_k` (InvokeAI: Karras) are
    recognised.
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
        return found.name, found.automatic or AUTOMATIC  # a sampler's own timesteps are uniform
    return (found.name, given) if given in found.schedules else None


def sampler_of_config(config: Mapping[str, Any]) -> Sampler | None:
    """The sampler closest to a diffusers scheduler config; None if none uses its class."""
    named = [each for each in SAMPLERS if each.solver == config.get("_class_name")]
    return max(named, key=lambda each: _agreements(each, config), default=None)


def _agreements(sampler: Sampler, config: Mapping[str, Any]) -> int:
    return sum(config.get(key) == value for key, value in sampler.options.items())
