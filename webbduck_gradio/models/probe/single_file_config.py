"""Derives the diffusers configuration of a single-file checkpoint from the shapes in its header.

diffusers would download it. Values that shapes do not reveal (heads, norm groups) are SDXL's, unless given in
the file's metadata under `webbduck.config`, a JSON object {"unet": {...}, "vae": {...}, "text_encoder":
{...}, "text_encoder_2": {...}}.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...errors import ModelError
from . import expected_tensors, original_names
from .safetensors_header import Header

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "conditioner.embedders.0.transformer.text_model."
PARTS = {
    "unet": "UNet",
    "vae": "VAE",
    "text_encoder": "first text encoder",
    "text_encoder_2": "second text encoder",
}
"""Display names of the parts of a checkpoint."""
PROJECTION, PROJECTION_TRANSPOSED = "text_projection", "text_projection.weight"
"""The second text encoder's projection in OpenCLIP, and as some programs write it (transposed)."""
OVERRIDES = "webbduck.config"
"""Key of the metadata that say more than shapes do."""
VOCAB_SIZE = 49408
"""Size of CLIP's vocabulary."""
CUT_DEPTHS = {
    "ssd-1b": ([1, [2, 2], [4, 4]], [[4, 4, 10], [2, 1, 1], 1]),
    "vega": ([1, [1, 1], [2, 2]], [[2, 2, 2], [1, 1, 1], 1]),
}
"""Numbers of transformer blocks of the distilled UNets, by level and layer: on the way down, and up (Gupta et
al. 2024, "Progressive Knowledge Distillation Of Stable Diffusion XL Using Layer Level Loss"). Not read from
the file, in which a missing block could not be told from one that was cut."""
HEAD_WIDTH = 64
"""Width of an attention head in all of SDXL's parts."""

Config = dict[str, Any]


def configs(name: str, header: Header, arch: str, prediction_type: str, zero_snr: bool) -> dict[str, Config]:
    """model_index and the configuration of each part. Raises `ModelError` naming the missing parts; a VAE may
    be missing, and has no configuration then.

    If only some tensors of a part are missing, its configuration is derived from the others.
    """
    refiner = arch == "sdxl-refiner"
    parts: dict[str, Config] = {"unet": {}}
    if any(key.startswith(VAE) for key in header.tensors):
        parts["vae"] = vae(header)
    if not refiner:
        parts["text_encoder"] = _clip(header, CLIP)
    parts["text_encoder_2"] = _open_clip(header, open_clip_prefix(refiner))
    parts["unet"] = _unet(header, parts["text_encoder_2"].get("projection_dim", 0), 5 if refiner else 6)
    missing = [PARTS[part] for part in prefixes(refiner) if not parts.get(part)]
    if missing and (missing != [PARTS["vae"]] or "vae" in parts):
        raise ModelError(f"{name} has no {' and no '.join(missing)}; get the complete file.")
    if arch in CUT_DEPTHS:
        down, up = CUT_DEPTHS[arch]
        parts["unet"] |= {
            "mid_block_type": expected_tensors.SHORT_MIDDLE,
            "reverse_transformer_layers_per_block": up,
            "transformer_layers_per_block": down,
        }
    for part, config in parts.items():
        config |= config_overrides(header).get(part, {})
    parts["scheduler"] = scheduler(prediction_type, zero_snr)
    parts["model_index"] = _index(refiner)
    return parts


def open_clip_prefix(refiner: bool) -> str:
    return f"conditioner.embedders.{0 if refiner else 1}.model."


def prefixes(refiner: bool) -> dict[str, str]:
    """Part -> prefix of its tensor names."""
    found = {"unet": UNET, "vae": VAE, "text_encoder": CLIP, "text_encoder_2": open_clip_prefix(refiner)}
    return {part: prefix for part, prefix in found.items() if not (refiner and part == "text_encoder")}


