"""Starts where a proxy is set for the whole computer, and at addresses of IPv6."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from running import STARTER, free_port, studio_settings, wait_until

from webbduck_gradio.cli import settings_from
from webbduck_gradio.errors import SettingsError
from webbduck_gradio.settings import HOME
from webbduck_gradio.web import proxies
from webbduck_gradio.web.server import StudioServer, bracketed, loopback

NOBODY = "127.0.0.1:9"
"""Nothing answers at the port for discarding."""


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    yield monkeypatch


ENVIRONMENTS = {
    "http": {"http_proxy": f"http://{NOBODY}", "HTTP_PROXY": f"http://{NOBODY}"},
    "without a scheme": {"http_proxy": NOBODY},
    "all, http": {"ALL_PROXY": f"http://{NOBODY}"},
    "all, socks": {"all_proxy": f"socks5://{NOBODY}", "ALL_PROXY": f"socks5h://{NOBODY}"},
    "unknown scheme": {"all_proxy": f"socks4://{NOBODY}"},
    "no address at all": {"http_proxy": "http://a proxy:port"},
    "exceptions in brackets": {"http_proxy": f"http://{NOBODY}", "NO_PROXY": "localhost,[::1]"},
    "exceptions with a network": {"http_proxy": f"http://{NOBODY}", "no_proxy": "::1/128,10.0.0.0/8"},
}


class Here(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    address_family = socket.AF_INET6 if has_ipv6() else socket.AF_INET


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    """The address of a server on this computer's loopback, by IPv6 where there is one."""
    host = "::1" if has_ipv6() else "127.0.0.1"
    server = Server((host, 0), Here)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{bracketed(host)}:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_this_computer_is_asked_directly(name: str, here: str, no_proxies: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENTS[name].items():
        no_proxies.setenv(variable, value)
    before = dict(os.environ)
    with proxies.bypassing_proxies("::1"):
        assert httpx.get(here).status_code == 204
    assert dict(os.environ) == before
    proxies.forget_proxies()
    assert httpx.get(here).status_code == 204


def test_a_proxy_to_elsewhere_stays_in_use(no_proxies: pytest.MonkeyPatch, here: str) -> None:
    no_proxies.setenv("http_proxy", here)
    with proxies.bypassing_proxies("127.0.0.1"):
        assert httpx.get("http://elsewhere.invalid/").status_code == 204, "the proxy was not asked"


@pytest.mark.skipif(not has_ipv6(), reason="this computer has no IPv6")
def test_the_studio_starts_and_draws_at_an_address_of_ipv6_behind_proxies(
    no_proxies: pytest.MonkeyPatch, tmp_path: Path, starter_checkpoints: Path
) -> None:
    for variables in ENVIRONMENTS.values():
        for variable, value in variables.items():
            no_proxies.setenv(variable, value)
    settings = studio_settings(tmp_path, starter_checkpoints, host="::1", port=free_port())
    server = StudioServer(settings)
    server.start()
    try:
        assert server.url == f"http://[::1]:{settings.port}"
        asked = {"prompt": "a duck", "base_model": STARTER, "width": 64, "height": 64, "steps": 1}
        job = server.services.submit(asked, "generate", None)
        store = server.services.store
        wait_until(lambda: store.get(job.id).finished)
        assert store.get(job.id).images, store.get(job.id).error
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{server.url}/config").status_code == 200
    finally:
        server.close()


def test_addresses_of_ipv6_are_taken_in_every_spelling() -> None:
    for text in ("::1", "[::1]", "0:0:0:0:0:0:0:1"):
        settings = settings_from(["--host", text], {})
        assert (settings.host, settings.auth, settings.is_loopback_only) == ("::1", (), True)
        assert loopback(settings) == "http://[::1]:7860"
    everywhere = settings_from(["--host", "[::]"], {})
    assert (everywhere.host, loopback(everywhere)) == ("::", "http://[::1]:7860")
    assert everywhere.auth, "everyone could come in"
    with pytest.raises(SettingsError, match="network interface"):
        settings_from(["--host", "fe80::1%eth0"], {})


def test_the_command_starts_where_all_traffic_goes_through_socks(
    no_proxies: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Gradio looks at the environment as soon as it is imported."""
    for variable in ("all_proxy", "ALL_PROXY"):
        no_proxies.setenv(variable, f"socks5://{NOBODY}")
    port = free_port()
    command = [sys.executable, str(HOME / "app.py"), "--no-preload"]
    command += ["--port", str(port), "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"WebbDuck is at http://127.0.0.1:{port}\n"
        finally:
            process.terminate()
