"""The sigmas of a request: its schedule, on the noise levels that its checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import GenerationError
from ...request import GenerationRequest
from ...request.samplers import SGM_UNIFORM, UNIFORM, resolved_schedule, sampler_named
from .model_sigmas import ModelSigmas
from .schedules import DEFAULTS, ScheduleOptions, sigmas_of

MIN_UNIFORM_STEPS = 10
"""With fewer, evenly spaced steps down to the lowest level overshoot in second-order samplers (a deviation of
14 instead of 0.4 with 2 steps)."""


def schedule_in_use(request: GenerationRequest, config: Mapping[str, Any], steps: int) -> str:
    """The schedule that is actually used: Uniform becomes SGM Uniform with few steps, and for checkpoints
    that declare "trailing" timesteps, as distilled and zero-SNR ones do.

    `config`: the checkpoint's scheduler config of diffusers.
    """
    record = sampler_named(request.sampler)
    resolved = resolved_schedule(record, request.schedule) or record.own
    is_trailing = config.get("timestep_spacing") == "trailing" or steps < MIN_UNIFORM_STEPS
    if resolved == UNIFORM and is_trailing and not request.discards_penultimate:
        return SGM_UNIFORM
    return resolved


def sigmas_for(
    request: GenerationRequest, config: Mapping[str, Any], model: ModelSigmas, steps: int
) -> list[float]:
    """`steps` sigmas, descending, and a final 0. `model`: as `config` states it.

    Raises `GenerationError` if the request's range of sigmas and the checkpoint's do not go together.
    """
    record = sampler_named(request.sampler)
    name = schedule_in_use(request, config, steps)
    is_substitute = name != (resolved_schedule(record, request.schedule) or record.own)
    options = DEFAULTS if is_substitute else _options(request)
    low = model.sigma_min if options.sigma_min is None else options.sigma_min
    high = model.sigma_max if options.sigma_max is None else options.sigma_max
    if low >= high:
        raise GenerationError(
            f"This checkpoint's noise levels are {model.sigma_min:.3g} to {model.sigma_max:.3g}, which "
            f"leaves nothing between sigma_min {low:.3g} and sigma_max {high:.3g}; change them."
        )
    return sigmas_of(name, model, steps, options, discards_penultimate=request.discards_penultimate)


def _options(request: GenerationRequest) -> ScheduleOptions:
    return ScheduleOptions(
        sigma_min=request.sigma_min,
        sigma_max=request.sigma_max,
        rho=request.rho,
        alpha=request.beta_alpha,
        beta=request.beta_beta,
    )
