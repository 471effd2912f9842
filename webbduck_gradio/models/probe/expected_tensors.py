"""Computes names and shapes of a network's tensors from its configuration, without building it.

For UNet2DConditionModel and AutoencoderKL of diffusers and CLIPTextModel(WithProjection) of transformers; a
test compares them with the networks themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Config = Mapping[str, Any]

_SDXL_UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "addition_embed_type": "text_time",
    "attention_type": "default",
    "class_embed_type": None,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "mid_block_only_cross_attention": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_time_scale_shift": "default",
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
}
"""Options that change a UNet's layers, with SDXL's values."""


MIDDLE, SHORT_MIDDLE = "UNetMidBlock2DCrossAttn", "UNetMidBlock2D"
"""Middle blocks: SDXL's, and that of SSD-1B and Vega, which is one residual block without a transformer."""


class UnbuildableError(ValueError):
    """The configuration is invalid or not SDXL's; the text is a clause saying why."""


def unet(config: Config) -> Shapes:
    """Raises `UnbuildableError`."""
    for option, default in _SDXL_UNET.items():
        if config.get(option, default) != default:
            raise UnbuildableError(f"its {option.strip('_')} is {config[option]!r}, which SDXL does not have")
    widths = _numbers(config, "block_out_channels")
    count = len(widths)
    layers = _each(config, "layers_per_block", 2, count)
    down_depths, up_depths = _depths(config, layers)
    heads = _each(config, "num_attention_heads", None, count, "attention_head_dim")
    down, up = config.get("down_block_types", []), config.get("up_block_types", [])
    if not len(down) == len(up) == count:
        raise UnbuildableError("its lists of blocks have different lengths")
    if not {*down, *up} <= {"DownBlock2D", "UpBlock2D", "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"}:
        raise UnbuildableError("it has blocks that SDXL does not have")
    middle = config.get("mid_block_type", MIDDLE)
    if middle not in (MIDDLE, SHORT_MIDDLE):
        raise UnbuildableError("it has no middle block as SDXL has")
    _check_groups(widths, config)
    cross, linear = _number(config, "cross_attention_dim"), config.get("use_linear_projection") is True
    time = widths[0] * 4
    label = _number(config, "projection_class_embeddings_input_dim")
    shapes = dict(_conv("conv_in", _number(config, "in_channels"), widths[0]))
    shapes |= _mlp("time_embedding", widths[0], time) | _mlp("add_embedding", label, time)
    if config.get("time_cond_proj_dim"):  # the strength of guidance, in full LCM checkpoints
        shapes["time_embedding.cond_proj.weight"] = (widths[0], _number(config, "time_cond_proj_dim"))
    out = widths[0]
    for level, width in enumerate(widths):
        name, inputs, out = f"down_blocks.{level}", out, width
        for layer in range(layers[level]):
            shapes |= _resnet(f"{name}.resnets.{layer}", inputs if layer == 0 else out, out, time)
            if down[level].startswith("CrossAttn"):
                at = f"{name}.attentions.{layer}"
                shapes |= _transformer(at, out, heads[level], down_depths[level][layer], cross, linear)
        if level < count - 1:
            shapes |= _conv(f"{name}.downsamplers.0.conv", out, out)
    for layer in range(2 if middle == MIDDLE else 1):
        shapes |= _resnet(f"mid_block.resnets.{layer}", out, out, time)
    if middle == MIDDLE:
        shapes |= _transformer("mid_block.attentions.0", out, heads[-1], down_depths[-1][0], cross, linear)
    for level in range(count):
        name, place = f"up_blocks.{level}", count - 1 - level
        before, out, inputs = out, widths[place], widths[max(place - 1, 0)]
        for layer in range(layers[place] + 1):
            left = inputs if layer == layers[place] else out
            shapes |= _resnet(f"{name}.resnets.{layer}", (before if layer == 0 else out) + left, out, time)
            if up[level].startswith("CrossAttn"):
                at = f"{name}.attentions.{layer}"
                shapes |= _transformer(at, out, heads[place], up_depths[level][layer], cross, linear)
        if level < count - 1:
            shapes |= _conv(f"{name}.upsamplers.0.conv", out, out)
    return shapes | _pair("conv_norm_out", (out,)) | _conv("conv_out", out, _number(config, "out_channels"))


