"""What a converted file says of the pickle that it was made from, in its header's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ...errors import ModelError
from .safetensors_header import read_header

SOURCE, SOURCE_BYTES, SOURCE_SHA256 = (
    "webbduck.converted_from",
    "webbduck.source_bytes",
    "webbduck.source_sha256",
)
CONVERTED_AT = "webbduck.converted_at"


def source_in(metadata: Mapping[str, str]) -> str:
    """Name of the pickle that a file was converted from; "" for any other file."""
    return metadata.get(SOURCE, "")[:255]


def is_converted(pickle: Path, result: Path) -> bool:
    """Whether `result` is what `pickle`, as it is now, was converted to."""
    try:
        size, status = pickle.stat().st_size, result.stat()
    except OSError:
        return False
    said = _said(result, status.st_mtime_ns, status.st_size)
    return said == (pickle.name, str(size))


def source_of(path: Path) -> str:
    """As `source_in`, of a file; "" also where it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return _said(path, status.st_mtime_ns, status.st_size)[0] if path.suffix == ".safetensors" else ""


@lru_cache(512)
def _said(path: Path, _modified: int, _size: int) -> tuple[str, str]:
    """Name and size of its source, by its header, which is read once."""
    try:
        metadata = read_header(path).metadata
    except ModelError:
        return "", ""
    return source_in(metadata), metadata.get(SOURCE_BYTES, "")
