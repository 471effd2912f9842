"""Small folders laid out as other programs lay out theirs, with real safetensors files in them.

Each function makes one tree below `root` and returns what a person would name: the program's folder. LoRAs
fit the starter, checkpoints are narrow ones without weights, other files are as small as their kind allows.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lora_files import lora_bytes
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
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_lora(tuple((metadata or {}).items())))
    return path


@cache
def _lora(metadata: tuple[tuple[str, str], ...]) -> bytes:
    return lora_bytes(HOME / "checkpoint" / "sdxl" / STARTER, dict(metadata))


def checkpoint(path: Path) -> Path:
    """A single file with every tensor of a narrow SDXL, all zeros."""
    return save(path, SDXL)


def embedding(path: Path, width: int = 768) -> Path:
    """One of SDXL's widths, or with another `width` of a text encoder of SD 1.5's kind."""
    if width != 768:
        return save(path, {"emb_params": (2, width)})
    return save(path, {"clip_l": (2, 768), "clip_g": (2, 1280)})


def vae(path: Path) -> Path:
    """That of `checkpoint` as a file of its own."""
    part = "first_stage_model."
    return save(
        path, {name.removeprefix(part): shape for name, shape in SDXL.items() if name.startswith(part)}
    )


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


FOOOCUS_STYLES = [
    {"name": "sai-origami", "prompt": "origami style {prompt}", "negative_prompt": "photo"},
    {"name": "Fooocus Sharp", "prompt": "sharp {prompt}"},
]


def fooocus(root: Path, config: Mapping[str, Any] | str = "") -> Path:
    """Fooocus; `config`: content of config.txt, none where it is empty."""
    for marker in (
        "fooocus_version.py",
        "entry_with_update.py",
        "modules/config.py",
        "sdxl_styles/fooocus.json",
    ):
        text(root / marker, json.dumps(FOOOCUS_STYLES) if marker.endswith("json") else "")
    models = root / "models"
    checkpoint(models / "checkpoints" / "xl.safetensors")
    lora(models / "loras" / "ink.safetensors")
    embedding(models / "embeddings" / "easy.safetensors")
    for empty in ("vae", "upscale_models", "controlnet"):
        (models / empty).mkdir()
    text(root / "wildcards" / "animal.txt", "fox\nowl\n")
    if config:
        text(root / "config.txt", config)
    return root


def invokeai(root: Path, in_place: Path | None = None, wal: bool = False) -> Path:
    """InvokeAI 6: a folder for each model, called after its key, and the database that knows their names.

    `in_place`: folder of a LoRA that is used where it lies. `wal`: the database keeps a write-ahead log, as
    that of newer versions, which is written back when InvokeAI ends.
    """
    text(root / "invokeai.yaml", "# Internal metadata\nschema_version: 4.0.2\nmodels_dir: models\n")
    models = root / "models"
    keys = {kind: f"{number:08d}-aaaa-4bbb-8ccc-000000000000" for number, kind in enumerate(("main", "lora"))}
    checkpoint(models / keys["main"] / "xl.safetensors")
    lora(models / keys["lora"] / "ink_v1.safetensors")
    (models / "model_images").mkdir()
    (models / "model_images" / f"{keys['lora']}.webp").write_bytes(PNG)
    records = [
        {"key": keys["main"], "type": "main", "base": "sdxl", "name": "My XL", "format": "checkpoint"}
        | {"path": f"{keys['main']}/xl.safetensors", "description": "A checkpoint", "trigger_phrases": None},
        {"key": keys["lora"], "type": "lora", "base": "sdxl", "name": "Ink/Wash", "format": "lycoris"}
        | {
            "path": f"{keys['lora']}/ink_v1.safetensors",
            "description": "Ink",
            "default_settings": {"weight": 0.7},
        }
        | {"trigger_phrases": ["ink wash", "sumi-e"]},
        {
            "key": "t5",
            "type": "t5_encoder",
            "base": "any",
            "name": "T5",
            "path": "t5",
            "format": "t5_encoder",
        },
    ]
    if in_place is not None:
        path = lora(in_place / "wash.safetensors")
        records.append({"key": "p", "type": "lora", "base": "sdxl", "name": "Wash", "path": str(path)})
    database = root / "databases" / "invokeai.db"
    database.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE models (id TEXT NOT NULL PRIMARY KEY, config TEXT NOT NULL,"
            " name TEXT GENERATED ALWAYS AS (json_extract(config, '$.name')) VIRTUAL NOT NULL)"
        )
        for record in records:
            connection.execute(
                "INSERT INTO models (id, config) VALUES (?, ?)", (record["key"], json.dumps(record))
            )
        connection.commit()
    return root


def invokeai_3(root: Path) -> Path:
    """InvokeAI 3, whose models lie by base and type."""
    text(root / "invokeai.yaml", "InvokeAI:\n  Paths:\n    models_dir: models\n")
    checkpoint(root / "models" / "sdxl" / "main" / "xl.safetensors")
    lora(root / "models" / "sdxl" / "lora" / "ink.safetensors")
    embedding(root / "models" / "sd-1" / "embedding" / "old.safetensors", width=1024)
    (root / "models" / "any" / "clip_vision").mkdir(parents=True)
    return root


def swarmui(root: Path, settings: str = "") -> Path:
    """SwarmUI; `settings`: the section `Paths` of Data/Settings.fds, each line indented by a tab."""
    for marker in ("SwarmUI.sln", "src/SwarmUI.csproj", "launch-linux.sh"):
        text(root / marker, "")
    models = root / "Models"
    checkpoint(models / "Stable-Diffusion" / "xl.safetensors")
    lora(models / "Lora" / "ink.safetensors")
    text(models / "Lora" / "ink.swarm.json", swarm_notes())
    (models / "Lora" / "ink.jpg").write_bytes(PNG)
    embedding(models / "Embeddings" / "easy.safetensors")
    upscaler(models / "upscale_models" / "4x.safetensors")
    (models / "VAE").mkdir()
    (models / "controlnet").mkdir()
    text(root / "Data" / "Wildcards" / "place.txt", "pond\nforest\n")
    if settings:
        text(
            root / "Data" / "Settings.fds",
            f"#Settings related to file paths.\nPaths:\n{settings}Network:\n\tPort: 7801\n",
        )
    return root


def swarm_notes() -> dict[str, Any]:
    """NAME.swarm.json of SwarmUI."""
    return {
        "modelspec.name": "ink.safetensors",
        "modelspec.title": "Ink",
        "modelspec.description": "Ink <b>wash</b>",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.class": "Stable Diffusion XL 1.0-Base LoRA",
        "modelspec.usage_hint": "low weights",
        "modelspec.trigger_phrase": "ink wash",
        "modelspec.tags": ["ink", "style"],
        "modelspec.lora_default_weight": "0.65",
    }


def stability_matrix(root: Path, portable: bool = True) -> Path:
    """StabilityMatrix with ComfyUI, whose LoRAs are a link to the shared ones; `root` is the program's folder
    where it is portable, and otherwise its library."""
    library = root / "Data" if portable else root
    if portable:
        text(library / ".sm-portable", "")
    text(library / "settings.json", {"Version": 1, "InstalledPackages": []})
    models = library / "Models"
    checkpoint(models / "StableDiffusion" / "xl.safetensors")
    lora(models / "Lora" / "ink.safetensors")
    text(models / "Lora" / "ink.cm-info.json", matrix_notes())
    (models / "Lora" / "ink.preview.jpeg").write_bytes(PNG)
    embedding(models / "Embeddings" / "easy.safetensors")
    upscaler(models / "RealESRGAN" / "4x.safetensors")
    for empty in ("LyCORIS", "VAE", "ControlNet", "Ultralytics/bbox", "TextEncoders", "DiffusionModels"):
        (models / empty).mkdir(parents=True)
    package = library / "Packages" / "ComfyUI"
    for marker in ("main.py", "folder_paths.py", "comfy/sd.py", "models/checkpoints/own.txt"):
        text(package / marker, "")
    (package / "models" / "loras").symlink_to(models / "Lora")
    return root


def matrix_notes() -> dict[str, Any]:
    """NAME.cm-info.json of StabilityMatrix."""
    return {
        "ModelId": 1,
        "ModelName": "Ink",
        "ModelDescription": "<p>Ink wash</p>",
        "Nsfw": False,
        "Tags": ["ink", "style"],
        "ModelType": "LORA",
        "BaseModel": "SDXL 1.0",
        "TrainedWords": ["ink wash", "sumi-e"],
    }


PROGRAMS = {
    "A1111": a1111,
    "ComfyUI": comfyui,
    "Fooocus": fooocus,
    "InvokeAI": invokeai,
    "SwarmUI": swarmui,
    "StabilityMatrix": stability_matrix,
}
"""What makes a tree of each program, by the program's name; each takes the root alone."""
