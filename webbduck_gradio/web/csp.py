"""Headers that tell the browser what a page or file of the studio may do."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import gradio
from starlette.types import Message, Send

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
SHARED_SCRIPT = re.compile(rb'<script type="module"[^>]*src="https://[^"]*"></script>')
LOCAL_PARTS = re.compile(rb'<script type="module"[^>]*></script>|<link rel="stylesheet"[^>]*>')


def build_csp(nonce: str, scripts: Sequence[str]) -> bytes:
    """The Content-Security-Policy of the page; `scripts` are those that Gradio puts into it by itself.

    'unsafe-eval' is Gradio's need: templates and the js= of events become functions at run time. Inline
    scripts run only with this answer's nonce or a known hash, so markup that got into the page runs nothing.
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


@functools.cache
def _local_parts() -> bytes:
    """The tags by which Gradio's page for local use loads its script and style."""
    page = Path(gradio.__file__).parent / "templates" / "frontend" / "index.html"
    return b"\n".join(LOCAL_PARTS.findall(page.read_bytes()))


def inject_nonce(html: bytes, nonce: str) -> bytes:
    """Gradio's page with the nonce at its scripts. With a share link it would load its script from a server
    of Gradio's; ours comes from here also then."""
    html = SHARED_SCRIPT.sub(_local_parts().replace(b"\\", b"\\\\"), html)
    # Behind a proxy's prefix the root is somebody else's.
    html = html.replace(b'rel="manifest" href="/', b'rel="manifest" href="./')
    return SCRIPT.sub(b'<script nonce="' + nonce.encode() + b'"', html)


def with_headers(send: Send, headers: Headers) -> Send:
    """`send` that puts these headers in place of what the answer has."""
    names = {name for name, _ in headers}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(n, v) for n, v in message.get("headers", []) if n.lower() not in names]
            message = dict(message, headers=kept + headers)
        await send(message)

    return sending


def with_csp(send: Send, scripts: Sequence[str]) -> Send:
    """`send` for the studio's page: its HTML is held back, given the nonce, and sent with the policy."""
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
