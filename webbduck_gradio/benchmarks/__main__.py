"""`python -m webbduck_gradio.benchmarks NAME` measures a part of the studio; NAME --help says how."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "gpu": "a graphics card with SDXL: policies, batches, compiling, decoding, beside plain diffusers",
    "core": "the loop beside diffusers' own pipeline and the UNet alone",
    "first-picture": "the first picture of a new studio beside the second",
    "loras": "changing a LoRA's weight and a step with it, beside peft's layers, at SDXL's widths",
    "generation": "pictures through the API beside the bare pipeline, switching models, full-size SDXL",
    "redraw": "a picture enlarged and redrawn in tiles: memory and time per megapixel",
    "full-size-files": "loading and drawing with 7 GB files of random weights",
    "catalog": "reading thousands of LoRA files",
    "catalog-page": "the LoRAs tab with many LoRAs, in Chromium",
    "gallery": "the index of a hundred thousand pictures",
    "gallery-page": "the Gallery tab with as many, in Chromium",
    "completion": "completing tags in the prompt, in Chromium",
    "page": "what open pages cost the server, and the gap between two jobs",
    "page-load": "how soon the page can be used, in Chromium",
}
"""Each is the module of its name."""


def main(arguments: Sequence[str] | None = None) -> int:
    lines = [f"  {name:<16} {about}" for name, about in BENCHMARKS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m webbduck_gradio.benchmarks",
        description=__doc__,
        epilog="\n".join(["benchmarks:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help="one of those below")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of that benchmark")
    asked = parser.parse_args(arguments)
    module = importlib.import_module(f"{__package__}.{asked.name.replace('-', '_')}")
    return module.main(asked.options)


if __name__ == "__main__":
    sys.exit(main())
