"""What ``train PART`` can be: each part of the kit with the function that trains or writes it.

To add a part, add its function to TRAININGS. Each is resumable and leaves its state in `options.work`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Training = Callable[[argparse.Namespace], None]

MODELS = Path("checkpoint")
"""Where the bundled models lie."""


def _vae(options: argparse.Namespace) -> None:
    from .train_vae import train_vae

    train_vae(options.work, minutes=options.minutes or 60, start_from=options.start_from)


def _latents(options: argparse.Namespace) -> None:
    from .latents import encode_bank, freeze_vae, load_frozen_vae
    from .train_vae import train_vae

    if not (options.work / "vae").exists():
        freeze_vae(train_vae(options.work, minutes=0), options.work)
    encode_bank(load_frozen_vae(options.work), options.work, options.shards)


def _unet(options: argparse.Namespace) -> None:
    from .models import load_tokenizers
    from .train_unet import train_unet

    train_unet(options.work, load_tokenizers(options.tokenizers), minutes=options.minutes or 100)


def _decoder(options: argparse.Namespace) -> None:
    from .train_vae import train_vae

    train_vae(options.work, minutes=options.minutes or 30, start_from=options.work / "vae", decoder_only=True)


def _export(options: argparse.Namespace) -> None:
    from .export import export_trained
    from .models import load_tokenizers

    export_trained(options.work, options.out, load_tokenizers(options.tokenizers)[0], options.provenance)


def _upscaler(options: argparse.Namespace) -> None:
    from .evaluate_upscaler import FILE
    from .train_upscaler import export_upscaler, train_upscaler

    network = train_upscaler(options.work, minutes=options.minutes or 25)
    export_upscaler(network, options.out or MODELS / "upscale" / FILE, options.provenance)


def _captioner(options: argparse.Namespace) -> None:
    from .evaluate_captioner import FOLDER
    from .train_captioner import export_captioner, train_captioner

    model = train_captioner(options.work, minutes=options.minutes or 40)
    export_captioner(model, options.out or MODELS / "caption" / FOLDER, options.provenance)


def _all(options: argparse.Namespace) -> None:
    for part in (_vae, _latents, _unet, _export):
        part(options)


TRAININGS: dict[str, tuple[str, Training]] = {
    "vae": ("the autoencoder (60 minutes unless said otherwise)", _vae),
    "latents": ("freeze the autoencoder and encode the drawings", _latents),
    "unet": ("UNet and text encoders (100 minutes)", _unet),
    "decoder": ("improve only the autoencoder's decoder (30 minutes)", _decoder),
    "export": ("write the checkpoint folder", _export),
    "upscaler": ("the upscaler, and write its file (25 minutes)", _upscaler),
    "captioner": ("the captioner, and write its folder (40 minutes)", _captioner),
    "all": ("the base checkpoint: vae, latents, unet, export", _all),
}
