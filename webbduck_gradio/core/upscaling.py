"""Upscaling by any model that spandrel supports, in tiles, or with Lanczos.

Real-ESRGAN's compact network, which the bundled upscaler uses, needs no spandrel.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
from collections.abc import Callable, Iterator
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
from .cards import card_of, precision_for
from .load_errors import translated_load_errors
from .progress import ProgressReporter
from .realesrgan_compact import from_state

__all__ = ["LANCZOS", "enlarge", "load", "upscale"]

log = logging.getLogger(__name__)

TILE, MIN_TILE, OVERLAP = 256, 64, 32
"""Side of a tile, its minimum when memory is short, and the overlap of tiles, in input pixels."""
MIN_SIDE = 32
"""Smaller images are padded to this many pixels at the right and bottom, and cropped afterwards."""
SEAM = OVERLAP
"""Margin of a seamless picture, in input pixels."""
NOT_SEAMLESS = "The picture is too large to be upscaled with its seamless borders; they may show."
FRINGE = 4
"""Blur radius, in input pixels, that spreads colours into fully transparent areas."""


class Network(Protocol):
    """Maps (1, 3, h, w) of its `dtype`, in 0..1, to (1, 3, scale * h, scale * w)."""

    scale: int

    @property
    def dtype(self) -> torch.dtype: ...

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor: ...


def upscale(
    image: Image.Image,
    scale: float,
    model: Path | None,
    device: str,
    reporter: ProgressReporter,
    tile_size: int | None = None,
    tiling: str = "none",
) -> tuple[Image.Image, tuple[str, ...]]:
    """`image` at `scale` (1 or more) times its size, and warnings. `model` None: Lanczos. `tile_size`: in
    input pixels; None = `TILE`. `tiling`: the borders over which it is seamless, and stays so. At scale 1 it
    is left as it is.

    A model of a smaller scale is applied repeatedly as long as the result is not too large; any difference
    that remains is resized with Lanczos, with a warning. The result is RGBA if `image` is: models process
    colours only, so alpha is resized with Lanczos.
    Raises `ModelError`, `OutOfMemoryError`, `RequestError`, and what the reporter raises.
    """
    wanted = size_of(image.size, scale)
    _check_size(*wanted)
    if image.mode != "RGBA":
        image = image.convert("RGB")
    if wanted == image.size:
        return image, ()
    if tiling != "none":
        return _upscaled_seamless(
            image, scale, tiling, lambda wider: upscale(wider, scale, model, device, reporter, tile_size)
        )
    if model is None:
        warning = f"Upscaled with {LANCZOS}; without a model no detail is added."
        return image.resize(wanted, Image.Resampling.LANCZOS), (warning,)
    work = _TiledUpscale(load(model, device), device, reporter, tile_size or TILE)
    if image.mode != "RGBA":
        return _by_network(image, scale, work)
    upscaled, warnings = _by_network(_with_filled_colours(image), scale, work)
    upscaled.putalpha(image.getchannel("A").resize(wanted, Image.Resampling.LANCZOS))
    return upscaled, (*warnings, f"The picture's transparency was upscaled with {LANCZOS}.")


def _upscaled_seamless(
    image: Image.Image,
    scale: float,
    tiling: str,
    work: Callable[[Image.Image], tuple[Image.Image, tuple[str, ...]]],
) -> tuple[Image.Image, tuple[str, ...]]:
    """`work(image)`, upscaled with a margin of what lies at the opposite border, which is cut off again."""
    x = min(SEAM, image.width) if tiling in ("x", "both") else 0
    y = min(SEAM, image.height) if tiling in ("y", "both") else 0
    width, height = size_of((image.width + 2 * x, image.height + 2 * y), scale)
    if width * height > MAX_UPSCALED_PIXELS:
        upscaled, warnings = work(image)
        return upscaled, (*warnings, NOT_SEAMLESS)
    pixels = numpy.pad(numpy.asarray(image), ((y, y), (x, x), (0, 0)), mode="wrap")
    upscaled, warnings = work(Image.fromarray(pixels))
    (width, height), (left, top) = size_of(image.size, scale), size_of((x, y), scale)
    return upscaled.crop((left, top, left + width, top + height)), warnings


def size_of(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height in pixels at `scale`."""
    return round(size[0] * scale), round(size[1] * scale)


