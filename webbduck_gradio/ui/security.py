"""What comes in from clients and what goes out to them.

One ASGI layer in front of Gradio:

- requests of other sites, and under names that are not the studio's, are refused (`strangers`);
- only the routes that the studio uses are there, without the password only the log-in page (`routes`),
  and wrong passwords cost time (`door`);
- bodies are bounded and looked at before Gradio acts on them (`bodies`);
- pictures are asked for by id under /media/: small ones are answered here, large ones become Gradio file
  requests inside;
- Gradio's own file route gives out finished pictures, previews, thumbnails and uploads, never the queue's
  database or a stray page that lies beside them, and fetches no URL;
- the page gets a Content-Security-Policy, and whatever goes wrong inside reaches the client as one sentence.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import anyio.to_thread
from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import RequestError, StorageError, UnknownName, WebbDuckError
from ..gallery.export import exported
from ..settings import Settings
from . import bodies, routes
from .door import Door, Throttle
from .headers import COMMON, PICTURE, as_page, with_headers
from .services import Services, inside
from .strangers import Strangers

log = logging.getLogger(__name__)

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
FILE_ROUTE = re.compile(r"(?:/gradio_api)?/file[=/](?P<path>.*)", re.DOTALL)
LOG_IN = "Log in first."
NO_SUCH_FILE = "There is no such file."
WENT_WRONG = "The studio could not make sense of this request."
UPLOADS_AT_ONCE = 4
STATUS: dict[type[WebbDuckError], int] = {bodies.BodyTooLarge: 413, StorageError: 507}
JOB_ID = re.compile(r"[0-9a-f]{8,64}")


def media(kind: str, name: str) -> str:
    """URL, relative to the page, of a picture: kind is image, thumb, input, input-thumb or preview."""
    return f"media/{kind}/{quote(name)}"


@dataclass
class Watch:
    """What the gatekeeper goes by. `page_scripts`: those that Gradio adds to the page by itself."""

    services: Services
    door: Door
    strangers: Strangers
    endpoints: Mapping[str, bodies.Signature] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    """Number of values that each of Gradio's functions takes, by its number."""
    page_scripts: Sequence[str] = ()
    throttle: Throttle = field(default_factory=Throttle)

    @property
    def prefix(self) -> str:
        """Path below which a reverse proxy has put the studio, "" where it has the root."""
        return urlsplit(self.services.settings.public_url or "").path.rstrip("/")


