"""The pairs of A1111's text about the VAE and seamless borders.

A1111 knows tiling in both directions only. One direction has a pair of our own, `Tiling axis`, and no
`Tiling`, which would make other programs tile in both.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from ...request import GenerationRequest

AXIS = "Tiling axis"
AUTOMATIC = ("", "none", "automatic")
"""What stands for the checkpoint's own VAE."""


def pairs(request: GenerationRequest, unused: Container[str]) -> dict[str, Any]:
    """Pairs by A1111's names; None values are left out. `unused`: settings without effect."""
    tiling = "none" if "tiling" in unused else request.tiling
    return {"VAE": request.vae or None, **tiling_pairs(tiling)}


def tiling_pairs(tiling: str) -> dict[str, Any]:
    """Those of the setting `tiling`."""
    return {
        "Tiling": True if tiling == "both" else None,
        AXIS: tiling if tiling in ("x", "y") else None,
    }


def fields(told: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a request, and `vae_hash`; `told` by A1111's names in small letters."""
    found: dict[str, Any] = {"vae": told.get("vae"), "vae_hash": told.get("vae hash")}
    if found["vae"] is not None and found["vae"].casefold() in AUTOMATIC:
        found["vae"] = ""
    if AXIS.casefold() in told:
        found["tiling"] = told[AXIS.casefold()]
    return found
