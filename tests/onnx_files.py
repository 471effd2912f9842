"""Small ONNX files, written by hand as protobuf, so that the tests need no package for it.

`yolo` makes working detectors in YOLO v8's layouts that find colours: "red" and "blue".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy

CELL, PROTOTYPE = 8, 4
"""Pixels of an anchor's side, and of a prototype's."""
MASKS = 32
FLOAT32, INT64, FLOAT16 = 1, 7, 10
NAMES = {0: "red", 1: "blue"}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: numpy.ndarray) -> bytes:
    kinds = {"float32": FLOAT32, "int64": INT64, "float16": FLOAT16}
    return (
        b"".join(number(1, side) for side in values.shape)
        + number(2, kinds[values.dtype.name])
        + part(8, name)
        + part(9, values.tobytes())
    )


def outside(name: str, location: str) -> bytes:
    """A tensor of one number whose data lies in another file."""
    entry = part(13, part(1, "location") + part(2, location))
    return number(1, 1) + number(2, FLOAT32) + part(8, name) + number(14, 1) + entry


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
    content = b"".join(part(1, name) for name in inputs) + part(2, output) + part(4, operator)
    for name, value in attributes.items():
        if isinstance(value, int):
            content += part(5, part(1, name) + number(3, value) + number(20, 2))
        else:
            content += part(5, part(1, name) + b"".join(number(8, each) for each in value) + number(20, 7))
    return content


def value(name: str, shape: Iterable[int | str], kind: int = FLOAT32) -> bytes:
    sides = (part(1, number(1, side) if isinstance(side, int) else part(2, side)) for side in shape)
    return part(1, name) + part(2, part(1, number(1, kind) + part(2, b"".join(sides))))


def save(
    path: Path,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    nodes: Sequence[bytes] = (),
    weights: Sequence[bytes] = (),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    graph = b"".join(part(1, each) for each in nodes) + part(2, "g")
    graph += b"".join(part(5, each) for each in weights)
    graph += b"".join(part(11, each) for each in inputs) + b"".join(part(12, each) for each in outputs)
    model = number(1, 8) + part(8, part(1, "") + number(2, 13)) + part(7, graph)
    for key, text in (metadata or {}).items():
        model += part(14, part(1, key) + part(2, text))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model)
    return path


def yolo(
    path: Path,
    size: tuple[int, int] = (64, 64),
    box: float = CELL,
    masks: bool = False,
    is_dynamic: bool = False,
    metadata: Mapping[str, str] | None = None,
    rows: int | str | None = None,
) -> Path:
    """A detector with an input of `size` (width, height): each cell's score is how red, or blue, it is, and
    its box `box` pixels wide. With `masks`, in the segment layout: the mask is what is red. `rows`: what its
    header says of them, None = the truth."""
    width, height = size
    columns, lines = width // CELL, height // CELL
    count = lines * columns
    colours = numpy.zeros((2, 3, CELL, CELL), numpy.float32)
    for each, own in ((0, 0), (1, 2)):
        colours[each] = -0.5 / CELL**2
        colours[each, own] = 1 / CELL**2
    x, y = numpy.meshgrid((numpy.arange(columns) + 0.5) * CELL, (numpy.arange(lines) + 0.5) * CELL)
    boxes = numpy.stack([x.ravel(), y.ravel(), numpy.full(count, box), numpy.full(count, box)])
    weights = [
        tensor("colours", colours),
        tensor("boxes", boxes[None].astype(numpy.float32)),
        tensor("shape", numpy.array([1, 2, count], numpy.int64)),
    ]
    nodes = [
        node("Conv", ["images", "colours"], "conv", kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        node("Relu", ["conv"], "relu"),
        node("Reshape", ["relu", "shape"], "scores"),
    ]
    joined = ["boxes", "scores"]
    outputs = [value("output0", (1, rows or 6 + MASKS * masks, count))]
    if masks:
        coefficients = numpy.zeros((1, MASKS, count), numpy.float32)
        coefficients[:, 0] = 40
        kernel = numpy.zeros((MASKS, 3, PROTOTYPE, PROTOTYPE), numpy.float32)
        kernel[0] = -0.5 / PROTOTYPE**2
        kernel[0, 0] = 1 / PROTOTYPE**2
        bias = numpy.zeros(MASKS, numpy.float32)
        bias[0] = -0.5
        weights += [tensor("coefficients", coefficients), tensor("kernel", kernel), tensor("bias", bias)]
        strides = [PROTOTYPE, PROTOTYPE]
        nodes.append(
            node("Conv", ["images", "kernel", "bias"], "output1", kernel_shape=strides, strides=strides)
        )
        joined.append("coefficients")
        outputs.append(value("output1", (1, MASKS, height // PROTOTYPE, width // PROTOTYPE)))
    nodes.append(node("Concat", joined, "output0", axis=1))
    shape: tuple[int | str, ...] = (1, 3, "height", "width") if is_dynamic else (1, 3, height, width)
    said = {"names": str(NAMES), "imgsz": str([height, width]), "task": "segment" if masks else "detect"}
    return save(path, [value("images", shape)], outputs, nodes, weights, metadata or said)
