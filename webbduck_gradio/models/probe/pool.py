"""Probes model files: many on all cores, files with large headers in a separate process.

As a program it reads [[kind, path], ...] from standard input and prints a list of results. Subprocesses are
needed because threads of one process share the GIL.
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
from .safetensors_header import clear_layout_cache, header_bytes
from .sidecars import read_sidecar

log = logging.getLogger(__name__)

Result = dict[str, Any]
"""{"found": probe result as a dict} or {"reason": why there is none, in one sentence}. "passing", the
system's error text, marks a temporary read error, which must not be cached."""
Wanted = tuple[str, str]
"""(kind, path)."""

INSPECT: dict[str, Callable[[Path], Any]] = {
    "lora": inspect_lora,
    "file": inspect_file,
    "folder": inspect_folder,
}
QUERIES: dict[str, Callable[[Path], Any]] = {"training": training_metadata, "picture": embedded_picture}
"""Queries about a single LoRA."""
WORTH_A_PROCESS = 150
"""Number of files for which starting another process pays off."""
MOST_PROCESSES = 4
LARGE = 5_000_000
"""Size of a header, in bytes, from which it is parsed in another process, as that would block the server for
seconds."""


def read_one(kind: str, path: str) -> Result:
    """The probe result of one file or folder, or the content of a sidecar file."""
    try:
        if kind == "sidecar":
            return {"found": read_sidecar(Path(path))}
        if kind in QUERIES:
            return {"found": QUERIES[kind](Path(path))}
        found = asdict(INSPECT[kind](Path(path)))
        return {"found": json.loads(json.dumps(found))}  # the same types as from a subprocess
    except UnreadableModelError as error:
        return {"reason": str(error), "passing": error.why}
    except ModelError as error:
        return {"reason": str(error)}
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return {"reason": f"{Path(path).name} cannot be read ({why}).", "passing": why}
    except Exception:
        # An unexpected error in one file must not affect the others.
        log.exception("%s could not be inspected", path)
        return {"reason": f"{Path(path).name} could not be inspected; the log has the details."}


def findings(kind: str, result: Result) -> CheckpointInfo | LoraInfo | str:
    """A result as the object that `INSPECT` returns, or the reason as text."""
    if "reason" in result:
        return str(result["reason"])
    found = dict(result["found"])
    if kind != "lora":
        return CheckpointInfo(**found | {"notes": tuple(found["notes"])})
    return LoraInfo(**found | {"tags": tuple(found["tags"]), "caveats": tuple(found["caveats"])})


def training_metadata_of(path: Path) -> dict[str, Any] | None:
    """Training metadata of a LoRA (`lora.training_metadata`); None if it cannot be read."""
    return _of_one("training", path).get("found")


def picture_in(path: Path) -> str:
    """The image embedded in a LoRA's metadata, as a data URL; "" if there is none."""
    return str(_of_one("picture", path).get("found", ""))


def _of_one(kind: str, path: Path) -> Result:
    wanted = (kind, str(path))
    return _in_subprocess(wanted) if _is_large(*wanted) else read_one(*wanted)


def _is_large(kind: str, path: str) -> bool:
    """Whether the header of the file, or of any file in the folder, is large."""
    if kind == "sidecar":
        return False
    try:
        files = Path(path).glob("*/*.safetensors") if kind == "folder" else [Path(path)]
        return any(header_bytes(file) > LARGE for file in files)
    except OSError:  # reported when it is read
        return False


def _in_subprocess(wanted: Wanted) -> Result:
    result = _Helper([wanted]).result()
    if result is None:
        name = Path(wanted[1]).name
        return {"reason": f"{name} has a header that could not be parsed; download the file again."}
    return result[0]


def read_many(wanted: Sequence[Wanted]) -> list[Result]:
    """`read_one` for each, in order; large files one after another in a separate process."""
    large = {each for each in wanted if _is_large(*each)}
    large_results = {each: _in_subprocess(each) for each in large}
    rest = iter(_read_many([each for each in wanted if each not in large]))
    return [large_results[each] if each in large else next(rest) for each in wanted]


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
    clear_layout_cache()
    return results


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Disable the garbage collector, which would traverse thousands of header entries for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Helper:
    """A subprocess that reads a share of the files. If it fails, the share is read here."""

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
        """The output of the subprocess; None if it failed."""
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