def vae(config: Config) -> Shapes:
    """Raises `UnbuildableError`."""
    if config.get("_class_name", "AutoencoderKL") != "AutoencoderKL":
        raise UnbuildableError(f"it is of the class {config['_class_name']}, not an AutoencoderKL as SDXL's")
    widths = _numbers(config, "block_out_channels")
    _check_groups(widths, config)
    latent, layers = _number(config, "latent_channels"), _number(config, "layers_per_block")
    attention = config.get("mid_block_add_attention", True) is True
    last = widths[-1]
    shapes = dict(_conv("encoder.conv_in", _number(config, "in_channels"), widths[0]))
    out = widths[0]
    for level, width in enumerate(widths):
        name, inputs, out = f"encoder.down_blocks.{level}", out, width
        for layer in range(layers):
            shapes |= _resnet(f"{name}.resnets.{layer}", inputs if layer == 0 else out, out, None)
        if level < len(widths) - 1:
            shapes |= _conv(f"{name}.downsamplers.0.conv", out, out)
    shapes |= _vae_middle("encoder", last, attention) | _conv("encoder.conv_out", last, 2 * latent)
    shapes |= _conv("decoder.conv_in", latent, last) | _vae_middle("decoder", last, attention)
    out = last
    for level, width in enumerate(reversed(widths)):
        name, inputs, out = f"decoder.up_blocks.{level}", out, width
        for layer in range(layers + 1):
            shapes |= _resnet(f"{name}.resnets.{layer}", inputs if layer == 0 else out, out, None)
        if level < len(widths) - 1:
            shapes |= _conv(f"{name}.upsamplers.0.conv", out, out)
    shapes |= _pair("encoder.conv_norm_out", (last,)) | _pair("decoder.conv_norm_out", (out,))
    shapes |= _conv("decoder.conv_out", out, _number(config, "out_channels"))
    if config.get("use_quant_conv", True):
        shapes |= _conv("quant_conv", 2 * latent, 2 * latent, 1)
    if config.get("use_post_quant_conv", True):
        shapes |= _conv("post_quant_conv", latent, latent, 1)
    return shapes


def clip(config: Config, projection: bool) -> Shapes:
    """A CLIP text encoder; with `projection` of its pooled output. Raises `UnbuildableError`."""
    kind = config.get("model_type", "clip_text_model")
    if kind != "clip_text_model":
        raise UnbuildableError(f"it is of the kind {kind}, not a CLIP text encoder as SDXL's")
    width, inner = _number(config, "hidden_size"), _number(config, "intermediate_size")
    if width % _number(config, "num_attention_heads"):
        raise UnbuildableError(
            f"its width of {width} cannot be split into {config['num_attention_heads']} heads"
        )
    words, length = _number(config, "vocab_size", 49408), _number(config, "max_position_embeddings", 77)
    if words < 49408 or length < 77:
        raise UnbuildableError(f"it has {words} tokens and a context of {length}; SDXL's has 49408 and 77")
    shapes: Shapes = {
        "text_model.embeddings.token_embedding.weight": (words, width),
        "text_model.embeddings.position_embedding.weight": (length, width),
    }
    for layer in range(_number(config, "num_hidden_layers")):
        name = f"text_model.encoder.layers.{layer}"
        for which in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{name}.self_attn.{which}", width, width)
        shapes |= _linear(f"{name}.mlp.fc1", width, inner) | _linear(f"{name}.mlp.fc2", inner, width)
        shapes |= _pair(f"{name}.layer_norm1", (width,)) | _pair(f"{name}.layer_norm2", (width,))
    shapes |= _pair("text_model.final_layer_norm", (width,))
    if projection:
        shapes["text_projection.weight"] = (_number(config, "projection_dim"), width)
    return shapes


def check_together(configs: Mapping[str, Config]) -> None:
    """Check that the widths of text encoders, UNet and VAE, if there is one, match. Raises
    `UnbuildableError`."""
    unet, vae, second = configs["unet"], configs.get("vae"), configs["text_encoder_2"]
    first = configs.get("text_encoder")
    context = _number(second, "hidden_size") + (_number(first, "hidden_size") if first else 0)
    wanted = _number(unet, "cross_attention_dim")
    if wanted != context:
        raise UnbuildableError(
            f"the UNet expects prompts of width {wanted}, and the text encoders make them {context} wide"
        )
    numbers = 6 if first else 5
    label = _number(second, "projection_dim") + numbers * _number(unet, "addition_time_embed_dim")
    if _number(unet, "projection_class_embeddings_input_dim") != label:
        raise UnbuildableError(
            f"the UNet expects {unet['projection_class_embeddings_input_dim']} values for pooled prompt and "
            f"sizes, and gets {label}"
        )
    if vae is None:
        return
    latent = _number(vae, "latent_channels")
    if latent != _number(unet, "out_channels", 4):
        raise UnbuildableError(f"the UNet has {unet['out_channels']} output channels, and the VAE {latent}")
    if len(vae["block_out_channels"]) != 4:
        raise UnbuildableError(f"the VAE has {len(vae['block_out_channels'])} levels instead of 4")


# -- layers ----------------------------------------------------------------------------------------------


