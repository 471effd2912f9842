"""VAE decoding, repeated in float32 when half precision yields NaN or infinity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from ..errors import GenerationError

DECODED_IN_FP32 = (
    "The VAE produced NaN in half precision, so the picture was decoded again in full precision."
)
ENCODED_IN_FP32 = (
    "The VAE produced NaN in half precision, so the input picture was encoded again in full precision."
)


def is_half(vae: Any) -> bool:
    """Whether it encodes in half precision, which may overflow."""
    return vae.dtype != torch.float32 and not vae.config.force_upcast


@contextmanager
def in_full_precision(vae: Any) -> Iterator[None]:
    """Make diffusers encode with this VAE in full precision."""
    before = vae.config.force_upcast
    vae.register_to_config(force_upcast=True)
    try:
        yield
    finally:
        vae.register_to_config(force_upcast=before)


@torch.no_grad()
def decode(pipe: Any, latents: torch.Tensor) -> tuple[Image.Image, tuple[str, ...]]:
    """The image (RGB, 8h x 8w pixels) of latents (1, 4, h, w), and warnings.

    Raises `GenerationError` if the latents or the decoded pixels are not finite.
    """
    if not torch.isfinite(latents).all():
        raise GenerationError(
            "Numeric overflow while sampling; lower CFG or the LoRA weights, or try another sampler."
        )
    vae = pipe.vae
    raw = _unscaled(vae, latents)
    # SDXL's own VAE overflows in half precision and declares that in its configuration.
    full = vae.dtype == torch.float32 or (vae.dtype == torch.float16 and vae.config.force_upcast)
    pixels = _decoded(vae, raw, torch.float32 if full else vae.dtype)
    warnings: tuple[str, ...] = ()
    if not full and not torch.isfinite(pixels).all():
        pixels, warnings = _decoded(vae, raw, torch.float32), (DECODED_IN_FP32,)
    if not torch.isfinite(pixels).all():
        raise GenerationError(
            "The checkpoint's VAE produced NaN; its file is probably damaged, so get it again."
        )
    return pipe.image_processor.postprocess(pixels.float(), output_type="pil")[0], warnings


def _unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents rescaled from the UNet's range to the VAE's."""
    mean, std = getattr(vae.config, "latents_mean", None), getattr(vae.config, "latents_std", None)
    if mean is not None and std is not None:
        shape = (1, len(mean), 1, 1)
        scale = torch.tensor(std, device=latents.device).view(shape) / vae.config.scaling_factor
        return latents * scale + torch.tensor(mean, device=latents.device).view(shape)
    return latents / vae.config.scaling_factor


def _decoded(vae: Any, raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    before = vae.dtype
    try:
        if before != dtype:
            vae.to(dtype=dtype)
        return vae.decode(raw.to(dtype), return_dict=False)[0]
    finally:
        if before != dtype:
            vae.to(dtype=before)  # half to full and back is exact
