"""Parses tensor names in LoRA files.

A name consists of a module and a role, in one of these conventions (MODULE with dots, or with underscores
after `lora_unet_`, `lora_te1_` and `lora_te2_`):

* kohya's sd-scripts, LyCORIS, OneTrainer: `MODULE.lora_down.weight`, `.lora_up.weight`, `.alpha`
* peft and diffusers: `MODULE.lora_A.weight`, `.lora_B.weight`, with an adapter's name before `.weight` too
* older diffusers: `MODULE.lora.down.weight`, `MODULE_lora.down.weight`, `.lora_linear_layer.down.weight`
* other kinds: after `MODULE`, LyCORIS' names (`.hada_w1_a`, `.diff`) or peft's (`.lora_magnitude_vector`)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

BUNDLED = "bundle_emb."
"""Name prefix of embeddings bundled in a LoRA file."""

_KOHYA = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    **{f"{name}.weight": name for name in ("a1", "a2", "b1", "b2", "bm")},
    **{
        name: name
        for name in (
            *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
            *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
            *("on_input", "ia3_l", "oft_blocks", "rescale", "diff", "diff_b", "w_norm", "b_norm"),
            *("dora_scale", "alpha"),
        )
    },
}
"""What follows a module's name, and the role that it tells."""
_SUFFIXED = re.compile(rf"(.+)\.({'|'.join(map(re.escape, _KOHYA))})$")
_MAGNITUDE = re.compile(r"(.+)\.lora_magnitude_vector(?:\.[^.]+)?(?:\.weight)?$")
_BIAS = re.compile(r"(.+)\.lora_(?:B|up)(?:\.[^.]+)?\.bias$")
_PAIR = re.compile(
    r"(.+?)(?:\.lora_|[._]lora\.|\.lora_linear_layer\.)(A|B|down|up)(?:(?:\.([^.]+))?\.weight)?$"
)
_ALPHA = re.compile(r"(.+?)(?:\.lora_[AB]|[._]lora|\.lora_linear_layer)?\.alpha$")
_ROLES = {"A": "down", "B": "up", "down": "down", "up": "up"}


@dataclass(frozen=True)
class LoraNames:
    """`modules`: module as spelled in the file -> role ('down', 'up', 'alpha', ...) -> tensor name."""

    modules: dict[str, dict[str, str]]
    embeddings: tuple[str, ...] = ()
    """Names of bundled embeddings."""
    unknown: tuple[str, ...] = ()
    """Tensors that do not belong to a LoRA."""
    twice: tuple[str, ...] = ()
    """Further tensors for the same role, for example in a file with two adapters."""


def read_names(names: Iterable[str]) -> LoraNames:
    """Parse the names of a file's tensors."""
    modules: dict[str, dict[str, str]] = {}
    embeddings: dict[str, None] = {}
    unknown: list[str] = []
    twice: list[str] = []
    plain: list[str] = []
    for name in names:
        module, _, rest = name.partition(".")
        role = _KOHYA.get(rest)  # fast path for nearly all files
        if role is None:
            if name.startswith(BUNDLED):
                embeddings[_embedding(name)] = None
                continue
            if found := _PAIR.match(name):
                module, role = found[1], _ROLES[found[2]]
            elif found := _ALPHA.match(name):
                module, role = found[1], "alpha"
            elif found := _SUFFIXED.match(name):
                module, role = found[1], _KOHYA[found[2]]
            elif found := _MAGNITUDE.match(name):
                module, role = found[1], "magnitude"
            elif found := _BIAS.match(name):
                module, role = found[1], "up_bias"
            else:
                (plain if name.endswith(".weight") else unknown).append(name)
                continue
        if modules.setdefault(module, {}).setdefault(role, name) != name:
            twice.append(name)
    for name in plain:  # (IA)3 has a `weight` of its own; others are a model's
        roles = modules.get(name.removesuffix(".weight"), {})
        if "on_input" in roles:
            roles["weight"] = name
        else:
            unknown.append(name)
    return LoraNames(modules, tuple(embeddings), tuple(unknown), tuple(twice))


