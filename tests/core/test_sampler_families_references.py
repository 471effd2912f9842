"""The families of samplers against diffusers, where it has the algorithm, and against fine solutions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    IPNDMScheduler,
    LCMScheduler,
    PNDMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from known_models import STILL, TRIED, apart, karras, no_noise, noise_of, start, unguided
from scipy.integrate import solve_ivp

from webbduck_gradio.core.sampling.samplers.base import Options, State, run

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KEPT = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
TRAINED = ((1 - KEPT) / KEPT).sqrt()
"""SDXL's noise levels. diffusers' own are in single precision, too coarse for a comparison."""


# Against diffusers. Both run in double precision on the same levels, with the same noise.


def theirs(
    scheduler: object, calls: Sequence[tuple[float, float]], x: torch.Tensor, **more: object
) -> torch.Tensor:
    """Latents (x0 + sigma * noise) after diffusers' steps. `calls`: for each of the scheduler's timesteps the
    sigma at which the model is asked and that of the result; fewer = without the last ones."""
    for timestep, (sigma, following) in zip(scheduler.timesteps, calls, strict=False):
        epsilon = (x - unguided(x, sigma).denoised) / sigma
        sample = x / math.sqrt(1 + sigma**2)
        x = scheduler.step(epsilon, timestep, sample, **more).prev_sample * math.sqrt(1 + following**2)
    return x


def ours(name: str, sigmas: Sequence[float], options: Options = STILL) -> torch.Tensor:
    return run(TRIED[name], start(sigmas[0]), sigmas, unguided, noise_of, options).x


def same_noise(monkeypatch: pytest.MonkeyPatch, module: str, sigmas: Sequence[float]) -> None:
    """Has diffusers draw the noise of our steps."""
    steps = itertools.pairwise(sigmas)
    monkeypatch.setattr(
        f"diffusers.schedulers.{module}.randn_tensor",
        lambda shape, **_: noise_of(torch.empty(shape, dtype=torch.float64), *next(steps)),
    )


def at(timesteps: torch.Tensor) -> list[float]:
    return TRAINED[timesteps].tolist()


@pytest.mark.parametrize("steps", [3, 4, 20])
@pytest.mark.parametrize("high", [14.6, 4518.0])
def test_unipc_is_that_of_diffusers(steps: int, high: float) -> None:
    sigmas = karras(high, 0.03, steps)
    scheduler = UniPCMultistepScheduler(**BETAS, solver_order=3)
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(high).x)
    assert apart(ours("UniPC", sigmas), x) < 1e-11


def test_deis_by_log_sigma_is_that_of_diffusers() -> None:
    """Without the step to 0, for which diffusers' formula is not defined. With fewer than 15 steps diffusers
    lowers the order of the last two, for the sake of that step."""
    sigmas = karras(14.6, 0.03, 17)[:-1]
    scheduler = DEISMultistepScheduler(**BETAS, solver_order=3)
    scheduler.set_timesteps(16)
    scheduler.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(14.6).x)
    assert apart(ours("DEIS log rho", sigmas), x) < 1e-11


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_ddim_is_that_of_diffusers(monkeypatch: pytest.MonkeyPatch, eta: float) -> None:
    scheduler = DDIMScheduler(**BETAS, clip_sample=False)
    scheduler.alphas_cumprod = KEPT
    scheduler.set_timesteps(20)
    sigmas = [*at(scheduler.timesteps), 0.0]
    same_noise(monkeypatch, "scheduling_ddim", sigmas)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(sigmas[0]).x, eta=eta)
    assert apart(ours("DDIM", sigmas, Options(eta_ddim=eta)), x) < 1e-11


def test_ddpm_is_that_of_diffusers(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = DDPMScheduler(**BETAS, clip_sample=False)
    scheduler.alphas_cumprod = KEPT
    scheduler.set_timesteps(25)
    sigmas = [*at(scheduler.timesteps), 0.0]
    same_noise(monkeypatch, "scheduling_ddpm", sigmas)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(sigmas[0]).x)
    assert apart(ours("DDPM", sigmas, Options(eta=0.3, eta_ddim=0.3)), x) < 1e-11


def test_lcm_is_that_of_diffusers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With diffusers' scaling of timesteps so large that its boundary scalings are 0 and 1."""
    scheduler = LCMScheduler(**BETAS, clip_sample=False, timestep_scaling=1e7)
    scheduler.alphas_cumprod = KEPT
    scheduler.set_timesteps(6)
    sigmas = [*at(scheduler.timesteps), 0.0]
    same_noise(monkeypatch, "scheduling_lcm", sigmas)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(sigmas[0]).x)
    assert apart(ours("LCM", sigmas), x) < 1e-11


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_tcd_is_that_of_diffusers(monkeypatch: pytest.MonkeyPatch, gamma: float) -> None:
    """At timesteps of which (1 - gamma) is whole: diffusers rounds down. Its last level is timestep 0's."""
    scheduler = TCDScheduler(**BETAS, clip_sample=False)
    scheduler.alphas_cumprod = KEPT
    scheduler.set_timesteps(timesteps=[980, 720, 500, 260, 100])
    sigmas = at(torch.tensor([*scheduler.timesteps, 0]))
    same_noise(monkeypatch, "scheduling_tcd", sigmas)
    x = theirs(scheduler, list(itertools.pairwise(sigmas)), start(sigmas[0]).x, eta=gamma)
    assert apart(ours("TCD", sigmas, Options(gamma=gamma)), x) < 1e-11