def _by_network(image: Image.Image, scale: float, work: _TiledUpscale) -> tuple[Image.Image, tuple[str, ...]]:
    """Like `upscale`, for an RGB image and a loaded network."""
    size, network = size_of(image.size, scale), work.network
    passes = 1
    while network.scale ** (passes + 1) <= scale:
        passes += 1
    upscaled = _applied(image, passes, work)
    if upscaled.size == size:
        return upscaled, ()
    warning = f"The model upscales {network.scale}x; its result was resized to {scale:g}x with {LANCZOS}."
    return upscaled.resize(size, Image.Resampling.LANCZOS), (warning,)


def enlarge(
    image: Image.Image,
    size: tuple[int, int],
    network: Network,
    device: str,
    reporter: ProgressReporter,
) -> Image.Image:
    """An RGB image at exactly `size`, width and height in pixels that are not below its own: the network is
    applied until both are reached, and the result resized with Lanczos, as AUTOMATIC1111 does.

    Raises `OutOfMemoryError`, `RequestError`, and what the reporter raises.
    """
    passes = 0
    while any(side * network.scale**passes < wanted for side, wanted in zip(image.size, size, strict=True)):
        passes += 1
    if passes:
        image = _applied(image, passes, _TiledUpscale(network, device, reporter, TILE))
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _applied(image: Image.Image, passes: int, work: _TiledUpscale) -> Image.Image:
    """An RGB image after so many passes through the network."""
    factor = work.network.scale**passes
    _check_size(*(side * factor for side in image.size))
    pixels = torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 255
    # Window attention fails on an input smaller than one window.
    pixels = functional.pad(
        pixels[None],
        (0, max(0, MIN_SIDE - image.width), 0, max(0, MIN_SIDE - image.height)),
        mode="replicate",
    )[0]
    work.plan(pixels.shape[1], pixels.shape[2], passes)
    for _ in range(passes):
        pixels = work.in_tiles(pixels)
    pixels = pixels[:, : image.height * factor, : image.width * factor]
    # In place: a large picture's float32 copy takes 800 MB.
    return Image.fromarray(pixels.mul_(255).round_().to(torch.uint8).permute(1, 2, 0).numpy(), "RGB")


def _with_filled_colours(image: Image.Image) -> Image.Image:
    """The colours of an RGBA image, with nearby colours in fully transparent areas: the hidden ones there,
    often black, would show as a fringe."""
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
        path.stem, path, f"{path.name} is not a supported upscaling model; choose another upscaler."
    ):
        return _compact(path, device) or _by_spandrel(path, device)


def _compact(path: Path, device: str) -> Network | None:
    """The compact network in a file; None for a file of another architecture."""
    with path.open("rb"):  # safetensors reports any file that cannot be opened as missing
        state = load_file(path)
    if not is_compact({name: tuple(tensor.shape) for name, tensor in state.items()}):
        return None
    network = from_state(dict(zip(bare_names(state), state.values(), strict=True)))
    if network.scale < 2:
        raise _unsupported(path)
    return network.to(device, torch.float16 if _is_half(device) else torch.float32)


def _by_spandrel(path: Path, device: str) -> Network:
    network: Any = _spandrel().ModelLoader(torch.device(device)).load_from_file(path)
    if network.purpose not in ("SR", "Restoration") or network.scale < 2 or network.input_channels != 3:
        raise _unsupported(path)
    network.eval()
    half = _is_half(device) and network.supports_half
    loaded: Network = network.half() if half else network.float()
    return loaded


