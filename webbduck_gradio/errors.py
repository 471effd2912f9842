"""The errors that a user can act on.

    WebbDuckError
    ├── SettingsError                invalid settings; the studio cannot start (exit code 2)
    ├── RequestError                 invalid request, refused before it is queued
    │   ├── NotFoundError            an unknown checkpoint, LoRA, job or image
    │   ├── NameTakenError           something else has this name
    │   └── QueueFullError           the limit of waiting jobs is reached
    ├── ModelError                   a model file is missing, damaged or not supported
    │   └── UnreadableModelError     it cannot be read at the moment
    ├── GenerationError              a job failed while running
    │   └── OutOfMemoryError         the device's memory is too small
    ├── StorageError                 a file could not be written or read
    └── CancelledError               not a failure: the user stopped the job
        └── SuspendedError           the user put it aside, so that it can go on later

Each message is one sentence that says what happened and what to do. It is shown unchanged, so it never
contains a traceback, a secret or markup, nor, except in a SettingsError, this computer's folders.
"""

from __future__ import annotations

import re

FOLDERS = re.compile(r"""(?<![\w.:/\\])(?:[A-Za-z]:)?[\\/](?:[^\s'"\\/]+[\\/])+""")
"""An absolute path without its last component."""


def redact_paths(text: str) -> str:
    """A library's message with each absolute path reduced to the file name, so that clients may see it."""
    return FOLDERS.sub("", text)


class WebbDuckError(Exception):
    """Base of all errors whose message is meant for users."""


class SettingsError(WebbDuckError):
    """The studio cannot start with these settings."""


class RequestError(WebbDuckError):
    """A request is invalid, or not possible with what is installed.

    `field`: name of the invalid setting, if there is one.
    """

    def __init__(self, text: str = "", field: str | None = None):
        super().__init__(text)
        self.field = field


class NotFoundError(RequestError):
    """An unknown name or id."""


class NameTakenError(RequestError):
    """Something else has this name, or it can be none. `free`: one that is possible."""

    def __init__(self, text: str, free: str):
        super().__init__(text)
        self.free = free


class QueueFullError(RequestError):
    """The limit of queued jobs is reached."""


class ModelError(WebbDuckError):
    """A model file cannot be used."""


class UnreadableModelError(ModelError):
    """A model file cannot be read at the moment; its contents are unknown. `why`: the system's reason."""

    def __init__(self, text: str, why: str):
        super().__init__(text)
        self.why = why


class GenerationError(WebbDuckError):
    """A job failed while running."""


class OutOfMemoryError(GenerationError):
    """The device's memory is too small for the request. `decoding`: whether it ran out while decoding the
    finished latents."""

    def __init__(self, text: str, decoding: bool = False):
        super().__init__(text)
        self.decoding = decoding


class StorageError(WebbDuckError):
    """A file could not be written or read."""


class CancelledError(WebbDuckError):
    """The user stopped the running job."""


class SuspendedError(CancelledError):
    """The user put the job aside; it can go on later."""