def _pair(name: str, shape: Shape) -> Shapes:
    """A weight and a bias with one value per output."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _linear(name: str, inputs: int, out: int) -> Shapes:
    return _pair(name, (out, inputs))


def _conv(name: str, inputs: int, out: int, kernel: int = 3) -> Shapes:
    return _pair(name, (out, inputs, kernel, kernel))


def _mlp(name: str, inputs: int, out: int) -> Shapes:
    return _linear(f"{name}.linear_1", inputs, out) | _linear(f"{name}.linear_2", out, out)


def _resnet(name: str, inputs: int, out: int, time: int | None) -> Shapes:
    shapes = _pair(f"{name}.norm1", (inputs,)) | _conv(f"{name}.conv1", inputs, out)
    shapes |= _pair(f"{name}.norm2", (out,)) | _conv(f"{name}.conv2", out, out)
    if time is not None:
        shapes |= _linear(f"{name}.time_emb_proj", time, out)
    return shapes | (_conv(f"{name}.conv_shortcut", inputs, out, 1) if inputs != out else {})


def _transformer(name: str, width: int, heads: int, depth: int, cross: int, linear: bool) -> Shapes:
    inner = heads * (width // heads)
    ends: Shape = () if linear else (1, 1)
    shapes = _pair(f"{name}.norm", (width,))
    shapes |= _pair(f"{name}.proj_in", (inner, width, *ends))
    shapes |= _pair(f"{name}.proj_out", (width, inner, *ends))
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, context in (("attn1", inner), ("attn2", cross)):
            shapes[f"{block}.{attention}.to_q.weight"] = (inner, inner)
            shapes[f"{block}.{attention}.to_k.weight"] = (inner, context)
            shapes[f"{block}.{attention}.to_v.weight"] = (inner, context)
            shapes |= _linear(f"{block}.{attention}.to_out.0", inner, inner)
        for norm in ("norm1", "norm2", "norm3"):
            shapes |= _pair(f"{block}.{norm}", (inner,))
        shapes |= _linear(f"{block}.ff.net.0.proj", inner, 8 * inner)
        shapes |= _linear(f"{block}.ff.net.2", 4 * inner, inner)
    return shapes


def _vae_middle(side: str, width: int, attention: bool) -> Shapes:
    shapes: Shapes = {}
    for layer in range(2):
        shapes |= _resnet(f"{side}.mid_block.resnets.{layer}", width, width, None)
    if attention:
        name = f"{side}.mid_block.attentions.0"
        shapes |= _pair(f"{name}.group_norm", (width,))
        for which in ("to_q", "to_k", "to_v", "to_out.0"):
            shapes |= _linear(f"{name}.{which}", width, width)
    return shapes


# -- configurations --------------------------------------------------------------------------------------


def _number(config: Config, key: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise UnbuildableError(f"its {key} is {value!r} instead of a positive number")
    return value


def _numbers(config: Config, key: str) -> list[int]:
    values = config.get(key)
    if not isinstance(values, list) or not values or len(values) > 16:
        raise UnbuildableError(f"its {key} is not a list of numbers")
    return [_number({key: value}, key) for value in values]


def _each(config: Config, key: str, default: int | None, count: int, fallback_key: str = "") -> list[int]:
    """A number per level, given as one value or as a list."""
    if fallback_key and config.get(key) is None:
        key = fallback_key
    value = config.get(key, default)
    values = [value] * count if not isinstance(value, list) else value
    if len(values) != count:
        raise UnbuildableError(f"its {key} has {len(values)} numbers for {count} levels")
    return [_number({key: each}, key) for each in values]


def _depths(config: Config, layers: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    """Numbers of transformer blocks on the way down and up, by level and layer. `layers`: per level, on the
    way down; one more on the way up."""
    down = _nested(config, "transformer_layers_per_block", layers, 1)
    more = [number + 1 for number in reversed(layers)]
    if config.get("reverse_transformer_layers_per_block") is not None:
        return down, _nested(config, "reverse_transformer_layers_per_block", more)
    if any({*level} != {level[0]} for level in down):
        raise UnbuildableError("it has no reverse_transformer_layers_per_block")
    return down, [[level[0]] * number for level, number in zip(reversed(down), more, strict=True)]


def _nested(config: Config, key: str, layers: list[int], default: int | None = None) -> list[list[int]]:
    """A number per level and layer, given as one value, as a list by level, or as a list by layer in it."""
    value = config.get(key, default)
    values = value if isinstance(value, list) else [value] * len(layers)
    if len(values) != len(layers):
        raise UnbuildableError(f"its {key} has {len(values)} numbers for {len(layers)} levels")
    return [
        _each({key: each if each != 0 else 1}, key, None, number)  # 0: a level without transformers
        for each, number in zip(values, layers, strict=True)
    ]


def _check_groups(widths: list[int], config: Config) -> None:
    groups = _number(config, "norm_num_groups", 32)
    for width in widths:
        if width % groups:
            raise UnbuildableError(f"its width of {width} cannot be normalised in {groups} groups")