class Gatekeeper:
    """The ASGI layer; see the module."""

    def __init__(self, app: ASGIApp, watch: Watch):
        self.app, self.watch, self.services = app, watch, watch.services
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._small: dict[str, Callable[[str], Path]] = {
            "thumb": self.services.thumbnails.thumbnail,
            "trash": self._deleted,
            "lora": lambda name: self.services.lora_previews.picture(name),
            "input-thumb": self._input_thumbnail,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # Gradio uses none
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        sending = with_headers(noting, COMMON)
        try:
            await self._answer(self._without_prefix(scope), receive, sending)
        except ClientDisconnect:
            pass
        except WebbDuckError as error:
            if started:
                raise
            await refuse(str(error), STATUS.get(type(error), 400))(scope, receive, sending)
        except Exception as error:
            if started and isinstance(error.__cause__, HTTPException):
                # A stream that Gradio breaks off, of a client that it does not know (any more).
                log.info("%s %.200s ended: %s", scope["method"], scope["path"], error.__cause__.detail)
                return
            # Gradio meets some malformed requests with an exception of its own.
            log.warning("%s %.200s failed", scope["method"], scope["path"], exc_info=True)
            if started:
                raise
            await refuse(WENT_WRONG, 400)(scope, receive, sending)

    def _without_prefix(self, scope: Scope) -> Scope:
        """A proxy may hand the path on with its prefix or without it; Gradio wants it without."""
        prefix, path = self.watch.prefix, scope["path"]
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path = path.removeprefix(prefix) or "/"
            return dict(scope, path=path, raw_path=quote(path).encode())
        return scope

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self.watch.strangers.refusal(headers)
        if refusal:
            await refuse(refusal, 403)(scope, receive, send)
            return
        path = scope["path"]
        route = routes.find(scope["method"], path)
        if route is None:
            await refuse("There is nothing here.", 404)(scope, receive, send)
            return
        if route.needs_login and not await self._logged_in(scope):
            await refuse(LOG_IN, 401)(scope, receive, send)
            return
        if bodies.announced(scope) > route.max_body:
            raise bodies.BodyTooLarge(bodies.too_large(route.max_body))
        receive = bodies.bounded(receive, route.max_body)
        if path == "/":
            send = as_page(send, self.watch.page_scripts) if scope["method"] == "GET" else send
        elif path.startswith("/media/"):
            await self._media(path, scope, receive, send)
            return
        elif scope["method"] == "POST":
            await self._post(path, scope, receive, send, route.max_body)
            return
        elif asked := FILE_ROUTE.fullmatch(path):
            if not may_serve(asked["path"], self.services.settings):
                await refuse(NO_SUCH_FILE, 403)(scope, receive, send)
                return
            send = with_headers(send, PICTURE)
        await self.app(scope, receive, send)

    async def _post(self, path: str, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        """A request with a body. What is small is read first, uploads are counted as they come."""
        path = path.rstrip("/")
        if path == "/gradio_api/upload":
            async with self._uploads:
                await anyio.to_thread.run_sync(self.services.housekeeping.room_for_upload)
                await self.app(scope, receive, send)
            return
        body = await bodies.whole(receive)
        if path == "/login":
            await self._log_in(body, scope, bodies.again(body, receive), send)
            return
        bodies.check_is_json(scope)
        asked = bodies.parsed(body, self._is_clients)
        send = plainly(scope, receive, send)
        if path == "/gradio_api/cancel":
            call = asked.get("event_id")
            # Gradio is not told: it would drop every call of that client to the same endpoint, not this one
            # alone. The call's id is random and known to its own client only, so it needs no further check.
            if isinstance(call, str) and await anyio.to_thread.run_sync(self.services.cancel_call, call):
                await JSONResponse({"success": True})(scope, receive, send)
                return
        elif path.startswith("/gradio_api/call/"):
            bodies.check_call(path, asked, self.watch.endpoints)
        elif path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            bodies.check_event(asked, self.watch.lengths)
        await self.app(scope, bodies.again(body, receive), send)

    def _is_clients(self, path: str) -> bool:
        """Whether a path that a client sends may stand for a file: an upload or something of the outputs.
        What is done with it is checked where it is opened; see `uploaded`."""
        folders = (Path(get_upload_folder()), self.services.settings.outputs)
        try:
            return Path(path).is_absolute() and any(inside(Path(path), folder) for folder in folders)
        except (OSError, ValueError, RuntimeError):
            return False

    async def _log_in(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a log-in on to Gradio, as often as the throttle lets this address try."""
        if not self.services.settings.auth:
            await self.app(scope, receive, send)
            return
        user = parse_qs(body.decode("latin-1")).get("username", [""])[0].strip()
        if self.watch.door.is_internal(user):
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown", 0))[0]
        seconds = math.ceil(self.watch.throttle.wait(address))
        if seconds:
            text = f"There were too many wrong passwords; wait {seconds} seconds, then try again."
            answer = JSONResponse({"detail": text}, 429, {"retry-after": str(seconds)})
            await answer(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self.watch.throttle.passed(address)
            await send(message)

        await self.app(scope, receive, noting)

    async def _media(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        kind, _, name = path.removeprefix("/media/").partition("/")
        try:
            if kind == "preview":
                await self._preview(name, scope, receive, send)
                return
            if kind == "input":
                await self._input(name, scope, receive, send)
                return
            if kind in self._small:
                await self._small_picture(kind, name, scope, receive, send)
                return
            file = self.services.outputs.resolve(name) if kind == "image" else self._exported(kind, name)
        except WebbDuckError as error:
            await refuse(str(error), 404)(scope, receive, send)
            return
        route = f"/gradio_api/file={file}"
        inner = dict(scope, path=route, raw_path=quote(route).encode())
        headers = [*PICTURE, (b"cache-control", b"private, max-age=86400")]
        await self.app(inner, receive, with_headers(send, headers))

    def _exported(self, kind: str, name: str) -> Path:
        """A zip file for the page. Raises `UnknownName` where there is none."""
        if kind != "export":
            raise UnknownName("There is no such picture.")
        return exported(self.services.settings, name)

    async def _small_picture(self, kind: str, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A thumbnail, without Gradio's detour: the page shows dozens at once. Raises `WebbDuckError`."""
        make = self._small[kind]

        def content() -> bytes:
            try:
                return make(name).read_bytes()
            except OSError:
                raise UnknownName("There is no such picture.") from None

        answer = Response(await anyio.to_thread.run_sync(content), media_type="image/webp")
        headers = [*PICTURE, (b"cache-control", b"private, max-age=86400")]
        await answer(scope, receive, with_headers(send, headers))

    def _input_thumbnail(self, file_id: str) -> Path:
        """A small copy of the picture that a job was given. Raises `UnknownName` where there is none."""
        return self.services.thumbnails.of_file(self.services.inputs.path(file_id), file_id, 256)

    def _deleted(self, name: str) -> Path:
        """Thumbnail of a picture in the trash: ENTRY/RUN/0.png."""
        entry, _, image_id = name.partition("/")
        path = self.services.trash.path(entry, image_id)
        return self.services.thumbnails.of_file(path, image_id)

    async def _preview(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A live preview, read at once: its file is replaced several times a second."""
        job_id = name.removesuffix(".jpg")
        if not JOB_ID.fullmatch(job_id):
            raise UnknownName("There is no such picture.")
        path = self.services.worker.preview_path(job_id)
        try:
            content = await anyio.to_thread.run_sync(path.read_bytes)
        except OSError:
            raise UnknownName("The preview is gone; its job has ended.") from None
        answer = Response(content, media_type="image/jpeg", headers={"cache-control": "no-cache"})
        await answer(scope, receive, with_headers(send, PICTURE))

    async def _input(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """An input picture, by the id that it is stored under; what it names never changes."""
        answer = FileResponse(self.services.inputs.path(name))
        headers = [*PICTURE, (b"cache-control", b"private, max-age=31536000, immutable")]
        await answer(scope, receive, with_headers(send, headers))

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


def refuse(sentence: str, status: int) -> Response:
    """An answer of one sentence, in the form that Gradio's page and clients read."""
    return JSONResponse({"detail": sentence, "error": sentence}, status)


def plainly(scope: Scope, receive: Receive, send: Send) -> Send:
    """`send` that puts one sentence in place of FastAPI's list of what does not fit its model."""
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] in (422, 500):
            replaced = True
            await refuse(WENT_WRONG, 400)(scope, receive, send)
        elif not replaced:
            await send(message)

    return sending


def may_serve(path: str, settings: Settings) -> bool:
    """Whether Gradio's file route may look at this path (its own checks follow): at pictures of the output
    folder, beside its private part, and at thumbnails, previews and uploaded pictures."""
    if "://" in path or path.startswith("//") or "\0" in path:
        return False
    try:
        file = Path(path).resolve()
        served = (settings.previews, settings.thumbnails, settings.uploads)
        if file.suffix.lower() not in IMAGE_ENDINGS or not inside(file, settings.outputs):
            return False
        return not inside(file, settings.private) or any(inside(file, folder) for folder in served)
    except (OSError, ValueError, RuntimeError):
        return False


def uploaded(value: Any, services: Services, uploads: Path) -> Path:
    """The file that a client means by an image input: an upload of its own or an id that we gave out.

    Raises `RequestError` for every other path: a bare {"path": ...} can name any file of the server.
    """
    name = value.get("path") if isinstance(value, dict) else getattr(value, "path", value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise RequestError(bodies.NOT_OURS)
    try:
        path = Path(name)
        if path.is_absolute() and inside(path, uploads) and path.resolve().is_file():
            return path.resolve()
        return services.outputs.resolve(name)
    except (OSError, ValueError, UnknownName):
        raise RequestError(bodies.NOT_OURS) from None
