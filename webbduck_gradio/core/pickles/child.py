"""The program of the child process: converts one file to safetensors.

Gets its order as JSON in its last argument, writes the new file to standard output, which the parent opened,
and its messages as JSON lines to standard error: {"progress": bytes, "total": bytes}, then {"done": facts} or
{"refused": predicate, "details": traceback}.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, BinaryIO, TypedDict

import torch

from . import container, contents, guards, writer
from .refusal import AGAIN, RefusedError, translated

Progress = Callable[[int, int], None]
MOST_NAMES = 20
"""Of what is left out, in the answer."""


class Order(TypedDict):
    source: str
    kind: str
    metadata: dict[str, str]
    parent: int
    cpu_seconds: float | None


def main() -> None:
    order: Order = json.loads(sys.argv[-1])
    guards.detach(order["parent"])
    out, messages = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(2), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what a library prints must not get among the weights or the messages
        os.dup2(nothing, stream)

    def say(message: Mapping[str, Any]) -> None:
        messages.write(json.dumps(message).encode() + b"\n")
        messages.flush()

    size = os.stat(order["source"]).st_size
    prepare()
    guards.bound(size, order["cpu_seconds"])
    guards.seal([order["source"]])
    try:
        facts = convert(
            order["source"],
            out,
            order["kind"],
            order["metadata"],
            lambda done, total: say({"progress": done, "total": total}),
        )
        out.flush()
        say({"done": facts})
        status = 0
    except BaseException as error:
        say({"refused": translated(error), "details": _details(error)})
        status = 1
    os._exit(status)  # nothing of what was read is called once more


def prepare() -> None:
    """Load all that reading needs, since nothing is imported once the process is sealed."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sample = {"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.bfloat16)}
    with open("sample", "wb") as file:
        torch.save(sample, file)
    torch.load("sample", map_location="cpu", weights_only=True, mmap=True)
    os.unlink("sample")
    for value in (sample, date):
        for layout in (True, False):
            stream = io.BytesIO()
            torch.save(value, stream, _use_new_zipfile_serialization=layout)
            stream.seek(0)
            try:
                torch.load(stream, map_location="cpu", weights_only=True)
            except Exception as error:  # the refusal of what is no weight
                _details(error)
    writer.write(io.BytesIO(), sample, {}, lambda _: None)
    list(contents.shared(sample))


def convert(
    source: str, out: BinaryIO, kind: str, metadata: Mapping[str, str], progress: Progress
) -> dict[str, Any]:
    """Write the weights in the file `source` to `out`.

    `kind`: a key of `contents.WRAPPERS`. `metadata` replaces the file's own of the same names.
    `progress(done, total)` counts bytes of the reading and the writing. Returns the SHA-256 of the source,
    and what was left out or copied. Raises `RefusedError`, and what torch raises (`refusal.translated`).
    """
    with open(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        layout, members = container.check(file, size)
        digest = container.checksums(file, members, lambda done: progress(done, 2 * size))
    # The only call that interprets the file. Anything but torch's list of harmless functions is refused by it.
    loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=layout == "zip")
    found = contents.weights(loaded, kind)
    total = writer.total_bytes(found.tensors)
    if total > guards.most_written(size):
        raise RefusedError(f"claims {total:,} bytes of weights in a file of {size:,}; {AGAIN}")
    copied = len(list(contents.shared(found.tensors)))
    said = found.notes | dict(metadata) | {"webbduck.source_sha256": digest}
    writer.write(out, found.tensors, said, lambda done: progress(size + done, size + total))
    return {
        "sha256": digest,
        "tensors": len(found.tensors),
        "left_out": found.left_out[:MOST_NAMES],
        "left_out_count": len(found.left_out),
        "copied": copied,
    }


def _details(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]


if __name__ == "__main__":
    main()
