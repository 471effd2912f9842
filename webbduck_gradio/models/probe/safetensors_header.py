"""Reads the header of a safetensors file: names, types and shapes of its tensors, and its metadata.

Only the header is read, so a file of several gigabytes takes milliseconds, and no code in it can run. The
format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import stat
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...errors import ModelError, UnreadableModelError

MAX_HEADER = 100_000_000
"""Maximum header size in bytes, as in the safetensors library."""

PICKLE_ENDINGS = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
_PICKLE = "is a pickle file, which could run arbitrary code when loaded; "
PICKLE_REASON = _PICKLE + "press Convert beside it in the LoRAs tab, or get it as .safetensors"
PICKLE_PART_REASON = _PICKLE + "get it as .safetensors"
"""Of a part of a folder, which is not converted by itself."""

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip

_COLUMNS = itemgetter("dtype", "shape", "data_offsets")


class Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]


class Tensors(Mapping[str, Tensor]):
    """The tensors of a validated header, created lazily since most of thousands are never accessed."""

    def __init__(self, raw: dict[str, dict[str, Any]]):
        self._raw = raw
        self.derived: dict[Hashable, Any] = {}
        """Cache of facts derived from these tensors, for files that share them."""

    def __getitem__(self, name: str) -> Tensor:
        entry = self._raw[name]
        return Tensor(entry["dtype"], tuple(entry["shape"]))

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


@dataclass(frozen=True)
class Header:
    """`tensors` by name; `metadata` as in the file (text values, not validated)."""

    tensors: Mapping[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)
    axes: frozenset[int] = frozenset(range(9))
    """Numbers of dimensions of its tensors, a quick check for 4-D ones."""
    odd: tuple[str, ...] = ()
    """Keys of metadata values that are not text; the safetensors library rejects such files."""

    @property
    def derived(self) -> dict[Hashable, Any]:
        """What was derived from its tensors: shared by files of the same table, so without their names."""
        return self.tensors.derived if isinstance(self.tensors, Tensors) else {}

    @property
    def all_names(self) -> str:
        """The names of its tensors, one per line."""
        derived = self.derived
        if "names" not in derived:
            derived["names"] = "\n".join(self.tensors)
        return str(derived["names"])

    def width(self, name: str) -> int | None:
        """Size of the last axis of tensor `name`; None if there is no such tensor."""
        tensor = self.tensors.get(name)
        return tensor.shape[-1] if tensor and tensor.shape else None


def read_header(path: Path) -> Header:
    """Read and validate the header of `path`. Raises `ModelError` with a sentence about the damage."""
    name = path.name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{name} is not a regular file; put the model file itself there.")
        if status.st_size == 0:
            raise ModelError(f"{name} is empty; download it again.")
        with path.open("rb") as file:
            start = file.read(512)
            length = int.from_bytes(start[:8], "little")
            _check_start(name, start, length, status.st_size)
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        reason = (error.strerror or error.__class__.__name__).lower()
        text_of = f"{name} cannot be read ({reason}); check that it is there and readable."
        raise UnreadableModelError(text_of, reason) from None
    if len(text) < length:
        raise ModelError(f"{name} is cut off in its header; download it again.")
    return _parse_header(name, text, status.st_size - 8 - length)


def header_bytes(path: Path) -> int:
    """Declared length of the header; 0 if it cannot be read."""
    try:
        # Without O_NONBLOCK, opening a FIFO would block until there is a writer.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            is_file = stat.S_ISREG(os.fstat(handle).st_mode)
            return int.from_bytes(os.read(handle, 8), "little") if is_file else 0
        finally:
            os.close(handle)
    except OSError:
        return 0


def _check_start(name: str, start: bytes, length: int, size: int) -> None:
    # The length bytes may happen to look like another format's signature; the brace decides.
    other = None if start[8:9] == b"{" and length <= size - 8 else _other_file_type(start)
    if other:
        raise ModelError(f"{name} is not a safetensors file: it {other}.")
    if len(start) < 8:
        raise ModelError(f"{name} is cut off in its header; download it again.")
    if not any(start):
        raise ModelError(f"{name} holds only zeros, so its download did not finish; download it again.")
    if length > MAX_HEADER:
        raise ModelError(f"{name} is not a safetensors file; check what was downloaded.")
    if length > size - 8:
        raise ModelError(f"{name} is cut off in its header; download it again.")


def _other_file_type(start: bytes) -> str | None:
    """Other file types that are often saved under this name by mistake, by their first bytes."""
    text = start.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return "is the pointer of a Git LFS repository; fetch the file itself with `git lfs pull`"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, probably an error or log-in page that was saved instead; download it again"
    if start.startswith(b"PK\x03\x04") or start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return _PICKLE + "name it .ckpt and convert it, or get it as .safetensors"
    if start.startswith(b"GGUF"):
        return "is a GGUF file, which is not supported; get the safetensors version"
    return None


_METADATA = re.compile(r"\s*\{\s*\"__metadata__\"\s*:\s*(?=\{)")
_NEXT = re.compile(r"\s*(?:,\s*(?=\")|(?=\}))")


class _OddMetadataError(ValueError):
    """The header's metadata is not a JSON object."""


