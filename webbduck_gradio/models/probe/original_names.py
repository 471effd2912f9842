"""Maps diffusers' tensor names to those of single-file checkpoints (Stability's original layout)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .expected_tensors import Shapes

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_SINGLE = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "time_embedding.cond_proj": "time_embed.cond_proj",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)")
_MIDDLE = re.compile(r"mid_block\.(\w+)\.(\d+)\.(.*)")
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def unet(shapes: Shapes, config: Mapping[str, Any]) -> Shapes:
    """`config` as for `expected_tensors.unet`, with the same number of layers on all levels."""
    return {original: shapes[name] for name, original in unet_names(shapes, config).items()}


def unet_names(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """diffusers' names -> the original ones; `config` as for `unet`."""
    per_level = config["layers_per_block"] + 1
    crossed = [block.startswith("CrossAttn") for block in config["up_block_types"]]
    return {name: _unet_name(name, per_level, crossed) for name in names}


def _unet_name(name: str, per_level: int, crossed: list[bool]) -> str:
    start, _, ending = name.rpartition(".")
    if start in _SINGLE:
        return f"{_SINGLE[start]}.{ending}"
    if found := _BLOCK.fullmatch(name):
        side, level, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if kind == "downsamplers":
            return f"input_blocks.{per_level * (level + 1)}.0.op.{ending}"
        if kind == "upsamplers":
            return f"output_blocks.{per_level * (level + 1) - 1}.{1 + crossed[level]}.conv.{ending}"
        index = per_level * level + layer + (side == "down")
        block = f"{'input' if side == 'down' else 'output'}_blocks.{index}"
        return f"{block}.1.{rest}" if kind == "attentions" else f"{block}.0.{_resnet_name(rest)}"
    found = _MIDDLE.fullmatch(name)
    assert found is not None, name
    kind, layer, rest = found[1], int(found[2]), found[3]
    return (
        f"middle_block.1.{rest}" if kind == "attentions" else f"middle_block.{2 * layer}.{_resnet_name(rest)}"
    )


def _resnet_name(rest: str) -> str:
    layer, _, ending = rest.rpartition(".")
    return f"{_RESNET[layer]}.{ending}"


def vae(shapes: Shapes, config: Mapping[str, Any]) -> Shapes:
    """Attention weights may also be stored as 1x1 convolutions; see `same_weights`."""
    last = len(config["block_out_channels"]) - 1
    return {vae_name(name, last): shape for name, shape in shapes.items()}


def vae_name(name: str, last: int) -> str:
    """`last`: index of the last level."""
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{last - int(found[1])}.block", name)
    name = re.sub(
        r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{last - int(found[1])}.upsample", name
    )
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    if "mid_block.attentions.0." in name:
        side, _, rest = name.partition("mid_block.attentions.0.")
        layer, _, ending = rest.rpartition(".")
        return f"{side}mid.attn_1.{_ATTENTION[layer]}.{ending}"
    return name


def open_clip(shapes: Shapes) -> Shapes:
    """Queries, keys and values are stacked in one tensor, and the projection is transposed."""
    named: Shapes = {}
    for name, shape in shapes.items():
        plain = name.removeprefix("text_model.")
        if plain.startswith("encoder.layers."):
            _, _, layer, rest = plain.split(".", 3)
            block, (part, _, ending) = f"transformer.resblocks.{layer}", rest.rpartition(".")
            if part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                named[f"{block}.attn.in_proj_{ending}"] = (3 * shape[0], *shape[1:])
            else:
                named[f"{block}.{_OPEN_CLIP[part]}.{ending}"] = shape
        elif plain == "text_projection.weight":
            named["text_projection"] = shape[::-1]
        else:
            name = plain.replace("embeddings.position_embedding.weight", "positional_embedding")
            named[name.removeprefix("embeddings.").replace("final_layer_norm", "ln_final")] = shape
    return named


def same_weights(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes hold the same weights; a matrix may be stored as a 1x1 convolution."""
    ones = (1,) * (len(found) - len(wanted))
    return found == wanted or (len(wanted) == 2 and found == (*wanted, *ones))
