"""The starter refiner: a miniature of SDXL's refiner, for the last fifth of the noise schedule.

As in SDXL, it uses only the second text encoder and is conditioned on an aesthetic score. Its UNet is smaller
than the base's: at low noise the composition is fixed, and only local details remain.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0

from .models import POOLED_WIDTH, TEXT_WIDTHS, TIME_ID_WIDTH, UNET_CONFIG, make_unet

LAST_STEPS = 200
"""It is trained on timesteps below this one, of 1000: those after a switch at 0.8."""

REFINER_CONFIG: dict[str, Any] = {
    **UNET_CONFIG,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [64, 96],
    "transformer_layers_per_block": [1, 1],
    "attention_head_dim": [2, 3],
    "cross_attention_dim": TEXT_WIDTHS[1],
    "projection_class_embeddings_input_dim": POOLED_WIDTH + 5 * TIME_ID_WIDTH,
}

_BASE_PLACES = {"up_blocks.0.": "up_blocks.1.", "up_blocks.1.": "up_blocks.2."}
"""Blocks of the refiner -> blocks of the base with the same resolution."""


def refiner_time_ids(
    width: int, height: int, scores: torch.Tensor, crop: tuple[int, int] = (0, 0)
) -> torch.Tensor:
    """The refiner's size conditioning (count, 5): original size, crop offset (heights first), score."""
    fixed = torch.tensor([height, width, *crop], dtype=torch.float32).repeat(len(scores), 1)
    return torch.cat([fixed, scores.view(-1, 1).float()], dim=1)


def refiner_from_base(base: UNet2DConditionModel) -> UNet2DConditionModel:
    """A refiner UNet initialised with the base's weights where shapes match."""
    torch.manual_seed(1)
    refiner = make_unet(REFINER_CONFIG)
    theirs = base.state_dict()
    begun = {}
    for name, ours in refiner.state_dict().items():
        place = next((name.replace(a, b, 1) for a, b in _BASE_PLACES.items() if name.startswith(a)), name)
        weight = theirs.get(place)
        if weight is None:
            continue
        if "attn2.to_k" in name or "attn2.to_v" in name:
            weight = weight[:, -ours.shape[1] :]  # the base's last columns read the second encoder
        elif name == "add_embedding.linear_1.weight":
            # pooled text, sizes and crop offset stand in the same columns; the score is new and says nothing.
            kept = POOLED_WIDTH + 4 * TIME_ID_WIDTH
            weight = torch.cat([weight[:, :kept], torch.zeros(len(weight), TIME_ID_WIDTH)], dim=1)
        if weight.shape == ours.shape:
            begun[name] = weight
    refiner.load_state_dict({**refiner.state_dict(), **begun})
    return refiner


def export_refiner(unet: UNet2DConditionModel, base: Path, folder: Path, provenance: str) -> None:
    """Write the refiner's folder next to the base's, with the base's VAE, second text encoder and tokenizer.

    The folder is written atomically and replaces an earlier one.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for part in ("vae", "text_encoder_2", "tokenizer_2", "scheduler"):
        shutil.copytree(base / part, partial / part, copy_function=shutil.copyfile)
    unet.set_attn_processor(AttnProcessor2_0())
    unet.half().save_pretrained(partial / "unet", safe_serialization=True)
    index = {
        "_class_name": StableDiffusionXLImg2ImgPipeline.__name__,
        **{
            name: value
            for name, value in json.loads((base / "model_index.json").read_text()).items()
            if name != "_class_name"
        },
        "text_encoder": [None, None],
        "tokenizer": [None, None],
        "force_zeros_for_empty_prompt": False,
        "requires_aesthetics_score": True,
    }
    (partial / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    about = json.loads((base / "webbduck.json").read_text())
    about["provenance"] = provenance
    (partial / "webbduck.json").write_text(json.dumps(about, indent=1) + "\n")
    for path in [partial, *partial.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)
