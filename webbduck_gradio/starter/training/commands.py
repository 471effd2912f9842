"""The parts for ``train PART``, each with the function that trains or exports it.

To add a part, add its function to TRAININGS. Each is resumable and keeps its state in `options.work`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

MODELS, LORAS = Path("checkpoint"), Path("lora")
"""Folders of the bundled models."""
BUNDLED = MODELS / "sdxl" / "webbduck-starter"
REFINER = "webbduck-starter-refiner"

Training = Callable[[argparse.Namespace], None]


def _provenance(options: argparse.Namespace) -> str:
    return options.provenance or "Trained from scratch on drawings by webbduck_gradio.starter."


def _vae(options: argparse.Namespace) -> None:
    from .vae import train_vae

    train_vae(options.work, minutes=options.minutes or 60, start_from=options.start_from)


def _latents(options: argparse.Namespace) -> None:
    from .latents import encode_bank, freeze_vae, load_frozen_vae
    from .vae import train_vae

    if not (options.work / "vae").exists():
        freeze_vae(train_vae(options.work, minutes=0), options.work)
    encode_bank(load_frozen_vae(options.work), options.work, options.shards)


def _unet(options: argparse.Namespace) -> None:
    from .models import load_tokenizers
    from .unet import train_unet

    train_unet(options.work, load_tokenizers(options.tokenizers), minutes=options.minutes or 100)


def _larger(options: argparse.Namespace) -> None:
    from ..evaluation.inference import open_pipeline
    from .export import export_unet
    from .larger import train_larger

    unet = train_larger(options.work, open_pipeline(options.base), minutes=options.minutes or 90)
    export_unet(unet, options.out or options.base)


def _decoder(options: argparse.Namespace) -> None:
    """Continue from the checkpoint's VAE and write the result to the checkpoint and the refiner."""
    from diffusers import AutoencoderKL

    from .export import export_vae, latest_vae
    from .vae import train_vae

    kept = options.work / "vae"
    if not kept.exists():
        source = options.base / "vae"
        if not source.exists():
            raise FileNotFoundError(
                f"{source} is not there: train the vae first or name a checkpoint (--base)"
            )
        AutoencoderKL.from_pretrained(source, local_files_only=True).float().save_pretrained(kept)
    train_vae(options.work, minutes=options.minutes or 30, start_from=kept, decoder_only=True)
    for folder in (options.out or options.base, options.base.with_name(REFINER)):
        if (folder / "vae").exists():
            export_vae(latest_vae(options.work), folder)


def _export(options: argparse.Namespace) -> None:
    from .export import export_trained
    from .models import load_tokenizers

    tokenizer = load_tokenizers(options.tokenizers)[0]
    export_trained(options.work, options.out or BUNDLED, tokenizer, _provenance(options))


def _refiner(options: argparse.Namespace) -> None:
    from ..evaluation.inference import open_pipeline
    from .refiner import refiner_banks, train_refiner
    from .refiner_model import export_refiner

    base = open_pipeline(options.base)
    refiner_banks(base.vae, options.work)
    unet = train_refiner(options.work, base, minutes=options.minutes or 40)
    provenance = options.provenance or (
        "UNet: begun from the base's where its shapes fit, trained by webbduck_gradio.starter on its own "
        "drawings. VAE, text encoder, tokenizer: the base's. Licence: Apache-2.0, as the project."
    )
    export_refiner(unet, options.base, options.out or options.base.with_name(REFINER), provenance)


def _lora(style: str) -> Training:
    def train(options: argparse.Namespace) -> None:
        from ..evaluation.inference import open_pipeline
        from .lora import style_bank, train_lora
        from .lora_files import bundle_lora

        base = open_pipeline(options.base)
        style_bank(base.vae, options.work, style)
        train_lora(options.work, base, style, minutes=options.minutes or 30)
        bundle_lora(options.work, options.base, style, options.out or LORAS)

    return train


def _upscaler(options: argparse.Namespace) -> None:
    from ..evaluation.upscaler import FILE
    from .upscaler import export_upscaler, train_upscaler

    network = train_upscaler(options.work, minutes=options.minutes or 25)
    export_upscaler(network, options.out or MODELS / "upscale" / FILE, _provenance(options))


def _captioner(options: argparse.Namespace) -> None:
    from ..evaluation.captioner import FOLDER
    from .captioner import export_captioner, train_captioner

    model = train_captioner(options.work, minutes=options.minutes or 40)
    export_captioner(model, options.out or MODELS / "caption" / FOLDER, _provenance(options))


def _detector(options: argparse.Namespace) -> None:
    from ..evaluation.detector import FILE
    from .detector import export_detector, train_detector

    network = train_detector(options.work, minutes=options.minutes or 35)
    export_detector(network, options.out or MODELS / "detect" / FILE, _provenance(options))


def _base(options: argparse.Namespace) -> None:
    for part in (_vae, _latents, _unet, _export):
        part(options)


def _all(options: argparse.Namespace) -> None:
    if options.out:
        raise OSError("--out names the place of one part: train the parts one by one, or leave it away.")
    for part in (
        _base,
        _larger,
        _decoder,
        _refiner,
        *map(_lora, ("ink", "pixel")),
        _upscaler,
        _captioner,
        _detector,
    ):
        part(options)


TRAININGS: dict[str, tuple[str, Training]] = {
    "vae": ("the autoencoder (60 minutes unless said otherwise)", _vae),
    "latents": ("freeze the autoencoder and encode the drawings", _latents),
    "unet": ("UNet and text encoders (100 minutes)", _unet),
    "larger": ("the bundled UNet further, on pictures larger than its native size (90 minutes)", _larger),
    "decoder": ("improve the bundled autoencoder's decoder, on the LoRAs' styles too (30 minutes)", _decoder),
    "export": ("write the checkpoint folder", _export),
    "upscaler": ("the upscaler, and write its file (25 minutes)", _upscaler),
    "captioner": ("the captioner, and write its folder (40 minutes)", _captioner),
    "detector": ("the detector of duck heads and hats, and write its file (35 minutes)", _detector),
    "base": ("the base checkpoint: vae, latents, unet, export", _base),
    "refiner": ("the second-pass model: latents, UNet, folder (40 minutes)", _refiner),
    "lora-ink": ("the ink sketch LoRA: latents, training, file (30 minutes)", _lora("ink")),
    "lora-pixel": ("the pixel art LoRA: latents, training, file (30 minutes)", _lora("pixel")),
    "all": ("the whole kit, one part after another", _all),
}
