"""ASGI middleware in front of Gradio: access control, request validation and security headers.

- Cross-site requests and unknown host names are refused (`origin_check`).
- Only routes in use are reachable, without login only the login page (`allowed_routes`), and password
  guessing is rate limited (`auth`).
- Bodies are limited in size and time and validated before Gradio sees them (`request_validation`, `uploads`).
- Logins expire (`sessions`); connections of logged-in users have priority (`connections`).
- Only the server itself may call the endpoint that runs jobs.
- Images are served by id under /media/ (`media`).
- The page's scripts are served from memory, by name (`scripts`), and the tags that it completes by version
  (`tag_list`).
- Gradio's file route serves only finished images, previews, thumbnails and uploads, never the queue's
  database or HTML files beside them, and fetches no URLs.
- The page gets a Content-Security-Policy, and any internal error reaches the client as one sentence.
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
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api.gradio_internals import upload_folder
from ..errors import StorageError, WebbDuckError
from ..jobs.dispatcher import GPU_ENDPOINT, NOT_A_TICKET
from ..services import Services, inside
from ..settings import Settings
from . import allowed_routes, connections, request_validation, sessions
from .auth import Authenticator, LoginRateLimiter
from .csp import COMMON, PICTURE, with_csp, with_headers
from .media import Media
from .origin_check import OriginPolicy
from .responses import error_response
from .scripts import script_response
from .tag_list import tag_list_response
from .uploads import Upload, UploadSlots

log = logging.getLogger(__name__)

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
FILE_ROUTE = re.compile(r"(?:/gradio_api)?/file[=/](?P<path>.*)", re.DOTALL)
LOG_IN = "Log in first."
NO_SUCH_FILE = "There is no such file."
MALFORMED = "Malformed request."
TOO_MANY_STREAMS = "Too many clients are connected; close some pages of the studio."
AMBIGUOUS = "The request states its length in more than one way."
STATUS: dict[type[WebbDuckError], int] = {
    request_validation.BodyTooLargeError: 413,
    request_validation.BodyTooSlowError: 408,
    StorageError: 507,
}
CLOSES = (408, 413)
"""Statuses after which the connection is closed: the rest of the stream may not be a valid request."""
GPU_ENDPOINT_CALLS = (f"/gradio_api/call/{GPU_ENDPOINT}", f"/gradio_api/call/v2/{GPU_ENDPOINT}")


@dataclass
class SecurityContext:
    """What the middleware needs. `page_scripts`: inline scripts that Gradio adds to the page on its own."""

    services: Services
    authenticator: Authenticator
    origins: OriginPolicy
    endpoints: Mapping[str, request_validation.Signature] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    """fn_index of each Gradio function -> number of its inputs."""
    page_scripts: Sequence[str] = ()
    login_limiter: LoginRateLimiter = field(default_factory=LoginRateLimiter)
    sessions: sessions.Sessions = field(default_factory=sessions.Sessions)
    connections: connections.Connections | None = None
    gpu_function: int | None = None
    """fn_index of the function that runs jobs."""
    ticket: str = ""
    """Secret argument of that function."""

    @property
    def prefix(self) -> str:
        """Path prefix set by a reverse proxy, or ""."""
        return urlsplit(self.services.settings.public_url or "").path.rstrip("/")


class SecurityMiddleware:
    """See the module's docstring."""

    def __init__(self, app: ASGIApp, context: SecurityContext):
        self.app, self.context, self.services = app, context, context.services
        self._upload_slots = UploadSlots()
        self._media = Media(app, self.services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # Gradio uses no WebSockets
            return
        if scope["type"] != "http":
            # Lifespan event, before any request: in Gradio's own token table, logins never expire.
            scope["app"].tokens = self.context.sessions
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        sending = with_headers(send_noting, COMMON)
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
                # Gradio aborts the stream of a client that it does not know (any more).
                log.info("%s %.200s ended: %s", scope["method"], scope["path"], error.__cause__.detail)
                return
            # Gradio raises all kinds of exceptions for malformed requests.
            log.warning("%s %.200s failed", scope["method"], scope["path"], exc_info=True)
            if started:
                raise
            await error_response(MALFORMED, 400)(scope, receive, sending)

    def _without_prefix(self, scope: Scope) -> Scope:
        """Remove the proxy's path prefix, which some proxies leave in place; Gradio expects none."""
        prefix, path = self.context.prefix, scope["path"]
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
        refusal = self.context.origins.refusal(headers)
        if refusal:
            await error_response(refusal, 403)(scope, receive, send)
            return
        path = scope["path"]
        route = allowed_routes.find(scope["method"], path)
        if route is None:
            await error_response("There is nothing here.", 404)(scope, receive, send)
            return
        user, asks = self._user(scope), bool(self.context.authenticator.users)
        if connection := connections.of_request(scope):
            connection.is_authenticated = user is not None or not asks
        if route.needs_login and asks and user is None:
            await error_response(LOG_IN, 401)(scope, receive, send)
            return
        if request_validation.content_length(scope) > route.max_body:
            raise request_validation.BodyTooLargeError(request_validation.too_large(route.max_body))
        receive = request_validation.limit_slowness(request_validation.limit_body(receive, route.max_body))
        if path == "/":
            send = with_csp(send, self.context.page_scripts) if scope["method"] == "GET" else send
        elif path.startswith("/media/"):
            await self._media(path, scope, receive, send)
            return
        elif path.startswith("/modules/"):
            await script_response(path)(scope, receive, send)
            return
        elif path.startswith("/tags/"):
            accepted = headers.get("accept-encoding", "")
            response = await tag_list_response(path, accepted, self.services.registry.tags)
            await response(scope, receive, send)
            return
        elif scope["method"] == "POST":
            await self._post(path, scope, receive, send)
            return
        elif path == "/logout":
            await sessions.log_out_page()(scope, receive, send)
            return
        elif allowed_routes.STREAMS.fullmatch(path) and self.context.connections:
            with self.context.connections.stream() as has_place:
                if has_place or (user is not None and self.context.authenticator.is_internal(user)):
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
        """Handle a POST request. Small bodies are read and validated first; uploads are streamed."""
        path = path.rstrip("/")
        if path == "/gradio_api/upload":
            await self._upload(scope, receive, send)
            return
        if path in GPU_ENDPOINT_CALLS:
            if request_validation.content_length(scope) > allowed_routes.MAX_TICKET:
                await error_response(NOT_A_TICKET, 403, close=True)(scope, receive, send)
                return
            receive = request_validation.limit_body(receive, allowed_routes.MAX_TICKET)
        body = await request_validation.read_body(receive)
        if path == "/logout":
            await sessions.log_out(scope, self.context.sessions)(scope, receive, send)
            return
        if path == "/login":
            await self._log_in(body, scope, request_validation.replay_body(body, receive), send)
            return
        request_validation.check_is_json(scope)
        asked = request_validation.parse_json(body, self._is_client_file)
        send = with_plain_errors(scope, receive, send)
        if path == "/gradio_api/cancel":
            call = asked.get("event_id")
            # Not forwarded to Gradio, which would cancel all calls of that client to the endpoint. The call's
            # id is random and known to its own client only, so it needs no further check.
            if isinstance(call, str) and await anyio.to_thread.run_sync(self.services.cancel_call, call):
                await JSONResponse({"success": True})(scope, receive, send)
                return
        elif path in GPU_ENDPOINT_CALLS or asked.get("fn_index") == self.context.gpu_function is not None:
            if not self._is_ticket(asked):
                await error_response(NOT_A_TICKET, 403)(scope, receive, send)
                return
        elif path.startswith("/gradio_api/call/"):
            request_validation.check_call(path, asked, self.context.endpoints)
        elif path in ("/gradio_api/queue/join", "/gradio_api/run/predict"):
            request_validation.check_event(asked, self.context.lengths)
        await self.app(scope, request_validation.replay_body(body, receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an upload to Gradio once it has a slot. An aborted one is answered here, with the reason."""
        visitor = next(iter(sessions.tokens_of(scope)), (scope.get("client") or ("unknown", 0))[0])
        check_space = self.services.housekeeping.check_upload_space
        upload = Upload(
            self._upload_slots, visitor, receive, lambda: anyio.to_thread.run_sync(check_space), scope
        )

        async def unless_broken(message: Message) -> None:
            if upload.error is None:
                await send(message)

        try:
            await upload.acquire_slot()
            await self.app(scope, upload, unless_broken)
        finally:
            upload.release_slot()
        if upload.error is not None:
            raise upload.error

    def _is_ticket(self, asked: dict[str, Any]) -> bool:
        """Whether a call of the job-running endpoint comes from this server. Others would block the queue."""
        data = asked.get("data")
        ticket = data[0] if isinstance(data, list) and len(data) == 1 else None
        if not isinstance(ticket, str) or not self.context.ticket:
            return False
        return hmac.compare_digest(ticket.encode("utf-8", "surrogatepass"), self.context.ticket.encode())

    def _is_client_file(self, path: str) -> bool:
        """Whether a client may refer to this path: an upload or a file of the output folder. Opening it is
        checked again, see `api.client_files`."""
        folders = (upload_folder(), self.services.settings.outputs)
        try:
            return Path(path).is_absolute() and any(inside(Path(path), folder) for folder in folders)
        except (OSError, ValueError, RuntimeError):
            return False

    async def _log_in(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a login to Gradio, subject to the rate limit."""
        send = sessions.with_safe_cookies(send, sessions.is_tls(scope, self.services.settings))
        if not self.services.settings.auth:
            await self.app(scope, receive, send)
            return
        user = parse_qs(body.decode("latin-1")).get("username", [""])[0].strip()
        if self.context.authenticator.is_internal(user):
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown", 0))[0]
        seconds = math.ceil(self.context.login_limiter.wait(address))
        if seconds:
            text = f"There were too many wrong passwords; wait {seconds} seconds, then try again."
            answer = JSONResponse({"detail": text}, 429, {"retry-after": str(seconds)})
            await answer(scope, receive, send)
            return

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self.context.login_limiter.passed(address)
            await send(message)

        await self.app(scope, receive, send_noting)

    def _user(self, scope: Scope) -> str | None:
        """The user who is logged in with this request, or None."""
        return next((self.context.sessions.get(token) for token in sessions.tokens_of(scope)), None)


def with_plain_errors(scope: Scope, receive: Receive, send: Send) -> Send:
    """`send` that replaces FastAPI's validation errors with one sentence."""
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] in (422, 500):
            replaced = True
            await error_response(MALFORMED, 400)(scope, receive, send)
        elif not replaced:
            await send(message)

    return sending


def is_servable(path: str, settings: Settings) -> bool:
    """Whether Gradio's file route may serve this path (its own checks follow): images of the output folder
    outside the data folder, thumbnails, previews and uploaded images."""
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
