"""Larger pictures: any model that spandrel knows, in tiles; Lanczos where there is none.

Real-ESRGAN's compact kind, which the bundled upscaler is of, is built here and needs no further package.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file
from torch.nn import functional

from ..errors import ModelError, OutOfMemoryError, RequestError
from ..models.upscalers import LANCZOS, MAX_UPSCALED_PIXELS, NEEDS_SPANDREL, bare_names, is_compact
from . import devices
from .load_errors import translated_load_errors
from .progress import ProgressReporter
from .realesrgan_compact import from_state

__all__ = ["LANCZOS", "load", "upscale"]

log = logging.getLogger(__name__)

TILE, LEAST_TILE, OVERLAP = 256, 64, 32
"""Pixels of the input that are looked at together, and that neighbours share."""
LEAST_SIDE = 32
"""Smaller pictures are continued to this many pixels at the right and below, which is cut off again."""
FRINGE = 4
"""How far, in pixels of the input, colours are carried into fully transparent parts."""


class Network(Protocol):
    """Makes (1, 3, h, w) in 0..1 `scale` times larger; `dtype` is what it takes."""

    scale: int

    @property
    def dtype(self) -> torch.dtype: ...

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor: ...


def upscale(
    image: Image.Image, scale: int, model: Path | None, device: str, reporter: ProgressReporter
) -> tuple[Image.Image, tuple[str, ...]]:
    """`image` at `scale` times its size, and warnings. `model` None: Lanczos.

    A model that enlarges less is applied again while that does not lead too far; what it makes too large or
    too small is brought to the size with Lanczos, which the warnings say. RGBA where `image` is transparent:
    models know colours only, so that transparency is enlarged with Lanczos.
    Raises `ModelError`, `OutOfMemoryError`, `RequestError`, and what the reporter raises.
    """
    wanted = (image.width * scale, image.height * scale)
    _check_size(*wanted)
    if image.mode != "RGBA":
        image = image.convert("RGB")
    if model is None:
        said = f"{LANCZOS} enlarged the picture; without a model no detail is added."
        return image.resize(wanted, Image.Resampling.LANCZOS), (said,)
    if image.mode != "RGBA":
        return _by_network(image, scale, load(model, device), device, reporter)
    grown, warnings = _by_network(_filled_up(image), scale, load(model, device), device, reporter)
    grown.putalpha(image.getchannel("A").resize(wanted, Image.Resampling.LANCZOS))
    return grown, (*warnings, f"The picture's transparency was enlarged with {LANCZOS}.")


def _by_network(
    image: Image.Image, scale: int, network: Network, device: str, reporter: ProgressReporter
) -> tuple[Image.Image, tuple[str, ...]]:
    """An RGB picture by a model; else as `upscale`."""
    size = (image.width * scale, image.height * scale)
    passes = 1
    while network.scale ** (passes + 1) <= scale:
        passes += 1
    _check_size(*(side * network.scale**passes for side in image.size))
    pixels = torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 255
    # Networks that look through windows fail on what is smaller than one.
    pixels = functional.pad(
        pixels[None],
        (0, max(0, LEAST_SIDE - image.width), 0, max(0, LEAST_SIDE - image.height)),
        mode="replicate",
    )[0]
    work = _TiledUpscale(network, device, reporter)
    work.plan(pixels.shape[1], pixels.shape[2], passes)
    for _ in range(passes):
        pixels = work.in_tiles(pixels)
    factor = network.scale**passes
    pixels = pixels[:, : image.height * factor, : image.width * factor]
    grown = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy(), "RGB")
    if grown.size == size:
        return grown, ()
    said = (
        f"The model enlarges {network.scale} times; its result was brought to {scale} times with {LANCZOS}."
    )
    return grown.resize(size, Image.Resampling.LANCZOS), (said,)


def _filled_up(image: Image.Image) -> Image.Image:
    """The colours of an RGBA picture, near ones where nothing is seen: what lies hidden there, often black,
    would show as a fringe."""
    near = image.convert("RGBa").filter(ImageFilter.GaussianBlur(FRINGE)).convert("RGBA").convert("RGB")
    hidden = image.getchannel("A").point(lambda value: 255 if value == 0 else 0)
    colours = image.convert("RGB")
    colours.paste(near, (0, 0), hidden)
    return colours


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_UPSCALED_PIXELS:
        raise RequestError(
            f"{width} x {height} pixels are more than {MAX_UPSCALED_PIXELS / 1e6:.0f} megapixels; "
            "choose a smaller scale."
        )


def load(path: Path, device: str) -> Network:
    """The model in a safetensors file. Raises `ModelError`, `OutOfMemoryError`."""
    with translated_load_errors(
        path.stem, path, f"{path.name} is no upscaling model that is known here; choose another."
    ):
        return _compact(path, device) or _by_spandrel(path, device)


def _compact(path: Path, device: str) -> Network | None:
    """The network of a file of the compact kind, None for any other file."""
    with path.open("rb"):  # safetensors says "no such file" of all that cannot be opened
        state = load_file(path)
    if not is_compact({name: tuple(tensor.shape) for name, tensor in state.items()}):
        return None
    network = from_state(dict(zip(bare_names(state), state.values(), strict=True)))
    if network.scale < 2:
        raise _does_not_enlarge(path)
    return network.to(device, torch.float16 if torch.device(device).type == "cuda" else torch.float32)


def _by_spandrel(path: Path, device: str) -> Network:
    network: Any = _spandrel().ModelLoader(torch.device(device)).load_from_file(path)
    if network.purpose not in ("SR", "Restoration") or network.scale < 2 or network.input_channels != 3:
        raise _does_not_enlarge(path)
    network.eval()
    half = torch.device(device).type == "cuda" and network.supports_half
    found: Network = network.half() if half else network.float()
    return found


def _does_not_enlarge(path: Path) -> ModelError:
    return ModelError(f"{path.name} does not enlarge colour pictures; choose another upscaler.")


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
        raise ModelError(NEEDS_SPANDREL) from None
    finally:
        for name in stand_ins:  # others look for torchvision too, and shall not find this
            sys.modules.pop(name, None)


@dataclass
class _TiledUpscale:
    """The passes of one upscaling; counts its tiles over all of them."""

    network: Network
    device: str
    reporter: ProgressReporter
    size: int = 0
    done: int = 0
    total: int = 0
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    """Height and width that each pass begins with."""

    def plan(self, height: int, width: int, passes: int) -> None:
        grown = [self.network.scale**number for number in range(passes)]
        self._sizes = [(height * each, width * each) for each in grown]
        # Models that tile by themselves, or need to see the picture as a whole, say so.
        internal = getattr(getattr(self.network, "tiling", None), "name", "") == "INTERNAL"
        self.size = max(self._sizes[-1]) if internal else TILE
        self._count()

    def _count(self) -> None:
        self.total = sum(len(_tile_origins(*size, self.size)) for size in self._sizes)

    def in_tiles(self, pixels: torch.Tensor) -> torch.Tensor:
        """One pass over (3, h, w) in 0..1, with smaller tiles where memory is short."""
        before = self.done
        while True:
            try:
                return self._pass(pixels)
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                self.size = min(self.size, TILE * 2) // 2
                if self.size < LEAST_TILE:
                    raise OutOfMemoryError("There is too little memory to enlarge this picture.") from None
                log.warning("Memory was short; going on with tiles of %d pixels", self.size)
                self.done = before
                self._count()

    @torch.no_grad()
    def _pass(self, pixels: torch.Tensor) -> torch.Tensor:
        scale, (_, height, width) = self.network.scale, pixels.shape
        total = torch.zeros(3, height * scale, width * scale)
        weights = torch.zeros(1, height * scale, width * scale)
        for top, left in _tile_origins(height, width, self.size):
            self.reporter.check()
            tile = pixels[None, :, top : top + self.size, left : left + self.size]
            grown = self.network(tile.to(self.device, self.network.dtype))[0].float().cpu().clamp(0, 1)
            weight = _feather_weights(grown.shape[1], scale)[:, None] * _feather_weights(
                grown.shape[2], scale
            )
            down, right = top * scale, left * scale
            area = (slice(None), slice(down, down + grown.shape[1]), slice(right, right + grown.shape[2]))
            total[area] += grown * weight
            weights[area] += weight
            self.done += 1
            self.reporter.step(0, self.done, self.total)
        return total.div_(weights)


def _tile_origins(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Top left corners of the tiles."""
    return [(top, left) for top in _tile_starts(height, size) for left in _tile_starts(width, size)]


def _tile_starts(length: int, size: int) -> Iterator[int]:
    """Where tiles begin so that they cover `length` and share at least OVERLAP."""
    if length <= size:
        yield 0
        return
    step = size - OVERLAP
    yield from range(0, length - size, step)
    yield length - size


def _feather_weights(length: int, scale: int) -> torch.Tensor:
    """Weights that rise from a tile's border to its inside, so that no seam shows."""
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 1.0
    return (distance / (OVERLAP * scale)).clamp(max=1)
