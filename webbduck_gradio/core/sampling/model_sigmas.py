"""The noise levels (sigmas) that a checkpoint was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LOWEST_ALPHA_PRODUCT = 4.8973451890853435e-08
"""The share of signal that a checkpoint with zero terminal SNR gets at its last timestep, as in AUTOMATIC1111
and ComfyUI: sigma is then about 4518 instead of infinite."""


class ModelSigmas:
    """Sigmas at the training timesteps 0, 1, ..., ascending, and at all timesteps between them.

    The logarithm of sigma is interpolated linearly, as in k-diffusion; all in float64.
    """

    def __init__(self, sigmas: npt.ArrayLike) -> None:
        """`sigmas`: positive, ascending, one for each training timestep (1000 for SDXL)."""
        self.sigmas: Floats = np.array(sigmas, dtype=np.float64)
        if self.sigmas.ndim != 1 or len(self.sigmas) < 2:
            raise ValueError("a checkpoint's sigmas must be a list of two or more numbers")
        if not (self.sigmas[0] > 0 and np.all(np.diff(self.sigmas) > 0) and np.isfinite(self.sigmas[-1])):
            raise ValueError("a checkpoint's sigmas must be positive, finite and ascending")
        self._logs: Floats = np.log(self.sigmas)
        self._timesteps: Floats = np.arange(len(self.sigmas), dtype=np.float64)

    @classmethod
    def from_alpha_products(cls, products: npt.ArrayLike) -> ModelSigmas:
        """From the cumulative products of alpha, descending, as trainers and checkpoints state them."""
        signal: Floats = np.array(products, dtype=np.float64)
        return cls(np.sqrt((1 - signal) / signal))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ModelSigmas:
        """From the config of a diffusers scheduler. Raises `ValueError` for an unknown `beta_schedule`."""
        products: Floats = np.cumprod(1 - _betas(config), dtype=np.float64)
        if config.get("rescale_betas_zero_snr"):
            products = with_zero_snr(products)
        return cls.from_alpha_products(products)

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])

    def __len__(self) -> int:
        """Number of training timesteps."""
        return len(self.sigmas)

    def sigma(self, timestep: float) -> float:
        """Sigma at a timestep, which may be fractional; outside the trained range that of its nearest end."""
        return float(np.exp(np.interp(timestep, self._timesteps, self._logs)))

    def timestep(self, sigma: float) -> float:
        """The fractional timestep of a positive sigma; outside the trained range its nearest end."""
        return float(np.interp(np.log(sigma), self._logs, self._timesteps))


def with_zero_snr(products: Floats) -> Floats:
    """Cumulative products of alpha, shifted and scaled so that the last timestep has (almost) no signal.

    Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
    """
    roots = np.sqrt(products)
    rescaled: Floats = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
    rescaled[-1] = LOWEST_ALPHA_PRODUCT
    return rescaled


def _betas(config: Mapping[str, Any]) -> Floats:
    """The variances of the training's noise, one for each timestep; defaults are diffusers' own."""
    if config.get("trained_betas") is not None:
        return np.array(config["trained_betas"], dtype=np.float64)
    count = int(config.get("num_train_timesteps", 1000))
    start, end = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    kind = config.get("beta_schedule", "linear")
    if kind == "linear":
        return np.linspace(start, end, count)
    if kind == "scaled_linear":  # as latent diffusion was trained
        return np.linspace(start**0.5, end**0.5, count) ** 2
    if kind == "squaredcos_cap_v2":  # Nichol & Dhariwal 2021, "Improved DDPM", equation 17
        share = np.linspace(0, 1, count + 1)
        products = np.cos((share + 0.008) / 1.008 * np.pi / 2) ** 2
        return np.minimum(1 - products[1:] / products[:-1], 0.999)
    raise ValueError(f"unknown beta_schedule {kind!r}")
