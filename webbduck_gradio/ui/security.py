"""What comes in from clients and what goes out to them.

One ASGI layer in front of Gradio:

- requests of foreign origins are refused (another page in the user's browser must not drive the
  studio), and, while there is no password, requests that name a foreign host (DNS rebinding);
- pictures are asked for by id under /media/ and become Gradio file requests inside, so that
  Gradio's own login decides who sees them;
- Gradio's own file route gives out finished pictures, previews and thumbnails of the output
  folder, never the queue's database or a stray page that lies there, and fetches no URL.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import anyio.to_thread
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import RequestError, UnknownName, WebbDuckError
from ..settings import Settings
from .services import Services, inside

log = logging.getLogger(__name__)

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
FILE_ROUTE = re.compile(r"/(?:gradio_api/)?file[=/](?P<path>.*)", re.DOTALL)
LOG_IN = "Log in first."
MAX_CANCEL_BYTES = 10_000
JOB_ID = re.compile(r"[0-9a-f]{8,64}")
PICTURE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
]


def media(kind: str, name: str) -> str:
    """URL, relative to the page, of a picture: kind is image, thumb, input-thumb or preview."""
    return f"media/{kind}/{quote(name)}"


class Gatekeeper:
    """The ASGI layer; see the module."""

    def __init__(self, app: ASGIApp, services: Services):
        self.app, self.services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = refuse_stranger(scope, self.services.settings)
        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return
        path = scope["path"]
        if path.rstrip("/") == "/gradio_api/cancel":
            handled, receive = await self._cancelling(receive)
            if handled:
                await JSONResponse({"success": True})(scope, receive, send)
                return
        if path.startswith("/media/"):
            await self._media(path, scope, receive, send)
            return
        asked = FILE_ROUTE.fullmatch(path)
        if asked:
            if not may_serve(asked["path"], self.services.settings):
                await PlainTextResponse("There is no such file.", status_code=403)(scope, receive, send)
                return
            send = with_headers(send, PICTURE_HEADERS)
        await self.app(scope, receive, send)

    async def _media(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        kind, _, name = path.removeprefix("/media/").partition("/")
        try:
            if kind == "preview":
                await self._preview(name, scope, receive, send)
                return
            file = await self._file_of(kind, name, scope)
        except WebbDuckError as error:
            await PlainTextResponse(str(error), status_code=404)(scope, receive, send)
            return
        if file is None:
            await PlainTextResponse(LOG_IN, status_code=401)(scope, receive, send)
            return
        route = f"/gradio_api/file={file}"
        inner = dict(scope, path=route, raw_path=quote(route).encode())
        headers = [*PICTURE_HEADERS, (b"cache-control", b"private, max-age=86400")]
        await self.app(inner, receive, with_headers(send, headers))

    async def _file_of(self, kind: str, name: str, scope: Scope) -> Path | None:
        """The file behind /media/KIND/NAME, None without login. Raises `UnknownName` where there is none."""
        if kind == "image":
            return self.services.outputs.resolve(name)
        if kind == "thumb":
            # Making one costs time, so only for who may see it.
            if not await self._logged_in(scope):
                return None
            return await anyio.to_thread.run_sync(self.services.thumbnails.thumbnail, name)
        if kind == "input-thumb":
            if not await self._logged_in(scope):
                return None
            return await anyio.to_thread.run_sync(self._input_thumbnail, name)
        raise UnknownName("There is no such picture.")

    def _input_thumbnail(self, file_id: str) -> Path:
        """A small copy of the picture that a job was given. Raises `UnknownName` where there is none."""
        return self.services.thumbnails.of_file(self.services.inputs.path(file_id), file_id, 256)

    async def _preview(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A live preview, read at once: its file is replaced several times a second."""
        if not await self._logged_in(scope):
            await PlainTextResponse(LOG_IN, status_code=401)(scope, receive, send)
            return
        job_id = name.removesuffix(".jpg")
        if not JOB_ID.fullmatch(job_id):
            raise UnknownName("There is no such picture.")
        path = self.services.worker.preview_path(job_id)
        try:
            content = await anyio.to_thread.run_sync(path.read_bytes)
        except OSError:
            raise UnknownName("The preview is gone; its job has ended.") from None
        answer = Response(content, media_type="image/jpeg", headers={"cache-control": "no-cache"})
        await answer(scope, receive, with_headers(send, PICTURE_HEADERS))

    async def _cancelling(self, receive: Receive) -> tuple[bool, Receive]:
        """A client's job.cancel(): its job is cancelled, and the call that waits for it ends by itself.

        Gradio is not told: it would drop every call of that client to the same endpoint, not this one
        alone. The call's id is random and known to its own client only, so it needs no further check.
        """
        body, more = b"", True
        while more and len(body) <= MAX_CANCEL_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        call = asked.get("event_id") if isinstance(asked, dict) else None
        if isinstance(call, str) and await anyio.to_thread.run_sync(self.services.cancel_call, call):
            return True, receive
        first = True

        async def again() -> Message:
            nonlocal first
            if not first:
                return await receive()
            first = False
            return {"type": "http.request", "body": body, "more_body": more}

        return False, again

    async def _logged_in(self, scope: Scope) -> bool:
        if not self.services.settings.auth:
            return True
        answered: list[int] = []

        async def note_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.append(message["status"])

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        check = dict(scope, method="GET", path="/gradio_api/login_check", raw_path=b"/gradio_api/login_check")
        await self.app(check, nothing, note_status)
        return answered[:1] == [200]


