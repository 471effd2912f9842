"""Starts the studio: the page, the lane that feeds the GPU, and what must stop in order."""

from __future__ import annotations

import io
import json
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
from gradio.tunneling import CURRENT_TUNNELS
from starlette.middleware import Middleware

from ..errors import SettingsError
from ..jobs.dispatcher import LANE, Dispatcher
from ..models.catalog.watcher import CatalogWatcher
from ..services import Services
from ..settings import Settings
from ..ui.page import build
from ..ui.studio.form import facts
from ..ui.theme import ASSETS, asset, theme
from . import file_handles
from .auth import Authenticator
from .connections import Connections, Limits, bounded
from .middleware import SecurityContext, SecurityMiddleware
from .origin_check import OriginPolicy
from .proxies import bypassing_proxies
from .request_validation import Signature

log = logging.getLogger(__name__)

MAX_THREADS = 128
"""More than the clients that may wait at once: a waiting client must not hold up the lane."""
MAX_SESSIONS = 256
"""Of pages and clients that Gradio remembers, the one that was idle longest going first. Each takes about
0.2 MB, and a call over plain HTTP is one of its own."""
MAX_UPLOAD = "64mb"
SCRIPTS = (
    "shared/bus.js",
    "shared/widgets.js",
    "shared/numbers.js",
    "studio/form.js",
    "shared/mobile_sheet.js",
    "shared/shortcuts.js",
    "studio/mask_editor.js",
    "shared/zoom.js",
)
"""What the views share, in the order in which it needs each other."""
STYLE_SHEETS = (
    "studio/studio.css",
    "studio/viewer.css",
    "studio/form.css",
    "queue/queue.css",
    "gallery/gallery.css",
    "gallery/lightbox.css",
    "loras/loras.css",
    "studio/lora_stack.css",
    "shared/mobile_sheet.css",
)
"""The first sets the colours and what all tabs share; each tab has one of its own; the last is for phones."""
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
OWN_UPLOADS = "WEBBDUCK_UPLOADS"
"""Set by this process for itself, once it has told Gradio where uploads go."""
CLOSE_SECONDS = 3.0
"""For the pages' connections to end. With the worker's own wait this stays below the ten seconds that
service managers give."""
WARM_UP_SECONDS = 1.0
"""After the page answers; torch's import would slow down the first page."""