def _is_half(device: str) -> bool:
    """Whether networks work in float16; elsewhere that is not known to be right."""
    return torch.device(device).type == "cuda" and precision_for(card_of(device)) == torch.float16


def _unsupported(path: Path) -> ModelError:
    return ModelError(f"{path.name} does not upscale colour pictures; choose another upscaler.")


def _spandrel() -> Any:
    """The spandrel package. It imports torchvision only for two architectures that do not upscale, so a stub
    replaces torchvision where that is missing. Raises `ModelError` if spandrel is not installed."""
    try:
        importlib.import_module("torchvision")
    except Exception:  # an incompatible torchvision fails with other errors than ImportError
        functional = types.ModuleType("torchvision.transforms.functional")
        functional.InterpolationMode = functional.rotate = functional.normalize = None  # type: ignore[attr-defined]
        stubs = {
            "torchvision": types.ModuleType("torchvision"),
            "torchvision.transforms": types.ModuleType("torchvision.transforms"),
            "torchvision.transforms.functional": functional,
        }
    else:
        stubs = {}
    sys.modules.update(stubs)
    try:
        return importlib.import_module("spandrel")
    except ImportError:
        raise ModelError(NEEDS_SPANDREL) from None
    finally:
        for name in stubs:  # other packages test whether torchvision is installed
            sys.modules.pop(name, None)


@dataclass
class _TiledUpscale:
    """The passes of one upscaling, with progress counted in tiles over all of them."""

    network: Network
    device: str
    reporter: ProgressReporter
    size: int
    done: int = 0
    total: int = 0
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    """Height and width of each pass's input."""

    def plan(self, height: int, width: int, passes: int) -> None:
        factors = [self.network.scale**number for number in range(passes)]
        self._sizes = [(height * each, width * each) for each in factors]
        # Declared by models that tile internally or need the whole image.
        internal = getattr(getattr(self.network, "tiling", None), "name", "") == "INTERNAL"
        self.size = max(self._sizes[-1]) if internal else self.size
        self._count()

    def _count(self) -> None:
        self.total = sum(len(_tile_origins(*size, self.size)) for size in self._sizes)

    def in_tiles(self, pixels: torch.Tensor) -> torch.Tensor:
        """One pass over (3, h, w) in 0..1, with smaller tiles if memory runs out. Raises
        `OutOfMemoryError`."""
        before = self.done
        while True:
            try:
                return self._pass(pixels)
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                smaller = [size for size in (TILE, TILE // 2, MIN_TILE) if size < self.size]
                if not smaller:
                    raise OutOfMemoryError(
                        "There is not enough memory to upscale this picture; close other programs."
                    ) from None
                self.size = smaller[0]
                log.warning("Out of memory; continuing with tiles of %d pixels", self.size)
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
            result = self.network(tile.to(self.device, self.network.dtype))[0].float().cpu().clamp(0, 1)
            _, rows, columns = result.shape
            weight = _feather_weights(rows, scale)[:, None] * _feather_weights(columns, scale)
            y, x = top * scale, left * scale
            area = (slice(None), slice(y, y + rows), slice(x, x + columns))
            total[area] += result * weight
            weights[area] += weight
            self.done += 1
            self.reporter.step(0, self.done, self.total)
        return total.div_(weights)


def _tile_origins(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """(top, left) of each tile."""
    return [(top, left) for top in _tile_starts(height, size) for left in _tile_starts(width, size)]


def _tile_starts(length: int, size: int) -> Iterator[int]:
    """Starts of tiles that cover `length` and overlap by at least OVERLAP."""
    if length <= size:
        yield 0
        return
    step = size - OVERLAP
    yield from range(0, length - size, step)
    yield length - size


def _feather_weights(length: int, scale: int) -> torch.Tensor:
    """Blending weights (length,) that rise from a tile's border inwards, so that no seam is visible."""
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 1.0
    return (distance / (OVERLAP * scale)).clamp(max=1)
