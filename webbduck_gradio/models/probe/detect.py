"""What a safetensors file holds, detected from its header alone: which architecture, and whether a LoRA."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .safetensors_header import Header

UNET = "model.diffusion_model."

LORA_KINDS = (
    (r"\.lora_embedding_[AB]", "LoRA with token embeddings"),
    (r"\.lora_E(?:\.|$)", "AdaLoRA"),
    (r"\.vera_lambda_", "VeRA"),
    (r"\.set_weight$|\.reshape_weight$", "LoRA with replaced weights"),
    (r"\.boft_", "peft BOFT"),
    (r"\.oft_(?!blocks)", "peft OFT"),
    (r"\.hada_[wt]", "LoHa"),
    (r"\.lokr_[wt]", "LoKr"),
    (r"\.on_input$|\.ia3_l(?:\.|$)", "IA3"),
    (r"dora_scale|lora_magnitude_vector", "DoRA"),
    (r"oft_blocks", "OFT"),
    (r"lora_mid", "CP-LoCon"),
    (r"^(?:lora|lycoris)_.*\.[ab][12]\.weight$", "GLoRA"),
    (r"\.[wb]_norm$", "LoRA with normalisation layers"),
    (r"\.diff(?:_b)?$", "full difference"),
    (r"(?:lora_[AB]|lora_(?:up|down))(?:\.[^.\n]+)?\.bias$", "LoRA with biases"),
)
"""(pattern of tensor names, kind), in order of precedence."""
REFUSED_KINDS = frozenset(kind for _, kind in LORA_KINDS[:6])
"""Those that cannot be applied."""
_OTHER = re.compile("|".join(f"(?:{mark})" for mark, _ in LORA_KINDS), re.MULTILINE)
LORA_KEY = re.compile(
    r"lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up|lora_linear_layer|" + _OTHER.pattern, re.MULTILINE
)


def architecture(header: Header) -> str:
    """Architecture of a single-file checkpoint in the original layout."""
    keys = header.tensors
    if any(key.startswith(("joint_blocks.0.", UNET + "joint_blocks.0.")) for key in keys):
        return "sd3"
    if any(key.startswith(("double_blocks.0.img_attn", UNET + "double_blocks.0.img_attn")) for key in keys):
        return "flux"
    width = context_width(header)
    label = header.width(UNET + "label_emb.0.0.weight")
    if label is None and any(key.startswith(UNET + "label_emb.") for key in keys):
        label = -1  # present, but not this tensor
    only_open_clip = any(key.startswith("conditioner.embedders.0.model.") for key in keys)
    if width == 1280 or (label is not None and only_open_clip) or (width is None and label == 2560):
        return "sdxl-refiner"
    if width == 768 and label is None:
        return "sd1"
    if width == 1024 and label is None:
        return "sd2"
    if width is None or (label is None and not has_second_text_encoder(header)):
        return "unknown"
    # From here on SDXL variants: pooled text embeddings and sizes enter through label_emb.
    if "edm_mean" in keys or "edm_std" in keys:
        return "playground"
    if UNET + "time_embed.cond_proj.weight" in keys:
        return "sdxl-lcm"
    first = keys.get(UNET + "input_blocks.0.0.weight")
    channels = first.shape[1] if first and len(first.shape) == 4 else 4
    if channels == 9:
        return "sdxl-inpaint"
    if channels == 8:
        return "sdxl-edit"
    depth = _depth(keys, re.compile(re.escape(UNET) + r"input_blocks\.[78]\.1\.transformer_blocks\.(\d+)\."))
    is_cut = width == 2048 or _has_short_middle(keys)
    return {4: "ssd-1b", 2: "vega"}.get(depth, "sdxl") if is_cut else "sdxl"


def _has_short_middle(keys: Iterable[str]) -> bool:
    """Whether the UNet's middle block is one residual block, as in SSD-1B and Vega."""
    middle = {key.removeprefix(UNET).split(".")[1] for key in keys if key.startswith(UNET + "middle_block.")}
    return middle == {"0"}


def _depth(keys: Iterable[str], pattern: re.Pattern[str]) -> int:
    """Highest number that `pattern` finds, plus one; 0 where it finds none."""
    return max((int(found[1]) + 1 for key in keys if (found := pattern.match(key))), default=0)


def context_width(header: Header) -> int | None:
    """Width of the UNet's cross-attention; None where it has none."""
    usual = header.width(UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight")
    if usual is not None:
        return usual
    found = (key for key in header.tensors if key.startswith(UNET) and key.endswith(_CONTEXT))
    return next((header.width(key) for key in found), None)


_CONTEXT = (".attn2.to_k.weight", ".attn2.to_v.weight")


def has_second_text_encoder(header: Header) -> bool:
    """Whether there is a second text encoder under the name that SDXL's files give it."""
    return any(key.startswith("conditioner.embedders.1.model.") for key in header.tensors)


def is_lora(header: Header) -> bool:
    return LORA_KEY.search("\n".join(header.tensors)) is not None


def lora_kind(header: Header, names: str) -> str:
    """'LoRA', 'LoCon' (convolutions too), or another of LyCORIS' kinds. `names`: of the tensors, by line."""
    if _OTHER.search(names):
        kind = next(kind for mark, kind in LORA_KINDS if re.search(mark, names, re.MULTILINE))
        blocks = (len(tensor.shape) for name, tensor in header.tensors.items() if "oft_blocks" in name)
        return "BOFT" if kind == "OFT" and 4 in blocks else kind
    convolutions = 4 in header.axes and any(
        len(tensor.shape) == 4 and max(tensor.shape[2:]) > 1 and LORA_KEY.search(name)
        for name, tensor in header.tensors.items()
    )
    return "LoCon" if convolutions else "LoRA"
