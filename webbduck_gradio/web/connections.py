"""Connections to the studio: bounded in number, and closed where a client leaves the server waiting.

uvicorn has neither a time for a request's headers nor a bound of connections that lets others in, so whoever
reaches the port could hold all of the process's handles without the password. Here

- the headers of a request must be there within `Limits.headers` seconds;
- a client that does not take its answer is cut off after `Limits.answer` seconds;
- one address has `Limits.each_address` connections at most that are not logged in, all together `Limits.all`.
  Where a bound is reached, the connection that has kept the server waiting longest gives way to the new one,
  so that a flood of silent connections locks nobody out, not even behind the same address;
- `Limits.streams` of them at most may follow events, so that a place is left for short requests.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h11
from gradio import http_server
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

STATE = "webbduck_connection"
"""Name in the scope's state under which a request finds its connection."""
KEEP_ALIVE_SECONDS = 5
"""For the next request of a connection."""
LATE_SECONDS = 3.0
"""Between two looks, meant to be a second apart: from here on the server itself stood still."""
ACCEPTED_AT_ONCE = 32
"""Connections that are taken from the system in one go, thus handles in use before the bound is seen."""
SYSTEM_BACKLOG = 1_024
"""Connections that the system keeps waiting until they are taken."""
TOLD_EVERY = 60.0
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """Numbers of connections, and seconds."""

    all: int = 1_024
    each_address: int = 128
    headers: float = 15.0
    answer: float = 60.0

    @property
    def streams(self) -> int:
        """Connections that may follow events at once."""
        return self.all * 3 // 4


class Connections:
    """All that are open. Used in the server's event loop alone. `proxied`: a proxy on this computer, or the
    program of a share link, brings all visitors over the loopback address, which then has no bound of its
    own."""

    def __init__(self, limits: Limits, proxied: bool, now: Callable[[], float] = time.monotonic):
        self.limits, self._proxied, self._now = limits, proxied, now
        self._of: dict[str, set[Connection]] = {}
        self._number = 0
        self._streams = 0
        self._told = float("-inf")
        self._looked = now()

    def __len__(self) -> int:
        return self._number

    def now(self) -> float:
        return self._now()

    def admit(self, connection: Connection) -> bool:
        """Count a new connection. False where it must be closed, as all others are being answered."""
        address = connection.address
        strangers = [each for each in self._of.get(address, ()) if not each.let_in]
        if len(strangers) >= self.limits.each_address and not self._has_no_bound(address):
            self._tell(f"{address} has {len(strangers)} connections open")
            self._close_one(strangers)
        if self._number >= self.limits.all:
            self._tell(f"{self._number} connections are open")
            if not self._close_one(each for some in self._of.values() for each in some):
                return False
        self._of.setdefault(address, set()).add(connection)
        self._number += 1
        return True

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        there = self._of.get(connection.address, set())
        if connection in there:
            there.remove(connection)
            self._number -= 1
            if not there:
                del self._of[connection.address]

    def look(self) -> None:
        """Close the connections whose time is over; to be called every second or so.

        Time in which the server stood still is no client's fault: what came in it was not read yet.
        """
        before, now = self._looked, self.now()
        self._looked = now
        late = now - before if now - before > LATE_SECONDS else 0.0
        for connection in [each for some in self._of.values() for each in some]:
            if late and connection.since <= before:
                connection.since += late
            if connection.waits and now - connection.since >= self.limits.headers:
                connection.time_out()
            elif connection.stuck_for(now) >= self.limits.answer:
                connection.cut()

    @contextmanager
    def stream(self) -> Iterator[bool]:
        """Within it a stream of events is open; gives False where there are too many."""
        if self._streams >= self.limits.streams:
            yield False
            return
        self._streams += 1
        try:
            yield True
        finally:
            self._streams -= 1

    def _close_one(self, of: Iterable[Connection]) -> bool:
        """Close the one that others need least: one without a request before one that is being answered,
        a stranger's before one that is logged in (never closed while it is answered), of the address that has
        most, the oldest."""
        may_go = [each for each in of if each.waits or not each.let_in]
        if not may_go:
            return False
        last = min(
            may_go,
            key=lambda each: (not each.waits, each.let_in, -len(self._of[each.address]), each.since),
        )
        last.cut()
        return True

    def _has_no_bound(self, address: str) -> bool:
        return self._proxied and (address == "::1" or address.startswith("127."))

    def _tell(self, what: str) -> None:
        if self.now() - self._told >= TOLD_EVERY:
            self._told = self.now()
            log.warning("%s; those that wait longest are closed for new ones", what)


class Connection(H11Protocol):
    """uvicorn's connection, with times and a place among the others."""

    def __init__(self, connections: Connections, **given: Any):
        super().__init__(**given)
        self.app_state = {**self.app_state, STATE: self}
        self.all = connections
        self.address = "unknown"
        self.let_in = False
        """Whether its last request came from somebody who is logged in, or no password is asked."""
        self.waits = True
        """Whether it waits for a request's headers, thus is not being answered."""
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
            self.since = self.all.now()  # the next request begins
        super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.waits and self.cycle is not None and not self.cycle.response_complete:
            self.waits, self.let_in, self.since = False, False, self.all.now()

    def on_response_complete(self) -> None:
        self.waits, self.since = True, self.all.now()
        super().on_response_complete()

    def resume_writing(self) -> None:
        self._progress = self.all.now()
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        return False  # Gradio uses no WebSockets; such a request is answered like any other

    def stuck_for(self, now: float) -> float:
        """Seconds for which the client has taken nothing of what waits for it."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent:
            self._progress = now
        self._unsent = unsent
        return now - self._progress

    def time_out(self) -> None:
        """Close it for want of a request, with an answer where one had begun."""
        begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        if begun and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.write(TIMED_OUT)
        self.cut(at_once=False)

    def cut(self, at_once: bool = True) -> None:
        """Close it, without what is not sent yet if `at_once`; its place is free from now on."""
        self.all.forget(self)
        if at_once or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def of_request(scope: Scope) -> Connection | None:
    """The connection that a request came over; None for one that the server made up."""
    found = scope.get("state", {}).get(STATE)
    return found if isinstance(found, Connection) else None


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, and the 64 bits that one customer gets of IPv6."""
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
    """Within it Gradio's launch() makes its server with bounded connections. It has no parameter for that."""

    class Server(http_server.Server):
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

        async def on_tick(self, counter: int) -> bool:
            if counter % 10 == 0:
                connections.look()
            return await super().on_tick(counter)

    before, http_server.Server = http_server.Server, Server  # type: ignore[misc]
    try:
        yield
    finally:
        http_server.Server = before  # type: ignore[misc]
