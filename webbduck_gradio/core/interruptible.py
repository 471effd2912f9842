"""Stops a work of torch in the middle, such as the loading of a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

CHECK_SECONDS = 0.1


class Interruptible(TorchFunctionMode):
    """While it is entered, `check` is called between this thread's calls of torch's functions, at most every
    `CHECK_SECONDS`. What it raises leaves the work, and it is not called again."""

    def __init__(self, check: Callable[[], None]):
        super().__init__()
        self._check = check
        self._next = 0.0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if time.monotonic() >= self._next:
            self._next = float("inf")  # what cleans up after an error must not be stopped as well
            self._check()
            self._next = time.monotonic() + CHECK_SECONDS
        return func(*args, **(kwargs or {}))
