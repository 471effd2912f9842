"""Files among the checkpoints that hold only a part of one, or another kind of model, told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNET = "holds only a UNet, without text encoders; get the complete checkpoint"
_KINDS = (
    (r"^(?:control_model|controlnet)\.|(?:^|\.)(?:controlnet_cond_embedding|input_hint_block)\.", "is a ControlNet, not a checkpoint"),
    (r"^unet\.down_blocks\.", "has diffusers’ names in a single file, which no program loads; get it as a folder or in the original layout"),
    (r"^(?:diffusion_model\.|model\.)?input_blocks\.\d+\.", _UNET),
    (r"^down_blocks\.\d+\.(?:resnets|attentions)\.", _UNET),
    (r"^(?:first_stage_model\.|vae\.)?decoder\.(?:up|mid|up_blocks|mid_block)\.", "is a VAE, not a checkpoint; move it to checkpoint/vae"),
    (r"^(?:[\w.]*\.)?(?:text_model\.encoder\.layers|transformer\.resblocks)\.", "holds only text encoders; get the complete checkpoint"),
)  # fmt: skip
"""(pattern of tensor names, what the file is), in order of precedence."""


def what_it_is(keys: Iterable[str]) -> str | None:
    """What a file without a known UNet is, as what follows its name in a sentence; None if that is not
    known."""
    names = tuple(keys)
    return next((what for pattern, what in _KINDS if any(re.search(pattern, key) for key in names)), None)
