"""Checkpoints, LoRAs and pictures for tests, made from the real starter."""

from __future__ import annotations

import hashlib
import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from webbduck_gradio.models.probe.original_names import vae_name
from webbduck_gradio.settings import Settings


def copy_of(starter: Path, folder: Path) -> Path:
    """A checkpoint folder that may be changed."""
    shutil.copytree(starter, folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def inpaint_copy(starter: Path, folder: Path) -> Path:
    """The starter with nine input channels; the five new ones weigh nothing, so it draws as before."""
    copy_of(starter, folder)
    change(folder / "unet" / "config.json", in_channels=9)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    first = tensors["conv_in.weight"]
    tensors["conv_in.weight"] = torch.cat([first, torch.zeros(first.shape[0], 5, *first.shape[2:])], 1).half()
    save_file(tensors, weights)
    return folder


def vae_file(starter: Path, path: Path, *, original: bool = True) -> Path:
    """A VAE of its own that is a little brighter than the starter's, in a single file: with the names of the
    original layout, or with those of diffusers."""
    config = json.loads((starter / "vae" / "config.json").read_text())
    tensors = load_file(starter / "vae" / "diffusion_pytorch_model.safetensors")
    tensors["decoder.conv_out.bias"] = tensors["decoder.conv_out.bias"] + 0.1
    if original:
        tensors = {
            vae_name(name, len(config["block_out_channels"]) - 1): each for name, each in tensors.items()
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Groups of normalisation cannot be seen in the tensors' shapes.
    told = {"vae": {"norm_num_groups": config["norm_num_groups"]}}
    save_file(tensors, path, {"webbduck.config": json.dumps(told)})
    return path


def vae_folder(starter: Path, folder: Path) -> Path:
    """The same in diffusers layout."""
    vae_file(starter, folder / "diffusion_pytorch_model.safetensors", original=False)
    shutil.copyfile(starter / "vae" / "config.json", folder / "config.json")
    return folder


def refiner_copy(starter: Path, folder: Path) -> Path:
    """A refiner's structure (second encoder only, aesthetic score); its weights are random."""
    from diffusers import UNet2DConditionModel

    copy_of(starter, folder)
    shutil.rmtree(folder / "text_encoder")
    shutil.rmtree(folder / "tokenizer")
    change(
        folder / "model_index.json",
        _class_name="StableDiffusionXLImg2ImgPipeline",
        text_encoder=[None, None],
        tokenizer=[None, None],
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    )
    config = json.loads((folder / "unet" / "config.json").read_text())
    encoder = json.loads((folder / "text_encoder_2" / "config.json").read_text())
    config["cross_attention_dim"] = encoder["hidden_size"]
    config["projection_class_embeddings_input_dim"] = (
        encoder["projection_dim"] + 5 * config["addition_time_embed_dim"]
    )
    shutil.rmtree(folder / "unet")
    torch.manual_seed(0)
    UNet2DConditionModel.from_config(config).half().save_pretrained(folder / "unet")
    return folder


def store(settings: Settings, image: Image.Image) -> str:
    """Keep an input picture as the page does; its id."""
    data = BytesIO()
    image.save(data, "PNG", exif=image.getexif())
    name = hashlib.sha256(data.getvalue()).hexdigest() + ".png"
    settings.inputs.mkdir(parents=True, exist_ok=True)
    (settings.inputs / name).write_bytes(data.getvalue())
    return name


def lora(
    pipe: Any, path: Path, seed: int = 0, text: bool = True, scale: float = 0.5, layout: str = "peft"
) -> Path:
    """A LoRA of rank 4 with random weights on the attention of `pipe`, in peft's or kohya's layout."""
    generator = torch.Generator().manual_seed(seed)
    parts = {"unet": (pipe.unet, "lora_unet", "unet")}
    if text:
        parts["text_encoder"] = (pipe.text_encoder, "lora_te1", "text_encoder")
        parts["text_encoder_2"] = (pipe.text_encoder_2, "lora_te2", "text_encoder_2")
    tensors = {}
    for model, kohya, peft in parts.values():
        for name, module in model.named_modules():
            if not isinstance(module, torch.nn.Linear) or not name.endswith(
                ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
            ):
                continue
            down = torch.randn(4, module.in_features, generator=generator) * scale / module.in_features**0.5
            up = torch.randn(module.out_features, 4, generator=generator) * scale
            if layout == "peft":
                tensors[f"{peft}.{name}.lora_A.weight"] = down
                tensors[f"{peft}.{name}.lora_B.weight"] = up
            else:
                flat = f"{kohya}_{name}".replace(".", "_")
                if kohya != "lora_unet" and "text_model" not in flat:
                    flat = flat.replace(kohya, kohya + "_text_model", 1)
                tensors[f"{flat}.lora_down.weight"] = down
                tensors[f"{flat}.lora_up.weight"] = up
                tensors[f"{flat}.alpha"] = torch.tensor(4.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"})
    return path
