"""The gate in front of Gradio: what is closed without the password, who is a stranger, who may try again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from running import free_port

from webbduck_gradio.cli import address_lines, settings_from
from webbduck_gradio.errors import SettingsError
from webbduck_gradio.settings import Settings
from webbduck_gradio.ui.modules import digest
from webbduck_gradio.ui.theme import ASSETS
from webbduck_gradio.web import allowed_routes, auth
from webbduck_gradio.web.auth import Authenticator, LoginRateLimiter
from webbduck_gradio.web.csp import build_csp, inject_nonce
from webbduck_gradio.web.origin_check import OriginPolicy
from webbduck_gradio.web.server import StudioServer

OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("POST", "/login"),
    ("POST", "/login/"),
    ("GET", "/logout"),  # a page with a button
    ("GET", "/svelte/{path:path}"),
    ("GET", "/static/{path:path}"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/favicon.ico"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/theme.css"),
    ("GET", "/robots.txt"),
    ("GET", "/pwa_icon"),
    ("GET", "/pwa_icon/{size}"),
    ("GET", "/manifest.json"),
    ("GET", "/gradio_api/startup-events"),
}
"""The log-in page, what it is made of, and Gradio's own question at the start."""


def all_routes(studio: StudioServer) -> set[tuple[str, str]]:
    """Every method and path that the app itself knows, routers and mounts included."""
    assert studio._page is not None
    found: set[tuple[str, str]] = set()
    left = [("", route) for route in studio._page.app.routes]
    while left:
        before, route = left.pop()
        path = before + getattr(route, "path", "")
        inside = getattr(route, "original_router", route)  # a router that was included knows its own paths
        left.extend((path, each) for each in getattr(inside, "routes", None) or ())
        for method in getattr(route, "methods", None) or ():
            found.add((method, path))
    return found


def test_without_the_password_only_the_log_in_page_is_there(locked: StudioServer) -> None:
    there = all_routes(locked)
    assert len(there) > 60, "the routes are enumerated"
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        reached = set()
        for method, path in sorted(there):
            filled = re.sub(r"\{[^}]*\}", "x", path)
            answer = client.request(method, filled, json={} if method == "POST" else None)
            if answer.status_code not in (401, 404) or (method, path) in OPEN:
                reached.add((method, path))
        assert reached - OPEN == set()
        page = client.get("/").text
        assert '"auth_required":true' in page
        assert "webbduck-starter" not in page and '"dependencies":[]' in page
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
            assert client.request(method, "/config").status_code in (401, 404, 405)


def test_media_and_docs_are_closed_too(locked: StudioServer) -> None:
    for path in [
        "/media/image/x/0.png",
        "/media/other",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/gradio_api/runs",
    ]:
        assert httpx.get(locked.url + path).status_code in (401, 404), path


def test_what_gradio_has_beside_the_studio_is_not_there(studio: StudioServer) -> None:
    for method, path in [
        ("GET", "/gradio_api/proxy=https://example.org/"),
        ("GET", "/gradio_api/dev/reload"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("POST", "/gradio_api/vibe-edit"),
        ("GET", "/gradio_api/vibe-code"),
        ("POST", "/gradio_api/process_recording"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/custom_component/x/client/x/x"),
        ("POST", "/gradio_api/stream/x"),
        ("POST", "/gradio_api/api/generate"),
        ("GET", "/gradio_api/token"),
    ]:
        assert httpx.request(method, studio.url + path).status_code == 404, path


def test_every_open_route_says_so() -> None:
    for method, path in OPEN:
        found = allowed_routes.find(method, re.sub(r"\{[^}]*\}", "1", path))
        assert found is not None and not found.needs_login, path


def refused(settings: Settings, host: str, **headers: str) -> str | None:
    given = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    return OriginPolicy(settings).refusal(given)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost:7860", True),
        ("127.0.0.1:7860", True),
        ("127.0.0.2", True),
        ("[::1]:7860", True),
        ("LOCALHOST", True),
        ("192.168.1.5:7860", False),
        ("evil.example:7860", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("", False),
        ("localhost@evil.example", False),
        ("localhost/evil", False),
        ("localhost:port", False),
        ("[::1", False),
    ],
)
def test_names_of_a_studio_that_answers_here_only(host: str, is_ours: bool) -> None:
    assert (refused(Settings(), host) is None) == is_ours


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("192.168.1.5:7860", True), ("[fe80::1]:7860", True), ("localhost", True), ("evil.example", False)],
)
@pytest.mark.parametrize("auth", [(), (("duck", "secret"),)])
def test_names_of_a_studio_in_the_network(host: str, is_ours: bool, auth: tuple) -> None:
    assert (refused(Settings(host="0.0.0.0", auth=auth), host) is None) == is_ours


