"""``python -m webbduck_gradio.starter train|evaluate``: train the bundled starter models and evaluate
them."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from .evaluation.report import PARTS
from .training.commands import BUNDLED, TRAININGS

DEFAULT_WORK = Path.home() / ".cache" / "webbduck-starter"


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PARTS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m webbduck_gradio.starter", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a part, resuming an earlier run")
    train.add_argument(
        "part",
        nargs="?",
        default="all",
        choices=tuple(TRAININGS),
        help="; ".join(f"{name}: {words}" for name, (words, _) in TRAININGS.items()),
    )
    train.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, help="folder of training state (%(default)s)"
    )
    train.add_argument("--minutes", type=float, help="length of each part's training")
    train.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    train.add_argument(
        "--start-from",
        type=Path,
        help="VAE folder (diffusers layout) to start from instead of random weights",
    )
    train.add_argument("--shards", type=int, default=300, help="latent shards of 48 pictures (%(default)s)")
    train.add_argument(
        "--tokenizers",
        type=Path,
        default=BUNDLED,
        help="checkpoint folder with CLIP's tokenizers (%(default)s)",
    )
    train.add_argument(
        "--base", type=Path, default=BUNDLED, help="base checkpoint that other parts start from (%(default)s)"
    )
    train.add_argument("--out", type=Path, help="file or folder to write (the bundled place)")
    train.add_argument("--provenance", help="where the weights come from, written into the folder")
    classifier = commands.add_parser("evaluate", help="measure the kit, print the tables, write the report")
    classifier.add_argument(
        "parts", nargs="*", type=_part, metavar="PART", help=f"what to measure: {', '.join(PARTS)} (all)"
    )
    classifier.add_argument("--checkpoint", type=Path, default=BUNDLED, help="base checkpoint (%(default)s)")
    classifier.add_argument("--prompts", type=int, default=200, help="held-out prompts (%(default)s)")
    classifier.add_argument(
        "--work", type=Path, default=DEFAULT_WORK, help="folder of the classifier (%(default)s)"
    )
    classifier.add_argument("--threads", type=int, default=2, help="CPU threads (%(default)s)")
    classifier.add_argument(
        "--report", type=Path, help="folder for starter-kit.md and its contact sheets, e.g. docs"
    )
    return parser


def _train(options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(options.threads)
    TRAININGS[options.part][1](options)


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from .evaluation.report import write_report
    from .evaluation.sections import EvalContext

    torch.set_num_threads(options.threads)
    context = EvalContext(options.checkpoint, options.work, options.prompts, options.report)
    write_report(context, options.parts or tuple(PARTS))


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a missing file is reported in one sentence, with exit code 2."""
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
