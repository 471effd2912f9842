"""The VAE that a job's checkpoints encode and decode with: their own, or another one for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch

from ..models.vaes import Vae, missing_vae
from . import vae_files
from .cards import Card
from .vae import DecodingPrecision

VaeKey = tuple[str, str] | None
"""Path and stamp of a VAE, or `OWN`."""
OWN: VaeKey = None
"""The checkpoint's own VAE."""


class JobVae:
    """The VAE that the running job asked for. For each checkpoint and VAE it remembers which precision gives
    finite pixels."""

    chosen: Vae | None = None
    """None: each checkpoint's own."""

    def __init__(self, card: Card):
        self._card = card
        self._precisions: dict[tuple[Hashable, VaeKey], DecodingPrecision] = {}

    def give_to(self, loaded: Any, checkpoint: Hashable, status: Callable[[str], None]) -> None:
        """Let a checkpoint (`checkpoint_cache.LoadedCheckpoint`) use it; UNet and text encoders stay as they
        are. Raises `ModelError`, and `RequestError` if it needs one and none is chosen."""
        key = self._key
        if self.chosen is None and not loaded.checkpoint.has_vae:
            raise missing_vae(loaded.checkpoint.name, ())
        if key != loaded.vae_key:
            vae = loaded.own_vae
            if self.chosen is not None:
                status(f"Loading the VAE {self.chosen.name}")
                vae = vae_files.read(self.chosen, vae.dtype, vae)
            loaded.use_vae(key, vae)
        made = DecodingPrecision.of(loaded.pipe.vae, self._card)
        loaded.decoding = self._precisions.setdefault((checkpoint, key), made)

    def precision_with(self, checkpoint: Hashable) -> DecodingPrecision | None:
        """What it decodes in with a checkpoint; None before the first time."""
        return self._precisions.get((checkpoint, self._key))

    def bytes_beside(self, dtype: torch.dtype) -> int:
        """What it takes in memory beside a checkpoint's own, which stays there, in weights of `dtype`; its
        file is taken to be in half precision."""
        return 0 if self.chosen is None else self.chosen.size_bytes * dtype.itemsize // 2

    @property
    def _key(self) -> VaeKey:
        return OWN if self.chosen is None else (str(self.chosen.path), self.chosen.stamp)
