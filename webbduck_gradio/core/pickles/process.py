"""Starts the child process that converts a file, and watches it. Imports no torch."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from ...errors import CancelledError, ModelError
from .guards import FREE_MEMORY

log = logging.getLogger(__name__)

START = (
    "import sys; sys.path.append(sys.argv[1]); from webbduck_gradio.core.pickles.child import main; main()"
)
"""With -I, which leaves out this computer's settings for Python, the package has to be named."""
ROOT = Path(__file__).parents[3]
KEPT_VARIABLES = ("SYSTEMROOT", "WINDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of the environment: what finds the libraries of Python and torch."""
LONGEST_MESSAGE = 2**16
LOOK_SECONDS = 0.25
BASE_MEMORY = 4 * 2**30
"""Bytes resident at most beside those of the file, torch with its libraries among them."""


@dataclass(frozen=True)
class Limits:
    """Seconds. `cpu`: of computing, None = by the file's size; `silence`: without a sign of progress, torch's
    start included."""

    cpu: float | None = None
    silence: float = 300.0


USUAL = Limits()


def convert(
    source: Path,
    target: IO[bytes],
    kind: str,
    metadata: Mapping[str, str],
    progress: Callable[[int, int], None],
    is_cancelled: Callable[[], bool] = lambda: False,
    limits: Limits = USUAL,
) -> dict[str, Any]:
    """Write the weights in `source` to the open file `target`. Returns the child's facts (`child.convert`).

    `progress(done, total)`, in bytes. Raises `ModelError` with one sentence, and `CancelledError`.
    """
    size = source.stat().st_size
    order = {
        "source": str(source.absolute()),
        "kind": kind,
        "metadata": dict(metadata),
        "parent": os.getpid(),
        "cpu_seconds": limits.cpu,
    }
    with tempfile.TemporaryDirectory(prefix="webbduck-") as empty:
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", START, str(ROOT), json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.PIPE,
            cwd=empty,
            env=_environment(empty),
        )
        atexit.register(child.kill)
        try:
            answer = _Watch(child, source.name, size, progress, is_cancelled, limits).answer()
        finally:
            child.kill()
            child.wait()
            atexit.unregister(child.kill)
            assert child.stderr is not None
            child.stderr.close()
    return answer


def _environment(empty: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    places = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), empty)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**kept, **places, **one_thread, "CUDA_VISIBLE_DEVICES": ""}


@dataclass
class _Watch:
    child: subprocess.Popen[bytes]
    name: str
    size: int
    progress: Callable[[int, int], None]
    is_cancelled: Callable[[], bool]
    limits: Limits

    def answer(self) -> dict[str, Any]:
        messages: queue.Queue[dict[str, Any] | None] = queue.Queue(1000)
        threading.Thread(target=self._listen, args=(messages,), name="conversion", daemon=True).start()
        heard = time.monotonic()
        while True:
            if self.is_cancelled():
                raise CancelledError(f"The conversion of {self.name} was cancelled.")
            try:
                message = messages.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if time.monotonic() - heard > self.limits.silence:
                    raise self._failed("took too long without any progress") from None
                self._check_memory()
                continue
            heard = time.monotonic()
            if message is None:
                raise self._failed(self._end())
            if isinstance(facts := message.get("done"), dict):
                return facts
            if isinstance(reason := message.get("refused"), str):
                log.info("%s was not converted: %s", self.name, message.get("details"))
                raise ModelError(f"{self.name} {_plain(reason)}.")
            if isinstance(done := message.get("progress"), int) and isinstance(message.get("total"), int):
                self.progress(done, max(1, message["total"]))

    def _listen(self, messages: queue.Queue[dict[str, Any] | None]) -> None:
        """What the child says is checked like anything from outside."""
        assert self.child.stderr is not None
        try:
            while line := self.child.stderr.readline(LONGEST_MESSAGE):
                try:
                    message = json.loads(line)
                except (ValueError, RecursionError):
                    log.info("conversion: %s", line[:500])
                    continue
                if isinstance(message, dict):
                    messages.put(message)
        except (OSError, ValueError):  # closed after the end
            pass
        messages.put(None)

    def _check_memory(self) -> None:
        try:
            used = psutil.Process(self.child.pid).memory_info().rss
        except psutil.Error:
            return
        if used > BASE_MEMORY + 2 * self.size + FREE_MEMORY:
            raise self._failed("takes far more memory than a file of its size needs")

    def _end(self) -> str:
        code = self.child.wait()
        if code < 0 and -code in (9, 24):  # SIGKILL, SIGXCPU
            return "takes far more time or memory than a file of its size needs"
        return f"made its reader stop (code {code})"

    def _failed(self, what: str) -> ModelError:
        return ModelError(f"{self.name} {what}; it was not converted. Get it again, or as .safetensors.")


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:500])
