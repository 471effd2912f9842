"""Files among the checkpoints that hold only a part of one, or another kind of model, told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROL_NET = "is a ControlNet, not a checkpoint"
_DIFFUSERS = "has diffusers’ names, which no program loads from one file; get the folder or another version"
_UNET = "holds only a UNet, without text encoders; get the complete checkpoint"
_VAE = "is a VAE, not a checkpoint; move it to checkpoint/vae"
_TEXT = "holds only text encoders; get the complete checkpoint"
_KINDS = (
    (
        r"^(?:control_model|controlnet)\.|(?:^|\.)(?:controlnet_cond_embedding|input_hint_block)\.",
        _CONTROL_NET,
    ),
    (r"^unet\.down_blocks\.", _DIFFUSERS),
    (r"^(?:diffusion_model\.|model\.)?input_blocks\.\d+\.", _UNET),
    (r"^down_blocks\.\d+\.(?:resnets|attentions)\.", _UNET),
    (r"^(?:first_stage_model\.|vae\.)?decoder\.(?:up|mid|up_blocks|mid_block)\.", _VAE),
    (r"^(?:[\w.]*\.)?(?:text_model\.encoder\.layers|transformer\.resblocks)\.", _TEXT),
)
"""(pattern of tensor names, what the file is), in order of precedence."""


def what_it_is(keys: Iterable[str]) -> str | None:
    """What a file without a known UNet is, as what follows its name in a sentence; None if that is not
    known."""
    names = tuple(keys)
    return next((what for pattern, what in _KINDS if any(re.search(pattern, key) for key in names)), None)
