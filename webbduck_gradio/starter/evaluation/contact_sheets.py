"""Contact sheets: labelled images in a grid, small enough to be committed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CELL = 176
_TEXT = 34


def contact_sheet(pictures: Sequence[np.ndarray], labels: Sequence[str], columns: int = 8) -> Image.Image:
    """Images in square cells, row by row, each with up to three lines of its label."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * _CELL, rows * (_CELL + _TEXT)), (24, 24, 28))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=10)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = (index % columns) * _CELL, (index // columns) * (_CELL + _TEXT)
        image = Image.fromarray(picture)
        image.thumbnail((_CELL - 2, _CELL - 2), Image.Resampling.LANCZOS)
        sheet.paste(image, (left + (_CELL - image.width) // 2, top + (_CELL - image.height) // 2))
        for line, text in enumerate(textwrap.wrap(label, 34)[:3]):
            pen.text((left + 4, top + _CELL + line * 11 - 1), text, fill=(214, 214, 220), font=font)
    return sheet


def save_jpeg(image: Image.Image, path: Path, limit: int = 400_000) -> None:
    """Save at the highest quality below `limit` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in (90, 85, 80, 74, 68, 60, 50):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size < limit:
            return