def test_plms_is_that_of_diffusers() -> None:
    """Without the last step: at sigma 0, ours returns the prediction, theirs the extrapolation."""
    scheduler = PNDMScheduler(**BETAS, skip_prk_steps=True)
    scheduler.alphas_cumprod = KEPT
    scheduler.set_timesteps(20)
    sigmas = at(torch.unique(scheduler.timesteps).flip(0))
    first, *others = itertools.pairwise(sigmas)
    x = theirs(scheduler, [first, (first[1], first[1]), *others], start(sigmas[0]).x)
    assert apart(ours("PLMS", sigmas), x) < 1e-11


def test_ipndm_is_that_of_diffusers() -> None:
    """With our levels for its own, which begin at infinity; its model predicts velocity."""
    sigmas = torch.tensor(karras(14.6, 0.03, 15)[:-1], dtype=torch.float64)
    scheduler = IPNDMScheduler(trained_betas=[0.0] * 15)
    scheduler.betas, scheduler.alphas = sigmas / (1 + sigmas**2).sqrt(), 1 / (1 + sigmas**2).sqrt()
    scheduler.timesteps = torch.arange(14)
    x = start(14.6).x
    for step, (sigma, following) in enumerate(itertools.pairwise(sigmas.tolist())):
        sample, epsilon = x / math.sqrt(1 + sigma**2), (x - unguided(x, sigma).denoised) / sigma
        velocity = (epsilon - sample * scheduler.betas[step]) / scheduler.alphas[step]
        x = scheduler.step(velocity, torch.tensor(step), sample).prev_sample * math.sqrt(1 + following**2)
    assert apart(ours("iPNDM", sigmas.tolist()), x) < 1e-11


# Against the ODE itself.


def solved(x: torch.Tensor, high: float, low: float) -> torch.Tensor:
    def slope(time: float, flat: numpy.ndarray) -> numpy.ndarray:
        latents = torch.from_numpy(flat)
        return (unguided(latents, math.exp(-time)).denoised - latents).numpy()

    found = solve_ivp(
        slope,
        (-math.log(high), -math.log(low)),
        x.flatten().numpy(),
        method="DOP853",
        rtol=1e-12,
        atol=1e-12,
    )
    return torch.from_numpy(found.y[:, -1]).view(x.shape)


ORDERS = {
    "UniPC": 3.6,
    "DEIS": 2.7,
    "DEIS log rho": 2.7,
    "iPNDM": 1.7,
    "PLMS": 1.7,
    "Res Multistep": 1.85,
    "ER SDE": 1.9,
    "DDIM": 0.95,
    "DDIM CFG++": 0.95,
    "Euler CFG++": 0.95,
    "Euler a CFG++": 0.95,
    "TCD": 0.95,
}
"""Lowest order of convergence on steps even in log sigma. The weights of iPNDM and PLMS are made for even
sigmas and of second order here. ER SDE, as its authors wrote it, takes a slope between two levels for the one
at the latest, and so remains of second order."""


@pytest.mark.parametrize("name", ORDERS)
def test_the_error_falls_with_the_order_of_the_method(name: str) -> None:
    x = torch.linspace(-30, 30, 7, dtype=torch.float64)
    errors = []
    for steps in (160, 320):
        sigmas = numpy.geomspace(20, 0.1, steps + 1).tolist()
        # UniPC's last steps are of lower order: it goes on, and what counts is where it came through 0.1.
        beyond = [0.1 * 0.99**each for each in range(1, 4)] if name == "UniPC" else []
        state = State(x)
        while state.step < steps + bool(beyond):
            state = TRIED[name].step(state, [*sigmas, *beyond], unguided, no_noise, STILL)
        errors.append(apart(state.memory[0] if beyond else state.x, solved(x, 20, 0.1)))
    assert math.log2(errors[0] / errors[1]) > ORDERS[name]


@pytest.mark.parametrize("name", ["iPNDM", "PLMS"])
def test_on_even_sigmas_the_pseudo_methods_are_of_fourth_order(name: str) -> None:
    x = torch.linspace(-30, 30, 7, dtype=torch.float64)
    errors = [
        apart(
            run(TRIED[name], State(x), numpy.linspace(20, 1, n + 1).tolist(), unguided, no_noise, STILL).x,
            solved(x, 20, 1),
        )
        for n in (400, 800)
    ]
    assert math.log2(errors[0] / errors[1]) > 3.6
