"""Everything that goes wrong in a way that a person can act on.

    WebbDuckError
    ├── SettingsError          the studio cannot start like this (exit code 2)
    ├── RequestError           what was asked for does not fit; refused before it is queued
    │   ├── NotFoundError        a checkpoint, LoRA, scheduler, job or image that is not there
    │   └── QueueFullError          as many jobs wait as may wait
    ├── ModelError             a model file is missing, broken or of a kind that is not supported
    │   └── Unreadable         it cannot be read now, which may pass
    ├── GenerationError        a job failed while it ran
    │   └── OutOfMemoryError        the device's memory did not suffice
    ├── StorageError           a file could not be written or read
    └── Cancelled              not a failure: the user stopped the job

The text of each is one sentence that says what happened and what to do. It is shown as it is,
so it never holds a traceback, a secret or markup, nor, but for SettingsError, this computer's folders.
"""

from __future__ import annotations

import re

FOLDERS = re.compile(r"""(?<![\w.:/\\])(?:[A-Za-z]:)?[\\/](?:[^\s'"\\/]+[\\/])+""")
"""The part of an absolute path before its last name."""


def redact_paths(text: str) -> str:
    """A text of another library, each file in it by its name alone: it may be shown to clients."""
    return FOLDERS.sub("", text)


class WebbDuckError(Exception):
    """Base of all errors that are worded for people."""


class SettingsError(WebbDuckError):
    """The studio cannot start with these settings."""


class RequestError(WebbDuckError):
    """What was asked for does not validate or does not fit what is installed.

    `field` names the setting of the request that it is about, where it is about one.
    """

    def __init__(self, text: str = "", field: str | None = None):
        super().__init__(text)
        self.field = field


class NotFoundError(RequestError):
    """A name or id that stands for nothing here."""


class QueueFullError(RequestError):
    """As many jobs are queued as the limit allows."""


class ModelError(WebbDuckError):
    """A model file cannot be used."""


class UnreadableModelError(ModelError):
    """A model file cannot be read now, which says nothing about what is in it. `why`: the system's reason."""

    def __init__(self, text: str, why: str):
        super().__init__(text)
        self.why = why


class GenerationError(WebbDuckError):
    """A job failed while it ran."""


class OutOfMemoryError(GenerationError):
    """The device's memory did not suffice for what was asked. `decoding`: it was turning the finished
    latents into a picture that took too much."""

    def __init__(self, text: str, decoding: bool = False):
        super().__init__(text)
        self.decoding = decoding


class StorageError(WebbDuckError):
    """A file could not be written or read."""


class CancelledError(WebbDuckError):
    """The user stopped the job that is running."""