def tensors(parts: dict[str, Config], refiner: bool) -> dict[str, dict[str, tuple[int, ...]]]:
    """Part -> names and shapes of its tensors, for those with a configuration. Raises
    `expected_tensors.UnbuildableError` naming the part."""
    part_prefixes = prefixes(refiner)
    found = {}
    for part, prefix in part_prefixes.items():
        if part not in parts:
            continue
        config = parts[part]
        try:
            if part == "unet":
                shapes = original_names.unet(expected_tensors.unet(config), config)
            elif part == "vae":
                shapes = original_names.vae(expected_tensors.vae(config), config)
            elif part == "text_encoder":
                plain = expected_tensors.clip(config, projection=False)
                shapes = {key.removeprefix("text_model."): shape for key, shape in plain.items()}
            else:
                shapes = original_names.open_clip(expected_tensors.clip(config, projection=True))
        except expected_tensors.UnbuildableError as error:
            raise expected_tensors.UnbuildableError(f"its {PARTS[part]} cannot be made: {error}") from None
        found[part] = {prefix + key: shape for key, shape in shapes.items()}
    return found


def config_overrides(header: Header) -> dict[str, Config]:
    """Part -> what the file's own metadata say of its configuration."""
    try:
        overrides = json.loads(header.metadata.get(OVERRIDES, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(overrides, dict):
        return {}
    return {part: config for part, config in overrides.items() if isinstance(config, dict)}


def _count(header: Header, pattern: str) -> int:
    # All names at once, one per line: matching thousands one by one takes a hundred times as long.
    found = re.finditer(f"^{pattern}", header.all_names, re.MULTILINE)
    return max((int(match[1]) + 1 for match in found), default=0)


def _first(header: Header, *keys: str) -> int:
    """Number of output channels, from the first of these tensors that exists."""
    found = (header.tensors[key].shape for key in keys if key in header.tensors)
    return next((shape[0] for shape in found if shape), 0)


def _last(header: Header, *keys: str) -> int:
    """Size of the last axis of the first of these tensors that exists."""
    return next((width for key in keys if (width := header.width(key))), 0)


def _unet(header: Header, pooled: int, sizes: int) -> Config:
    """`pooled`: width of the pooled embedding; `sizes`: number of size conditionings (size, crop, score)."""
    if not any(key.startswith((UNET + "input_blocks.", UNET + "output_blocks.")) for key in header.tensors):
        return {}
    first = _shape(header, UNET + "input_blocks.0.0.weight")
    label = _last(header, UNET + "label_emb.0.0.weight") or pooled + sizes * 256
    channels, depths, layers = [0], [0], [0]
    for index in range(1, _count(header, re.escape(UNET) + r"input_blocks\.(\d+)\.")):
        block = f"{UNET}input_blocks.{index}."
        if {block + "0.op.weight", block + "0.op.bias"} & header.tensors.keys():
            channels, depths, layers = [*channels, 0], [*depths, 0], [*layers, 0]
            continue
        ends = ("out_layers.3.bias", "out_layers.3.weight", "in_layers.2.bias", "out_layers.0.weight")
        channels[-1] = channels[-1] or _first(header, *(f"{block}0.{end}" for end in ends))
        depth = _count(header, re.escape(block) + r"1\.transformer_blocks\.(\d+)\.")
        depths[-1] = max(depths[-1], depth)
        layers[-1] += 1
    middle = _count(header, re.escape(UNET) + r"middle_block\.1\.transformer_blocks\.(\d+)\.")
    widths = (
        tensor.shape[-1]
        for key, tensor in header.tensors.items()
        if key.startswith(UNET)
        and key.endswith((".attn2.to_k.weight", ".attn2.to_v.weight"))
        and tensor.shape
    )
    cross = next(widths, 0)
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    # diffusers takes the middle block's depth from the last level, even if that level has no attention.
    depths[-1] = depths[-1] or middle
    strength = header.width(UNET + "time_embed.cond_proj.weight")
    return {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (label - pooled) // sizes,
        "attention_head_dim": [max(1, width // HEAD_WIDTH) for width in channels],
        "block_out_channels": channels,
        "cross_attention_dim": cross,
        "down_block_types": down,
        "in_channels": first[1] if len(first) == 4 else 4,
        "layers_per_block": max(layers),
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "out_channels": 4,
        "projection_class_embeddings_input_dim": label,
        "sample_size": 128,
        "transformer_layers_per_block": [max(1, depth) for depth in depths],
        "up_block_types": [block.replace("Down", "Up") for block in reversed(down)],
        "use_linear_projection": _has_linear_projection(header),
    } | ({"time_cond_proj_dim": strength} if strength else {})


def _has_linear_projection(header: Header) -> bool:
    """Whether transformers are entered by a matrix, as in SDXL, not by a 1x1 convolution."""
    found = (
        tensor.shape
        for key, tensor in header.tensors.items()
        if key.startswith(UNET) and key.endswith(".1.proj_in.weight")
    )
    return len(_shape(header, UNET + "middle_block.1.proj_in.weight") or next(found, ())) == 2


def _shape(header: Header, key: str) -> tuple[int, ...]:
    tensor = header.tensors.get(key)
    return tensor.shape if tensor else ()


def vae(header: Header) -> Config:
    """The configuration of a VAE whose tensors begin with `VAE`; {} if there is none."""
    levels = max(
        _count(header, re.escape(VAE) + rf"{side}\.(\d+)\.") for side in (r"encoder\.down", r"decoder\.up")
    )
    if not levels:
        return {}
    moments = ("quant_conv.weight", "quant_conv.bias", "encoder.conv_out.bias", "encoder.conv_out.weight")
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": [
            _first(header, *(f"{VAE}encoder.down.{level}.block.0.conv2.{end}" for end in ("bias", "weight")))
            for level in range(levels)
        ],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "force_upcast": True,
        "in_channels": 3,
        "latent_channels": _first(header, *(VAE + key for key in moments)) // 2,
        "layers_per_block": _count(header, re.escape(VAE) + r"encoder\.down\.0\.block\.(\d+)\."),
        "mid_block_add_attention": any(key.startswith(VAE + "encoder.mid.attn_1.") for key in header.tensors),
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": 1024,
        "scaling_factor": 0.13025,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def _text_config(width: int, layers: int, inner: int, activation: str, projection: int, words: int) -> Config:
    return {
        "attention_dropout": 0.0,
        # As in the published configuration; the end token is found as the largest id of the prompt.
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "hidden_act": activation,
        "hidden_size": width,
        "intermediate_size": inner,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "num_attention_heads": max(1, width // HEAD_WIDTH),
        "num_hidden_layers": layers,
        "projection_dim": projection,
        "vocab_size": words,
    }


def _clip(header: Header, prefix: str) -> Config:
    layers = _count(header, re.escape(prefix) + r"encoder\.layers\.(\d+)\.")
    words = _shape(header, prefix + "embeddings.token_embedding.weight")
    if not layers and not words:
        return {}
    width = _last(header, prefix + "final_layer_norm.weight", prefix + "embeddings.position_embedding.weight")
    inner = _first(header, *(f"{prefix}encoder.layers.0.mlp.fc1.{end}" for end in ("bias", "weight")))
    return {"architectures": ["CLIPTextModel"]} | _text_config(
        width, layers, inner, "quick_gelu", width, words[0] if words else VOCAB_SIZE
    )


def _open_clip(header: Header, prefix: str) -> Config:
    layers = _count(header, re.escape(prefix) + r"transformer\.resblocks\.(\d+)\.")
    words = _shape(header, prefix + "token_embedding.weight")
    if not layers and not words:
        return {}
    width = _last(header, prefix + "ln_final.weight", prefix + "positional_embedding")
    transposed = _first(header, prefix + PROJECTION_TRANSPOSED)  # (out, in), as in transformers
    projection = transposed or _last(header, prefix + PROJECTION) or width
    inner = _first(header, *(f"{prefix}transformer.resblocks.0.mlp.c_fc.{end}" for end in ("bias", "weight")))
    return {"architectures": ["CLIPTextModelWithProjection"]} | _text_config(
        width, layers, inner, "gelu", projection, words[0] if words else VOCAB_SIZE
    )


def scheduler(prediction_type: str, zero_snr: bool) -> Config:
    """The scheduler configuration with SDXL's noise schedule."""
    return {
        "_class_name": "EulerDiscreteScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "num_train_timesteps": 1000,
        "prediction_type": prediction_type,
        "rescale_betas_zero_snr": zero_snr,
        "steps_offset": 1,
        # Zero terminal SNR has no effect unless sampling starts at the last timestep.
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
        # Prompts are tokenised by models.tokens, with a bundled copy of CLIP's vocabulary.
        "tokenizer": none,
        "tokenizer_2": none,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    } | ({"requires_aesthetics_score": True} if refiner else {})
