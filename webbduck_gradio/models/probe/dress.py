"""The form in which a checkpoint comes, in words: the format of its weights, and what is left out of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from .safetensors_header import PICKLE_ENDINGS, Tensor

EMA, TRAINING, FOREIGN, BUFFERS = "EMA weights", "training state", "tensors of other models", "buffers"
"""Kinds of tensors that have no effect on what a checkpoint draws. A moving average of the weights (EMA) is
left out because A1111, ComfyUI and diffusers, too, draw with the weights beside it."""
_KINDS = (
    (EMA, r"^model_ema\.|^(?:ema|ema_model|ema_unet)\.|^first_stage_model\.(?:model_ema|ema)\."),
    (
        TRAINING,
        r"^(?:global_step|epoch|step|iteration|num_updates)$|^(?:optimizer|lr_scheduler|loss|callbacks)\."
        # The VAE's training losses and discriminator.
        r"|^first_stage_model\.(?:loss|discriminator|lpips)\.",
    ),
    (
        FOREIGN,
        # The text encoder of Stable Diffusion 1 and 2, embeddings in training, LoRAs; CLIP's image encoder
        # and unused projection.
        r"^cond_stage_model\.|^embedding_manager\.|^lora_(?:unet|te\d?)_"
        r"|^conditioner\.embedders\.0\.(?:transformer\.|model\.)?text_projection(?:\.weight)?$"
        r"|^conditioner\.embedders\.[01]\.model\.visual\.",
    ),
    (
        BUFFERS,
        # Positions, CLIP's temperature, batch counters of normalisation; SDXL's noise schedule.
        r"(?:^|\.)(?:position_ids|logit_scale|logit_bias|attn_mask|num_batches_tracked)$"
        r"|^denoiser\.(?:sigmas|log_sigmas)$|^(?:model_sampling\.)?(?:log_)?sigmas$"
        r"|^(?:betas|logvar|scale_factor)$"
        r"|^(?:(?:sqrt_|log_)?(?:one_minus_|recip_|recipm1_)?alphas_cumprod(?:_prev)?)$"
        r"|^posterior_(?:variance|log_variance_clipped|mean_coef[12])$",
    ),
)
_PATTERN = re.compile("|".join(f"(?P<kind{n}>{pattern})" for n, (_, pattern) in enumerate(_KINDS)))
_FORMATS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8 (e4m3)",
    "F8_E5M2": "float8 (e5m2)",
}


def without_effect(key: str) -> str | None:
    """The kind of a tensor that has no effect on what a checkpoint draws; None for any other."""
    found = _PATTERN.search(key)
    return _KINDS[int(str(found.lastgroup).removeprefix("kind"))][0] if found else None


def formats(parts: Mapping[str, Iterable[Tensor]], scaled: bool = False) -> str:
    """The formats of the weights: "float16", or "UNet: float8 (e4m3) and float16; VAE: float32".

    `parts`: tensors by the display name of their part. `scaled`: whether float8 has scales beside it.
    """
    named: dict[str, list[str]] = {}
    for part, tensors in parts.items():
        weights: Counter[str] = Counter()
        for each in tensors:
            weights[_FORMATS.get(each.dtype, each.dtype)] += math.prod(each.shape)
        named.setdefault(" and ".join(name for name, _ in weights.most_common()), []).append(part)
    listed = "; ".join(f"{_joined(each)}: {name}" for name, each in named.items())
    told = next(iter(named)) if len(named) == 1 else listed
    return f"{told}, with scales" if scaled else told


def left_out(keys: Iterable[str]) -> list[str]:
    """A phrase for each kind of tensors that is left out. `keys`: those that belong to no part."""
    counts = Counter(without_effect(key) or FOREIGN for key in keys)
    return [
        f"{kind} left out ({counts[kind]:,} {'tensor' if counts[kind] == 1 else 'tensors'})"
        for kind, _ in _KINDS
        if counts[kind]
    ]


def of_folder(folder: Path, used: Mapping[str, tuple[tuple[Path, ...], str | None]]) -> list[str]:
    """Phrases about a folder's files. `used`: part -> files that are loaded, and their variant."""
    phrases = []
    variants = {part: variant for part, (_, variant) in used.items() if variant}
    for variant in sorted({*variants.values()}):
        parts = [part for part, each in variants.items() if each == variant]
        phrases.append(f"variant {variant}" + (f" of {_joined(parts)}" if len(parts) < len(used) else ""))
    phrases += [f"{part} in {len(files)} shards" for part, (files, _) in used.items() if len(files) > 1]
    loaded = {file for files, _ in used.values() for file in files}
    beside = [
        file.relative_to(folder).as_posix()
        for part in (*used, "unet_ema")
        for file in sorted((folder / part).glob("*"))
        if file.suffix.lower() in PICKLE_ENDINGS | {".safetensors"} and file not in loaded
    ]
    if beside:
        more = f" and {len(beside) - 2} more" if len(beside) > 2 else ""
        phrases.append(f"files left out: {', '.join(beside[:2])}{more}")
    return phrases


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
