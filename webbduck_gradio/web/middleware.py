"""What comes in from clients and what goes out to them.

One ASGI layer in front of Gradio:

- requests of other sites, and under names that are not the studio's, are refused (`strangers`);
- only the routes that the studio uses are there, without the password only the log-in page (`routes`),
  and wrong passwords cost time (`door`);
- bodies are bounded in size and time, and looked at before Gradio acts on them (`bodies`, `uploads`);
- a log-in ends after a time (`sessions`), and who is logged in is told to the connection (`connections`);
- tickets of the GPU lane come from the studio alone;
- pictures are asked for by id under /media/: small ones are answered here, large ones become Gradio file
  requests inside;
- Gradio's own file route gives out finished pictures, previews, thumbnails and uploads, never the queue's
  database or a stray page that lies beside them, and fetches no URL;
- the page gets a Content-Security-Policy, and whatever goes wrong inside reaches the client as one sentence.
"""

from __future__ import annotations

import hmac
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import anyio.to_thread
from gradio.utils import get_upload_folder
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import NotFoundError, RequestError, StorageError, WebbDuckError
from ..jobs.dispatcher import LANE
from ..services import Services, inside
from ..settings import Settings
from . import allowed_routes, connections, request_validation, sessions
from .auth import Authenticator, LoginRateLimiter
from .csp import COMMON, PICTURE, with_csp, with_headers
from .media import Media
from .origin_check import OriginPolicy
from .responses import error_response
from .uploads import Places, Upload

log = logging.getLogger(__name__)

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
FILE_ROUTE = re.compile(r"(?:/gradio_api)?/file[=/](?P<path>.*)", re.DOTALL)
LOG_IN = "Log in first."
NO_SUCH_FILE = "There is no such file."
WENT_WRONG = "The studio could not make sense of this request."
NOT_A_TICKET = "This endpoint is the studio's own; submit jobs through /generate."
TOO_MANY_STREAMS = "Too many clients follow the studio at once; close some of its pages."
AMBIGUOUS = "The request tells its length in more than one way."
STATUS: dict[type[WebbDuckError], int] = {
    request_validation.BodyTooLargeError: 413,
    request_validation.BodyTooSlowError: 408,
    StorageError: 507,
}
CLOSES = (408, 413)
"""Statuses of refusals after which the connection is closed: what follows might be no request."""
LANE_CALLS = (f"/gradio_api/call/{LANE}", f"/gradio_api/call/v2/{LANE}")


@dataclass
class SecurityContext:
    """What the gatekeeper goes by. `page_scripts`: those that Gradio adds to the page by itself."""

    services: Services
    door: Authenticator
    strangers: OriginPolicy
    endpoints: Mapping[str, request_validation.Signature] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    """Number of values that each of Gradio's functions takes, by its number."""
    page_scripts: Sequence[str] = ()
    throttle: LoginRateLimiter = field(default_factory=LoginRateLimiter)
    sessions: sessions.Sessions = field(default_factory=sessions.Sessions)
    connections: connections.Connections | None = None
    lane: int | None = None
    """Number of the function that is the GPU lane, and the ticket that it takes."""
    ticket: str = ""

    @property
    def prefix(self) -> str:
        """Path below which a reverse proxy has put the studio, "" where it has the root."""
        return urlsplit(self.services.settings.public_url or "").path.rstrip("/")


