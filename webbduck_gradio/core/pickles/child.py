"""The program of the child process: converts one file to safetensors.

Gets its order as JSON in its last argument, writes the new file to standard output, which the parent opened,
and its messages as JSON lines to standard error: {"progress": bytes, "total": bytes}, then {"done": facts} or
{"refused": predicate, "details": traceback}.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, BinaryIO, TypedDict

import torch

from ...models.probe.converted import SOURCE_SHA256
from . import container, contents, guards, writer
from .refusal import AGAIN, RefusedError, translated

Progress = Callable[[int, int], None]
MOST_NAMES = 20
"""Of what is left out, in the answer."""


STEPS = 200
"""Messages about the progress, at most."""


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

    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done - told >= total / STEPS or done >= total:
            told = done
            say({"progress": done, "total": total})

    def say(message: Mapping[str, Any]) -> None:
        messages.write(json.dumps(message).encode() + b"\n")
        messages.flush()

    size = os.stat(order["source"]).st_size
    prepare()
    guards.bound(size, order["cpu_seconds"])
    guards.seal([order["source"]])
    try:
        facts = convert(order["source"], out, order["kind"], order["metadata"], progress)
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
        harmless = torch._weights_only_unpickler._get_allowed_globals()
        layout, members = container.check(file, size, harmless)
        digest = container.checksums(file, members, lambda done: progress(done, 2 * size))
    # The only call that interprets the file. It refuses all but torch's own list of harmless functions.
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=layout == "zip")
    except pickle.UnpicklingError as error:
        raise RefusedError(_first_harmful(source, members, harmless) or translated(error)) from None
    found = contents.weights(loaded, kind)
    total = writer.total_bytes(found.tensors)
    if total > guards.most_written(size):
        raise RefusedError(f"claims {total:,} bytes of weights in a file of {size:,}; {AGAIN}")
    copied = len(list(contents.shared(found.tensors)))
    said = found.notes | dict(metadata) | {SOURCE_SHA256: digest}
    writer.write(out, found.tensors, said, lambda done: progress(size + done, size + total))
    return {
        "sha256": digest,
        "tensors": len(found.tensors),
        "left_out": found.left_out[:MOST_NAMES],
        "left_out_count": len(found.left_out),
        "copied": copied,
    }


def _first_harmful(source: str, members: list[container.Member], harmless: Collection[str]) -> str | None:
    """What a zip file's pickle asks for, also where torch's reader stopped before that."""
    place = next((each for each in members if each.name.endswith("/data.pkl")), None)
    if place is None:
        return None
    with open(source, "rb") as file:
        file.seek(place.start)
        return container.first_harmful(io.BytesIO(file.read(place.size)), harmless)


def _details(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]
