"""Probes model files: many on all cores, files with large headers in a separate process.

Processes are needed because threads of one process share the GIL. They are spawned, not forked, since the
studio has threads; they end with the work that they were started for, so that its memory is free again.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ... import collector
from ...errors import ModelError, UnreadableModelError
from .checkpoint import CheckpointInfo, inspect_file, inspect_folder
from .embedding import EmbeddingInfo, inspect_embedding
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
    "embedding": inspect_embedding,
    "file": inspect_file,
    "folder": inspect_folder,
}
Info = CheckpointInfo | LoraInfo | EmbeddingInfo
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
        return {"found": json.loads(json.dumps(found))}  # the types that the cache gives back
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


def findings(kind: str, result: Result) -> Info | str:
    """A result as the object that `INSPECT` returns, or the reason as text."""
    if "reason" in result:
        return str(result["reason"])
    found = dict(result["found"])
    if kind == "embedding":
        return EmbeddingInfo(**found | {"widths": tuple(found["widths"])})
    if kind != "lora":
        return CheckpointInfo(**found | {"notes": tuple(found["notes"]), "dress": tuple(found["dress"])})
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
    try:
        with _processes(1) as processes:
            return processes.submit(_read_share, [wanted]).result()[0]
    except (OSError, BrokenProcessPool):
        log.warning("The process that read %s ended too early", wanted[1])
        name = Path(wanted[1]).name
        return {"reason": f"{name} has a header that could not be parsed; download the file again."}


def read_many(wanted: Sequence[Wanted]) -> list[Result]:
    """`read_one` for each, in order; large files one after another in a separate process."""
    large = {each for each in wanted if _is_large(*each)}
    large_results = {each: _in_subprocess(each) for each in large}
    rest = iter(_read_many([each for each in wanted if each not in large]))
    return [large_results[each] if each in large else next(rest) for each in wanted]


def _read_many(wanted: Sequence[Wanted]) -> list[Result]:
    cores = min(MOST_PROCESSES, os.cpu_count() or 1, len(wanted) // WORTH_A_PROCESS + 1)
    shares = [wanted[start::cores] for start in range(cores)]
    answers = [_read_share(shares[0])] if cores == 1 else _read_on_all(shares)
    results: list[Result] = [{}] * len(wanted)
    for start, answer in enumerate(answers):
        results[start::cores] = answer
    clear_layout_cache()
    return results


def _read_on_all(shares: Sequence[Sequence[Wanted]]) -> list[list[Result]]:
    """The results of each share; the first is read here, the others in a process each."""

    def result_of(share: Sequence[Wanted], future: Future[list[Result]] | None) -> list[Result]:
        try:
            return future.result() if future else _read_share(share)
        except BrokenProcessPool as error:
            log.warning("A share of the model files is read by this process (%s)", error)
            return _read_share(share)

    with _processes(len(shares) - 1) as processes:
        futures: list[Future[list[Result]] | None] = [None]
        for share in shares[1:]:
            try:
                futures.append(processes.submit(_read_share, share))
            except (OSError, BrokenProcessPool) as error:
                log.warning("Model files are read by fewer processes (%s)", error)
                futures.append(None)
        return [result_of(share, future) for share, future in zip(shares, futures, strict=True)]


def _read_share(share: Sequence[Wanted]) -> list[Result]:
    with collector.paused():
        return [read_one(*each) for each in share]


def _processes(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_the_studio
    )


def _end_with_the_studio() -> None:
    """Ctrl+C reaches every process of a terminal and the studio acts on it; kill -9 ends the studio alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    studio = multiprocessing.parent_process()
    assert studio is not None

    def watch() -> None:
        studio.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
