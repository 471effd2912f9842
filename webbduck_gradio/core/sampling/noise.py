"""The noise of one image: what it starts from, and what is added at its steps.

All of it is drawn on the CPU in float32 and depends on the image's seeds alone, not on the device, the other
images of a batch or the order in which images are drawn. Names and details are AUTOMATIC1111's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torchsde
from torchsde._brownian import brownian_interval

from .philox import PhiloxGenerator
from .samplers.base import NoiseSource

Source = Literal["cpu", "nv"]
"""AUTOMATIC1111's "RNG": torch's generator of the CPU, or the numbers of an NVIDIA card."""

Shape = tuple[int, int, int]
"""Channels, height and width of one image's latents."""


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """All that decides the noise of an image of a given size."""

    seed: int
    """-2^63 to 2^64 - 1."""
    source: Source = "cpu"
    variation_seed: int = 0
    variation_strength: float = 0.0
    """0 to 1: the share of the second seed in the image's first noise."""
    resized_from: tuple[int, int] | None = None
    """Height and width, in latents, of another image whose composition is to be kept."""
    step_seed_delta: int = 0
    """AUTOMATIC1111's "ENSD": added to the seed for the noise of the steps, unless it is 0."""


class Generator(Protocol):
    """A generator of normal numbers with a position that can be saved."""

    def randn(self, shape: Sequence[int]) -> torch.Tensor:
        """Normal numbers of unit variance, float32."""

    def position(self) -> torch.Tensor:
        """All that is needed to go on, as a tensor of one dimension."""

    def seek(self, position: torch.Tensor) -> None:
        """Go on from a `position` of a generator with the same seed."""


def _mixed(seed: int) -> int:
    """A seed of 32 bits, of which alone torch's generator of the CPU makes its numbers; where more bits say
    that noise is wanted for another part of the picture, they change it.

    The seed of an img2img second pass (2**32 to 2**33 - 1) is not changed, so that pictures which were made
    so far can be made again: its noise is the first pass's once more.
    """
    part, low = seed >> 32, seed & 0xFFFFFFFF
    return low if part < 2 else (low + part * 0x9E3779B9) & 0xFFFFFFFF


class CpuGenerator:
    """torch's generator of the CPU."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator("cpu").manual_seed(_mixed(seed))

    def randn(self, shape: Sequence[int]) -> torch.Tensor:
        """Normal numbers of unit variance, float32."""
        return torch.randn(tuple(shape), generator=self._generator, dtype=torch.float32)

    def position(self) -> torch.Tensor:
        """torch's state of the generator, uint8."""
        return self._generator.get_state()

    def seek(self, position: torch.Tensor) -> None:
        """Go on from a `position`."""
        self._generator.set_state(position)


def generator_of(source: Source, seed: int) -> Generator:
    """A new generator."""
    return PhiloxGenerator(seed) if source == "nv" else CpuGenerator(seed)


def image_noise(seeds: Seeds, shape: Shape) -> torch.Tensor:
    """The noise that an image starts from: of `shape` and unit variance, float32."""
    size = shape if seeds.resized_from is None else (shape[0], *seeds.resized_from)
    drawn = generator_of(seeds.source, seeds.seed).randn(size)
    if seeds.variation_strength != 0:
        other = generator_of(seeds.source, seeds.variation_seed).randn(size)
        drawn = slerp(drawn, other, seeds.variation_strength)
    if size == shape:
        return drawn
    return pasted(drawn, generator_of(seeds.source, seeds.seed).randn(shape))


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Spherical interpolation (Shoemake 1985, "Animating Rotation with Quaternion Curves") from `start` to
    `end`, both (C, H, W); vectors are those along H.

    Vectors that are nearly parallel are interpolated linearly, with both ends exchanged as in AUTOMATIC1111;
    with one seed they are equal.
    """
    cosine = (start / start.norm(dim=1, keepdim=True) * (end / end.norm(dim=1, keepdim=True))).sum(1)
    if float(cosine.mean()) > 0.9995:
        return start * share + end * (1 - share)
    angle = torch.acos(cosine).unsqueeze(1)
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)


def pasted(inner: torch.Tensor, outer: torch.Tensor) -> torch.Tensor:
    """`outer` with `inner`, both (C, H, W), pasted into its middle; what protrudes is cut off.

    Of an odd rest the larger part is below and to the right where `inner` is smaller, and cut off on both
    sides where it is larger, as in AUTOMATIC1111.
    """
    taken, given = zip(
        *(_overlap(*sizes) for sizes in zip(inner.shape, outer.shape, strict=True)), strict=True
    )
    result = outer.clone()
    result[given] = inner[taken]
    return result


def _overlap(inner: int, outer: int) -> tuple[slice, slice]:
    """Which part of the inner length goes to which part of the outer."""
    offset = (outer - inner) // 2
    if offset >= 0:
        return slice(inner), slice(offset, offset + inner)
    return slice(-offset, inner + offset), slice(inner + 2 * offset)


class ImageNoise(NoiseSource, Protocol):
    """Noise of one image's steps whose position can be saved, so that a run can go on later."""

    def state(self) -> torch.Tensor:
        """All that is needed to go on with a new source of the same arguments; may be empty."""

    def restore(self, state: torch.Tensor) -> None:
        """Go on from a `state`."""


