"""Log-ins that end, logging out, cookies behind TLS, ambiguous requests, foreign tickets."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from test_gate import Clock

from webbduck_gradio.jobs.dispatcher import GPU_ENDPOINT
from webbduck_gradio.settings import Settings
from webbduck_gradio.web import sessions
from webbduck_gradio.web.server import StudioServer
from webbduck_gradio.web.sessions import Sessions, is_tls

JSON_TYPE = {"content-type": "application/json"}
LOGIN = {"username": "duck", "password": "secret"}


@pytest.fixture
def browsers(locked: StudioServer) -> Iterator[list[httpx.Client]]:
    """Two that are logged in as the same user."""
    with httpx.Client(base_url=locked.url) as one, httpx.Client(base_url=locked.url) as other:
        for each in (one, other):
            assert each.post("/login", data=LOGIN).status_code == 200
            assert each.get("/config").status_code == 200
        yield [one, other]


def test_a_session_ends_when_it_is_idle_or_old() -> None:
    clock = Clock()
    table = Sessions(clock)
    table["a"] = table["b"] = "duck"
    while clock.time < sessions.MAX_SECONDS - sessions.IDLE_SECONDS / 2:
        clock.time += sessions.IDLE_SECONDS / 2
        assert table.get("a") == "duck"
    assert table.get("b") is None and list(table) == ["a"], "it was idle"
    clock.time = sessions.MAX_SECONDS
    assert table.get("a") is None and len(table) == 0, "it was used, but for too long"


def test_sessions_are_bounded_and_the_one_idle_longest_goes() -> None:
    clock = Clock()
    table = Sessions(clock)
    for number in range(sessions.MAX_SESSIONS):
        clock.time += 1
        table[str(number)] = "duck"
    assert table["0"] == "duck"
    table["new"] = "duck"
    assert len(table) == sessions.MAX_SESSIONS
    assert table.get("1") is None and table["0"] == table["new"] == "duck"


def test_a_session_of_the_running_studio_ends(locked: StudioServer, browsers, monkeypatch) -> None:
    page = locked._page
    assert page is not None and isinstance(page.app.tokens, Sessions)
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.0)
    for path in ("/config", "/gradio_api/info", "/gradio_api/app_id"):
        assert browsers[0].get(path).status_code == 401, path
    monkeypatch.undo()
    assert browsers[0].get("/config").status_code == 401, "it is over, not asleep"


@pytest.mark.parametrize("query", ["", "?all_session=true", "?all_session=false"])
def test_a_link_to_the_log_out_ends_no_session(browsers, query: str) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for headers in ({}, link):
        answer = browsers[0].get(f"/logout{query}", headers=headers)
        assert answer.status_code == 200 and '<form method="post">' in answer.text
        assert "set-cookie" not in answer.headers and "script" not in answer.text
    assert [each.get("/config").status_code for each in browsers] == [200, 200]


def test_a_form_of_another_site_ends_no_session(locked: StudioServer, browsers) -> None:
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert browsers[0].post("/logout", headers=headers).status_code == 403
    assert browsers[0].get("/config").status_code == 200


def test_logging_out_ends_this_session_alone(locked: StudioServer, browsers) -> None:
    cookies = dict(browsers[0].cookies)
    own = {"origin": locked.url, "sec-fetch-site": "same-origin"}
    answer = browsers[0].post("/logout", headers=own)
    assert answer.status_code == 303 and answer.headers["location"] == "./"
    assert not browsers[0].cookies, "they are deleted in the browser"
    kept = "; ".join(f"{name}={value}" for name, value in cookies.items())
    assert httpx.get(f"{locked.url}/config", headers={"cookie": kept}).status_code == 401
    assert browsers[1].get("/config").status_code == 200


PUBLIC = Settings(public_url="https://example.org/duck", auth=(("duck", "secret"),))
PLAIN = Settings(public_url="http://example.org", auth=(("duck", "secret"),))
ALONE = Settings(auth=(("duck", "secret"),))


class App:
    cookie_id = "x"


@pytest.mark.parametrize(
    ("settings", "headers", "tls"),
    [
        (PUBLIC, {"host": "example.org"}, True),
        (PUBLIC, {"host": "127.0.0.1:7860", "x-forwarded-host": "example.org"}, True),
        (PUBLIC, {"host": "127.0.0.1:7860", "x-forwarded-proto": "https"}, True),
        (PUBLIC, {"host": "127.0.0.1:7860", "origin": "https://example.org"}, True),
        (PUBLIC, {"host": "127.0.0.1:7860"}, False),
        (PLAIN, {"host": "example.org"}, False),
        (Settings(share=True), {"host": "x.gradio.live", "x-forwarded-proto": "https"}, True),
        (ALONE, {"host": "127.0.0.1:7860", "x-forwarded-proto": "https"}, False),
        (ALONE, {"host": "127.0.0.1:7860", "x-forwarded-host": "example.org"}, False),
    ],
)
def test_when_the_visitor_speaks_tls(settings: Settings, headers: dict[str, str], tls: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_tls({"type": "http", "scheme": "http", "headers": raw, "app": App()}, settings) == tls


def test_cookies_stay_with_the_studio(locked: StudioServer) -> None:
    """Without a proxy a made-up X-Forwarded-Proto does not keep the owner's browser from sending them."""
    answer = httpx.post(f"{locked.url}/login", data=LOGIN, headers={"x-forwarded-proto": "https"})
    first, second = sorted(answer.headers.get_list("set-cookie"), key=len, reverse=True)
    both = (first, second)
    assert all("HttpOnly" in each and "SameSite=Lax" in each and "none" not in each for each in both)
    (plain,) = (each for each in both if "-unsecure-" in each)
    assert "Secure" not in plain