def test_names_behind_a_proxy() -> None:
    settings = Settings(public_url="https://example.org/duck")
    assert refused(settings, "example.org", origin="https://example.org") is None
    assert refused(settings, "127.0.0.1:7860", origin="https://example.org") is None
    assert refused(settings, "evil.example") is not None
    assert refused(settings, "example.org", origin="https://evil.example") is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_to_the_studio_and_nothing_else(site: str) -> None:
    link = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert refused(Settings(), "localhost", **link) is None
    for changed in ({"sec_fetch_mode": "no-cors"}, {"sec_fetch_dest": "iframe"}, {"origin": "null"}):
        assert refused(Settings(), "localhost", **(link | changed)) is not None


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_wrong_passwords_cost_time() -> None:
    clock = Clock()
    throttle = LoginRateLimiter(clock)
    assert [throttle.wait("a") for _ in range(auth.FREE_ATTEMPTS)] == [0.0] * auth.FREE_ATTEMPTS
    waits = []
    for _ in range(10):
        seconds = throttle.wait("a")
        assert seconds > 0
        waits.append(seconds)
        clock.time += seconds
        assert throttle.wait("a") == 0
    assert waits == sorted(waits) and waits[:3] == [2, 4, 8] and waits[-1] == auth.MAX_WAIT
    assert throttle.wait("b") == 0, "another address is not held up"
    clock.time += throttle.wait("a")
    throttle.wait("a")
    throttle.passed("a")
    assert [throttle.wait("a") for _ in range(auth.FREE_ATTEMPTS)] == [0.0] * auth.FREE_ATTEMPTS


def test_many_addresses_are_slowed_down_together_and_lock_nobody_out() -> None:
    clock = Clock()
    throttle = LoginRateLimiter(clock)
    throttle.wait("owner")
    throttle.passed("owner")
    tried = sum(throttle.wait(f"10.0.{n // 250}.{n % 250}") == 0 for n in range(5000))
    assert tried == auth.BURST
    assert throttle.wait("192.168.1.9") > 0
    assert throttle.wait("owner") == 0
    clock.time += 86_400
    tried = 0
    for n in range(1000):
        tried += throttle.wait(f"11.0.{n // 250}.{n % 250}") == 0
        clock.time += 1
    assert tried <= auth.BURST + 1000 * auth.PER_SECOND + 1
    assert len(throttle._attempts) <= auth.MAX_ADDRESSES


def test_guessing_at_the_log_in_is_refused_with_a_sentence(locked: StudioServer) -> None:
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        # As a proxy on this computer hands on the visitor's address.
        visitor = {"x-forwarded-for": "203.0.113.7"}
        codes = []
        for number in range(auth.FREE_ATTEMPTS + 2):
            guess = {"username": "duck", "password": f"guess{number}"}
            answer = client.post("/login", data=guess, headers=visitor)
            codes.append(answer.status_code)
        assert codes == [400] * auth.FREE_ATTEMPTS + [429] * 2
        assert answer.json()["detail"].startswith("There were too many wrong passwords; wait ")
        assert int(answer.headers["retry-after"]) > 0
        # The right password does not help while the address has to wait; another address is let in.
        right = {"username": "duck", "password": "secret"}
        assert client.post("/login", data=right, headers=visitor).status_code == 429
        assert (
            client.post("/login", data=right, headers={"x-forwarded-for": "203.0.113.8"}).status_code == 200
        )


@pytest.mark.parametrize("user", ["duck", "", "\ud800", "a" * 1000, "ü"])
def test_the_door_takes_any_text(user: str) -> None:
    at = Authenticator((("duck", "secret"), ("goose", "")))
    assert not at(user, "\udfff wrong") and not at.is_internal(user)
    assert at("duck", "secret") and at(*at.internal) and Authenticator(()).check is None


def test_the_page_gets_a_policy_and_comes_from_here(studio: StudioServer) -> None:
    answer = httpx.get(studio.url)
    policy = answer.headers["content-security-policy"]
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    scripts = re.findall(r"<script[^>]*>", answer.text)
    assert scripts and all(f'nonce="{nonce}"' in each for each in scripts)
    assert nonce not in httpx.get(studio.url).headers["content-security-policy"]
    assert "'unsafe-inline'" not in re.findall(r"script-src[^;]*", policy)[0]
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    shared = inject_nonce(
        b'<head><script type="module" crossorigin src="https://gradio.s3.example/gradio.js"></script></head>',
        "n",
    )
    assert b"https://" not in shared and b'src="./assets/' in shared
    assert build_csp("n", ["x"]).count(b"sha256-") == 1


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://example.org", "https://", "https://u:p@example.org", "https://example.org/?x=1",
     "https://example.org/a/../b", "https://example.org/#x", "https://example.org:port",
     "javascript:alert(1)"],
)  # fmt: skip
def test_public_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SettingsError, match="--public-url takes"):
        settings_from(["--public-url", url], {})


