"""The scale (alpha / rank) of peft LoRAs, from their configuration; kohya's files have `.alpha` tensors.

The configuration is in the file's metadata (`lora_adapter_metadata`, written by diffusers) or in a separate
file (`adapter_config.json` beside `adapter_model.safetensors`, written by peft).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...storage.reading import read_regular

KEY = "lora_adapter_metadata"
PARTS = ("text_encoder_2", "text_encoder", "unet")
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class PeftConfig:
    """The settings that cannot be read from the tensors."""

    alpha: float | None
    """None: not given."""
    alphas: dict[str, float]
    """Alphas of individual modules, by the end of their name."""
    rslora: bool
    """Rank-stabilised: alpha is divided by the square root of the rank."""
    kind: str | None
    """The adapter type, if not a plain LoRA."""


Configs = dict[str, PeftConfig]
"""Part of the checkpoint ("": all) -> configuration."""


def peft_configs(metadata: Mapping[str, str], path: Path) -> Configs:
    """Configurations of the LoRA at `path` with header `metadata`; {} if there are none.

    Raises `ValueError` whose text is a clause for an error message.
    """
    if KEY in metadata:
        return _parts(_table(metadata[KEY], f"{KEY} in its metadata"))
    config_file = path.with_name("adapter_config.json")
    if path.stem == "adapter_model" and config_file.is_file():
        try:
            text = read_regular(config_file).decode("utf-8")
        except (OSError, ValueError):
            raise ValueError(f"{config_file.name} beside it cannot be read") from None
        return _parts(_table(text, f"{config_file.name} beside it"))
    return {}


def _table(text: str, what: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is not valid JSON") from None
    if not isinstance(table, dict):
        raise ValueError(f"{what} is not a JSON object")
    return table


def _parts(table: dict[str, Any]) -> Configs:
    by_part: dict[str, dict[str, Any]] = {}
    for key, value in table.items():
        part = next((part for part in PARTS if key.startswith(part + ".")), "")
        by_part.setdefault(part, {})[key.removeprefix(part + ".") if part else key] = value
    return {part: _config(values) for part, values in by_part.items()}


def _config(values: dict[str, Any]) -> PeftConfig:
    alpha, patterns = values.get("lora_alpha"), values.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise ValueError("alpha_pattern in its configuration is not a JSON object")
    if not all(map(_is_number, [*patterns.values(), *[alpha] * (alpha is not None)])):
        raise ValueError("an alpha in its configuration is not a number")
    alphas = {_literal(pattern): float(value) for pattern, value in patterns.items()}
    odd = next((name for name in alphas if not _NAME.fullmatch(name)), None)
    if odd is not None:
        raise ValueError(f"alpha_pattern in its configuration holds {odd[:60]!r}, which is not a module name")
    kind = values.get("peft_type")
    if values.get("use_dora") or values.get("use_qalora"):
        kind = "DoRA" if values.get("use_dora") else "QA-LoRA"
    elif not isinstance(kind, str) or kind.upper() == "LORA":
        kind = None
    return PeftConfig(
        None if alpha is None else float(alpha), alphas, bool(values.get("use_rslora")), kind and kind[:20]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _literal(pattern: str) -> str:
    """A pattern as a literal module name: an untrusted regular expression could run forever."""
    return pattern.removeprefix("^").removesuffix("$").replace("\\.", ".").replace("text_model.", "")


def peft_scale(configs: Configs, part: str, module: str, rank: int) -> float | None:
    """The factor of a module's low-rank product; None if there is no configuration for it.

    `part`: 'unet', 'text_encoder' or 'text_encoder_2'; `module`: its name there, with dots.
    """
    config = configs.get(part) or configs.get("")
    if config is None:
        return None
    alpha = config.alpha
    if config.alphas:
        names = module.replace("text_model.", "").split(".")
        ends = (".".join(names[start:]) for start in range(len(names)))
        alpha = next((config.alphas[end] for end in ends if end in config.alphas), alpha)
    if alpha is None:
        return None
    return alpha / (math.sqrt(rank) if config.rslora else rank)
