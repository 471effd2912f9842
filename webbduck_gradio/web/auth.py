"""Who may log in, and how often one may try."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

FREE_TRIES = 5
"""Wrong passwords in a row from one address before it has to wait."""
LONGEST_WAIT = 300.0
"""Seconds that an address waits at most after one more wrong password; the wait doubles up to it."""
FORGET_AFTER = 3600.0
"""Seconds after which an address's wrong passwords are forgotten."""
BURST, PER_SECOND = 60, 0.2
"""All addresses together, those aside that logged in before: wrong passwords at once, and after that per
second. A guesser with many addresses has 17,000 tries a day."""
MOST_ADDRESSES = 10_000


class Authenticator:
    """Who may log in: the owner's users, and the studio's own pump with a secret of this process."""

    def __init__(self, users: tuple[tuple[str, str], ...]):
        self.users = dict(users)
        self.internal = (f"webbduck-{secrets.token_hex(8)}", secrets.token_urlsafe(32))

    def __call__(self, user: str, password: str) -> bool:
        for name, wanted in [*self.users.items(), self.internal]:
            # Both comparisons are always made: the time taken tells nothing about either.
            known = hmac.compare_digest(_bytes(user), _bytes(name))
            right = hmac.compare_digest(_bytes(password), _bytes(wanted))
            if known & right:
                return True
        return False

    @property
    def check(self) -> Callable[[str, str], bool] | None:
        """For Gradio's launch(auth=...): None where no password is asked."""
        return self if self.users else None

    def is_internal(self, user: str) -> bool:
        """Whether this is the pump's own name, which nobody can guess."""
        return hmac.compare_digest(_bytes(user), _bytes(self.internal[0]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@dataclass
class _Tries:
    wrong: int = 0
    """In a row, those that are being checked now included."""
    until: float = 0.0
    """Not before this time."""
    last: float = 0.0
    trusted: bool = False
    """Has logged in from here before, so that a flood from elsewhere does not lock its owner out."""


class LoginRateLimiter:
    """Slows down guessing: by address, and over all addresses. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._lock = threading.Lock()
        self._tries: dict[str, _Tries] = {}
        self._room, self._filled = float(BURST), now()

    def wait(self, address: str) -> float:
        """Seconds until `address` may try; 0 counts this try as wrong until `passed` is told."""
        with self._lock:
            now = self._now()
            self._room = min(BURST, self._room + (now - self._filled) * PER_SECOND)
            self._filled = now
            tries = self._of(address, now)
            if tries.until > now:
                return tries.until - now
            if not tries.trusted:
                if self._room < 1:
                    return (1 - self._room) / PER_SECOND
                self._room -= 1
            tries.wrong += 1
            tries.last = now
            over = tries.wrong - FREE_TRIES
            if over >= 0:
                tries.until = now + min(LONGEST_WAIT, 2.0 ** min(over + 1, 10))
                log.warning("%d wrong passwords in a row from %s", tries.wrong, address)
            return 0.0

    def passed(self, address: str) -> None:
        """The password was right."""
        with self._lock:
            tries = self._of(address, self._now())
            if not tries.trusted:
                self._room = min(BURST, self._room + 1)
            tries.wrong, tries.until, tries.trusted = 0, 0.0, True

    def _of(self, address: str, now: float) -> _Tries:
        found = self._tries.get(address)
        if found and not found.trusted and now - found.last > FORGET_AFTER and found.until <= now:
            found = None
        if found is None:
            if len(self._tries) >= MOST_ADDRESSES:
                # The oldest goes; the limit over all addresses holds without it.
                self._tries.pop(next(iter(self._tries)))
            found = self._tries[address] = _Tries(last=now)
        return found
