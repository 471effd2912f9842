"""From diffusers' layout to the original one of single-file checkpoints: the same weights, other names.

The tests use it too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "time_embedding.cond_proj": "time_embed.cond_proj",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def unet(model: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    per_level = model.config.layers_per_block + 1
    crossed = [block.startswith("CrossAttn") for block in model.config.up_block_types]

    def rename(key: str) -> str:
        for theirs, ours in UNET.items():
            if key.startswith(theirs + "."):
                return key.replace(theirs, ours, 1)
        for pattern, target in (
            (
                r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)",
                lambda m: (
                    f"input_blocks.{per_level * int(m[1]) + int(m[3]) + 1}.{int(m[2] == 'attentions')}.{m[4]}"
                ),
            ),
            (
                r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)",
                lambda m: f"input_blocks.{per_level * (int(m[1]) + 1)}.0.op.{m[2]}",
            ),
            (
                r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)",
                lambda m: (
                    f"output_blocks.{per_level * int(m[1]) + int(m[3])}.{int(m[2] == 'attentions')}.{m[4]}"
                ),
            ),
            (
                r"up_blocks\.(\d+)\.upsamplers\.0\.(.*)",
                lambda m: f"output_blocks.{per_level * (int(m[1]) + 1) - 1}.{1 + crossed[int(m[1])]}.{m[2]}",
            ),
            (r"mid_block\.resnets\.(\d+)\.(.*)", lambda m: f"middle_block.{2 * int(m[1])}.{m[2]}"),
            (r"mid_block\.attentions\.0\.(.*)", lambda m: f"middle_block.1.{m[1]}"),
        ):
            found = re.fullmatch(pattern, key)
            if found:
                name = target(found)
                if "resnets" in key:
                    for theirs, ours in RESNET.items():
                        name = name.replace(f".{theirs}.", f".{ours}.")
                return name
        raise AssertionError(key)

    return {"model.diffusion_model." + rename(key): value for key, value in model.state_dict().items()}


def vae(model: AutoencoderKL) -> dict[str, torch.Tensor]:
    levels = len(model.config.block_out_channels)
    tensors = {}
    for key, value in model.state_dict().items():
        name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", key)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
        name = re.sub(
            r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name
        )
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
        name = name.replace("conv_shortcut", "nin_shortcut")
        if "attn_1" in name:
            for theirs, ours in (
                ("group_norm", "norm"),
                ("to_q", "q"),
                ("to_k", "k"),
                ("to_v", "v"),
                ("to_out.0", "proj_out"),
            ):
                name = name.replace(f".{theirs}.", f".{ours}.")
            if value.ndim == 2:
                value = value[:, :, None, None]
        tensors["first_stage_model." + name] = value
    return tensors


def clip(model: CLIPTextModel, prefix: str) -> dict[str, torch.Tensor]:
    return {
        f"{prefix}transformer.text_model.{key.removeprefix('text_model.')}": value
        for key, value in model.state_dict().items()
        if "position_ids" not in key
    }


def open_clip(model: CLIPTextModelWithProjection, prefix: str) -> dict[str, torch.Tensor]:
    state = {key.removeprefix("text_model."): value for key, value in model.state_dict().items()}
    tensors = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": torch.tensor(1.0),
    }
    for layer in range(model.config.num_hidden_layers):
        mine, theirs = f"transformer.resblocks.{layer}.", f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            tensors[f"{mine}attn.in_proj_{kind}"] = torch.cat(
                [state[f"{theirs}self_attn.{which}_proj.{kind}"] for which in "qkv"]
            )
            for ours, original in OPEN_CLIP.items():
                tensors[f"{mine}{original}.{kind}"] = state[f"{theirs}{ours}.{kind}"]
    return {f"{prefix}model.{key}": value for key, value in tensors.items()}


def small(kind: str, **changes: Any) -> dict[str, Any]:
    """The parts of an SDXL checkpoint with random weights and SDXL's structure, a thousandth of its size.
    `changes`: of the UNet's configuration."""
    torch.manual_seed(0)
    refiner = kind == "refiner"
    clip_config: dict[str, Any] = {
        "num_hidden_layers": 3,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }
    first: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 1,
        "projection_dim": 64,
    }
    # Of another width than the first, as in SDXL: diffusers tells them apart by that.
    second: dict[str, Any] = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_attention_heads": 2,
        "projection_dim": 128,
    }
    parts: dict[str, Any] = {}
    if not refiner:
        config = CLIPTextConfig(**clip_config, **first, hidden_act="quick_gelu")
        parts["text_encoder"] = CLIPTextModel(config)
    config = CLIPTextConfig(**clip_config, **second, hidden_act="gelu")
    parts["text_encoder_2"] = CLIPTextModelWithProjection(config)
    unet: dict[str, Any] = {
        "in_channels": 9 if kind == "inpaint" else 4,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 32,
        "attention_head_dim": [1, 1, 2],
        "block_out_channels": [64, 64, 128],
        "cross_attention_dim": 128 if refiner else 192,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "projection_class_embeddings_input_dim": 128 + 32 * (5 if refiner else 6),
        "transformer_layers_per_block": [1, 1, 2],
        "use_linear_projection": True,
        "sample_size": 128,
    }
    parts["unet"] = UNet2DConditionModel(**unet | changes)
    parts["vae"] = AutoencoderKL(
        block_out_channels=[32, 32, 64, 64],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    return parts


def write(path: Path, kind: str, parts: dict[str, Any]) -> Path:
    """A single-file checkpoint in half precision. `kind`: base, inpaint, refiner, v or zsnr."""
    second = "conditioner.embedders.0." if kind == "refiner" else "conditioner.embedders.1."
    tensors = unet(parts["unet"]) | vae(parts["vae"]) | open_clip(parts["text_encoder_2"], second)
    if "text_encoder" in parts:
        tensors |= clip(parts["text_encoder"], "conditioner.embedders.0.")
    if kind in ("v", "zsnr"):
        tensors["v_pred"] = torch.zeros(0)
    if kind == "zsnr":
        tensors["ztsnr"] = torch.zeros(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().half().contiguous() for key, value in tensors.items()}, path)
    return path
