"""Starts and stops the server: page, API, job dispatcher and background threads."""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware

from ..api.gradio_internals import (
    LAUNCH_OPTIONS,
    ask_the_queue_less_often,
    close_tunnels,
    disable_analytics,
    keep_sessions_small,
)
from ..errors import SettingsError
from ..jobs.dispatcher import GPU_ENDPOINT, Dispatcher
from ..models.catalog.watcher import CatalogWatcher
from ..request import MAX_INPUT_BYTES
from ..services import Services
from ..settings import Settings
from ..ui.modules import head_scripts
from ..ui.page import build, style_sheets
from ..ui.studio.form_facts import facts
from ..ui.theme import ASSETS, theme
from . import file_handles
from .auth import Authenticator
from .connections import Connections, Limits, bounded
from .middleware import SecurityContext, SecurityMiddleware
from .origin_check import OriginPolicy
from .proxies import bypassing_proxies
from .request_validation import Signature

log = logging.getLogger(__name__)

MAX_THREADS = 128
"""More than the clients that may wait at once: waiting clients must not block the job dispatcher."""
MAX_SESSIONS = 256
"""Pages and clients whose state Gradio keeps (LRU); each HTTP call is one, too."""
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
OWN_UPLOADS = "WEBBDUCK_UPLOADS"
"""Marks that this process has set Gradio's upload folder."""
CLOSE_SECONDS = 3.0
"""Time for connections to close. Together with the worker's timeout it stays below the ten seconds that
service managers allow."""
WARM_UP_SECONDS = 1.0
"""Delay after start: importing torch would slow down the first page."""


class StudioServer:
    """The running server. `url` is the local address, `share_url` the public one, if requested."""

    def __init__(self, settings: Settings):
        """Raises `SettingsError` if a folder, the queue or the port cannot be used."""
        limit = file_handles.raise_limit()
        settings.make_folders()
        # Before anything else is loaded; `start` finds out what has changed meanwhile.
        check_port(settings.host, settings.port)
        self.settings = settings
        self.services = Services.start(settings)
        self.url = ""
        self.share_url: str | None = None
        self._secret = secrets.token_urlsafe(32)
        self._authenticator = Authenticator(settings.auth)
        self._origins = OriginPolicy(settings)
        self.connections = Connections(
            Limits(all=file_handles.connections_within(limit)),
            proxied=bool(settings.public_url or settings.share),
        )
        self._catalog_watcher = CatalogWatcher(self.services.registry)
        self._dispatcher: Dispatcher | None = None
        self._page: gr.Blocks | None = None
        self._warm_up = threading.Timer(WARM_UP_SECONDS, self.services.worker.warm_up)
        self._warm_up.name, self._warm_up.daemon = "warm-up", True

    def start(self) -> None:
        """Start the web server, then the job dispatcher and background threads."""
        settings = self.settings
        set_upload_folder(settings)
        disable_analytics()
        keep_sessions_small()
        page = self._page = build(self.services, self._secret)
        page.queue(api_open=False, default_concurrency_limit=1)
        ask_the_queue_less_often(page)
        head = page_head()
        context = SecurityContext(
            self.services,
            self._authenticator,
            self._origins,
            endpoints=signatures(page),
            lengths={number: len(fn.inputs) for number, fn in page.fns.items()},
            page_scripts=SCRIPT.findall(head),
            connections=self.connections,
            gpu_function=next(number for number, fn in page.fns.items() if fn.api_name == GPU_ENDPOINT),
            ticket=self._secret,
        )
        output = io.StringIO()
        try:
            with ExitStack() as stack:
                stack.enter_context(bypassing_proxies(settings.host))
                stack.enter_context(bounded(self.connections))
                if settings.share:
                    stack.enter_context(redirect_stdout(output))
                _, local, share = page.launch(
                    server_name=bracketed(settings.host),
                    server_port=settings.port,
                    share=settings.share,
                    inbrowser=settings.open_browser,
                    auth=self._authenticator.check,
                    auth_message="WebbDuck: this studio asks for a password.",
                    prevent_thread_lock=True,
                    quiet=True,
                    show_error=False,
                    max_threads=MAX_THREADS,
                    state_session_capacity=MAX_SESSIONS,
                    max_file_size=MAX_INPUT_BYTES,
                    allowed_paths=[str(settings.outputs)],
                    favicon_path=ASSETS / "shared" / "duck.svg",
                    footer_links=["api"],  # hidden by our style sheet; the status line's link clicks it
                    run_history=False,
                    enable_monitoring=False,
                    ssr_mode=False,
                    pwa=False,
                    mcp_server=False,
                    **LAUNCH_OPTIONS,
                    theme=theme(),
                    css=style_sheets(),
                    head=head,
                    root_path=urlsplit(settings.public_url or "").path,
                    app_kwargs={"middleware": [Middleware(SecurityMiddleware, context=context)]},
                )
        except OSError as error:
            # Its text names parameters of Gradio, and it wants the port on the loopback address, too.
            log.debug("Gradio said: %s", error)
            for host in (settings.host, "127.0.0.1"):
                check_port(host, settings.port)
            raise SettingsError(
                f"The studio could not open {settings.host}:{settings.port}; start it again."
            ) from None
        # Gradio prints paragraphs about a failed share link; the user gets one sentence elsewhere.
        log.debug("Gradio said: %s", " ".join(output.getvalue().split()))
        self.url, self.share_url = local.rstrip("/"), share
        if share:
            self._origins.public.add(urlsplit(share).netloc.lower())
        login = self._authenticator.internal if settings.auth else None
        self._dispatcher = Dispatcher(self.services.store, loopback(settings), self._secret, login)
        self._dispatcher.start()
        self._catalog_watcher.start()
        self.services.housekeeping.start()
        self.services.conversions.resume()
        if settings.preload:
            self._warm_up.start()

    def wait(self, is_stopping: Callable[[], bool]) -> None:
        """Block until `is_stopping`, polled each second, or Ctrl+C."""
        never = threading.Event()
        while not is_stopping():
            never.wait(1)

    def close(self) -> bool:
        """Stop in order: the dispatcher, the running job (marked as interrupted), then the page.

        False if the core could not be stopped in time; all data is on disk in that case, too.
        """
        self._warm_up.cancel()
        if self._dispatcher:
            self._dispatcher.stop()
        self._catalog_watcher.stop()
        self.services.housekeeping.stop()
        self.services.conversions.stop()
        core_stopped = self.services.worker.shutdown()
        close_tunnels()
        if self._page:
            # close() waits for all connections, and a running step holds one; the process exits anyway.
            closing = threading.Thread(target=self._page.close, args=(False,), name="close", daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS if core_stopped else 0)
        self.services.store.close()
        self.services.outputs.close()
        return core_stopped


