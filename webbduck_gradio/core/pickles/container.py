"""Checks a pickle's container before torch reads it: which kind it is, and whether its parts add up.

torch's own layouts: since 1.6 a zip file whose members are stored uncompressed (`NAME/data.pkl`,
`NAME/data/0`, ...), before that a row of pickles followed by the bare weights.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401 (zipfile reads names with it, and imports it late)
import hashlib
import pickletools
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO, Literal, NamedTuple

from .refusal import AGAIN, RefusedError, asks_for

Container = Literal["zip", "legacy"]
MOST_PICKLE = 64 * 2**20
"""Bytes of the pickle itself; that of an SDXL checkpoint takes 0.4 MB."""
MOST_MEMBERS = 100_000
CHUNK = 4 * 2**20
_LOCAL_HEADER = 30
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""How torch's older layout begins: its magic number as a pickle."""


class Member(NamedTuple):
    name: str
    start: int
    """Where its bytes begin in the file."""
    size: int
    crc: int


def check(file: BinaryIO, size: int, harmless: Collection[str]) -> tuple[Container, list[Member]]:
    """The kind of a file of `size` bytes and the members of a zip file, by their place. `harmless`: names of
    what weights need. Raises `RefusedError`."""
    start = file.read(512)
    if start.startswith(b"PK\x03\x04"):
        return "zip", _members(file, size)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size:
        raise RefusedError("is a safetensors file already; give it the ending .safetensors")
    if len(start) > 262 and start[257:262] == b"ustar":
        raise RefusedError(f"is a tar archive of a PyTorch before 0.2, which is not read; {AGAIN}")
    if start.startswith(b"\x80") or start[:1] in (b"c", b"(", b"}", b"]"):
        if start.startswith(_LEGACY):
            return "legacy", []
        file.seek(0)
        found = first_harmful(file, harmless)
        raise RefusedError(found or f"is a pickle, but holds no weights of PyTorch; {AGAIN}")
    raise RefusedError(f"is no file that PyTorch wrote; {AGAIN}")


def _members(file: BinaryIO, size: int) -> list[Member]:
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OSError, UnicodeError):
        raise RefusedError(f"is cut off or damaged; {AGAIN}") from None
    if len(entries) > MOST_MEMBERS:
        raise RefusedError(f"has {len(entries):,} parts, far more than any model; {AGAIN}")
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise RefusedError(f"has two parts of one name; {AGAIN}")
    tops = {name.partition("/")[0] for name in names}
    if any(name.partition("/")[2].startswith(("code/", "constants.pkl")) for name in names):
        raise RefusedError(
            "is a TorchScript archive, which holds a program beside its weights; get it as .safetensors"
        )
    if len(tops) != 1 or f"{next(iter(tops))}/data.pkl" not in names:
        raise RefusedError(f"is a zip file, but not one that PyTorch wrote; {AGAIN}")
    found = []
    for entry in entries:
        _check_entry(entry)
        found.append(Member(entry.filename, _data_start(file, entry, size), entry.file_size, entry.CRC))
    found.sort(key=lambda each: each.start)
    reached = 0
    for each in found:
        if each.start < reached or each.start + each.size > size:
            raise RefusedError(f"is damaged: its parts overlap or reach beyond its end; {AGAIN}")
        reached = each.start + each.size
    return found


def _check_entry(entry: zipfile.ZipInfo) -> None:
    inner = entry.filename.split("/")[1:]
    if ".." in inner or "\\" in entry.filename or "\0" in entry.orig_filename or entry.filename[:1] == "/":
        raise RefusedError(f"has a part whose name leads out of it; {AGAIN}")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise RefusedError(f"has a link among its parts, which PyTorch does not write; {AGAIN}")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise RefusedError(f"has compressed parts, which PyTorch does not write; {AGAIN}")
    if entry.flag_bits & 0x1:
        raise RefusedError(f"has encrypted parts, which PyTorch does not write; {AGAIN}")
    if inner == ["data.pkl"] and entry.file_size > MOST_PICKLE:
        raise RefusedError(
            f"describes its weights in {entry.file_size:,} bytes, far more than any model; {AGAIN}"
        )


def _data_start(file: BinaryIO, entry: zipfile.ZipInfo, size: int) -> int:
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise RefusedError(f"is cut off or damaged; {AGAIN}")
    name, extra = struct.unpack("<HH", header[26:30])
    return entry.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def checksums(file: BinaryIO, members: list[Member], progress: Callable[[int], None]) -> str:
    """SHA-256 of the whole file; meanwhile the checksum of each member is compared. `progress(bytes)`.

    Raises `RefusedError` for a damaged member. torch can be told to write none; then all of them differ.
    """
    whole, at, current, crc = hashlib.sha256(), 0, 0, 0
    wrong: list[str] = []
    checked = 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        whole.update(chunk)
        end = at + len(chunk)
        while current < len(members) and members[current].start < end:
            member = members[current]
            stop = member.start + member.size
            crc = zlib.crc32(chunk[max(0, member.start - at) : max(0, stop - at)], crc)
            if stop > end:
                break
            checked += member.size > 0
            if crc != member.crc:
                wrong.append(member.name)
            current, crc = current + 1, 0
        at = end
        progress(at)
    if wrong and len(wrong) < max(2, checked):
        raise RefusedError(f"is damaged: the checksum of its part {wrong[0][:80]!r} does not match; {AGAIN}")
    return whole.hexdigest()


def first_harmful(stream: BinaryIO, harmless: Collection[str]) -> str | None:
    """The predicate about the first function or class that a pickle asks for beside the `harmless` ones; None
    if there is none. For a better sentence only: torch's reader decides."""
    try:
        for name in _globals(stream):
            if name not in harmless:
                return asks_for(name)
    except Exception:
        return None
    return None


def _globals(stream: BinaryIO) -> Iterator[str]:
    texts: list[str] = []
    for opcode, argument, position in pickletools.genops(stream):
        if position is not None and position > MOST_PICKLE:
            return
        if isinstance(argument, str) and "UNICODE" in opcode.name:
            texts = [*texts[-1:], argument]
        if opcode.name in ("GLOBAL", "INST") and isinstance(argument, str):
            # Protocol 2 has the names of Python 2.
            yield argument.replace(" ", ".", 1).replace("__builtin__.", "builtins.", 1)
        elif opcode.name == "STACK_GLOBAL" and len(texts) == 2:
            yield ".".join(texts)
