"""One thread for all work of the core, whoever asks for it.

Torch and the C library keep threads and memory for each thread that they are called from, and Gradio calls
from any of a hundred. Forty callers of one convolution left 55 MiB and 80 threads behind on two cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Hand:
    """`do` runs a function in this object's thread, which is made on first use and ends with the process."""

    def __init__(self, name: str):
        self._name = name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], T]) -> T:
        """What `work` answers or raises, when its turn has come."""
        with self._lock:
            if self._thread is None:
                # A daemon: a step that takes an hour must not keep the process.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        answer: Future[T] = Future()
        self._work.put((answer, work))
        return answer.result()

    def _run(self) -> None:
        while True:
            self._one(*self._work.get())

    def _one(self, answer: Future[Any], work: Callable[[], Any]) -> None:
        # In a function of its own, so that nothing of the work is held while the next is waited for.
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)
