"""Exhaustion before the log-in: half-sent requests, bodies and answers that stand still, floods."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from running import wait_until

from webbduck_gradio.web import file_handles, request_validation, uploads
from webbduck_gradio.web.connections import KEEP_ALIVE_SECONDS, Connections, Limits, network_of
from webbduck_gradio.web.server import StudioServer

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "


@pytest.fixture
def limits(locked: StudioServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Limits]:
    """Sets limits of the studio's connections for one test."""

    def setting(**changed: float) -> Limits:
        limits = dataclasses.replace(Limits(), **changed)  # type: ignore[arg-type]
        monkeypatch.setattr(locked.connections, "limits", limits)
        return limits

    return setting


@pytest.fixture
def connect(locked: StudioServer) -> Iterator[Callable[..., socket.socket]]:
    """Opens connections that send some bytes and are closed after the test."""
    opened = []

    def opening(sent: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
        line = socket.socket()
        opened.append(line)
        if receive_buffer is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line.settimeout(60)
        line.connect(("127.0.0.1", locked.settings.port))
        line.sendall(sent)
        return line

    yield opening
    for line in opened:
        line.close()


def end_of(line: socket.socket) -> bytes:
    """All that still comes until the server closes the connection."""
    got = b""
    try:
        while more := line.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got


def is_open(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        line.settimeout(60)


def clients(studio: StudioServer) -> set[tuple[str, int] | None]:
    """Address and port of each that is connected."""
    return {each.client for some in list(studio.connections._of.values()) for each in list(some)}


@pytest.mark.parametrize("sent", [b"", b"G", HALF])
def test_a_request_that_does_not_come_is_not_waited_for(sent: bytes, limits, connect) -> None:
    limits(headers=0.5)
    got = end_of(connect(sent))
    assert got == b"" or got.startswith(b"HTTP/1.1 408 ")


def test_neither_is_one_that_comes_letter_by_letter(limits, connect) -> None:
    limits(headers=0.5)
    line = connect(HALF)
    with pytest.raises(OSError):
        while is_open(line):
            line.sendall(b"a")
        raise ConnectionResetError


def test_neither_is_the_second_request_of_a_connection(limits, connect) -> None:
    limits(headers=0.5)
    line = connect(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n" + HALF)
    assert end_of(line).startswith(b"HTTP/1.1 200 ")


def test_a_connection_without_a_further_request_is_closed(connect) -> None:
    line = connect(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert KEEP_ALIVE_SECONDS == 5, "as docs/security.md says"
    assert end_of(line).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_take_its_answer_is_cut_off(locked: StudioServer, limits, connect) -> None:
    limits(answer=0.5)
    ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    line = connect(ask * 400, receive_buffer=4096)  # more than the system itself keeps for it
    mine = line.getsockname()
    wait_until(lambda: mine in clients(locked))
    wait_until(lambda: mine not in clients(locked))


def test_a_flood_from_one_address_gives_way_to_what_comes_after_it(
    locked: StudioServer, limits, connect
) -> None:
    limits(each_address=8)
    flood = [connect(HALF) for _ in range(24)]
    wait_until(lambda: sum(is_open(each) for each in flood) <= 8)
    assert not any(is_open(each) for each in flood[:16]), "the oldest went"
    assert httpx.get(f"{locked.url}/robots.txt").status_code == 200


def test_who_is_answered_stays_in_a_flood(locked: StudioServer, limits, connect) -> None:
    with httpx.Client(base_url=locked.url, timeout=60) as owner:
        assert owner.post("/login", data={"username": "duck", "password": "secret"}).status_code == 200
        with owner.stream("GET", "/gradio_api/heartbeat/flooded") as heart:
            beats = heart.iter_raw()
            next(beats)
            limits(all=8, each_address=4)
            flood = [connect(HALF) for _ in range(40)]
            wait_until(lambda: sum(is_open(each) for each in flood) <= 8)
            assert owner.get("/config").status_code == 200
            mine = [
                each for some in locked.connections._of.values() for each in some if each.is_authenticated
            ]
            assert mine, "the stream of events is still open"


def test_where_all_are_being_answered_streams_leave_room_for_short_requests(
    locked: StudioServer, limits
) -> None:
    limits(all=8)
    with httpx.Client(base_url=locked.url, timeout=60) as owner:
        owner.post("/login", data={"username": "duck", "password": "secret"})
        hearts = [owner.stream("GET", f"/gradio_api/heartbeat/many{number}") for number in range(6)]
        answers = [each.__enter__() for each in hearts]
        try:
            assert {each.status_code for each in answers} == {200}
            refused = owner.get("/gradio_api/heartbeat/one-more")
            assert refused.status_code == 503 and "Too many clients" in refused.json()["error"]
            assert owner.get("/config").status_code == 200
        finally:
            for each in hearts:
                each.__exit__(None, None, None)
        wait_until(lambda: locked.connections._streams <= 1)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_addresses_of_one_customer_count_together(address: str, same: str) -> None:
    assert network_of(address) == network_of(same)
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("192.0.2.8") != network_of("192.0.2.7")


class Line:
    """What the bounds look at of a connection."""

    def __init__(self, address: str, since: float = 0.0, waits: bool = True, is_authenticated: bool = False):
        self.address, self.since, self.waits, self.is_authenticated = address, since, waits, is_authenticated
        self.closed = False

    def stuck_for(self, now: float) -> float:
        return 0.0

    def time_out(self) -> None:
        self.disconnect()

    def disconnect(self, at_once: bool = True) -> None:
        self.closed = True
        self.all.forget(self)  # type: ignore[attr-defined]


def admitted(connections: Connections, *lines: Line) -> list[bool]:
    for line in lines:
        line.all = connections  # type: ignore[attr-defined]
    return [connections.admit(line) for line in lines]  # type: ignore[arg-type]


def test_visitors_of_a_proxy_share_its_address_without_a_bound() -> None:
    for proxied in (False, True):
        lines = [Line("127.0.0.1", number) for number in range(20)]
        admitted(Connections(Limits(each_address=8), proxied), *lines)
        assert sum(not each.closed for each in lines) == (20 if proxied else 8)
    others = [Line("192.0.2.7", number) for number in range(20)]
    admitted(Connections(Limits(each_address=8), True), *others)
    assert sum(not each.closed for each in others) == 8


def test_who_gives_way_when_all_places_are_taken() -> None:
    connections = Connections(Limits(all=5, each_address=9), False)
    flood = [Line("a", 5), Line("a", 4)]
    idle = Line("b", 1, is_authenticated=True)
    stranger = Line("c", 0, waits=False)
    owner = Line("d", 0, waits=False, is_authenticated=True)
    admitted(connections, *flood, idle, stranger, owner)
    for gone in (flood[1], flood[0], idle, stranger):
        assert not gone.closed
        assert admitted(connections, Line("e", 9, waits=False, is_authenticated=True)) == [True]
        assert gone.closed
    assert admitted(connections, Line("f")) == [False]
    assert not owner.closed and len(connections) == 5


def test_nobody_pays_for_a_server_that_stood_still() -> None:
    time = 0.0
    connections = Connections(Limits(headers=15.0), False, lambda: time)
    line = Line("a")
    admitted(connections, line)
    for seconds in (1.0, 60.0, 1.0):  # in the middle one nothing was read of what had come
        time += seconds
        connections.close_overdue()
    assert not line.closed
    for _ in range(15):
        time += 1.0
        connections.close_overdue()
    assert line.closed


@pytest.mark.parametrize("limit", [64, 256, 1024, 4096, 65536])
def test_handles_are_kept_back_from_connections(limit: int) -> None:
    most = file_handles.connections_within(limit)
    assert 16 <= most <= file_handles.MAX_CONNECTIONS
    assert limit - most * file_handles.HANDLES_PER_CONNECTION >= min(
        file_handles.RESERVED_HANDLES, limit // 4
    )


def test_the_limit_of_handles_is_raised_at_the_start() -> None:
    import subprocess
    import sys

    program = (
        "import resource; from webbduck_gradio.web import file_handles as handles\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "print(handles.raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE), hard)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=120)
    said, soft, hard, before = map(int, told.stdout.split())
    assert said == soft == min(before, file_handles.MAX_HANDLES) and hard == before


UPLOAD = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nCookie: %b\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
    b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
)


@pytest.fixture
def owner(locked: StudioServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.url, timeout=60) as client:
        assert client.post("/login", data={"username": "duck", "password": "secret"}).status_code == 200
        yield client


def cookie_of(client: httpx.Client) -> bytes:
    return next(f"{name}={value}" for name, value in client.cookies.items() if "unsecure" in name).encode()


def test_silent_uploads_hold_nobody_up(locked: StudioServer, owner: httpx.Client, connect) -> None:
    silent = [connect(UPLOAD % cookie_of(owner)) for _ in range(2 * uploads.AT_ONCE)]
    for name in ("a.png", "b.png"):
        assert owner.post("/gradio_api/upload", files={"files": (name, b"x")}).status_code == 200
    assert all(is_open(each) for each in silent), "they may go on for a while"


def test_uploads_at_once_are_bounded_and_the_visitor_with_fewest_is_next() -> None:
    async def trial() -> None:
        slots = uploads.UploadSlots(2)
        for _ in range(2):
            await asyncio.wait_for(slots.acquire("many"), 5)
        third, other = (asyncio.create_task(slots.acquire(each)) for each in ("many", "other"))
        await asyncio.sleep(0)
        assert slots.has_waiters and not third.done() and not other.done()
        slots.release("many")
        await asyncio.wait_for(other, 5)
        assert not third.done(), "a visitor without any comes before one who has some"
        third.cancel()
        await asyncio.wait([third])
        assert not slots.has_waiters
        slots.release("other")
        await asyncio.wait_for(slots.acquire("many"), 5)

    # Not in this thread, where Playwright's event loop may be running.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, trial()).result()


def test_an_upload_that_stands_still_is_ended_and_leaves_nothing(
    locked: StudioServer, owner: httpx.Client, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_validation, "WITHIN_SECONDS", 1.0)
    before = set(locked.settings.uploads.rglob("*"))
    got = end_of(connect(UPLOAD % cookie_of(owner) + b"\0" * 100_000))
    assert got.startswith(b"HTTP/1.1 408 ") and b"The request was aborted" in got
    assert set(locked.settings.uploads.rglob("*")) == before


@pytest.mark.parametrize("path", ["/login", "/gradio_api/call/generate", "/gradio_api/queue/join", "/logout"])
def test_no_body_is_waited_for_without_end(
    path: str, owner: httpx.Client, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_validation, "WITHIN_SECONDS", 0.5)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
    head += b"Cookie: " + cookie_of(owner) + b"\r\n"
    for framing in (b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"):
        assert end_of(connect(head + framing)).startswith(b"HTTP/1.1 408 ")


def test_one_upload_holds_few_files(owner: httpx.Client) -> None:
    def sent(number: int) -> httpx.Response:
        files = [("files", (f"{each}.png", b"x" * 50_000)) for each in range(number)]
        return owner.post("/gradio_api/upload", files=files)

    assert len(sent(uploads.MAX_FILES).json()) == uploads.MAX_FILES
    refused = sent(uploads.MAX_FILES + 1)
    assert refused.status_code == 400 and "At most 16 files" in refused.json()["error"]
