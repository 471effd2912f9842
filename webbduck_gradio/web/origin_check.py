"""Whose requests are answered: those that name this studio and come from its own page or a program.

A page of another site that is open in the user's browser must not drive the studio (cross-site
requests), nor reach it under a name of its own that it points at this computer (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..settings import Settings

LOCAL_ENDINGS = ("local", "lan", "home.arpa", "internal")
"""Endings that no one can register; a computer's own name is known under them in its network."""

OTHER_SITE = "Requests from other sites are refused."
OTHER_NAME = (
    "This studio does not answer under the name {name}; "
    "start it with --public-url and the address that people use to reach it by that name."
)


class OriginPolicy:
    """Tells requests that must be refused. `public` gains the address of a share link once it is known."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.public: set[str] = set()
        """Host[:port] of each address, beyond our own, under which people may reach the studio."""
        if settings.public_url:
            self.public.add(urlsplit(settings.public_url).netloc.lower())
        own = socket.gethostname().lower().rstrip(".")
        short = own.split(".", 1)[0]
        self._names = {"localhost", own, short, settings.host.lower().strip("[]")}
        self._names |= {f"{short}.{ending}" for ending in LOCAL_ENDINGS}

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request with these headers (names in lower case) is refused, or None."""
        host = headers.get("host", "").lower()
        name = _name_of(host)
        if not self._is_ours(host, name):
            return OTHER_NAME.format(name=(name or "it was called by")[:60])
        origin = headers.get("origin")
        if origin is not None:
            came_from = urlsplit(origin).netloc.lower()
            if came_from != host and came_from not in self.public:
                return OTHER_SITE
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # Following a link to the studio is fine; embedding its pictures or framing it is not.
            link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            if not link:
                return OTHER_SITE
        return None

    def _is_ours(self, host: str, name: str | None) -> bool:
        if name is None:
            return False
        if host in self.public or name in {_name_of(each) for each in self.public}:
            return True
        if self._only_here and name not in self._names:
            return _is_loopback(name)
        # An address of digits cannot be pointed elsewhere, so it is no rebinding.
        return name in self._names or _is_address(name)

    @property
    def _only_here(self) -> bool:
        return self.settings.is_loopback_only


def _name_of(host: str) -> str | None:
    """The name in a Host header, without the port and brackets; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return None
        return (parts.hostname or "").rstrip(".") or None
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
