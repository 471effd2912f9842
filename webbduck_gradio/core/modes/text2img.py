"""A picture from words alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...request import GenerationRequest
from ..prompts import Embeddings


def draw(
    pipe: Any,
    request: GenerationRequest,
    embeddings: Embeddings,
    generator: torch.Generator,
    on_step: Callable[..., dict[str, Any]],
) -> torch.Tensor:
    """Latents (1, 4, height / 8, width / 8) of one picture."""
    return pipe(
        **embeddings.arguments(),
        width=request.width,
        height=request.height,
        num_inference_steps=request.steps,
        guidance_scale=request.cfg,
        generator=generator,
        output_type="latent",
        callback_on_step_end=on_step,
    ).images
