"""Limits the number of connections and closes stalled ones.

uvicorn has no timeout for request headers, and at its connection limit it refuses new clients, so anyone who
reaches the port could use up all file handles without the password. Here,

- the headers of a request must arrive within `Limits.headers` seconds;
- a client that does not read its response is disconnected after `Limits.answer` seconds;
- one address may have `Limits.each_address` connections that are not logged in; the total is `Limits.all`. At
  a limit, the connection that has been waiting longest is closed for the new one, so that a flood of idle
  connections locks nobody out, not even behind the same address;
- at most `Limits.streams` of them may be event streams, so that some are left for short requests.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h11
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..api.gradio_internals import HttpServer, ServerFailedToStartError, http_server_replaced

log = logging.getLogger(__name__)

STATE = "webbduck_connection"
"""Key of the connection in a request's scope["state"]."""
KEEP_ALIVE_SECONDS = 5
"""Seconds to wait for the next request of a connection."""
LATE_SECONDS = 3.0
"""If two checks, meant to be a second apart, are further apart than this, the server itself was stalled."""
ACCEPTED_AT_ONCE = 32
"""Connections that asyncio accepts in one go, before the limit is checked."""
SYSTEM_BACKLOG = 1_024
"""Connections that the system queues until they are accepted."""
WARN_EVERY = 60.0
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """Numbers of connections, and timeouts in seconds."""

    all: int = 1_024
    each_address: int = 128
    headers: float = 15.0
    answer: float = 60.0

    @property
    def streams(self) -> int:
        """Maximum number of event streams."""
        return self.all * 3 // 4


class Connections:
    """All open connections. For use in the server's event loop only. `proxied`: all visitors come through a
    local proxy or share tunnel, so the loopback address has no limit of its own."""

    def __init__(self, limits: Limits, proxied: bool, now: Callable[[], float] = time.monotonic):
        self.limits, self._proxied, self._now = limits, proxied, now
        self._of: dict[str, set[Connection]] = {}
        self._number = 0
        self._streams = 0
        self._last_warning = float("-inf")
        self._last_check = now()

    def __len__(self) -> int:
        return self._number

    def now(self) -> float:
        return self._now()

    def admit(self, connection: Connection) -> bool:
        """Register a new connection. False if it must be closed because all others are busy."""
        address = connection.address
        anonymous = [each for each in self._of.get(address, ()) if not each.is_authenticated]
        if len(anonymous) >= self.limits.each_address and not self._is_unlimited(address):
            self._warn(f"{address} has {len(anonymous)} connections open")
            self._close_one(anonymous)
        if self._number >= self.limits.all:
            self._warn(f"{self._number} connections are open")
            if not self._close_one(each for some in self._of.values() for each in some):
                return False
        self._of.setdefault(address, set()).add(connection)
        self._number += 1
        return True

    def forget(self, connection: Connection) -> None:
        """Unregister a closed connection."""
        there = self._of.get(connection.address, set())
        if connection in there:
            there.remove(connection)
            self._number -= 1
            if not there:
                del self._of[connection.address]

    def close_overdue(self) -> None:
        """Close connections that have timed out; to be called about every second.

        Time during which the server itself was stalled does not count against clients.
        """
        before, now = self._last_check, self.now()
        self._last_check = now
        late = now - before if now - before > LATE_SECONDS else 0.0
        for connection in [each for some in self._of.values() for each in some]:
            if late and connection.since <= before:
                connection.since += late
            if connection.waits and now - connection.since >= self.limits.headers:
                connection.time_out()
            elif connection.stuck_for(now) >= self.limits.answer:
                connection.disconnect()

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Context of an event stream; yields False if there are too many."""
        if self._streams >= self.limits.streams:
            yield False
            return
        self._streams += 1
        try:
            yield True
        finally:
            self._streams -= 1

    def _close_one(self, connections: Iterable[Connection]) -> bool:
        """Close the least important one: idle before busy, anonymous before logged in (never closed while
        busy), then from the address with most connections, then the oldest. False if there is none."""
        closable = [each for each in connections if each.waits or not each.is_authenticated]
        if not closable:
            return False
        victim = min(
            closable,
            key=lambda each: (
                not each.waits,
                each.is_authenticated,
                -len(self._of[each.address]),
                each.since,
            ),
        )
        victim.disconnect()
        return True

    def _is_unlimited(self, address: str) -> bool:
        return self._proxied and (address == "::1" or address.startswith("127."))

    def _warn(self, what: str) -> None:
        if self.now() - self._last_warning >= WARN_EVERY:
            self._last_warning = self.now()
            log.warning("%s; those idle longest are closed for new ones", what)


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 connection with timeouts, registered in `Connections`."""

    def __init__(self, connections: Connections, **given: Any):
        super().__init__(**given)
        self.app_state = {**self.app_state, STATE: self}
        self.all = connections
        self.address = "unknown"
        self.is_authenticated = False
        """Whether its last request was logged in, or no password is set."""
        self.waits = True
        """Whether it is idle, waiting for the headers of a request."""
        self.since = connections.now()
        self._unsent, self._progress = 0, self.since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = network_of(self.client[0] if self.client else "")
        if not self.all.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.all.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.waits and self.timeout_keep_alive_task is not None:
            self.since = self.all.now()  # start of the next request
        super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.waits and self.cycle is not None and not self.cycle.response_complete:
            self.waits, self.is_authenticated, self.since = False, False, self.all.now()

    def on_response_complete(self) -> None:
        self.waits, self.since = True, self.all.now()
        super().on_response_complete()

    def resume_writing(self) -> None:
        self._progress = self.all.now()
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        return False  # Gradio uses no WebSockets

    def stuck_for(self, now: float) -> float:
        """Seconds since the client last read any pending data."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._progress = now
        self._unsent = unsent
        return now - self._progress

    def time_out(self) -> None:
        """Close an idle connection, with a 408 response if a request had begun."""
        begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        if begun and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.write(TIMED_OUT)
        self.disconnect(at_once=False)

    def disconnect(self, at_once: bool = True) -> None:
        """Unregister and close it; `at_once` discards data not sent yet."""
        self.all.forget(self)
        if at_once or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def of_request(scope: Scope) -> Connection | None:
    """The connection of a request; None for internal requests."""
    found = scope.get("state", {}).get(STATE)
    return found if isinstance(found, Connection) else None


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        if not ip.is_loopback:
            return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@contextmanager
def bounded(connections: Connections) -> Iterator[None]:
    """Make Gradio's launch() use limited connections, for which it has no parameter."""

    class Server(HttpServer):
        def __init__(self, config: Config, *more: Any, **given: Any):
            config.http = lambda **given: Connection(connections, **given)  # type: ignore[assignment]
            config.ws = "none"
            config.backlog = ACCEPTED_AT_ONCE
            config.timeout_keep_alive = KEEP_ALIVE_SECONDS
            super().__init__(config, *more, **given)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for each in (one for server in self.servers for one in server.sockets):
                with socket.fromfd(each.fileno(), each.family, each.type) as again:
                    again.listen(SYSTEM_BACKLOG)

        def run_in_thread(self) -> None:
            # Gradio gives up after five seconds, which a busy machine may need.
            self.thread = threading.Thread(target=self.run, name="server", daemon=True)
            self.thread.start()
            while not self.started:
                if not self.thread.is_alive():
                    raise ServerFailedToStartError("The server ended before it could answer.")
                time.sleep(0.01)

        async def on_tick(self, counter: int) -> bool:
            if counter % 10 == 0:
                connections.close_overdue()
            return await super().on_tick(counter)

    with http_server_replaced(Server):
        yield