class StepNoise:
    """Independent noise for each step, which goes on where the noise of `image_noise` ends."""

    def __init__(self, seeds: Seeds, shape: Shape) -> None:
        self._generator = generator_of(seeds.source, seeds.seed + seeds.step_seed_delta)
        self._shape = shape
        if seeds.step_seed_delta == 0:
            self._generator.randn(shape)  # was the image's first noise

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        """`x`: one image, with or without a batch dimension."""
        return self._generator.randn(self._shape).reshape(x.shape).to(x)

    def state(self) -> torch.Tensor:
        """The generator's position."""
        return self._generator.position()

    def restore(self, state: torch.Tensor) -> None:
        """Go on from a `state`."""
        self._generator.seek(state)


_DIGITS = 6
"""torchsde rounds sigmas to this many decimals."""


class BrownianNoise:
    """Noise from one Brownian path over sigma, so that runs of different numbers of steps share it.

    Its increments over an interval of sigma, divided by the square root of its length (k-diffusion's
    BrownianTreeNoiseSampler; the tree is that of Li et al. 2020, "Scalable Gradients for Stochastic
    Differential Equations"). They depend on the arguments alone, not on earlier requests.
    """

    def __init__(self, seed: int, shape: Shape, sigmas: Sequence[float], source: Source = "cpu") -> None:
        """`sigmas`: of the whole schedule. Its bounds decide the path: with others it is another one."""
        self._source: Source = source
        positive = [sigma for sigma in sigmas if sigma > 0]
        self._low, self._high = round(min(positive), _DIGITS), round(max(positive), _DIGITS)
        # A path needs some length, also where the schedule has a single step.
        self._high = max(self._high, self._low + 10**-_DIGITS)
        with _tree_drawn_from(source):
            self._tree = torchsde.BrownianTree(
                self._low, torch.zeros(shape), self._high, entropy=seed % 2**64
            )

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        """`x`: one image, with or without a batch dimension. `sigma` > `following` > 0."""
        low, high = self._inside(following), self._inside(sigma)
        with _tree_drawn_from(self._source):
            increment = self._tree(low, high)
        return increment.mul_(-1 / math.sqrt(high - low)).reshape(x.shape).to(x)

    def _inside(self, sigma: float) -> float:
        return min(max(sigma, self._low), self._high)

    def state(self) -> torch.Tensor:
        """Empty: a path has no position."""
        return torch.empty(0)

    def restore(self, state: torch.Tensor) -> None:
        """Nothing to restore."""


@contextmanager
def _tree_drawn_from(source: Source) -> Iterator[None]:
    """Let torchsde's trees draw their nodes from this source, as AUTOMATIC1111 does."""
    drawn = brownian_interval._randn

    def draw(size: Sequence[int], dtype: torch.dtype, device: torch.device, seed: int) -> torch.Tensor:
        return generator_of(source, int(seed)).randn(size).to(device, dtype)

    if source != "cpu":  # torchsde's own
        brownian_interval._randn = draw
    try:
        yield
    finally:
        brownian_interval._randn = drawn


class JoinedNoise:
    """The noise of several images that are drawn together: for each, that of its own source."""

    def __init__(self, sources: Sequence[ImageNoise]) -> None:
        self._sources = sources

    def __call__(self, x: torch.Tensor, sigma: float, following: float) -> torch.Tensor:
        """`x`: (n, C, H, W), one for each source."""
        images = x.split(1)
        return torch.cat(
            [noise(image, sigma, following) for noise, image in zip(self._sources, images, strict=True)]
        )

    def state(self) -> torch.Tensor:
        """The sources' states in turn, which are of equal length."""
        return torch.cat([each.state() for each in self._sources])

    def restore(self, state: torch.Tensor) -> None:
        """Go on from a `state`."""
        count = len(self._sources)
        for noise, part in zip(self._sources, state.reshape(count, len(state) // count), strict=True):
            noise.restore(part.clone())  # torch's generators crash on a view into the middle of a tensor
