"""Procedural images other than drawings, for upscaler and captioner training.

Overlapping shapes whose sizes follow a power law ("dead leaves"), with shading and texture, have edge
statistics and a spectrum similar to photographs; noise, gradients and text cover other cases.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]
"""(height, width, 3) RGB bytes."""

KINDS = ("leaves", "leaves", "leaves", "texture", "texture", "texture", "gradient", "text")
"""Chosen with equal probability per entry."""
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?-+*/()&%"


def synthetic_image(seed: int, size: int = 256, kind: str | None = None) -> Picture:
    """A square image of one of KINDS, random if not given; the same seed gives the same pixels."""
    rng = np.random.default_rng(seed)
    kind = kind or KINDS[rng.integers(len(KINDS))]
    made = {"leaves": _leaves, "texture": _texture, "gradient": _gradient, "text": _text}[kind](rng, size)
    return np.clip(made, 0, 255).round().astype(np.uint8)


def noise(
    rng: np.random.Generator, size: int, slope: float, stretch: float = 1, angle: float = 0
) -> npt.NDArray[np.float64]:
    """(size, size) noise with mean 0 and standard deviation 1, amplitude proportional to frequency ** -slope.

    `stretch` above 1 makes it anisotropic, like hair or grass; `angle` in radians.
    """
    down, right = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    along = np.cos(angle) * right + np.sin(angle) * down
    across = np.cos(angle) * down - np.sin(angle) * right
    frequency = np.maximum(np.hypot(along * stretch, across), 1 / size)
    white = np.fft.rfft2(rng.standard_normal((size, size)))
    found = np.fft.irfft2(white * frequency**-slope, s=(size, size))
    return (found - found.mean()) / (found.std() + 1e-9)


def _colour(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random colour, usually muted, sometimes saturated."""
    grey = rng.uniform(10, 245)
    return np.clip(grey + rng.standard_normal(3) * (18 if rng.random() < 0.7 else 70), 0, 255)


def _hair(rng: np.random.Generator, size: int, slope: float) -> npt.NDArray[np.float64]:
    return noise(rng, size, slope, rng.uniform(1, 6), rng.uniform(0, np.pi))[..., None]


def _texture(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    slope = rng.uniform(0.3, 2.0)
    shared = _hair(rng, size, slope) if rng.random() < 0.5 else noise(rng, size, slope)[..., None]
    own = np.stack([noise(rng, size, slope) for _ in range(3)], axis=-1)
    return _colour(rng) + rng.uniform(5, 45) * shared + rng.uniform(0, 12) * own


def _gradient(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    steps = np.linspace(-1, 1, size)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * steps[:, None] + np.sin(angle) * steps[None, :]
    if rng.random() < 0.5:
        along = np.hypot(steps[:, None] - rng.uniform(-1, 1), steps[None, :] - rng.uniform(-1, 1))
    share = np.clip(along * rng.uniform(0.3, 1) + 0.5, 0, 1)[..., None]
    grain = noise(rng, size, rng.uniform(0, 1))[..., None] * rng.uniform(0, 4)
    return _colour(rng) * share + _colour(rng) * (1 - share) + grain


def _leaves(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    scale = 2  # drawn larger and shrunk: smooth edges
    side = size * scale
    least, most = rng.uniform(1.5, 5) * scale, size * scale * rng.uniform(0.2, 0.5)
    count = int(rng.integers(100, 500))
    # Radii with density r**-2 between `least` and `most`, the largest first: small things lie on top.
    shares = rng.random(count)
    radii = np.sort(1 / (1 / least + shares * (1 / most - 1 / least)))[::-1]
    sheet = Image.new("RGB", (side, side), tuple(int(v) for v in _colour(rng)))
    pen = ImageDraw.Draw(sheet)
    for radius in radii:
        x, y = rng.uniform(0, side, 2)
        fill = tuple(int(v) for v in _colour(rng))
        corners = int(rng.integers(0, 6))
        if corners < 2:
            flat = rng.uniform(0.4, 1)
            pen.ellipse((x - radius, y - radius * flat, x + radius, y + radius * flat), fill=fill)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, corners + 1))
            pen.polygon([(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles], fill=fill)
    found = np.asarray(sheet.resize((size, size), Image.Resampling.BOX), dtype=np.float64)
    light = 1 + 0.12 * noise(rng, size, 2.0)[..., None]
    grain = noise(rng, size, rng.uniform(0.2, 1.2))[..., None] * rng.uniform(0, 14)
    hair = _hair(rng, size, rng.uniform(0.3, 1.0)) * rng.uniform(0, 28) if rng.random() < 0.5 else 0
    return found * light + grain + hair


def _text(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    dark = rng.random() < 0.5
    paper, ink = (_colour(rng) * 0.25, 255 - _colour(rng) * 0.25)[:: 1 if dark else -1]
    sheet = Image.new("RGB", (size, size), tuple(int(v) for v in paper))
    pen = ImageDraw.Draw(sheet)
    top = 2.0
    while top < size:
        height = float(rng.uniform(9, 40))
        letters = rng.choice(list(_LETTERS), int(size / height * 3))
        breaks = rng.random(len(letters)) < 0.18
        line = "".join(" " if gap else letter for letter, gap in zip(letters, breaks, strict=True))
        pen.text(
            (rng.uniform(-8, 8), top),
            line,
            fill=tuple(int(v) for v in ink),
            font=ImageFont.load_default(size=height),
        )
        top += height * 1.2
    return np.asarray(sheet, dtype=np.float64) + noise(rng, size, 0.5)[..., None] * rng.uniform(0, 3)
