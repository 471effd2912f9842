"""Notices that jobs wait and nothing runs, whatever the cause: nobody else would tell."""

from __future__ import annotations

import logging
import time

from .store import JobStore

log = logging.getLogger(__name__)

STANDSTILL_SECONDS = 60.0


class StallWatchdog:
    """`look` is called now and then; `problem` is the sentence for the page and /health, or None."""

    def __init__(self, store: JobStore):
        self._store = store
        self._since: float | None = None
        self._claims = -1
        self.problem: str | None = None

    def look(self, now: float | None = None) -> None:
        """`now`: seconds of the monotonic clock."""
        now = time.monotonic() if now is None else now
        counts, claims = self._store.counts(), self._store.claims
        idle = counts["queued"] and not counts["running"] and not self._store.paused
        if not idle or claims != self._claims:
            was, self.problem = self.problem, None
            self._since, self._claims = (now if idle else None), claims
            if was:
                log.info("The queue moves again")
                self._store.database.notify(of_the_list=True)
            return
        if self._since is None:
            self._since = now
        if now - self._since >= STANDSTILL_SECONDS and self.problem is None:
            self.problem = (
                f"Jobs wait ({counts['queued']}), but nothing has run for over a minute; restart "
                "the studio if this lasts (nothing is lost by it), and look into its log."
            )
            log.error("%s", self.problem)
            self._store.database.notify(of_the_list=True)
