"""Reading the headers of model files: many on all cores, large ones beside the server.

Run as a program it reads [[kind, path], ...] from its standard input and answers a list of results; that is
how the other cores are used, since threads of one process would take turns.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...errors import ModelError, UnreadableModelError
from .checkpoint import CheckpointInfo, inspect_file, inspect_folder
from .lora import LoraInfo, embedded_picture, inspect_lora, training_metadata
from .safetensors_header import forget_layouts, header_bytes
from .sidecars import read_sidecar

log = logging.getLogger(__name__)

Result = dict[str, Any]
"""{"found": the findings as a table} or {"reason": why there are none, in one sentence}; with "passing",
the system's words, where the file could only not be read now, so that nothing is to be remembered."""
Wanted = tuple[str, str]
"""(kind, path)."""

INSPECT: dict[str, Callable[[Path], Any]] = {
    "lora": inspect_lora,
    "file": inspect_file,
    "folder": inspect_folder,
}
SAYS: dict[str, Callable[[Path], Any]] = {"training": training_metadata, "picture": embedded_picture}
"""What is asked of one LoRA alone."""
WORTH_A_PROCESS = 150
"""Files to read from which on starting another process pays."""
MOST_PROCESSES = 4
LARGE = 5_000_000
"""Bytes of a header from which on another process reads it: understanding it would keep the server from
answering for seconds."""


def read_one(kind: str, path: str) -> Result:
    """Findings of one file or folder; for a note beside a model what it says."""
    try:
        if kind == "sidecar":
            return {"found": read_sidecar(Path(path))}
        if kind in SAYS:
            return {"found": SAYS[kind](Path(path))}
        found = asdict(INSPECT[kind](Path(path)))
        return {"found": json.loads(json.dumps(found))}  # the same, wherever it was read
    except UnreadableModelError as error:
        return {"reason": str(error), "passing": error.why}
    except ModelError as error:
        return {"reason": str(error)}
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return {"reason": f"{Path(path).name} cannot be read ({why}).", "passing": why}
    except Exception:
        # One file must not hide all others, whatever is in it.
        log.exception("%s could not be inspected", path)
        return {"reason": f"{Path(path).name} could not be inspected; the log has the details."}


def findings(kind: str, result: Result) -> CheckpointInfo | LoraInfo | str:
    """A result as what `inspect` gives, or the reason."""
    if "reason" in result:
        return str(result["reason"])
    found = dict(result["found"])
    if kind != "lora":
        return CheckpointInfo(**found | {"notes": tuple(found["notes"])})
    return LoraInfo(**found | {"tags": tuple(found["tags"]), "caveats": tuple(found["caveats"])})


def said_by(path: Path) -> dict[str, Any] | None:
    """What a LoRA file says about itself (`lorafile.training_metadata`); None where it cannot be read."""
    return _of_one("training", path).get("found")


def picture_in(path: Path) -> str:
    """The picture inside a LoRA file as its metadata holds it, a data URL; "" where there is none."""
    return str(_of_one("picture", path).get("found", ""))


def _of_one(kind: str, path: Path) -> Result:
    wanted = (kind, str(path))
    return _beside(wanted) if _is_large(*wanted) else read_one(*wanted)


def _is_large(kind: str, path: str) -> bool:
    """Whether the header of a file, or of one in a folder, is a large one."""
    if kind == "sidecar":
        return False
    try:
        files = Path(path).glob("*/*.safetensors") if kind == "folder" else [Path(path)]
        return any(header_bytes(file) > LARGE for file in files)
    except OSError:  # which is told when it is read
        return False


def _beside(wanted: Wanted) -> Result:
    result = _Helper([wanted]).result()
    if result is None:
        name = Path(wanted[1]).name
        return {"reason": f"{name} has a header that could not be understood; get the file again."}
    return result[0]


def read_many(wanted: Sequence[Wanted]) -> list[Result]:
    """`read_one` for each, in this order; large ones one after another in another process."""
    large = {each for each in wanted if _is_large(*each)}
    beside = {each: _beside(each) for each in large}
    rest = iter(_read_many([each for each in wanted if each not in large]))
    return [beside[each] if each in large else next(rest) for each in wanted]


def _read_many(wanted: Sequence[Wanted]) -> list[Result]:
    cores = min(MOST_PROCESSES, os.cpu_count() or 1, len(wanted) // WORTH_A_PROCESS + 1)
    shares = [wanted[start::cores] for start in range(cores)]
    helpers = [_Helper(share) for share in shares[1:]]
    with _without_collector():
        answers = [[read_one(*each) for each in shares[0]]]
        answers += [helper.answer() for helper in helpers]
    results: list[Result] = [{}] * len(wanted)
    for start, answer in enumerate(answers):
        results[start::cores] = answer
    forget_layouts()
    return results


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """The garbage collector would look through every header's thousands of entries, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Helper:
    """A process that reads a share. Where it fails, the share is read here."""

    def __init__(self, share: Sequence[Wanted]):
        self._share = share
        home = str(Path(__file__).resolve().parents[3])
        paths = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
            )
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(share).encode())
            self._process.stdin.close()
        except OSError as error:
            log.warning("model files are read by one process only (%s)", error)

    def answer(self) -> list[Result]:
        found = self.result()
        return [read_one(*each) for each in self._share] if found is None else found

    def result(self) -> list[Result] | None:
        """What the process answered; None where it failed."""
        if self._process is not None and self._process.stdout is not None:
            with self._process.stdout as answered:
                text = answered.read()
            if self._process.wait() == 0:
                with contextlib.suppress(ValueError):
                    results = json.loads(text)
                    if len(results) == len(self._share):
                        return results
        return None


def main() -> None:
    wanted = json.loads(sys.stdin.buffer.read())
    with _without_collector():
        results = [read_one(kind, path) for kind, path in wanted]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
