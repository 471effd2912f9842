"""What an inpainted picture keeps while it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Inpainted:
    """`latents`: the input picture's, (1, 4, h, w). `mask`: (1, 1, h, w), 1 where it is inpainted, 0 where it
    is kept. All are float32.

    With `is_soft` values between count, too: a value m is kept at first and drawn in the last share m of the
    steps, as if it were an img2img of that strength. This is differential diffusion (Levin & Fried 2023,
    "Differential Diffusion: Giving Each Pixel Its Strength", algorithm 1).
    """

    latents: torch.Tensor
    mask: torch.Tensor
    masked: torch.Tensor | None = None
    """Latents of the input picture with the masked part blanked out, which the UNets of inpainting
    checkpoints are given at every step; None for others."""
    is_soft: bool = False
    levels: tuple[float, ...] = ()
    """Noise levels between the steps, descending; needed with `is_soft`, as is `noise`."""
    noise: torch.Tensor | None = None
    """What the images start from, of unit variance, (n, 4, h, w)."""

    hold_until: torch.Tensor | None = None
    """Like `mask`: the share of the steps, 0 to 1, until which a part stays as the picture begins there;
    None = nothing does. Early steps decide what is where, so that it fits what is held."""

    def at(self, device: torch.device, levels: Sequence[float], noise: torch.Tensor) -> Inpainted:
        """The same on a device, for steps between these noise levels that start from this noise."""
        masked, hold = (None if each is None else each.to(device) for each in (self.masked, self.hold_until))
        return replace(
            self,
            latents=self.latents.to(device),
            mask=self.mask.to(device),
            masked=masked,
            hold_until=hold,
            levels=tuple(levels),
            noise=noise.to(device),
        )

    def kept(self, denoised: torch.Tensor, share: float) -> torch.Tensor:
        """The prediction, after this share of the steps, with the kept part replaced by what it is known to
        be, as AUTOMATIC1111 does.

        What is still to be drawn is not replaced: samplers that combine predictions would take the first one
        of the model's own for a jump, and overshoot.
        """
        mask = (self.mask > 0).to(self.mask) if self.is_soft else self.mask
        if self.hold_until is not None:
            mask = mask * (self.hold_until <= share)
        return self.latents + (denoised - self.latents) * mask

    def held(self, x: torch.Tensor, sigma: float, begun_at: float) -> torch.Tensor:
        """Latents `x` at noise level `sigma`, after a step that began at `begun_at`, with the input picture's
        in the part that is still to be drawn."""
        if not self.is_soft or self.noise is None:
            return x
        return torch.where(self._waits(begun_at), self.latents + self.noise * sigma, x)

    def shown(self, denoised: torch.Tensor, begun_at: float) -> torch.Tensor:
        """The prediction of such a step, as previews show it."""
        return torch.where(self._waits(begun_at), self.latents, denoised) if self.is_soft else denoised

    def channels(self, begun_at: float) -> list[torch.Tensor]:
        """What an inpainting checkpoint's UNet is given beside the latents in such a step, (1, 1 and 4, h,
        w); [] for others. What is still to be drawn counts as not masked."""
        if self.masked is None:
            return []
        if not self.is_soft:
            return [self.mask, self.masked]
        waits = self._waits(begun_at)
        drawn = ((self.mask > 0) & ~waits).to(self.mask)
        return [drawn, torch.where(waits, self.latents, self.masked)]

    def _waits(self, begun_at: float) -> torch.Tensor:
        """Where nothing is drawn before a later step than the one that begins at this noise level."""
        return (self.mask > 0) & (self.mask < 1 - progress(self.levels, begun_at))


def progress(levels: Sequence[float], sigma: float) -> float:
    """The share of the steps, 0 to 1, after which the noise has come down to `sigma`; between two levels it
    is interpolated. `levels`: as `Inpainted` has them.

    Steps are not counted, since some samplers go back to more noise or choose their steps themselves.
    """
    after = next((place for place, level in enumerate(levels) if level <= sigma), len(levels) - 1)
    if after == 0:
        return 0.0
    high, low = levels[after - 1], levels[after]
    return (after - max(sigma - low, 0.0) / (high - low)) / (len(levels) - 1)
