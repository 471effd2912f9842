"""Pickles as programs write them, and such that attack whoever reads them."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HUGE = 2**40
CHAIN = (
    b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\nX\x02\0\0\0os\x85R"
    b"X\x06\0\0\0system\x86RX\x04\0\0\0true\x85R."
)
"""getattr(__import__("os"), "system")("true")"""


class Calls:
    """Pickled, it makes a reader call `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any):
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


class Stored:
    """Pickled, it stands for a storage of so many float32 numbers under this key."""

    def __init__(self, key: str, numbers: int):
        self.id = "storage", torch.FloatStorage, key, "cpu", numbers


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.id if isinstance(value, Stored) else None


def pickled(value: Any, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def tensor(stored: Stored, shape: tuple[int, ...], strides: tuple[int, ...]) -> Calls:
    return Calls(torch._utils._rebuild_tensor_v2, stored, 0, shape, strides, False, OrderedDict())


def archive(
    path: Path, data: bytes, parts: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED
) -> None:
    """A zip file as torch lays it out. `parts`: further members, by their whole name."""
    members = {"archive/data.pkl": data, "archive/version": b"3\n", "archive/byteorder": b"little"}
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in (members | (parts or {})).items():
            file.writestr(name, content)


def legacy(path: Path, data: bytes) -> None:
    """torch's layout before 1.6, with `data` in the place of the object."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    path.write_bytes(head + pickle.dumps(about, 2) + data + pickle.dumps([], 2))


def laughs(levels: int) -> Any:
    """A list that takes little and would be 2**levels long if somebody walked through it."""
    value: Any = ["ha"]
    for _ in range(levels):
        value = [value, value]
    return value


def slow_key(levels: int) -> bytes:
    """A dict whose key takes 2**levels steps to hash: pairs of the same pair, through the memo."""
    return b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * levels + b"}h\x00K\x01s."


def nested(levels: int) -> bytes:
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


def _script(path: Path) -> None:
    """By the names that torch.jit.save gives its parts."""
    program = b"class Linear(Module):\n  pass\n"
    parts = {"archive/constants.pkl": pickled(()), "archive/code/__torch__.py": program}
    archive(path, pickled({}), parts)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        file.addfile(tarfile.TarInfo("storages"))


def _bomb(path: Path) -> None:
    archive(path, pickled({}), {"archive/data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)


def _link(path: Path) -> None:
    archive(path, pickled({}))
    with zipfile.ZipFile(path, "a") as file:
        entry = zipfile.ZipInfo("archive/data/0")
        entry.external_attr = 0o120777 << 16
        file.writestr(entry, "/etc/passwd")


def _doubled(path: Path) -> None:
    archive(path, pickled({}), {"archive/data.pkz": b"x"})
    path.write_bytes(path.read_bytes().replace(b"data.pkz", b"data.pkl"))


def _cut(path: Path) -> None:
    torch.save({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-200])


def _wrong_sum(path: Path) -> None:
    torch.save({"a": torch.ones(100)}, path)
    data = bytearray(path.read_bytes())
    data[data.index(struct.pack("<f", 1.0) * 50) + 9] ^= 1
    path.write_bytes(data)


def attacks(canary: Path) -> dict[str, tuple[Callable[[Path], object], str]]:
    """By name: how the file is written, and words of the sentence about it. Whoever obeys one writes
    `canary`."""
    write = f"open({str(canary)!r}, 'w').close()"
    system = Calls(os.system, f"touch '{canary}'")
    inner = pickle.dumps(system)
    one = {"archive/data/0": bytes(64)}

    def zipped(value: Any, parts: dict[str, bytes] | None = None) -> Callable[[Path], object]:
        return lambda path: archive(path, pickled(value), parts)

    return {
        "system": (zipped({"a": system}), "asks for `posix.system`"),
        "system in the old layout": (lambda path: legacy(path, pickled(system)), "asks for `posix.system`"),
        "bare pickle": (lambda path: path.write_bytes(pickled(system)), "asks for `posix.system`"),
        "bare pickle, text": (lambda path: path.write_bytes(pickled(system, 0)), "asks for `posix.system`"),
        "bare pickle, protocol 4": (lambda path: path.write_bytes(pickled(system, 4)), "`posix.system`"),
        "protocol 4": (lambda path: archive(path, pickled(system, 4)), "`posix.system`"),
        "eval": (zipped(Calls(eval, write)), "asks for `builtins.eval`"),
        "exec": (zipped(Calls(exec, write)), "asks for `builtins.exec`"),
        "chain": (lambda path: archive(path, CHAIN), "asks for `builtins.getattr`"),
        "torch.load": (zipped(Calls(torch.load, "x", None)), "asks for `torch.serialization.load`"),
        "hub": (zipped(Calls(torch.hub.load, "x", "y")), "asks for `torch.hub.load`"),
        "pickle in a pickle": (zipped(Calls(pickle.loads, inner)), "asks for `pickle.loads`"),
        "file": (zipped(Calls(open, str(canary), "w")), "asks for `io.open`"),
        "storage of a terabyte": (
            zipped({"a": tensor(Stored("0", HUGE), (HUGE,), (1,))}, one),
            "; get it again",
        ),
        "terabyte in the old layout": (
            lambda path: legacy(path, pickled({"a": tensor(Stored("0", HUGE), (HUGE,), (1,))})),
            "",
        ),
        "one number, repeated": (
            zipped({"a": tensor(Stored("0", 16), (HUGE,), (0,))}, one),
            "claims 4,398,046,511,104 bytes of weights in a file of",
        ),
        "beyond its storage": (zipped({"a": tensor(Stored("0", 16), (64,), (1,))}, one), ""),
        "negative strides": (zipped({"a": tensor(Stored("0", 16), (4,), (-1,))}, one), ""),
        "bytes": (zipped({"a": Calls(bytearray, HUGE)}), "far more memory"),
        "laughs": (zipped({"a": laughs(60)}), "holds no weights"),
        "deep": (lambda path: archive(path, nested(200_000)), "holds no list of named weights"),
        "zip bomb": (_bomb, "has compressed parts"),
        "link": (_link, "has a link among its parts"),
        "leads out": (zipped({}, {"archive/../../out": b"x"}), "whose name leads out of it"),
        "two of a name": (_doubled, "has two parts of one name"),
        "TorchScript": (_script, "is a TorchScript archive"),
        "tar": (_tar, "is a tar archive"),
        "other zip": (lambda path: zipfile.ZipFile(path, "w").writestr("a.txt", "x"), "not one that PyTorch"),
        "cut off": (_cut, "cut off or damaged"),
        "wrong checksum": (_wrong_sum, "checksum of its part"),
        "sparse": (lambda path: torch.save({"a": torch.eye(3).to_sparse()}, path), "sparse"),
        "on no device": (lambda path: torch.save({"a": torch.ones(3, device="meta")}, path), "special kind"),
        "list": (lambda path: torch.save([torch.ones(2)], path), "holds no list of named weights"),
        "numbers as names": (lambda path: torch.save({1: torch.ones(2)}, path), "no usual text"),
        "header's name": (lambda path: torch.save({"__metadata__": torch.ones(2)}, path), "no usual text"),
        "safetensors": (
            lambda path: path.write_bytes(b"\2" + bytes(7) + b"{}"),
            "is a safetensors file already",
        ),
        "text": (lambda path: path.write_bytes(b"hello"), "is no file that PyTorch wrote"),
        "nothing": (lambda path: path.write_bytes(b""), "is no file that PyTorch wrote"),
    }


def mutated(data: bytes, seed: int) -> bytes:
    """With a few bytes changed, a part missing, or a part of zeros."""
    draw = random.Random(seed)
    changed = bytearray(data)
    kind = seed % 4
    if kind == 3:
        return bytes(changed[: draw.randrange(len(changed))])
    if kind == 2:
        start = draw.randrange(len(changed))
        stop = min(len(changed), start + draw.randint(1, 64))
        changed[start:stop] = bytes(stop - start)
    else:
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)
