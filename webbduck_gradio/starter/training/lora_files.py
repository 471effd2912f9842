"""Writes trained LoRAs as files in the two layouts that are common, and notes them in loras.json."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from ..drawing.styles import STYLES
from ..evaluation.inference import generate, open_pipeline
from .latents import LatentBank
from .lora import RANK, load_lora

Tensors = dict[str, torch.Tensor]

BUNDLED: dict[str, tuple[str, str]] = {
    "ink": (
        "kohya",
        "Dark pen lines over a thin wash of colour on paper. For the starter checkpoint; best at 0.6 to 1.",
    ),
    "pixel": (
        "peft",
        "Squares of eight pixels, like an old video game. For the starter checkpoint; best at 0.7 to 1.",
    ),
}
"""Style -> the layout of its file and what it says of itself."""
_PREVIEW = ("an orange duck on the beach on a sunny day", 1001)
"""Prompt and seed of the preview pictures."""


def _pairs(weights: Tensors) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Module of the UNet -> its down and up weights, from peft's names as `train_lora` gives them."""
    modules = sorted(name.split(".lora_A.")[0] for name in weights if ".lora_A." in name)
    found = {}
    for module in modules:
        down, up = (
            next(value for name, value in weights.items() if name.startswith(f"{module}.lora_{letter}."))
            for letter in "AB"
        )
        found[module] = (down.half().contiguous(), up.half().contiguous())
    return found


def kohya_tensors(weights: Tensors) -> Tensors:
    """kohya's layout: lora_unet_MODULE.lora_down/lora_up.weight and .alpha, dots turned into underscores."""
    tensors = {}
    for module, (down, up) in _pairs(weights).items():
        key = "lora_unet_" + module.replace(".", "_")
        tensors[f"{key}.lora_down.weight"] = down
        tensors[f"{key}.lora_up.weight"] = up
        tensors[f"{key}.alpha"] = torch.tensor(float(RANK), dtype=torch.float16)
    return tensors


def peft_tensors(weights: Tensors) -> Tensors:
    """diffusers' layout: unet.MODULE.lora_A/lora_B.weight; alpha equals the rank, so it is not stored."""
    tensors = {}
    for module, (down, up) in _pairs(weights).items():
        tensors[f"unet.{module}.lora_A.weight"] = down
        tensors[f"unet.{module}.lora_B.weight"] = up
    return tensors


LAYOUTS: dict[str, Callable[[Tensors], Tensors]] = {"kohya": kohya_tensors, "peft": peft_tensors}


def metadata(
    title: str, trigger: str, description: str, layout: str, steps: int, pictures: int
) -> dict[str, str]:
    """What the file says of itself: modelspec's fields, in kohya's layout also those of its trainer."""
    said = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.author": "WebbDuck",
        "modelspec.license": "Apache-2.0",
        "modelspec.resolution": "256x256",
        "modelspec.trigger_phrase": trigger,
        "modelspec.description": description,
        "modelspec.tags": trigger,
    }
    if layout == "kohya":
        said |= {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_sd_model_name": "webbduck-starter",
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(RANK),
            "ss_network_alpha": str(float(RANK)),
            "ss_network_args": json.dumps({"conv_dim": RANK, "conv_alpha": RANK}),
            "ss_output_name": title,
            "ss_steps": str(steps),
            "ss_num_train_images": str(pictures),
            "ss_resolution": "(256, 256)",
            "ss_tag_frequency": json.dumps({f"1_{trigger}": {trigger: pictures}}),
            "ss_training_comment": description,
        }
    return said


def write_lora(
    path: Path, weights: Tensors, layout: str, trigger: str, description: str, steps: int, pictures: int
) -> None:
    """Write a LoRA file (one of LAYOUTS), whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = metadata(path.stem, trigger, description, layout, steps, pictures)
    partial = path.with_suffix(".partial")
    save_file(LAYOUTS[layout](weights), partial, metadata=about)
    partial.chmod(0o644)
    os.replace(partial, path)


def note_lora(folder: Path, name: str, **noted: Any) -> None:
    """Put these fields into `folder`/loras.json under `name`; whatever else stands there stays."""
    path = folder / "loras.json"
    table = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    table[name] = {**table.get(name, {}), "file": f"{name}.safetensors", **noted}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", "utf-8")
    os.replace(partial, path)


def with_lora(pipeline: StableDiffusionXLPipeline, path: Path, name: str) -> StableDiffusionXLPipeline:
    """`pipeline` with the LoRA at `path` as its adapter `name`."""
    logger = logging.getLogger("diffusers.loaders.lora_base")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that there is nothing for the text encoders
    try:
        pipeline.load_lora_weights(load_file(path), adapter_name=name)
    finally:
        logger.setLevel(level)
    return pipeline


def write_preview(folder: Path, name: str, picture: np.ndarray) -> None:
    """The picture beside the LoRA that shows what it does."""
    Image.fromarray(picture).save(folder / f"{name}.preview.jpg", quality=88, optimize=True)


def bundle_lora(work: Path, base: Path, style: str, folder: Path) -> Path:
    """Write what the training of `style` has come to into `folder`: file, loras.json entry and preview."""
    weights, steps = load_lora(work, style)
    layout, description = BUNDLED[style]
    trigger, name = STYLES[style].trigger, f"webbduck-starter-{style}"
    path = folder / f"{name}.safetensors"
    pictures = len(LatentBank(work, f"latents-{style}"))
    write_lora(path, weights, layout, trigger, description, steps, pictures)
    note_lora(folder, name, trigger=trigger, weight=1.0, description=description)
    pipeline = with_lora(open_pipeline(base), path, style)
    prompt, seed = _PREVIEW
    write_preview(folder, name, generate(pipeline, [f"{trigger}, {prompt}"], [seed])[0])
    return path