class StudioServer:
    """The running studio. `url` is the local address, `share_url` the public one where asked for."""

    def __init__(self, settings: Settings):
        """Raises `SettingsError` where a folder, the queue or the port cannot be used."""
        limit = file_handles.raise_limit()
        settings.make_folders()
        check_port(settings.host, settings.port)
        self.settings = settings
        self.services = Services.start(settings)
        self.url = ""
        self.share_url: str | None = None
        self._secret = secrets.token_urlsafe(32)
        self._door = Authenticator(settings.auth)
        self._strangers = OriginPolicy(settings)
        self.connections = Connections(
            Limits(all=file_handles.connections_within(limit)),
            proxied=bool(settings.public_url or settings.share),
        )
        self._watch = CatalogWatcher(self.services.registry)
        self._pump: Dispatcher | None = None
        self._page: gr.Blocks | None = None

    def start(self) -> None:
        """Answer at the address, then feed the lane."""
        settings = self.settings
        keep_uploads_in(settings)
        keep_no_statistics()
        page = self._page = build(self.services, self._secret)
        page.queue(api_open=False, default_concurrency_limit=1)
        head = page_head()
        watch = SecurityContext(
            self.services,
            self._door,
            self._strangers,
            endpoints=signatures(page),
            lengths={number: len(fn.inputs) for number, fn in page.fns.items()},
            page_scripts=SCRIPT.findall(head),
            connections=self.connections,
            lane=next(number for number, fn in page.fns.items() if fn.api_name == LANE),
            ticket=self._secret,
        )
        said = io.StringIO()
        try:
            with ExitStack() as within:
                within.enter_context(bypassing_proxies(settings.host))
                within.enter_context(bounded(self.connections))
                if settings.share:
                    within.enter_context(redirect_stdout(said))
                _, local, share = page.launch(
                    server_name=bracketed(settings.host),
                    server_port=settings.port,
                    share=settings.share,
                    inbrowser=settings.open_browser,
                    auth=self._door.check,
                    auth_message="WebbDuck: this studio asks for a password.",
                    prevent_thread_lock=True,
                    quiet=True,
                    show_error=False,
                    max_threads=MAX_THREADS,
                    state_session_capacity=MAX_SESSIONS,
                    max_file_size=MAX_UPLOAD,
                    allowed_paths=[str(settings.outputs)],
                    favicon_path=ASSETS / "shared" / "duck.svg",
                    footer_links=["api"],  # hidden by our style sheet; the status line's link presses it
                    run_history=False,
                    enable_monitoring=False,
                    ssr_mode=False,
                    pwa=False,
                    mcp_server=False,
                    theme=theme(),
                    css="\n".join(asset(sheet) for sheet in STYLE_SHEETS),
                    head=head,
                    root_path=urlsplit(settings.public_url or "").path,
                    app_kwargs={"middleware": [Middleware(SecurityMiddleware, watch=watch)]},
                )
        except OSError as error:
            raise SettingsError(
                f"The studio could not open {settings.host}:{settings.port} ({error})."
            ) from None
        # Gradio has paragraphs to say about a link that it could not make; the owner gets one sentence.
        log.debug("Gradio said: %s", " ".join(said.getvalue().split()))
        self.url, self.share_url = local.rstrip("/"), share
        if share:
            self._strangers.public.add(urlsplit(share).netloc.lower())
        login = self._door.internal if settings.auth else None
        self._pump = Dispatcher(self.services.store, loopback(settings), self._secret, login)
        self._pump.start()
        self._watch.start()
        self.services.housekeeping.start()
        threading.Timer(WARM_UP_SECONDS, self.services.worker.warm_up).start()

    def wait(self, stop_asked: Callable[[], bool]) -> None:
        """Until `stop_asked`, looked at each second, or Ctrl+C."""
        never = threading.Event()
        while not stop_asked():
            never.wait(1)

    def close(self) -> bool:
        """Stop in order: no new tickets, the running job put back as interrupted, then the page.

        False where the core could not be brought to rest; all that matters is on the disk then too.
        """
        if self._pump:
            self._pump.stop()
        self._watch.stop()
        self.services.housekeeping.stop()
        at_rest = self.services.worker.shutdown()
        for tunnel in CURRENT_TUNNELS:
            tunnel.kill()  # a program of its own, which would outlive a hurried end
        if self._page:
            # It waits for every open connection, and a step that goes on keeps one; the process ends anyway.
            closing = threading.Thread(target=self._page.close, args=(False,), name="close", daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS if at_rest else 0)
        self.services.store.close()
        self.services.outputs.close()
        return at_rest


def keep_uploads_in(settings: Settings) -> None:
    """Gradio keeps uploads in one folder for each process: ours instead of a place in /tmp that is shared
    with every other Gradio program. Finished pictures are served from where they lie, not copied there."""
    if not os.environ.get(OWN_UPLOADS):
        os.environ["GRADIO_TEMP_DIR"] = os.environ[OWN_UPLOADS] = str(settings.uploads)
    gr.set_static_paths([settings.outputs])


def keep_no_statistics() -> None:
    """After each call Gradio sums up its last ten thousand, for a page of statistics that is closed here: the
    busier the studio had been, the slower and larger it would get."""
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**12))
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")


def signatures(page: gr.Blocks) -> dict[str, Signature]:
    """The parameters of each endpoint that a client may call by name."""
    found = {}
    for name, endpoint in page.get_api_info()["named_endpoints"].items():
        parameters = endpoint["parameters"]
        needed = (each["parameter_name"] for each in parameters if not each["parameter_has_default"])
        names = tuple(each["parameter_name"] for each in parameters)
        found[name.lstrip("/")] = Signature(names, frozenset(needed))
    return found | {LANE: Signature(("ticket",), frozenset(("ticket",)))}


def page_head() -> str:
    """The scripts that every view of the page uses, and what they know of the request."""
    known = f"window.webbduckFacts = {json.dumps(facts())};"
    return "".join(f"<script>{script}</script>" for script in (known, *(asset(name) for name in SCRIPTS)))


def loopback(settings: Settings) -> str:
    """Where this process reaches its own page."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(settings.host, settings.host)
    return f"http://{bracketed(host)}:{settings.port}"


def bracketed(host: str) -> str:
    """A host as addresses of the web write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def check_port(host: str, port: int) -> None:
    """Raises `SettingsError` where the address cannot be opened, before anything else is loaded."""
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
