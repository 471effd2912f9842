"""Why a file is not converted: what the child process answers, as a predicate for the file's name."""

from __future__ import annotations

import pickle
import re
import struct

from . import guards

AGAIN = "get it again, or as .safetensors"
_GLOBAL = re.compile(r"GLOBAL ([^\s]+) (?:was not|whose module)|(?:unrecognized function|but got) (.{1,200})")
_OPERAND = re.compile(r"Unsupported operand (\d+)")
_MEMORY = re.compile(r"can't allocate memory|not enough memory|Cannot allocate memory|std::bad_alloc", re.I)
_CUT = re.compile(r"central directory|unexpected EOF|unexpected pos|file in archive is not in", re.I)


class RefusedError(Exception):
    """The file is not converted; the text is a predicate for its name."""


def asks_for(name: str) -> str:
    """`name`: of the function or class that a pickle wants to call."""
    shown = "".join(each for each in name if each.isprintable() and each not in "`<>")[:120]
    return (
        f"asks for `{shown}`, which is not part of plain weights and could run code; "
        "it was not opened any further"
    )


def translated(error: BaseException) -> str:
    """The predicate for an error of torch's reader."""
    text = str(error)
    if guards.forbidden:
        return f"made its reader ask for `{guards.forbidden[0]}`, which is refused; it is not converted"
    if isinstance(error, RefusedError):
        return text
    if isinstance(error, MemoryError) or _MEMORY.search(text):
        return f"asks for far more memory than a file of its size needs; {AGAIN}"
    if isinstance(error, pickle.UnpicklingError) and (found := _GLOBAL.search(text)):
        return asks_for(found[1] or found[2])
    if found := _OPERAND.search(text):
        return (
            f"uses an instruction of pickle ({int(found[1]):#04x}) that torch's reader of plain weights does "
            f"not take; {AGAIN}"
        )
    if isinstance(error, RecursionError):
        return f"is nested too deeply to hold plain weights; {AGAIN}"
    if isinstance(error, EOFError) or (isinstance(error, RuntimeError) and _CUT.search(text)):
        return f"is cut off or damaged; {AGAIN}"
    if isinstance(error, OSError) and not isinstance(error, PermissionError):
        return f"could not be read or written ({(error.strerror or type(error).__name__).lower()})"
    what = "struct.error" if isinstance(error, struct.error) else type(error).__name__
    return f"is damaged, or holds something else than weights ({what}); {AGAIN}"
