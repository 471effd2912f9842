"""Reads what an ONNX file says of itself: inputs, outputs, metadata, and where its weights lie.

Nothing of it runs, and weights are passed over. An ONNX file is one protobuf message (onnx/onnx.proto); only
the fields below are looked at.
"""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import ModelError, UnreadableModelError

MAX_VALUES = 10_000
"""Most inputs, outputs and metadata entries of a file that is taken seriously."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Numbers of fields, by message.
_GRAPH, _METADATA = 7, 14  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # GraphProto
_ATTRIBUTE = 5  # NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11  # AttributeProto
_EXTERNAL_DATA = 13  # TensorProto
_MOST_NESTED = 8

Side = int | None
"""A fixed size of an axis; None where it is free."""


@dataclass(frozen=True)
class Value:
    """An input or output. `kind`: its number type as in TensorProto.DataType (1 float32, 10 float16)."""

    name: str
    kind: int
    shape: tuple[Side, ...]


@dataclass(frozen=True)
class OnnxHeader:
    inputs: tuple[Value, ...]
    """Without those that have a weight of the same name, as early exporters wrote them."""
    outputs: tuple[Value, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    external: tuple[str, ...] = ()
    """Names of the files beside it that hold its weights, as it writes them."""


def read_onnx(path: Path) -> OnnxHeader:
    """Raises `ModelError` for a file that is no ONNX file or is damaged, `UnreadableModelError` for one that
    cannot be read now."""
    name = path.name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{name} is not a regular file; put the model file itself there.")
        if status.st_size == 0:
            raise ModelError(f"{name} is empty; download it again.")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _header(mapped)
    except OSError as error:
        reason = (error.strerror or error.__class__.__name__).lower()
        message = f"{name} cannot be read ({reason}); check that it is there and readable."
        raise UnreadableModelError(message, reason) from None
    except (ValueError, IndexError):
        raise ModelError(f"{name} is no ONNX file or is damaged; download it again.") from None


def _header(data: mmap.mmap) -> OnnxHeader:
    graph: _Span | None = None
    metadata: dict[str, str] = {}
    for number, span in _fields(data, (0, len(data))):
        if number == _GRAPH:
            graph = span
        elif number == _METADATA and len(metadata) < MAX_VALUES:
            entry = {key: _text(data, part) for key, part in _fields(data, span)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    if graph is None:
        raise ValueError("there is no graph")
    inputs: list[Value] = []
    outputs: list[Value] = []
    weights: set[str] = set()
    for number, span in _fields(data, graph):
        if number == _INITIALIZER:
            weights.update(_text(data, part) for key, part in _fields(data, span) if key == 8)
        elif number in (_INPUT, _OUTPUT):
            (inputs if number == _INPUT else outputs).append(_value(data, span))
    if max(len(inputs), len(outputs)) > MAX_VALUES:
        raise ValueError("too many values")
    external = tuple(dict.fromkeys(_external(data, graph, 0)))
    inputs = [each for each in inputs if each.name not in weights]
    return OnnxHeader(tuple(inputs), tuple(outputs), metadata, external)


def _value(data: mmap.mmap, span: _Span) -> Value:
    """ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 } } } }."""
    name, kind = "", 0
    shape: list[Side] = []
    for number, part in _fields(data, span):
        if number == 1:
            name = _text(data, part)
        elif number == 2:
            for _, tensor in (each for each in _fields(data, part) if each[0] == 1):
                for key, inner in _fields(data, tensor):
                    if key == 1:
                        kind = inner[1]
                    elif key == 2:
                        for _, side in (each for each in _fields(data, inner) if each[0] == 1):
                            sizes = [value[1] for which, value in _fields(data, side) if which == 1]
                            shape.append(sizes[0] if sizes and sizes[0] > 0 else None)
    return Value(name, kind, tuple(shape))


def _external(data: mmap.mmap, graph: _Span, depth: int) -> Iterator[str]:
    """Locations of the weights in other files, also of those inside nodes and their subgraphs."""
    if depth > _MOST_NESTED:
        raise ValueError("graphs are nested too deeply")
    for number, span in _fields(data, graph):
        if number == _INITIALIZER:
            yield from _location(data, span)
        elif number == _NODE:
            for key, attribute in _fields(data, span):
                if key != _ATTRIBUTE:
                    continue
                for which, part in _fields(data, attribute):
                    if which in (_TENSOR, _TENSORS):
                        yield from _location(data, part)
                    elif which in (_SUBGRAPH, _SUBGRAPHS):
                        yield from _external(data, part, depth + 1)


def _location(data: mmap.mmap, tensor: _Span) -> Iterator[str]:
    for number, span in _fields(data, tensor):
        if number == _EXTERNAL_DATA:
            entry = {key: _text(data, part) for key, part in _fields(data, span)}
            if entry.get(1) == "location":
                yield entry.get(2, "")


_Span = tuple[int, int]
"""Where a field's bytes begin and end; of a number: 0 and its value."""


def _fields(data: mmap.mmap, span: _Span) -> Iterator[tuple[int, _Span]]:
    """(number, place) of each field of a message. Raises `ValueError` or `IndexError` where it is damaged."""
    at, end = span
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has no number")
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, (0, value)
            continue
        if wire == _BYTES:
            length, at = _varint(data, at, end)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("a field is of an unknown kind")
        if at + length > end:
            raise ValueError("a field is cut off")
        yield number, (at, at + length)
        at += length


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if at >= end:
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number is too long")


def _text(data: mmap.mmap, span: _Span) -> str:
    return data[span[0] : span[1]].decode("utf-8", "replace")
