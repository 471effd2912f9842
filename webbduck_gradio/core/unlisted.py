"""Pipelines that are in no catalog, for measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .loaded_checkpoint import LoadedCheckpoint
from .memory_policies import RESIDENT
from .placement import Placement


@dataclass(frozen=True)
class _Unlisted:
    """What sampling asks of a checkpoint."""

    prediction_type: str = "epsilon"
    zero_snr: bool = False
    latent_rgb: None = None


def unlisted(pipe: Any) -> LoadedCheckpoint:
    """A pipeline that predicts noise, on the device where it computes."""
    placement = Placement(pipe, pipe.device, RESIDENT, moves=False)
    return LoadedCheckpoint(_Unlisted(), pipe, placement, pipe.device)  # type: ignore[arg-type]
