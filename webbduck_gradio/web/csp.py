"""Security headers and the Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence

from starlette.types import Message, Send

from ..api.gradio_internals import page_served_locally

Headers = list[tuple[bytes, bytes]]

COMMON: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
]
PICTURE: Headers = [
    *COMMON,
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
]
SCRIPT = re.compile(rb"<script(?=[\s>])")


def build_csp(nonce: str, scripts: Sequence[str]) -> bytes:
    """The Content-Security-Policy of the page; `scripts` are inline scripts that Gradio adds on its own.

    Gradio needs 'unsafe-eval': it compiles templates and the js= of events at run time. Inline scripts run
    only with this response's nonce or a known hash, so that injected markup cannot run scripts.
    """
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}' {hashes} 'unsafe-eval'".replace("  ", " "),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'self'",
            "frame-ancestors 'self'",
        ]
    ).encode()


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def inject_nonce(html: bytes, nonce: str) -> bytes:
    """Gradio's page with the nonce on its scripts. With a share link too, the script is served locally."""
    return SCRIPT.sub(b'<script nonce="' + nonce.encode() + b'"', page_served_locally(html))


def with_headers(send: Send, headers: Headers) -> Send:
    """`send` that replaces these headers of the response."""
    names = {name for name, _ in headers}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(n, v) for n, v in message.get("headers", []) if n.lower() not in names]
            message = dict(message, headers=kept + headers)
        await send(message)

    return sending


def with_csp(send: Send, scripts: Sequence[str]) -> Send:
    """`send` for the page: buffers the HTML, adds the nonce, and sends it with the policy."""
    nonce = secrets.token_urlsafe(18)
    start: Message | None = None
    parts: list[bytes] = []

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if start is None:
            await send(message)
            return
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        html = inject_nonce(b"".join(parts), nonce)
        new = [
            *COMMON,
            (b"content-security-policy", build_csp(nonce, scripts)),
            (b"cache-control", b"no-store"),
            (b"content-length", str(len(html)).encode()),
        ]
        names = {name for name, _ in new}
        kept = [(n, v) for n, v in start.get("headers", []) if n.lower() not in names]
        await send(dict(start, headers=kept + new))
        await send({"type": "http.response.body", "body": html})
        start = None

    return sending
