"""The configuration of a single-file checkpoint, read off the shapes in its header.

diffusers would ask the network for it. SDXL's own configurations come out for SDXL's own shapes; what no
shape tells (heads, norm groups) is SDXL's, unless the file says otherwise in its metadata under
`webbduck.config`, a JSON table {"unet": {...}, "vae": {...}, "text_encoder": {...}, "text_encoder_2": {...}}.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import ModelError
from .header import Header

UNET = "model.diffusion_model."
VAE = "first_stage_model."
HEAD = 64
"""Width of an attention head in all of SDXL's parts."""

Config = dict[str, Any]


def configs(name: str, header: Header, arch: str, prediction_type: str, zero_snr: bool) -> dict[str, Config]:
    """model_index and the configuration of each part. Raises `ModelError` naming what is missing."""
    refiner = arch == "sdxl-refiner"
    parts: dict[str, Config] = {"vae": _vae(header), "unet": {}}
    if not refiner:
        parts["text_encoder"] = _clip(header, "conditioner.embedders.0.transformer.text_model.")
    parts["text_encoder_2"] = _open_clip(header, f"conditioner.embedders.{0 if refiner else 1}.model.")
    parts["unet"] = _unet(header, parts["text_encoder_2"].get("projection_dim", 0), 5 if refiner else 6)
    for part, config in parts.items():
        if not config:
            what = {"vae": "VAE", "unet": "UNet", "text_encoder": "first text encoder"}
            raise ModelError(f"{name} has no {what.get(part, 'second text encoder')}; get the complete file.")
        config |= _said(header).get(part, {})
    parts["scheduler"] = scheduler(prediction_type, zero_snr)
    parts["model_index"] = _index(refiner)
    return parts