class SecurityMiddleware:
    """The ASGI layer; see the module."""

    def __init__(self, app: ASGIApp, watch: SecurityContext):
        self.app, self.watch, self.services = app, watch, watch.services
        self._places = Places()
        self._media = Media(app, self.services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # Gradio uses none
            return
        if scope["type"] != "http":
            # Before the first request: Gradio's table of log-ins would keep them for ever.
            scope["app"].tokens = self.watch.sessions
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
            status = STATUS.get(type(error), 400)
            await error_response(str(error), status, status in CLOSES)(scope, receive, sending)
        except Exception as error:
            if started and isinstance(error.__cause__, HTTPException):
                # A stream that Gradio breaks off, of a client that it does not know (any more).
                log.info("%s %.200s ended: %s", scope["method"], scope["path"], error.__cause__.detail)
                return
            # Gradio meets some malformed requests with an exception of its own.
            log.warning("%s %.200s failed", scope["method"], scope["path"], exc_info=True)
            if started:
                raise
            await error_response(WENT_WRONG, 400)(scope, receive, sending)

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
        if request_validation.is_ambiguous(scope):
            await error_response(AMBIGUOUS, 400, close=True)(scope, receive, send)
            return
        refusal = self.watch.strangers.refusal(headers)
        if refusal:
            await error_response(refusal, 403)(scope, receive, send)
            return
        path = scope["path"]
        route = allowed_routes.find(scope["method"], path)
        if route is None:
            await error_response("There is nothing here.", 404)(scope, receive, send)
            return
        user, asks = self._user(scope), bool(self.watch.door.users)
        if connection := connections.of_request(scope):
            connection.let_in = user is not None or not asks
        if route.needs_login and asks and user is None:
            await error_response(LOG_IN, 401)(scope, receive, send)
            return
        if request_validation.content_length(scope) > route.max_body:
            raise request_validation.BodyTooLargeError(request_validation.too_large(route.max_body))
        receive = request_validation.limit_slowness(request_validation.limit_body(receive, route.max_body))
        if path == "/":
            send = with_csp(send, self.watch.page_scripts) if scope["method"] == "GET" else send
        elif path.startswith("/media/"):
            await self._media(path, scope, receive, send)
            return
        elif scope["method"] == "POST":
            await self._post(path, scope, receive, send)
            return
        elif path == "/logout":
            await sessions.log_out_page()(scope, receive, send)
            return
        elif allowed_routes.STREAMS.fullmatch(path) and self.watch.connections:
            with self.watch.connections.stream() as has_place:
                if has_place or (user is not None and self.watch.door.is_internal(user)):
                    await self.app(scope, receive, send)
                else:
                    await error_response(TOO_MANY_STREAMS, 503, close=True)(scope, receive, send)
            return
        elif asked := FILE_ROUTE.fullmatch(path):
            if not is_servable(asked["path"], self.services.settings):
                await error_response(NO_SUCH_FILE, 403)(scope, receive, send)
                return
            send = with_headers(send, PICTURE)
        await self.app(scope, receive, send)

    async def _post(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A request with a body. What is small is read first, uploads are counted as they come."""
        path = path.rstrip("/")
        if path == "/gradio_api/upload":
            await self._upload(scope, receive, send)
            return
        if path in LANE_CALLS:
            if request_validation.content_length(scope) > allowed_routes.MAX_TICKET:
                await error_response(NOT_A_TICKET, 403, close=True)(scope, receive, send)
                return
            receive = request_validation.limit_body(receive, allowed_routes.MAX_TICKET)
        body = await request_validation.read_body(receive)
        if path == "/logout":
            await sessions.log_out(scope, self.watch.sessions)(scope, receive, send)
            return
        if path == "/login":
            await self._log_in(body, scope, request_validation.replay_body(body, receive), send)
            return
        request_validation.check_is_json(scope)
        asked = request_validation.parse_json(body, self._is_clients)
        send = with_plain_errors(scope, receive, send)
        if path == "/gradio_api/cancel":
            call = asked.get("event_id")
            # Gradio is not told: it would drop every call of that client to the same endpoint, not this one
            # alone. The call's id is random and known to its own client only, so it needs no further check.
            if isinstance(call, str) and await anyio.to_thread.run_sync(self.services.cancel_call, call):
                await JSONResponse({"success": True})(scope, receive, send)
                return
        elif path in LANE_CALLS or asked.get("fn_index") == self.watch.lane is not None:
            if not self._is_ticket(asked):
                await error_response(NOT_A_TICKET, 403)(scope, receive, send)
                return
        elif path.startswith("/gradio_api/call/"):
            request_validation.check_call(path, asked, self.watch.endpoints)
        elif path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            request_validation.check_event(asked, self.watch.lengths)
        await self.app(scope, request_validation.replay_body(body, receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An upload in its turn. One that is broken off is answered here, as Gradio knows no reason."""
        visitor = next(iter(sessions.tokens_of(scope)), (scope.get("client") or ("unknown", 0))[0])
        room = self.services.housekeeping.room_for_upload
        upload = Upload(self._places, visitor, receive, lambda: anyio.to_thread.run_sync(room), scope)

        async def unless_broken(message: Message) -> None:
            if upload.error is None:
                await send(message)

        try:
            await upload.begin()
            await self.app(scope, upload, unless_broken)
        finally:
            upload.give_way()
        if upload.error is not None:
            raise upload.error

    def _is_ticket(self, asked: dict[str, Any]) -> bool:
        """Whether a call of the GPU lane comes from the studio itself. Foreign ones would wait there."""
        data = asked.get("data")
        ticket = data[0] if isinstance(data, list) and len(data) == 1 else None
        if not isinstance(ticket, str) or not self.watch.ticket:
            return False
        return hmac.compare_digest(ticket.encode("utf-8", "surrogatepass"), self.watch.ticket.encode())

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
        send = sessions.with_safe_cookies(send, sessions.is_tls(scope, self.services.settings))
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

    def _user(self, scope: Scope) -> str | None:
        """Who sends this request, None where nobody is logged in. Gradio looks at one token as well."""
        return next((self.watch.sessions.get(token) for token in sessions.tokens_of(scope)), None)


def with_plain_errors(scope: Scope, receive: Receive, send: Send) -> Send:
    """`send` that puts one sentence in place of FastAPI's list of what does not fit its model."""
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] in (422, 500):
            replaced = True
            await error_response(WENT_WRONG, 400)(scope, receive, send)
        elif not replaced:
            await send(message)

    return sending


def is_servable(path: str, settings: Settings) -> bool:
    """Whether Gradio's file route may look at this path (its own checks follow): at pictures of the output
    folder, beside its private part, and at thumbnails, previews and uploaded pictures."""
    if "://" in path or path.startswith("//") or "\0" in path:
        return False
    try:
        file = Path(path).resolve()
        served = (settings.previews, settings.thumbnails, settings.uploads)
        if file.suffix.lower() not in IMAGE_ENDINGS or not inside(file, settings.outputs):
            return False
        return not inside(file, settings.data_dir) or any(inside(file, folder) for folder in served)
    except (OSError, ValueError, RuntimeError):
        return False


def uploaded(value: Any, services: Services, uploads: Path) -> Path:
    """The file that a client means by an image input: an upload of its own or an id that we gave out.

    Raises `RequestError` for every other path: a bare {"path": ...} can name any file of the server.
    """
    name = value.get("path") if isinstance(value, dict) else getattr(value, "path", value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise RequestError(request_validation.NOT_OURS)
    try:
        path = Path(name)
        if path.is_absolute() and inside(path, uploads) and path.resolve().is_file():
            return path.resolve()
        return services.outputs.resolve(name)
    except (OSError, ValueError, NotFoundError):
        raise RequestError(request_validation.NOT_OURS) from None
