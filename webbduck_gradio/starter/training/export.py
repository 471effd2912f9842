"""Exports the trained parts as a checkpoint folder for StableDiffusionXLPipeline."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from transformers import CLIPTokenizer

from ..captions.captions import vocabulary
from ..drawing.scenes import NATIVE_SIZE, SIZES
from .latents import PreviewColours, load_frozen_vae
from .loop import load_state
from .models import TextSide, load_tokenizers, make_scheduler
from .unet import load_trained

MAX_BYTES = 30_000_000
"""Maximum size of the folder, including tokenizers."""

VOCABULARY = {
    "title": "The starter model",
    "note": "It draws cartoon scenes with a duck, boat, balloon, house or cat; other checkpoints draw more.",
}
"""What the page says of words that the checkpoint does not know (`models.vocabulary`)."""
RECOMMENDED = {
    "defaults": {"hires_scale": 2.0, "hires_strength": 0.3, "redraw_scale": 2.0, "redraw_strength": 0.25},
    "largest": 320,
    "largest_redrawn": 512,
}
"""Settings of larger copies, and the sides of the largest squares in which shapes hold, drawn at once and
redrawn from a picture (`models.sizes`): as `evaluation.larger` finds."""

_TOKENIZER_CONFIG: dict[str, Any] = {
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
    "model_max_length": 77,
    "tokenizer_class": "CLIPTokenizer",
}
_OTHER_SAMPLERS = {"clip_sample": False, "set_alpha_to_one": False, "skip_prk_steps": True}
_PADDING = {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"}


def write_tokenizers(source: CLIPTokenizer, folder: Path) -> None:
    """Write SDXL's two tokenizers as vocab.json and merges.txt, a third of the size of tokenizer.json."""
    model = json.loads(source.backend_tokenizer.to_str())["model"]
    vocabulary = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    for name, padding in _PADDING.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))
        (target / "vocab.json").write_text(text, encoding="utf-8")
        (target / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        config = {**_TOKENIZER_CONFIG, "pad_token": padding}
        (target / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def latest_vae(work: Path) -> AutoencoderKL:
    """The frozen VAE of `work`/vae, with the decoder of vae-decoder.pt if there is one."""
    vae = load_frozen_vae(work)
    state = load_state(work / "vae-decoder.pt")
    if state is not None:
        trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
        with torch.no_grad():
            for parameter, value in zip(trained, state["average"], strict=True):
                parameter.copy_(value)
    return vae.eval()


def export_vae(vae: AutoencoderKL, folder: Path, share: float = 0.6) -> None:
    """Merge `vae` into the VAE of a checkpoint folder, which must have the same encoder.

    Only then do the UNet's latents and the preview colours stay valid. `share` (0..1) is the weight of the
    new decoder: a mean of old and fine-tuned weights decodes the new styles nearly as well as the new
    decoder, and plain drawings nearly as well as the old one.
    """
    there = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True).float()
    for ours, theirs in zip(vae.encoder.parameters(), there.encoder.parameters(), strict=True):
        if not torch.equal(ours.half(), theirs.half()):
            raise ValueError(
                f"{folder} was made with another encoder; its UNet would not understand this one"
            )
    _replace_weights(_mean(there, vae, share), folder / "vae")


def export_unet(unet: UNet2DConditionModel, folder: Path, share: float = 0.55) -> None:
    """Merge `unet` into the UNet of a checkpoint folder.

    `share` (0..1) is the weight of the new one: the mean redraws enlarged pictures nearly as well as the UNet
    that was trained on them, and draws small ones nearly as the old one does.
    """
    there = UNet2DConditionModel.from_pretrained(folder / "unet", local_files_only=True).float()
    _replace_weights(_mean(there, unet, share), folder / "unet")


Trained = TypeVar("Trained", AutoencoderKL, UNet2DConditionModel)


def _mean(there: Trained, new: Trained, share: float) -> Trained:
    """`there` with the mean of its own weights and those of `new`, weighted `share` (0..1)."""
    own = there.state_dict()
    mixed = {
        name: own[name] * (1 - share) + value * share for name, value in new.float().state_dict().items()
    }
    there.load_state_dict(mixed)
    return there


def _replace_weights(model: AutoencoderKL | UNet2DConditionModel, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.half().save_pretrained(partial, safe_serialization=True)
    weights = "diffusion_pytorch_model.safetensors"
    (partial / weights).chmod(0o644)
    os.replace(partial / weights, folder / weights)
    shutil.rmtree(partial)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def export_parts(
    folder: Path,
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text: TextSide,
    tokenizer: CLIPTokenizer,
    preview: PreviewColours,
    provenance: str,
) -> None:
    """Write the checkpoint folder atomically, replacing an earlier one."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_tokenizers(tokenizer, partial)
    first, second = text.full_encoders()
    unet.set_attn_processor(AttnProcessor2_0())
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=load_tokenizers(partial)[0],
        tokenizer_2=load_tokenizers(partial)[1],
        unet=unet,
        scheduler=make_scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(partial, safe_serialization=True)
    for name in _PADDING:
        # The pipeline also saves its tokenizers as large tokenizer.json files.
        shutil.rmtree(partial / name)
    write_tokenizers(tokenizer, partial)
    about = {
        "latent_rgb": {"factors": preview.factors, "bias": preview.bias},
        "native_size": NATIVE_SIZE,
        "sizes": [list(size) for size in SIZES],
        **RECOMMENDED,
        "vocabulary": VOCABULARY | {"words": vocabulary()},
        "provenance": provenance,
    }
    (partial / "webbduck.json").write_text(json.dumps(about, indent=1) + "\n")
    # As in SDXL's file, for other samplers built from it: DDIM would clip latents to -1..1.
    scheduler = partial / "scheduler" / "scheduler_config.json"
    scheduler.write_text(
        json.dumps({**json.loads(scheduler.read_text()), **_OTHER_SAMPLERS}, indent=2) + "\n"
    )
    for path in partial.rglob("config.json"):
        config = json.loads(path.read_text())
        if config.pop("_name_or_path", None) is not None:  # do not publish local paths
            path.write_text(json.dumps(config, indent=2) + "\n")
    for path in [partial, *partial.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = folder_bytes(partial)
    if size > MAX_BYTES:
        raise ValueError(f"the checkpoint would have {size:,} bytes, more than the {MAX_BYTES:,} allowed")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


def export_trained(work: Path, folder: Path, tokenizer: CLIPTokenizer, provenance: str) -> None:
    """Export the current state of the training in `work`."""
    unet, text = load_trained(work)
    preview = PreviewColours.load(work / "preview.json")
    export_parts(folder, latest_vae(work), unet, text, tokenizer, preview, provenance)