def _said(header: Header) -> dict[str, Config]:
    try:
        said = json.loads(header.metadata.get("webbduck.config", "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {part: config for part, config in said.items() if isinstance(config, dict)}


def _count(header: Header, pattern: str) -> int:
    found = (re.match(pattern, key) for key in header.tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _first(header: Header, key: str) -> int:
    tensor = header.tensors.get(key)
    return tensor.shape[0] if tensor and tensor.shape else 0


def _unet(header: Header, pooled: int, sizes: int) -> Config:
    """`pooled`: width of the pooled prompt; `sizes`: numbers (sizes, crops, score) that enter beside it."""
    first = header.tensors.get(UNET + "input_blocks.0.0.weight")
    label = header.width(UNET + "label_emb.0.0.weight")
    if first is None or label is None or len(first.shape) != 4:
        return {}
    channels, depths, layers = [0], [0], [0]
    for index in range(1, _count(header, re.escape(UNET) + r"input_blocks\.(\d+)\.")):
        block = f"{UNET}input_blocks.{index}."
        if block + "0.op.weight" in header.tensors:
            channels, depths, layers = [*channels, 0], [*depths, 0], [*layers, 0]
            continue
        channels[-1] = _first(header, block + "0.out_layers.3.weight")
        depths[-1] = _count(header, re.escape(block) + r"1\.transformer_blocks\.(\d+)\.")
        layers[-1] += 1
    middle = _count(header, re.escape(UNET) + r"middle_block\.1\.transformer_blocks\.(\d+)\.")
    cross = next(
        (tensor.shape[-1] for key, tensor in header.tensors.items() if key.endswith(".attn2.to_k.weight")), 0
    )
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    # The middle block takes its depth from the last level, also where that has no attention of its own.
    depths[-1] = depths[-1] or middle
    return {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (label - pooled) // sizes,
        "attention_head_dim": [max(1, width // HEAD) for width in channels],
        "block_out_channels": channels,
        "cross_attention_dim": cross,
        "down_block_types": down,
        "in_channels": first.shape[1],
        "layers_per_block": layers[0],
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "out_channels": 4,
        "projection_class_embeddings_input_dim": label,
        "sample_size": 128,
        "transformer_layers_per_block": [max(1, depth) for depth in depths],
        "up_block_types": [block.replace("Down", "Up") for block in reversed(down)],
        "use_linear_projection": len(_shape(header, UNET + "middle_block.1.proj_in.weight")) == 2,
    }


def _shape(header: Header, key: str) -> tuple[int, ...]:
    tensor = header.tensors.get(key)
    return tensor.shape if tensor else ()


def _vae(header: Header) -> Config:
    levels = _count(header, re.escape(VAE) + r"encoder\.down\.(\d+)\.")
    if not levels or _count(header, re.escape(VAE) + r"decoder\.up\.(\d+)\.") != levels:
        return {}
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": [
            _first(header, f"{VAE}encoder.down.{level}.block.0.conv2.weight") for level in range(levels)
        ],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "force_upcast": True,
        "in_channels": 3,
        "latent_channels": _first(header, VAE + "quant_conv.weight") // 2,
        "layers_per_block": _count(header, re.escape(VAE) + r"encoder\.down\.0\.block\.(\d+)\."),
        "mid_block_add_attention": VAE + "encoder.mid.attn_1.q.weight" in header.tensors,
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": 1024,
        "scaling_factor": 0.13025,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def _text_config(width: int, layers: int, inner: int, activation: str, projection: int, words: int) -> Config:
    return {
        "attention_dropout": 0.0,
        # These ids are the published ones; the end is found as the largest id of the prompt.
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "hidden_act": activation,
        "hidden_size": width,
        "intermediate_size": inner,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "num_attention_heads": max(1, width // HEAD),
        "num_hidden_layers": layers,
        "projection_dim": projection,
        "vocab_size": words,
    }


def _clip(header: Header, prefix: str) -> Config:
    words = prefix + "embeddings.token_embedding.weight"
    layers = _count(header, re.escape(prefix) + r"encoder\.layers\.(\d+)\.")
    if words not in header.tensors or not layers:
        return {}
    width = header.tensors[words].shape[-1]
    inner = _first(header, prefix + "encoder.layers.0.mlp.fc1.weight")
    return {"architectures": ["CLIPTextModel"]} | _text_config(
        width, layers, inner, "quick_gelu", width, header.tensors[words].shape[0]
    )


def _open_clip(header: Header, prefix: str) -> Config:
    words = prefix + "token_embedding.weight"
    layers = _count(header, re.escape(prefix) + r"transformer\.resblocks\.(\d+)\.")
    projection = header.width(prefix + "text_projection") or header.width(prefix + "text_projection.weight")
    if words not in header.tensors or not layers or not projection:
        return {}
    width = header.tensors[words].shape[-1]
    inner = _first(header, prefix + "transformer.resblocks.0.mlp.c_fc.weight")
    return {"architectures": ["CLIPTextModelWithProjection"]} | _text_config(
        width, layers, inner, "gelu", projection, header.tensors[words].shape[0]
    )


def scheduler(prediction_type: str, zero_snr: bool) -> Config:
    """SDXL's noise schedule."""
    return {
        "_class_name": "EulerDiscreteScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "num_train_timesteps": 1000,
        "prediction_type": prediction_type,
        "rescale_betas_zero_snr": zero_snr,
        "steps_offset": 1,
        # Zero terminal SNR means nothing unless the last timestep is drawn from.
        "timestep_spacing": "trailing" if zero_snr else "leading",
    }


def _index(refiner: bool) -> Config:
    none = [None, None]
    return {
        "_class_name": "StableDiffusionXLImg2ImgPipeline" if refiner else "StableDiffusionXLPipeline",
        "feature_extractor": none,
        "force_zeros_for_empty_prompt": not refiner,
        "image_encoder": none,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": none if refiner else ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        # Prompts are read by models.tokens, with the one copy of CLIP's vocabulary.
        "tokenizer": none,
        "tokenizer_2": none,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    } | ({"requires_aesthetics_score": True} if refiner else {})
