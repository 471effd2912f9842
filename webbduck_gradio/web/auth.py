"""Password login with rate limiting."""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

FREE_ATTEMPTS = 5
"""Consecutive wrong passwords from one address before it has to wait."""
MAX_WAIT = 300.0
"""Maximum wait in seconds; it doubles with each further wrong password."""
FORGET_AFTER = 3600.0
"""Seconds after which the failed attempts of an address are forgotten."""
BURST, PER_SECOND = 60, 0.2
"""Token bucket for failed attempts of all addresses that have never logged in. Many addresses together get
17,000 attempts a day."""
MAX_ADDRESSES = 10_000


class Authenticator:
    """Checks logins: the configured users, and our own job dispatcher with a random password."""

    def __init__(self, users: tuple[tuple[str, str], ...]):
        self.users = dict(users)
        self.internal = (f"webbduck-{secrets.token_hex(8)}", secrets.token_urlsafe(32))

    def __call__(self, user: str, password: str) -> bool:
        for name, wanted in [*self.users.items(), self.internal]:
            # Always compare both, so that the time taken reveals nothing.
            known = hmac.compare_digest(_bytes(user), _bytes(name))
            right = hmac.compare_digest(_bytes(password), _bytes(wanted))
            if known & right:
                return True
        return False

    @property
    def check(self) -> Callable[[str, str], bool] | None:
        """For Gradio's launch(auth=...): None if no password is set."""
        return self if self.users else None

    def is_internal(self, user: str) -> bool:
        """Whether this is the dispatcher's user name, which is random."""
        return hmac.compare_digest(_bytes(user), _bytes(self.internal[0]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@dataclass
class _Attempts:
    wrong: int = 0
    """Consecutive failures, including attempts in progress."""
    until: float = 0.0
    """Time of the next allowed attempt."""
    last: float = 0.0
    trusted: bool = False
    """Has logged in before: exempt from the common limit, so that an attack cannot lock the user out."""


class LoginRateLimiter:
    """Limits password guessing per address and in total. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._lock = threading.Lock()
        self._attempts: dict[str, _Attempts] = {}
        self._tokens, self._filled = float(BURST), now()

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again. 0 records an attempt as failed until `passed` is called."""
        with self._lock:
            now = self._now()
            self._tokens = min(BURST, self._tokens + (now - self._filled) * PER_SECOND)
            self._filled = now
            attempts = self._of(address, now)
            if attempts.until > now:
                return attempts.until - now
            if not attempts.trusted:
                if self._tokens < 1:
                    return (1 - self._tokens) / PER_SECOND
                self._tokens -= 1
            attempts.wrong += 1
            attempts.last = now
            excess = attempts.wrong - FREE_ATTEMPTS
            if excess >= 0:
                attempts.until = now + min(MAX_WAIT, 2.0 ** min(excess + 1, 10))
                log.warning("%d wrong passwords in a row from %s", attempts.wrong, address)
            return 0.0

    def passed(self, address: str) -> None:
        """Record a successful login."""
        with self._lock:
            attempts = self._of(address, self._now())
            if not attempts.trusted:
                self._tokens = min(BURST, self._tokens + 1)
            attempts.wrong, attempts.until, attempts.trusted = 0, 0.0, True

    def _of(self, address: str, now: float) -> _Attempts:
        found = self._attempts.get(address)
        if found and not found.trusted and now - found.last > FORGET_AFTER and found.until <= now:
            found = None
        if found is None:
            if len(self._attempts) >= MAX_ADDRESSES:
                # Drop the oldest; the total limit still holds.
                self._attempts.pop(next(iter(self._attempts)))
            found = self._attempts[address] = _Attempts(last=now)
        return found