def _parse_header(name: str, text: bytes, data_size: int) -> Header:
    """Parse the header in `text`, which must describe exactly `data_size` bytes."""
    try:
        metadata, rest = _split(text.decode())
        layout = _layout(rest)
    except _OddMetadataError:
        raise ModelError(f"{name} has metadata that is not a JSON object; get the file again.") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{name} has a damaged header; download it again.") from None
    if not layout.tensors:
        raise ModelError(f"{name} holds no weights; download it again.")
    if layout.reached > data_size:
        raise ModelError(
            f"{name} is incomplete: {layout.reached - data_size:,} of {layout.reached:,} bytes are missing; "
            "download it again."
        )
    if layout.reached < data_size:
        raise ModelError(
            f"{name} is damaged: it has {data_size - layout.reached:,} bytes too many at its end; "
            "download it again."
        )
    said = layout.metadata or metadata
    texts = {str(key): value for key, value in said.items() if isinstance(value, str)}
    odd = tuple(str(key) for key, value in said.items() if not isinstance(value, str))
    return Header(layout.tensors, texts, layout.axes, odd)


def _split(text: str) -> tuple[dict[str, Any], str]:
    """Split off the metadata, which nearly always comes first, from the JSON of the rest."""
    start = _METADATA.match(text)
    if start is None:
        return {}, text
    metadata, end = json.JSONDecoder().raw_decode(text, start.end())
    after = _NEXT.match(text, end)
    if after is None:
        raise ValueError("something else follows the metadata")
    return metadata, "{" + text[after.end() :]


class _Layout(NamedTuple):
    """The tensors and their total size in bytes (`reached`)."""

    tensors: Tensors
    metadata: dict[str, Any]
    axes: frozenset[int]
    reached: int


@functools.lru_cache(maxsize=48)
def _layout(text: str) -> _Layout:
    """Parse and validate: types, shapes and offsets must match without gaps. Raises ValueError.

    Cached for a few texts: files from the same trainer often differ only in their metadata, and a folder may
    hold thousands of them.
    """
    raw = orjson.loads(text)
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    metadata = raw.pop("__metadata__", None)
    if not isinstance(metadata, dict | None):
        raise _OddMetadataError
    metadata = metadata or {}
    if not raw:
        return _Layout(Tensors({}), metadata, frozenset(), 0)
    # By columns, for speed: a LoRA has thousands of tensors.
    try:
        dtypes, shapes, offsets = zip(*map(_COLUMNS, raw.values()), strict=True)
        kinds = {*map(type, dtypes)}, {*map(type, shapes)}, {*map(type, offsets)}, {*map(len, offsets)}
        numbers = {*map(type, chain.from_iterable(shapes)), *map(type, chain.from_iterable(offsets))}
    except (TypeError, KeyError):
        raise ValueError("an entry is no tensor") from None
    if kinds != ({str}, {list}, {list}, {2}) or numbers != {int}:
        raise ValueError("an entry is no tensor")
    if min(chain.from_iterable(shapes), default=0) < 0:
        raise ValueError("a negative size")
    spans = [(end - begin) * 8 for begin, end in offsets]
    sizes = list(map(math.prod, shapes))
    for dtype in {*dtypes} & _BITS.keys():
        bits = _BITS[dtype]
        if len({*dtypes}) == 1:
            fits = [size * bits for size in sizes] == spans
        else:
            rows = zip(dtypes, sizes, spans, strict=True)
            fits = all(size * bits == span for own, size, span in rows if own == dtype)
        if not fits:
            raise ValueError("a shape that does not fit its place")
    begins, ends = zip(*offsets, strict=True)
    if begins[1:] != ends[:-1]:
        begins, ends = zip(*sorted(offsets), strict=True)
    if begins[0] != 0 or begins[1:] != ends[:-1]:
        raise ValueError("a gap or an overlap")
    return _Layout(Tensors(raw), metadata, frozenset(map(len, shapes)), ends[-1])


def clear_layout_cache() -> None:
    """Clear the cache, after many files have been read."""
    _layout.cache_clear()