def test_a_public_address_asks_for_a_password_and_is_told() -> None:
    settings = settings_from(["--public-url", "https://example.org/duck/"], {})
    assert settings.public_url == "https://example.org/duck"
    assert settings.auth and not settings.is_loopback_only
    told = "\n".join(address_lines(settings, "http://127.0.0.1:7860", None, True))
    assert "https://example.org/duck" in told and settings.auth[0][1] in told
    given = settings_from(["--public-url", "https://example.org"], {"WEBBDUCK_AUTH": "a:b"})
    assert given.auth == (("a", "b"),)


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Addresses that a process and its children answer at."""
    found = set()
    for each in [process, *process.children(recursive=True)]:
        for connection in each.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.add((connection.laddr.ip, connection.laddr.port))
    return found


def test_nothing_is_open_but_what_the_owner_was_told(settings: Settings, tmp_path: Path) -> None:
    """A studio behind a proxy's prefix: it answers at one address, with and without the prefix."""
    from test_survival import process as started

    port = free_port()
    with started(settings, port, more=("--public-url", "https://example.org/duck")) as server:
        assert listening(psutil.Process(server.pid)) == {("127.0.0.1", port)}
        told = next(settings.outputs.parent.glob("log-*")).read_text()
        password = re.findall(r"Password for this run: (\S+)", told)[0]
        assert f"WebbDuck is at http://127.0.0.1:{port}" in told
        assert "Public address behind the reverse proxy: https://example.org/duck" in told
        proxied = {"host": "example.org", "x-forwarded-host": "example.org", "x-forwarded-proto": "https"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=proxied, timeout=60) as client:
            assert client.get("/duck/config").status_code == 401
            login = {"username": "duck", "password": password}
            let_in = client.post("/duck/login", data=login)
            assert let_in.status_code == 200
            # Behind TLS both cookies are for TLS alone, so this client, which has none, would keep them back.
            assert all("; Secure" in each for each in let_in.headers.get_list("set-cookie"))
            client.headers["cookie"] = "; ".join(f"{name}={value}" for name, value in let_in.cookies.items())
            for prefix in ("", "/duck"):
                assert client.get(f"{prefix}/config").json()["root"] == "https://example.org/duck"
            assert client.get("/duck/").status_code == client.get("/duck").status_code == 200
            assert client.get("/config", headers={"host": "evil.example"}).status_code == 403


def test_the_log_is_rotated_and_each_line_is_one(tmp_path: Path) -> None:
    program = f"""
import logging, pathlib
from webbduck_gradio import logging_setup as logs
logs.MAX_BYTES = 20_000
logs.to_file(pathlib.Path({str(tmp_path)!r}))
log = logging.getLogger("x")
for number in range(3000):
    log.warning("line %d %s", number, "evil\\r\\n2026 INFO fake\\x1b[31m\\u2028")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5 and sum(file.stat().st_size for file in files) < 5 * 21_000
    lines = (tmp_path / "webbduck.log").read_text().splitlines()
    assert all("WARNING x: line " in line and "\x1b" not in line for line in lines)


def test_the_page_s_scripts_come_as_they_stand_and_only_after_the_log_in(
    studio: StudioServer, locked: StudioServer
) -> None:
    name = "gallery/search_terms.js"
    path = f"/modules/{digest()}/{name}"
    answer = httpx.get(studio.url + path)
    assert answer.status_code == 200
    assert answer.content == (ASSETS / name).read_bytes()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert httpx.get(locked.url + path).status_code == 401
    for other in [
        f"/modules/{'0' * 16}/{name}",  # a page of another version
        f"/modules/{digest()}/gallery/gallery.html",
        f"/modules/{digest()}/gallery/tab.py",
        f"/modules/{digest()}/../theme.py",
        f"/modules/{digest()}/%2e%2e/{name}",
        f"/modules/{digest()}/",
    ]:
        assert httpx.get(studio.url + other).status_code == 404, other
    # The page itself names where they are, relative to where it is, so that a proxy's prefix is kept.
    assert f'"modules/{digest()}/"' in httpx.get(studio.url).text.replace("\\", "")
