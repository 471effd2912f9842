"""Parts that several samplers share."""

from __future__ import annotations

import math

import torch

from .base import NoiseSource, Options


def moved(x: torch.Tensor, denoised: torch.Tensor, sigma: float, target: float) -> torch.Tensor:
    """Latents carried from `sigma` to `target` on the straight line that ends in `denoised` at sigma 0.

    This is Euler's step, x + (x - denoised) / sigma * (target - sigma), and also DPM-Solver++'s step of first
    order (Lu et al. 2022b, equation 9).
    """
    return denoised + (x - denoised) * (target / sigma)


def ancestral_split(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """(sigma to step down to without noise, deviation of the noise to add there to arrive at `following`).

    The generalised step of Song et al. 2021 ("Denoising Diffusion Implicit Models", equation 16) in terms of
    sigma, as in k-diffusion.
    """
    up = min(following, eta * following * math.sqrt(max(0.0, 1 - (following / sigma) ** 2)))
    return math.sqrt(following**2 - up**2), up


def noised(
    x: torch.Tensor, deviation: float, noise: NoiseSource, sigma: float, following: float, options: Options
) -> torch.Tensor:
    """Latents with the noise of a step added; none is asked for if its deviation is 0."""
    if deviation == 0:
        return x
    return x + noise(x, sigma, following) * (deviation * options.s_noise)


def churned(
    x: torch.Tensor, sigma: float, steps: int, noise: NoiseSource, options: Options
) -> tuple[torch.Tensor, float]:
    """Latents and sigma with the step's share of `s_churn` added (Karras et al. 2022, algorithm 2).

    With churn, noise is asked for at every step, also outside `s_tmin` and `s_tmax`: so does k-diffusion, and
    the later steps' noise depends on it. Without churn none is asked for.
    """
    if options.s_churn <= 0:
        return x, sigma
    active = options.s_tmin <= sigma <= options.s_tmax
    raised = sigma * (1 + min(options.s_churn / steps, math.sqrt(2) - 1)) if active else sigma
    drawn = noise(x, sigma, raised)
    if not active:
        return x, sigma
    return x + drawn * (options.s_noise * math.sqrt(raised**2 - sigma**2)), raised
