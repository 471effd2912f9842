"""Login sessions with expiry: Gradio's token table, cookies, and logging out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Message, Scope, Send

from ..settings import Settings

IDLE_SECONDS = 24 * 3600.0
"""A session expires after this time without a request; an open page sends one every few seconds."""
MAX_SECONDS = 30 * 24 * 3600.0
"""Maximum lifetime of a session."""
MAX_SESSIONS = 1_000
"""A new session beyond this ends the one that has been idle longest."""
COOKIES = ("access-token-{}", "access-token-unsecure-{}")
"""Gradio's two cookies, named by the id of its app; the first is for TLS only."""

LOG_OUT_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log out of WebbDuck</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><form method="post"><p>Log out of WebbDuck in this browser?</p>
<button>Log out</button></form></body></html>
"""


@dataclass
class _Session:
    user: str
    began: float
    used: float


class Sessions(MutableMapping[str, str]):
    """Token -> user name, for Gradio's `app.tokens`. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now = now
        self._lock = threading.RLock()
        self._sessions: dict[str, _Session] = {}

    def __getitem__(self, token: str) -> str:
        with self._lock:
            session, now = self._sessions[token], self._now()
            if now - session.used >= IDLE_SECONDS or now - session.began >= MAX_SECONDS:
                del self._sessions[token]
                raise KeyError(token)
            session.used = now
            return session.user

    def __setitem__(self, token: str, user: str) -> None:
        with self._lock:
            self._sessions.pop(token, None)
            if len(self._sessions) >= MAX_SESSIONS:
                del self._sessions[min(self._sessions, key=lambda each: self._sessions[each].used)]
            self._sessions[token] = _Session(user, self._now(), self._now())

    def __delitem__(self, token: str) -> None:
        with self._lock:
            del self._sessions[token]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._sessions))

    def __len__(self) -> int:
        return len(self._sessions)


def tokens_of(scope: Scope) -> list[str]:
    """Session tokens in a request's cookies, the TLS one first, as in Gradio."""
    cookies = Request(scope).cookies
    names = (name.format(scope["app"].cookie_id) for name in COOKIES)
    return [cookies[name] for name in names if cookies.get(name)]


def log_out(scope: Scope, sessions: Sessions) -> Response:
    """End the session of this request, but no other session of the user."""
    for token in tokens_of(scope):
        sessions.pop(token, None)
    response = RedirectResponse("./", 303)
    for name in COOKIES:
        response.delete_cookie(name.format(scope["app"].cookie_id), path="/")
    return response


def log_out_page() -> Response:
    """A confirmation page, so that a link on another site cannot log the user out."""
    policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
    headers = {"content-security-policy": policy, "cache-control": "no-store"}
    return HTMLResponse(LOG_OUT_PAGE, headers=headers)


def is_tls(scope: Scope, settings: Settings) -> bool:
    """Whether the browser uses TLS to the proxy or share link in front of the server."""
    if not settings.public_url and not settings.share:
        return False
    headers = Request(scope).headers
    if scope["scheme"] == "https" or headers.get("x-forwarded-proto", "").strip().lower() == "https":
        return True
    if headers.get("origin", "").lower().startswith("https://"):
        return True
    scheme, _, rest = (settings.public_url or "").lower().partition("://")
    hosts = {headers.get("host", "").lower(), headers.get("x-forwarded-host", "").lower()}
    return scheme == "https" and rest.partition("/")[0] in hosts


def with_safe_cookies(send: Send, tls: bool) -> Send:
    """`send` that sets SameSite=Lax on cookies, and Secure if TLS is used."""

    async def send_hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, _hardened(value, tls) if name.lower() == b"set-cookie" else value)
                for name, value in message.get("headers", [])
            ]
            message = dict(message, headers=headers)
        await send(message)

    return send_hardened


def _hardened(cookie: bytes, tls: bool) -> bytes:
    parts = [part.strip() for part in cookie.split(b";")]
    flags = {part.lower() for part in parts[1:]}
    parts = [part for part in parts if not part.lower().startswith(b"samesite")] + [b"SameSite=Lax"]
    if tls and b"secure" not in flags:
        parts.append(b"Secure")
    return b"; ".join(parts)
