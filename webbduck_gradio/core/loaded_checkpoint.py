"""A checkpoint in memory, with its LoRAs and its VAE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..models.catalog.registry import Checkpoint
from ..models.lora_uses import LoraUse
from . import devices
from .job_vae import OWN, VaeKey
from .lora_adapters import LoraAdapters
from .memory_needs import MARGIN, TILE, decoding_bytes, sampling_bytes
from .placement import UNET, VAE, Placement
from .vae import DecodingPrecision


class LoadedCheckpoint:
    """A checkpoint in memory, and its LoRAs."""

    def __init__(self, checkpoint: Checkpoint, pipe: Any, placement: Placement, device: torch.device):
        """`device`: where it computes."""
        self.checkpoint, self.pipe, self.placement = checkpoint, pipe, placement
        self.decoding: DecodingPrecision | None = None
        """The precision that its VAE decodes in; None = as on the CPU."""
        self.own_vae, self.vae_key = pipe.vae, OWN
        """The checkpoint's VAE, and which one is in use."""
        self.adapters = LoraAdapters(pipe, device, placement.pristine)
        self._pristine = dict(pipe.scheduler.config)
        self.device = device
        self.dtype = devices.name_of(pipe.unet.dtype)
        """The precision of its weights: "float32"."""

    @property
    def scheduler(self) -> dict[str, Any]:
        """The checkpoint's own noise schedule: its scheduler config with the user's overrides."""
        return self._pristine | {
            "prediction_type": self.checkpoint.prediction_type,
            "rescale_betas_zero_snr": self.checkpoint.zero_snr,
        }

    def use(self, loras: Sequence[LoraUse], check: Callable[[], None] = lambda: None) -> None:
        """Have exactly these LoRAs active. `check` is called now and then meanwhile, and may raise to stop.
        Raises `ModelError`, `OutOfMemoryError`, and what `check` raises."""
        if self.adapters.differ(loras):
            with self.placement.changing():
                self.adapters.activate(loras, check)

    def for_sampling(
        self,
        size: tuple[int, int],
        rows: int,
        loras: Sequence[LoraUse] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Have the UNet on the device, and room for what it computes. `size`: in pixels; `rows`: of its
        batch; `loras`: that are to be active, None = those that are; `check`: as `use` takes it."""
        if loras is not None:
            self.use(loras, check)
        working = sampling_bytes(size, rows, self.pipe.unet.dtype.itemsize)
        self.placement.bring(UNET, working=working)

    def for_coding(self, size: tuple[int, int], dtype: torch.dtype) -> None:
        """Have the VAE on the device, and room for an image of this size in pixels."""
        vae = self.pipe.vae
        if vae.use_tiling:
            size = min(size[0], TILE), min(size[1], TILE)
        channels = vae.config.block_out_channels
        working = int(decoding_bytes(size, channels, dtype.itemsize) * MARGIN)
        self.placement.bring(VAE, working=working)

    def use_vae(self, key: VaeKey, vae: Any) -> None:
        """Encode and decode with this VAE, which is on the CPU."""
        self.placement.replace(VAE, vae)
        self.pipe.vae, self.vae_key = vae, key

    @property
    def size(self) -> int:
        """Bytes of its weights, with those of its own VAE while another one is in its place."""
        models = {id(each): each for each in (*self.pipe.components.values(), self.own_vae)}.values()
        weights = (
            each for model in models if isinstance(model, torch.nn.Module) for each in model.parameters()
        )
        return sum(each.numel() * each.element_size() for each in weights)
