"""``python -m webbduck_gradio.starter train|evaluate``: make the bundled starter models and measure them."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

BUNDLED = Path("checkpoint/sdxl/webbduck-starter")
DEFAULT_WORK = Path.home() / ".cache" / "webbduck-starter"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webbduck_gradio.starter", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train, going on where an earlier run stopped")
    train.add_argument(
        "part",
        nargs="?",
        default="all",
        choices=("vae", "latents", "unet", "decoder", "export", "all"),
        help="vae: the autoencoder; latents: freeze it and encode the drawings; unet: UNet and "
        "text encoders; decoder: improve only the autoencoder's decoder; export: write the folder; "
        "all: vae, latents, unet, export",
    )
    train.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, help="folder of training state (%(default)s)"
    )
    train.add_argument("--minutes", type=float, help="length of this part (vae 60, unet 100, decoder 30)")
    train.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    train.add_argument(
        "--start-from", type=Path, help="VAE folder (diffusers layout) to begin with, not from noise"
    )
    train.add_argument("--shards", type=int, default=300, help="latent shards of 48 pictures (%(default)s)")
    train.add_argument(
        "--tokenizers",
        type=Path,
        default=BUNDLED,
        help="checkpoint folder with CLIP's tokenizers (%(default)s)",
    )
    train.add_argument("--out", type=Path, default=BUNDLED, help="checkpoint folder to write (%(default)s)")
    train.add_argument("--provenance", default="Trained from scratch on drawings by webbduck_gradio.starter.")
    judge = commands.add_parser("evaluate", help="measure a checkpoint, print the table, write the report")
    judge.add_argument("--checkpoint", type=Path, default=BUNDLED, help="checkpoint folder (%(default)s)")
    judge.add_argument("--prompts", type=int, default=200, help="held-out prompts (%(default)s)")
    judge.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, help="where the judge is kept (%(default)s)"
    )
    judge.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    judge.add_argument(
        "--report", type=Path, help="folder for starter-kit.md and its contact sheets, e.g. docs"
    )
    return parser


def _train(options: argparse.Namespace) -> None:
    import torch

    from .export import export_trained
    from .latents import encode_bank, freeze_vae, load_frozen_vae
    from .models import load_tokenizers
    from .train_unet import train_unet
    from .train_vae import train_vae

    torch.set_num_threads(options.threads)
    work, part = options.work, options.part
    if part in ("vae", "all"):
        train_vae(work, minutes=options.minutes or 60, start_from=options.start_from)
    if part in ("latents", "all"):
        if not (work / "vae").exists():
            freeze_vae(train_vae(work, minutes=0), work)
        encode_bank(load_frozen_vae(work), work, options.shards)
    if part in ("unet", "all"):
        train_unet(work, load_tokenizers(options.tokenizers), minutes=options.minutes or 100)
    if part == "decoder":
        train_vae(work, minutes=options.minutes or 30, start_from=work / "vae", decoder_only=True)
    if part in ("export", "all"):
        export_trained(work, options.out, load_tokenizers(options.tokenizers)[0], options.provenance)


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from .report import write_report

    torch.set_num_threads(options.threads)
    report = write_report(options.checkpoint, options.work, options.prompts, options.report)
    print(report.table())
    for miss in report.misses:
        print(f"missed: {miss}")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; what is missing on disk is one sentence and exit code 2."""
    options = _parser().parse_args(arguments)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        (_train if options.command == "train" else _evaluate)(options)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
