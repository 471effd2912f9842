"""Detects that jobs are waiting but none runs, whatever the cause."""

from __future__ import annotations

import logging
import time

from .store import JobStore

log = logging.getLogger(__name__)

STALL_SECONDS = 60.0


class StallWatchdog:
    """`check` is to be called periodically; `problem` is a message for the page and /health, or None."""

    def __init__(self, store: JobStore):
        self._store = store
        self._since: float | None = None
        self._claims = -1
        self.problem: str | None = None

    def check(self, now: float | None = None) -> None:
        """`now`: seconds of the monotonic clock."""
        now = time.monotonic() if now is None else now
        counts, claims = self._store.counts(), self._store.claims
        idle = counts["queued"] and not counts["running"] and not self._store.paused
        if not idle or claims != self._claims:
            previous, self.problem = self.problem, None
            self._since, self._claims = (now if idle else None), claims
            if previous:
                log.info("Jobs of the queue are started again")
                self._store.database.notify(list_changed=True)
            return
        if self._since is None:
            self._since = now
        if now - self._since >= STALL_SECONDS and self.problem is None:
            self.problem = (
                f"{counts['queued']} job(s) are waiting, but nothing has run for over a minute; check the "
                "log, and if this lasts, restart the studio (no job is lost)."
            )
            log.error("%s", self.problem)
            self._store.database.notify(list_changed=True)
