"""The request for a larger copy of a picture whose details are drawn anew, tile by tile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .base import ImageId, JobRequest, Name, StrictFloat, StrictInt
from .requests import GenerationRequest
from .steps import Steps, under_strength
from .tiles import Tiles, Tiling, possible_tiling

MAX_REDRAWN_SIDE = 8192
"""Longest side of a redrawn picture, in pixels."""
LEAST_TILE, MOST_TILE, LEAST_OVERLAP = 64, 2048, 8
DEFAULT_REDRAW_SCALE, DEFAULT_REDRAW_STRENGTH = 2.0, 0.35


class RedrawRequest(JobRequest):
    """Enlarge an image and redraw it in tiles by img2img. Lengths in pixels of the result."""

    image: ImageId
    drawing: GenerationRequest
    """How each tile is drawn: prompt, checkpoint, sampler, seed ... Its width and height are a tile's; what
    it says of input pictures, batches and second passes is at its default."""
    scale: Annotated[StrictFloat, Field(ge=1, le=8)] = DEFAULT_REDRAW_SCALE
    upscaler: Name | None = None
    """What the copy is enlarged with: a model's name or "Lanczos"; None = the first model, else Lanczos."""
    tile_size: Annotated[StrictInt, Field(ge=LEAST_TILE, le=MOST_TILE, multiple_of=8)] = 1024
    overlap: Annotated[StrictInt, Field(ge=LEAST_OVERLAP, le=MOST_TILE // 2, multiple_of=8)] = 128
    strength: Annotated[StrictFloat, Field(gt=0, le=1)] = DEFAULT_REDRAW_STRENGTH
    captioner: Name | None = None
    """What describes the picture if `drawing` has no prompt."""
    tiling: Tiling = "none"
    """Over which borders the picture is seamless, and stays so; as it records itself."""

    @property
    def tile_steps(self) -> Steps:
        """The steps of each tile."""
        return under_strength(self.drawing.steps, self.strength, self.drawing.strength_steps)

    def tiles(self, size: tuple[int, int]) -> Tiles:
        """Those of a result of `size` (width, height)."""
        return Tiles.over(size, self.tile_size, self.overlap, possible_tiling(size, self.tiling))

    @model_validator(mode="after")
    def _is_consistent(self) -> RedrawRequest:
        if self.overlap > self.tile_size // 2:
            raise ValueError(
                f"overlap {self.overlap} is more than half of tile_size {self.tile_size}; lower it"
            )
        if self.tile_steps.drawn < 1:
            raise ValueError(
                f"{self.drawing.steps} steps at strength {self.strength:g} leave no step to draw; raise one "
                "of them"
            )
        return self


def default_overlap(tile_size: int) -> int:
    """An eighth of the tile, as a multiple of 8 pixels."""
    return max(LEAST_OVERLAP, tile_size // 64 * 8)