def set_upload_folder(settings: Settings) -> None:
    """Make Gradio store uploads in our folder instead of one in /tmp shared with all Gradio programs, and
    serve images from the output folder without copying them."""
    if not os.environ.get(OWN_UPLOADS):
        os.environ["GRADIO_TEMP_DIR"] = os.environ[OWN_UPLOADS] = str(settings.uploads)
    gr.set_static_paths([settings.outputs])


def signatures(page: gr.Blocks) -> dict[str, Signature]:
    """The parameters of each named endpoint."""
    found = {}
    for name, endpoint in page.get_api_info()["named_endpoints"].items():
        parameters = endpoint["parameters"]
        needed = (each["parameter_name"] for each in parameters if not each["parameter_has_default"])
        names = tuple(each["parameter_name"] for each in parameters)
        found[name.lstrip("/")] = Signature(names, frozenset(needed))
    return found | {GPU_ENDPOINT: Signature(("ticket",), frozenset(("ticket",)))}


def page_head() -> str:
    """<script> tags: the facts about request fields, the theme, and the way to the modules."""
    return "".join(f"<script>{script}</script>" for script in head_scripts(facts()))


def loopback(settings: Settings) -> str:
    """The URL under which this process reaches its own page."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(settings.host, settings.host)
    return f"http://{bracketed(host)}:{settings.port}"


def bracketed(host: str) -> str:
    """A host as written in URLs: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def check_port(host: str, port: int) -> None:
    """Raises `SettingsError` if the address cannot be bound."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise SettingsError(f"This computer has no address {host}; choose another --host.") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"Port {port} on {host} cannot be used ({reason}); "
            "stop the program that has it or choose another --port."
        ) from None
