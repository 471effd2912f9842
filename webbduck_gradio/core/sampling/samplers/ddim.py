"""DDIM, DDPM and DDIM with CFG++.

In the variance-exploding form the scale of DDIM's latents drops out: what remains is a step to the clean
prediction plus a smaller amount of the same noise, which is Euler's method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .base import Denoiser, NoiseSource, Options, State


def ddim(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DDIM with `eta_ddim` (Song, Meng, Ermon 2020, "Denoising Diffusion Implicit Models", eq. 12 and 16)."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    x = renoised(state.x, denoised, denoised, sigma, following, noise, options.eta_ddim, options.s_noise)
    return State(x, state.step + 1, denoised)


def ddpm(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """A draw from the posterior of the next latents (Ho et al. 2020, "Denoising Diffusion Probabilistic
    Models", eq. 6 and 7, with the smaller of their two variances). The same as DDIM with eta 1."""
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised = denoise(state.x, sigma).denoised
    x = renoised(state.x, denoised, denoised, sigma, following, noise, 1.0, options.s_noise)
    return State(x, state.step + 1, denoised)


def ddim_cfgpp(
    state: State, sigmas: Sequence[float], denoise: Denoiser, noise: NoiseSource, options: Options
) -> State:
    """DDIM with CFG++ (Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion
    Models", algorithm 2): the noise is that of the unconditional prediction.

    It wants a guidance scale of 0 to 1, as `denoise` applies it: AUTOMATIC1111 divides its CFG by 12.5.
    """
    sigma, following = sigmas[state.step], sigmas[state.step + 1]
    denoised, unconditional = denoise(state.x, sigma)
    x = renoised(state.x, denoised, unconditional, sigma, following, noise, options.eta_ddim, options.s_noise)
    return State(x, state.step + 1, denoised)


def renoised(
    x: torch.Tensor,
    denoised: torch.Tensor,
    origin: torch.Tensor,
    sigma: float,
    following: float,
    noise: NoiseSource,
    eta: float,
    s_noise: float,
) -> torch.Tensor:
    """Latents at `following` around the prediction `denoised`, with the noise that `x` (at `sigma`) has
    over `origin`. `eta`: share of that noise to be replaced by new noise. All tensors have the shape of x."""
    if following == 0:
        return denoised
    kept, added = split(sigma, following, eta)
    # Not as `x + slope * difference`: that sum loses the digits of a small result where sigma is large.
    result = denoised + (x - origin) * (kept / sigma)
    return result + noise(x, sigma, following) * (added * s_noise) if added > 0 else result


def split(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """Deviations of the old and the new noise at `following`, the squares of which add up to its square
    (DDIM, eq. 16)."""
    added = min(following, eta * following * math.sqrt(1 - (following / sigma) ** 2))
    return math.sqrt(following**2 - added**2), added
