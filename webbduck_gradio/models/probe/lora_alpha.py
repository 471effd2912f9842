"""How strongly a peft LoRA counts, told by its configuration; kohya's files say it with `.alpha` tensors.

The configuration lies in the file's metadata, as diffusers writes it (`lora_adapter_metadata`), or beside the
file, as peft writes it (`adapter_model.safetensors` and `adapter_config.json`).
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
    """What a configuration says that the tensors do not."""

    alpha: float | None
    """None = not said."""
    alphas: dict[str, float]
    """Those of single modules, by the end of their name."""
    rslora: bool
    """Whether alpha is divided by the root of the rank."""
    kind: str | None
    """What it asks for beside a plain LoRA."""


Configs = dict[str, PeftConfig]
"""Part of the checkpoint ("" = all) -> its configuration."""


def peft_configs(metadata: Mapping[str, str], path: Path) -> Configs:
    """Configurations of the LoRA at `path`, whose header holds `metadata`; {} where nothing is said.

    Raises `ValueError` with what is wrong, as a sentence's part.
    """
    if KEY in metadata:
        return _parts(_table(metadata[KEY], f"{KEY} in its metadata"))
    beside = path.with_name("adapter_config.json")
    if path.stem == "adapter_model" and beside.is_file():
        try:
            text = read_regular(beside).decode("utf-8")
        except (OSError, ValueError):
            raise ValueError(f"{beside.name} beside it cannot be read") from None
        return _parts(_table(text, f"{beside.name} beside it"))
    return {}


def _table(text: str, what: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is not valid JSON") from None
    if not isinstance(table, dict):
        raise ValueError(f"{what} is no table")
    return table


def _parts(table: dict[str, Any]) -> Configs:
    by_part: dict[str, dict[str, Any]] = {}
    for key, value in table.items():
        part = next((part for part in PARTS if key.startswith(part + ".")), "")
        by_part.setdefault(part, {})[key.removeprefix(part + ".") if part else key] = value
    return {part: _config(said) for part, said in by_part.items()}


def _config(said: dict[str, Any]) -> PeftConfig:
    alpha, patterns = said.get("lora_alpha"), said.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise ValueError("alpha_pattern in its configuration is no table")
    if not all(map(_is_number, [*patterns.values(), *[alpha] * (alpha is not None)])):
        raise ValueError("an alpha in its configuration is no number")
    alphas = {_literal(pattern): float(value) for pattern, value in patterns.items()}
    odd = next((name for name in alphas if not _NAME.fullmatch(name)), None)
    if odd is not None:
        raise ValueError(f"alpha_pattern in its configuration holds {odd[:60]!r}, which is no module's name")
    kind = said.get("peft_type")
    if said.get("use_dora") or said.get("use_qalora"):
        kind = "DoRA" if said.get("use_dora") else "QA-LoRA"
    elif not isinstance(kind, str) or kind.upper() == "LORA":
        kind = None
    return PeftConfig(
        None if alpha is None else float(alpha), alphas, bool(said.get("use_rslora")), kind and kind[:20]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _literal(pattern: str) -> str:
    """The module's name in a pattern, by the letter: a pattern from a stranger's file could run for ever."""
    return pattern.removeprefix("^").removesuffix("$").replace("\\.", ".").replace("text_model.", "")


def peft_scale(configs: Configs, part: str, module: str, rank: int) -> float | None:
    """What a module's product is multiplied by; None where no configuration says it.

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
