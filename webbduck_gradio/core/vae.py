"""The VAE: encoding and decoding, repeated in float32 when half precision yields NaN or infinity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from ..errors import GenerationError
from . import devices, seamless
from .cards import Card, decoding_precisions
from .memory_needs import VAE_PIXELS

DECODED_IN_FP32 = (
    "The VAE produced NaN in half precision, so the picture was decoded again in full precision."
)
ENCODED_IN_FP32 = (
    "The VAE produced NaN in half precision, so the input picture was encoded again in full precision."
)
OVERFLOW = "Numeric overflow while sampling; lower CFG or the LoRA weights, or try another sampler."
OVERFLOW_IN_HALF = (
    "Numeric overflow while sampling; lower CFG or the LoRA weights, try another sampler, or start the "
    "studio with --precision float32."
)
NOT_FINITE = "The checkpoint's VAE produced NaN; its file is probably damaged, so get it again."


class DecodingPrecision:
    """The precision that a checkpoint's VAE decodes in: the first of several that gives finite pixels. It is
    remembered, so that the others are tried only once."""

    def __init__(self, tried: Sequence[torch.dtype]):
        """`tried`: as `cards.decoding_precisions` gives them."""
        self._tried, self._place = tuple(tried), 0

    @classmethod
    def of(cls, vae: Any, card: Card) -> DecodingPrecision:
        """For a VAE as it was loaded."""
        return cls(decoding_precisions(card, vae.dtype, bool(vae.config.force_upcast)))

    @property
    def current(self) -> torch.dtype:
        return self._tried[self._place]

    def fall_back(self) -> bool:
        """Go to the next one; False if there is none."""
        if self._place + 1 == len(self._tried):
            return False
        self._place += 1
        return True

    def return_to(self, name: object) -> None:
        """Go to the one of this name, if it is one of them: an unfinished image came to it."""
        names = [devices.name_of(each) for each in self._tried]
        if name in names:
            self._place = names.index(str(name))


@torch.no_grad()
def encode(pipe: Any, image: Image.Image) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Latents (1, 4, h, w) of an image (RGB, 8h x 8w pixels), float32 and in the UNet's range, and warnings.

    They are the mean of what the VAE takes them to be, so that they depend on the image alone.

    Raises `GenerationError` if they are not finite.
    """
    vae = pipe.vae
    pixels = pipe.image_processor.preprocess(image)
    # bfloat16 does not overflow, but it would lose detail of the input picture.
    full = _needs_full_precision(vae) or vae.config.force_upcast
    raw = _encoded(vae, pixels, torch.float32 if full else vae.dtype)
    warnings: tuple[str, ...] = ()
    if not full and not torch.isfinite(raw).all():
        raw, warnings = _encoded(vae, pixels, torch.float32), (ENCODED_IN_FP32,)
    if not torch.isfinite(raw).all():
        raise GenerationError(NOT_FINITE)
    return _scaled(vae, raw.float()), warnings


@torch.no_grad()
def decode(
    pipe: Any, latents: torch.Tensor, precision: DecodingPrecision | None = None
) -> tuple[Image.Image, tuple[str, ...]]:
    """The image (RGB, 8h x 8w pixels) of latents (1, 4, h, w), and warnings. `precision`: the checkpoint's;
    None = as on the CPU.

    Raises `GenerationError` if the latents or the decoded pixels are not finite.
    """
    vae = pipe.vae
    if not torch.isfinite(latents).all():
        raise GenerationError(OVERFLOW if vae.dtype == torch.float32 else OVERFLOW_IN_HALF)
    precision = precision or DecodingPrecision.of(vae, Card("cpu"))
    raw = _unscaled(vae, latents)
    warnings: tuple[str, ...] = ()
    pixels = _decoded(vae, raw, precision.current)
    while not torch.isfinite(pixels).all():
        if not precision.fall_back():
            raise GenerationError(NOT_FINITE)
        pixels, warnings = _decoded(vae, raw, precision.current), (DECODED_IN_FP32,)
    return pipe.image_processor.postprocess(pixels.float(), output_type="pil")[0], warnings


def _needs_full_precision(vae: Any) -> bool:
    """Whether it encodes in float32 alone: SDXL's own VAE overflows in half precision and declares that."""
    return vae.dtype == torch.float32 or (vae.dtype == torch.float16 and vae.config.force_upcast)


def _scaled(vae: Any, raw: torch.Tensor) -> torch.Tensor:
    """Latents rescaled from the VAE's range to the UNet's."""
    mean, deviation = _statistics(vae, raw.device)
    return (raw - mean) / deviation


def _unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents rescaled from the UNet's range to the VAE's."""
    mean, deviation = _statistics(vae, latents.device)
    return latents * deviation + mean


def _statistics(vae: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the VAE's latents, which the UNet's range does without."""
    mean, deviation = getattr(vae.config, "latents_mean", None), getattr(vae.config, "latents_std", None)
    if mean is None or deviation is None:
        mean, deviation = [0.0], [1.0]
    shape = (1, len(mean), 1, 1)
    scale = torch.tensor(deviation, device=device).view(shape) / vae.config.scaling_factor
    return torch.tensor(mean, device=device).view(shape), scale


def _decoded(vae: Any, raw: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    def decode(latents: torch.Tensor) -> torch.Tensor:
        return vae.decode(latents, return_dict=False)[0]

    with _working_in(vae, dtype):
        return _seamless(vae, decode, raw.to(dtype), vae.tile_latent_min_size, VAE_PIXELS)


def _encoded(vae: Any, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    def encode(image: torch.Tensor) -> torch.Tensor:
        return vae.encode(image, return_dict=False)[0].mode()

    with _working_in(vae, dtype):
        image = pixels.to(vae.device, dtype)
        return _seamless(vae, encode, image, vae.tile_sample_min_size, 1 / VAE_PIXELS)


def _seamless(
    vae: Any, work: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor, tile: int, scale: float
) -> torch.Tensor:
    """`work(tensor)`, with seamless borders if the VAE has them at the moment. `tile`: the largest side that
    is not cut into tiles."""
    axes = seamless.axes_of(vae)
    if not axes or not vae.use_tiling or max(tensor.shape[2:]) <= tile:
        return work(tensor)
    with seamless.unwrapped(vae):
        return seamless.in_tiles(work, tensor, axes, tile // 4, scale)


@contextmanager
def _working_in(vae: Any, dtype: torch.dtype) -> Iterator[None]:
    """Its weights in this precision meanwhile. They are kept and put back, since the way from float16 to
    bfloat16 and back is not exact."""
    if vae.dtype == dtype:
        yield
        return
    kept = [(each, each.data) for each in vae.parameters()]
    try:
        vae.to(dtype=dtype)
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data