def weighted(names: LoraNames) -> dict[str, dict[str, str]]:
    """The modules that have weights, not just an alpha."""
    return {module: roles for module, roles in names.modules.items() if roles.keys() != {"alpha"}}


def _embedding(name: str) -> str:
    rest = name.removeprefix(BUNDLED).removesuffix(".string_to_param.*")
    return rest.removesuffix("_out").removesuffix(".clip_l").removesuffix(".clip_g") or name


_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:base_model\.model\.|_orig_mod\.|module\.)")
"""Prefixes added by peft, torch.compile and data-parallel training."""
_TEXT = (
    ("lora_te1_", "te1_"),
    ("lora_te2_", "te2_"),
    ("lora_te_", "te1_"),
    ("text_encoder.", "te1_"),
    ("text_encoder_2.", "te2_"),
    ("text_encoders.clip_l.", "te1_"),
    ("text_encoders.clip_g.", "te2_"),
    ("clip_l.", "te1_"),
    ("clip_g.", "te2_"),
)
_UNET = ("lora_unet_", "unet.", "model.diffusion_model.", "diffusion_model.", "lycoris_unet_", "lycoris_")
_BARE = re.compile(
    r"(?:(?:down|up|input|output)_blocks|(?:mid|middle)_block|conv_(?:in|out)|time_embed(?:ding)?|label_emb"
    r"|add_embedding|out)(?:[._]|$)"
)
_TEXT_ATTENTION = re.compile(r"_to_(q|k|v|out)$")
_PROCESSOR = re.compile(r"_processor(?=_|$)")
_CLIP_MODEL = re.compile(r"^(?:transformer\.)?(?:text_model[._])?")
_BLOCK = re.compile(r"(input|output|middle)_blocks?_(\d+)_(?:(\d)_)?(.*)$")
_RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
_SINGLE = {
    "input_blocks_0_0": "conv_in",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}


def canonical(module: str, layers: int) -> str | None:
    """A module's name in diffusers, with `_` for `.` and the prefix `te1_` or `te2_` for text encoders; None
    if the name does not tell which model it belongs to. `layers`: layers per UNet block."""
    name = _WRAPPERS.sub("", module)
    for start, mark in _TEXT:
        if name.startswith(start):
            inner = _CLIP_MODEL.sub("", name.removeprefix(start)).replace(".", "_")
            return mark + _TEXT_ATTENTION.sub(r"_\1_proj", inner)
    for start in _UNET:
        if name.startswith(start):
            return diffusers_name(_flat(name.removeprefix(start)), layers)
    return diffusers_name(_flat(name), layers) if _BARE.match(name) else None


def _flat(name: str) -> str:
    return _PROCESSOR.sub("", name.replace(".", "_"))


def diffusers_name(name: str, layers: int) -> str:
    """'input_blocks_4_1_x' -> 'down_blocks_1_attentions_0_x', for `layers` layers per block."""
    if name in _SINGLE:
        return _SINGLE[name]
    found = _BLOCK.match(name)
    if not found:
        return name
    side, number, branch, rest = found[1], int(found[2]), found[3], found[4]
    inner = _RESNET.get(rest, rest)
    if side == "middle":
        if number == 1:
            return f"mid_block_attentions_0_{rest}"
        return f"mid_block_resnets_{number // 2}_{inner}"
    kind = "attentions" if branch == "1" else "resnets"
    if side == "input":
        level, index = divmod(number - 1, layers + 1)
        if rest == "op":
            return f"down_blocks_{level}_downsamplers_0_conv"
        return f"down_blocks_{level}_{kind}_{index}_{inner}"
    level, index = divmod(number, layers + 1)
    if rest == "conv":
        return f"up_blocks_{level}_upsamplers_0_conv"
    return f"up_blocks_{level}_{kind}_{index}_{inner}"


def counterpart(name: str | None, module_names: Iterable[str]) -> str | None:
    """The name in `module_names` (a set or dict) that a canonical name refers to."""
    if name is None:
        return None
    # The oldest convention writes `to_out` for `to_out.0`.
    return name if name in module_names else f"{name}_0" if f"{name}_0" in module_names else None