def with_headers(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    """`send` that puts these headers in place of what the answer has."""
    names = {name for name, _ in headers}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(n, v) for n, v in message.get("headers", []) if n.lower() not in names]
            message = dict(message, headers=kept + headers)
        await send(message)

    return sending


def refuse_stranger(scope: Scope, settings: Settings) -> str | None:
    """Why this request is refused, or None."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get("host", "")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return "Requests from other sites are refused."
    private = settings.host in LOOPBACK and not settings.share and not settings.auth
    if private and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
        return "This studio answers under localhost only; start it with --listen to reach it by another name."
    return None


def may_serve(path: str, settings: Settings) -> bool:
    """Whether Gradio's file route may look at this path (its own checks follow)."""
    if "://" in path or path.startswith("//") or "\0" in path:
        return False
    try:
        file = Path(path).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    if not inside(file, settings.outputs):
        return True
    if file.suffix.lower() not in IMAGE_ENDINGS:
        return False
    if inside(file, settings.private):
        return inside(file, settings.previews) or inside(file, settings.thumbnails)
    return True


def uploaded(value: Any, services: Services, uploads: Path) -> Path:
    """The file that a client means by an image input: an upload of its own or an id that we gave out.

    Raises `RequestError` for every other path: a bare {"path": ...} can name any file of the server.
    """
    name = value.get("path") if isinstance(value, dict) else getattr(value, "path", value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise RequestError("The image must be an uploaded file or the id of a picture in the gallery.")
    try:
        path = Path(name)
        if path.is_absolute() and inside(path, uploads) and path.resolve().is_file():
            return path.resolve()
        return services.outputs.resolve(name)
    except (OSError, ValueError, UnknownName):
        raise RequestError(
            "The image must be an uploaded file or the id of a picture in the gallery."
        ) from None


class Door:
    """Who may log in: the owner's users, and the studio's own pump with a secret of this process."""

    def __init__(self, users: tuple[tuple[str, str], ...]):
        self.users = dict(users)
        self.internal = (f"webbduck-{secrets.token_hex(8)}", secrets.token_urlsafe(32))

    def __call__(self, user: str, password: str) -> bool:
        for name, wanted in [*self.users.items(), self.internal]:
            # Both comparisons are always made: the time taken tells nothing about either.
            known = hmac.compare_digest(user.encode(), name.encode())
            right = hmac.compare_digest(password.encode(), wanted.encode())
            if known & right:
                return True
        return False

    @property
    def check(self) -> Callable[[str, str], bool] | None:
        """For Gradio's launch(auth=...): None where no password is asked."""
        return self if self.users else None