NEXT = b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "path", [b"/login", b"/gradio_api/call/health", b"/nothing-here", b"/gradio_api/upload"]
)
@pytest.mark.parametrize(
    "framing",
    [
        b"HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1\r\nHost: localhost\r\ntransfer-encoding: Chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_request_that_tells_its_length_twice_is_the_last(
    studio: StudioServer, path: bytes, framing: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", studio.settings.port), timeout=60) as line:
        line.sendall(b"POST " + path + b" " + framing + NEXT)
        got = b""
        while more := line.recv(65536):
            got += more
    assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1 ") == 1


def test_foreign_tickets_never_wait_in_the_lane(studio: StudioServer) -> None:
    page = studio._page
    assert page is not None
    number = next(number for number, fn in page.fns.items() if fn.api_name == GPU_ENDPOINT)
    before = sum(len(each.queue) for each in page._queue.event_queue_per_concurrency_id.values())
    many = "a" * 1_000_000
    for path, asked in [
        (f"/gradio_api/call/{GPU_ENDPOINT}", {"data": ["guess"]}),
        (f"/gradio_api/call/{GPU_ENDPOINT}/", {"data": ["guess"]}),
        (f"/gradio_api/call/{GPU_ENDPOINT}", {"data": [many]}),
        (f"/gradio_api/call/{GPU_ENDPOINT}", {"data": [], "session_hash": "x"}),
        (f"/gradio_api/call/{GPU_ENDPOINT}", {"data": [None]}),
        (f"/gradio_api/call/{GPU_ENDPOINT}", {"data": ["\ud800"]}),
        (f"/gradio_api/call/v2/{GPU_ENDPOINT}", {"ticket": "guess"}),
        ("/gradio_api/queue/join", {"fn_index": number, "data": ["guess"], "session_hash": "x"}),
        ("/gradio_api/queue/join", {"fn_index": float(number), "data": [many], "session_hash": "x"}),
        ("/gradio_api/run/predict", {"fn_index": number, "data": ["guess"]}),
    ]:
        answer = httpx.post(studio.url + path, content=json.dumps(asked), headers=JSON_TYPE)
        assert answer.status_code == 403, (path, answer.text[:200])
        assert answer.json()["error"].startswith("This endpoint is internal to the studio")
    waiting = sum(len(each.queue) for each in page._queue.event_queue_per_concurrency_id.values())
    assert waiting <= before


def test_a_long_ticket_is_refused_before_it_comes(studio: StudioServer) -> None:
    line = http.client.HTTPConnection("127.0.0.1", studio.settings.port, timeout=60)
    line.putrequest("POST", f"/gradio_api/call/{GPU_ENDPOINT}")
    line.putheader("content-type", "application/json")
    line.putheader("content-length", str(2 * 2**20))
    line.endheaders()
    answer = line.getresponse()
    assert answer.status == 403 and answer.getheader("connection") == "close"
    line.close()
