"""Larger pictures: any model that spandrel knows, in tiles; Lanczos where there is none."""

from __future__ import annotations

import importlib
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image

from ..errors import ModelError, OutOfMemory, RequestError
from .reporting import Reporter

log = logging.getLogger(__name__)

TILE, LEAST_TILE, OVERLAP = 256, 64, 32
"""Pixels of the input that are looked at together, and that neighbours share."""
MAX_PIXELS = 8192 * 8192
LANCZOS = "Lanczos"


def upscale(
    image: Image.Image, scale: int, model: Path | None, device: str, reporter: Reporter
) -> tuple[Image.Image, tuple[str, ...]]:
    """`image` at `scale` times its size, and warnings. Raises `ModelError`, `OutOfMemory`, `RequestError`."""
    image = image.convert("RGB")
    wanted = (image.width * scale, image.height * scale)
    if wanted[0] * wanted[1] > MAX_PIXELS:
        raise RequestError(
            f"{wanted[0]} x {wanted[1]} pixels are more than {MAX_PIXELS / 1e6:.0f} megapixels; "
            "choose a smaller scale."
        )
    if model is None:
        said = f"No upscaling model is installed; {LANCZOS} enlarged the picture without adding detail."
        return image.resize(wanted, Image.Resampling.LANCZOS), (said,)
    network = load(model, device)
    pixels = torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 255
    passes = 0
    while pixels.shape[-1] < wanted[0]:
        pixels = _in_tiles(network, pixels, device, reporter)
        passes += 1
    grown = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy(), "RGB")
    if grown.size == wanted:
        return grown, ()
    said = (
        f"The model enlarges {network.scale} times; its result was brought to {scale} times with {LANCZOS}."
    )
    return grown.resize(wanted, Image.Resampling.LANCZOS), (said,)


def load(path: Path, device: str) -> Any:
    """The model in a safetensors file, as spandrel describes it. Raises `ModelError`."""
    spandrel = _spandrel()
    try:
        network = spandrel.ModelLoader(torch.device(device)).load_from_file(path)
    except (torch.OutOfMemoryError, MemoryError):
        raise OutOfMemory(f"There is too little memory for {path.stem}; free some, then try again.") from None
    except Exception as error:
        log.exception("Loading %s failed", path)
        raise ModelError(f"{path.name} is no upscaling model that is known here; choose another.") from error
    if network.purpose not in ("SR", "Restoration") or network.scale < 2 or network.input_channels != 3:
        raise ModelError(f"{path.name} does not enlarge colour pictures; choose another upscaler.")
    network.eval()
    half = torch.device(device).type == "cuda" and network.supports_half
    return network.half() if half else network.float()


def _spandrel() -> Any:
    """spandrel imports torchvision for two architectures that do not enlarge; a stand-in serves."""
    try:
        importlib.import_module("torchvision")
    except Exception:
        functional = types.ModuleType("torchvision.transforms.functional")
        functional.InterpolationMode = functional.rotate = functional.normalize = None  # type: ignore[attr-defined]
        stand_ins = {
            "torchvision": types.ModuleType("torchvision"),
            "torchvision.transforms": types.ModuleType("torchvision.transforms"),
            "torchvision.transforms.functional": functional,
        }
    else:
        stand_ins = {}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("spandrel")
    except ImportError:
        raise ModelError(
            "Upscaling with a model needs a package: `pip install --no-deps spandrel==0.4.2 einops`."
        ) from None
    finally:
        for name in stand_ins:  # others look for torchvision too, and shall not find this
            sys.modules.pop(name, None)


def _in_tiles(network: Any, pixels: torch.Tensor, device: str, reporter: Reporter) -> torch.Tensor:
    """One pass over (3, h, w) in 0..1, with smaller tiles where memory is short."""
    size = TILE
    while True:
        try:
            return _pass(network, pixels, size, device, reporter)
        except (torch.OutOfMemoryError, MemoryError):
            size //= 2
            if size < LEAST_TILE:
                raise OutOfMemory("There is too little memory to enlarge this picture.") from None
            log.warning("Memory was short; going on with tiles of %d pixels", size)


@torch.no_grad()
def _pass(network: Any, pixels: torch.Tensor, size: int, device: str, reporter: Reporter) -> torch.Tensor:
    scale, (_, height, width) = network.scale, pixels.shape
    total = torch.zeros(3, height * scale, width * scale)
    weights = torch.zeros(1, height * scale, width * scale)
    places = [(top, left) for top in _starts(height, size) for left in _starts(width, size)]
    for number, (top, left) in enumerate(places, 1):
        reporter.check()
        tile = pixels[None, :, top : top + size, left : left + size].to(device, network.dtype)
        grown = network(tile)[0].float().cpu().clamp(0, 1)
        weight = _ramp(grown.shape[1], scale)[:, None] * _ramp(grown.shape[2], scale)
        down, right = top * scale, left * scale
        area = (slice(None), slice(down, down + grown.shape[1]), slice(right, right + grown.shape[2]))
        total[area] += grown * weight
        weights[area] += weight
        reporter.step(0, number, len(places))
    return total / weights


def _starts(length: int, size: int) -> Iterator[int]:
    """Where tiles begin so that they cover `length` and share at least OVERLAP."""
    if length <= size:
        yield 0
        return
    step = size - OVERLAP
    yield from range(0, length - size, step)
    yield length - size


def _ramp(length: int, scale: int) -> torch.Tensor:
    """Weights that rise from a tile's border to its inside, so that no seam shows."""
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 1.0
    return (distance / (OVERLAP * scale)).clamp(max=1)
