"""The sigmas of a request: its schedule, on the noise levels that its checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...request.samplers import SGM_UNIFORM, UNIFORM, resolved_schedule, sampler_named
from .model_sigmas import ModelSigmas
from .schedules import sigmas_of

MIN_UNIFORM_STEPS = 10
"""With fewer, evenly spaced steps down to the lowest level overshoot in second-order samplers (a deviation of
14 instead of 0.4 with 2 steps)."""


def schedule_in_use(sampler: str, schedule: str, config: Mapping[str, Any], steps: int) -> str:
    """The schedule that is actually used: Uniform becomes SGM Uniform with few steps, and for checkpoints
    that declare "trailing" timesteps, as distilled and zero-SNR ones do.

    `config`: the checkpoint's scheduler config of diffusers.
    """
    record = sampler_named(sampler)
    resolved = resolved_schedule(record, schedule) or record.own
    is_trailing = config.get("timestep_spacing") == "trailing" or steps < MIN_UNIFORM_STEPS
    if resolved == UNIFORM and is_trailing and not record.discards_penultimate:
        return SGM_UNIFORM
    return resolved


def sigmas_for(
    sampler: str, schedule: str, config: Mapping[str, Any], model: ModelSigmas, steps: int
) -> list[float]:
    """`steps` sigmas, descending, and a final 0. `model`: as `config` states it."""
    record = sampler_named(sampler)
    name = schedule_in_use(sampler, schedule, config, steps)
    return sigmas_of(name, model, steps, discards_penultimate=record.discards_penultimate)
