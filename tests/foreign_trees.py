"""Small folders laid out as other programs lay out theirs, with real safetensors files in them.

Each function makes one tree below `root` and returns what a person would name: the program's folder. LoRAs
fit the starter, checkpoints are narrow ones without weights, other files are as small as their kind allows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_files import make_lora
from running import STARTER

sys.path.append(str(Path(__file__).parent / "models"))

from model_files import SDXL, save

from webbduck_gradio.settings import HOME

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A picture of one red pixel."""


def lora(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """One that fits the starter checkpoint."""
    return make_lora(path, HOME / "checkpoint" / "sdxl" / STARTER, metadata)


def checkpoint(path: Path) -> Path:
    """A single file with every tensor of a narrow SDXL, all zeros."""
    return save(path, SDXL)


def embedding(path: Path, width: int = 768) -> Path:
    """One of SDXL's widths, or with another `width` of a text encoder of SD 1.5's kind."""
    if width != 768:
        return save(path, {"emb_params": (2, width)})
    return save(path, {"clip_l": (2, 768), "clip_g": (2, 1280)})


def vae(path: Path) -> Path:
    return save(path, {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)})


def upscaler(path: Path) -> Path:
    return save(path, {"body.0.weight": (64, 3, 3, 3), "body.0.bias": (64,)})


def text(path: Path, content: str | Mapping[str, Any]) -> Path:
    """A text file; a mapping is written as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def a1111(root: Path, arguments: str = "", forge: bool = False) -> Path:
    """AUTOMATIC1111's stable-diffusion-webui; `arguments`: of the command line, in webui-user.sh."""
    for marker in (
        "webui.py",
        "launch.py",
        "modules/sd_models.py",
        *(["modules_forge/config.py"] if forge else []),
    ):
        text(root / marker, "")
    text(
        root / "webui-user.sh",
        f'#!/bin/bash\n#export COMMANDLINE_ARGS=""\nexport COMMANDLINE_ARGS="{arguments}"\n',
    )
    text(root / "config.json", {"sd_model_checkpoint": "xl.safetensors", "samples_save": True})
    models = root / "models"
    checkpoint(models / "Stable-diffusion" / "xl.safetensors")
    checkpoint(models / "Stable-diffusion" / "anime" / "pony.safetensors")
    lora(models / "Lora" / "ink.safetensors")
    notes = {"activation text": "ink wash", "preferred weight": 0.6, "description": "D", "notes": "N"}
    text(models / "Lora" / "ink.json", notes)
    (models / "Lora" / "ink.preview.png").write_bytes(PNG)
    lora(models / "Lora" / "style" / "wash.safetensors")
    vae(models / "VAE" / "fix.safetensors")
    upscaler(models / "ESRGAN" / "4x.safetensors")
    save(models / "ControlNet" / "canny.safetensors", {"zero_convs.0.0.weight": (320, 320, 1, 1)})
    embedding(root / "embeddings" / "easy.safetensors")
    text(root / "extensions" / "sd-dynamic-prompts" / "wildcards" / "colour.txt", "red\nblue\n")
    text(root / "styles.csv", "name,prompt,negative_prompt\nA1111 oil,oil painting of {prompt},photo\n")
    return root


def comfyui(root: Path, extra: str = "", portable: bool = False) -> Path:
    """ComfyUI; `extra`: text of extra_model_paths.yaml; `portable`: the folder that the archive unpacks."""
    top, root = root, root / "ComfyUI" if portable else root
    for marker in ("main.py", "folder_paths.py", "comfy/sd.py", "custom_nodes/example_node.py.example"):
        text(root / marker, "")
    models = root / "models"
    checkpoint(models / "checkpoints" / "xl.safetensors")
    lora(models / "loras" / "ink.safetensors")
    lora(models / "loras" / "sub" / "detail.safetensors")
    text(models / "loras" / "sub" / "detail.metadata.json", lora_manager_notes())
    vae(models / "vae" / "fix.safetensors")
    embedding(models / "embeddings" / "easy.safetensors")
    upscaler(models / "upscale_models" / "4x.safetensors")
    save(models / "diffusion_models" / "flux.safetensors", {"double_blocks.0.img_attn.qkv.weight": (9, 3)})
    for empty in ("clip", "unet", "controlnet", "ultralytics/bbox"):
        (models / empty).mkdir(parents=True)
    text(models / "checkpoints" / "put_checkpoints_here", "")
    text(root / "custom_nodes" / "ComfyUI-Impact-Pack" / "wildcards" / "hair.txt", "short\nlong\n")
    if extra:
        text(root / "extra_model_paths.yaml", extra)
    return top


def lora_manager_notes() -> dict[str, Any]:
    """NAME.metadata.json of ComfyUI's LoRA Manager."""
    return {
        "file_name": "detail",
        "model_name": "Detail XL",
        "base_model": "SDXL 1.0",
        "notes": "mine",
        "tags": ["detail"],
        "modelDescription": "<p>More detail</p>",
        "usage_tips": '{"strength": 0.8}',
        "civitai": {"trainedWords": ["very detailed"], "baseModel": "SDXL 1.0"},
    }
