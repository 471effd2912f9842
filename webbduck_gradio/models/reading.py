"""Reading the headers of many model files, on all cores where there are many.

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

from ..errors import ModelError, Unreadable
from .header import forget_layouts
from .inspect import Findings, inspect_file, inspect_folder
from .lorafile import LoraFindings, inspect_lora
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
WORTH_A_PROCESS = 150
"""Files to read from which on starting another process pays."""
MOST_PROCESSES = 4


def read_one(kind: str, path: str) -> Result:
    """Findings of one file or folder; for a note beside a model what it says."""
    try:
        if kind == "sidecar":
            return {"found": read_sidecar(Path(path))}
        found = asdict(INSPECT[kind](Path(path)))
        return {"found": json.loads(json.dumps(found))}  # the same, wherever it was read
    except Unreadable as error:
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


def findings(kind: str, result: Result) -> Findings | LoraFindings | str:
    """A result as what `inspect` gives, or the reason."""
    if "reason" in result:
        return str(result["reason"])
    found = dict(result["found"])
    if kind != "lora":
        return Findings(**found | {"notes": tuple(found["notes"])})
    return LoraFindings(**found | {"tags": tuple(found["tags"]), "caveats": tuple(found["caveats"])})


def read_many(wanted: Sequence[Wanted]) -> list[Result]:
    """`read_one` for each, in this order."""
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
        home = str(Path(__file__).resolve().parent.parent.parent)
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
        if self._process is not None and self._process.stdout is not None:
            with self._process.stdout as answered:
                text = answered.read()
            if self._process.wait() == 0:
                with contextlib.suppress(ValueError):
                    results = json.loads(text)
                    if len(results) == len(self._share):
                        return results
        return [read_one(*each) for each in self._share]


def main() -> None:
    wanted = json.loads(sys.stdin.buffer.read())
    with _without_collector():
        results = [read_one(kind, path) for kind, path in wanted]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
