"""CSRF and DNS-rebinding protection.

A page of another site open in the user's browser must neither send requests to this server (CSRF) nor reach
it under a host name of its own that resolves to this computer (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..settings import Settings

LOCAL_ENDINGS = ("local", "lan", "home.arpa", "internal")
"""Domains reserved for local networks, under which a computer's own name may be known."""

OTHER_SITE = "Requests from other sites are refused."
OTHER_NAME = (
    "This studio does not answer under the name {name}; "
    "start it with --public-url and the address that people use to reach it by that name."
)


class OriginPolicy:
    """Decides which requests to refuse. The address of a share link is added to `public` once known."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.public: set[str] = set()
        """host[:port] of further addresses under which the server may be reached."""
        if settings.public_url:
            self.public.add(urlsplit(settings.public_url).netloc.lower())
        hostname = socket.gethostname().lower().rstrip(".")
        short = hostname.split(".", 1)[0]
        self._names = {"localhost", hostname, short, settings.host.lower().strip("[]")}
        self._names |= {f"{short}.{ending}" for ending in LOCAL_ENDINGS}

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """The reason to refuse a request with these headers (lower-case names), or None."""
        host = headers.get("host", "").lower()
        name = _name_of(host)
        if not self._is_ours(host, name):
            return OTHER_NAME.format(name=(name or "it was called by")[:60])
        origin = headers.get("origin")
        if origin is not None:
            origin_host = urlsplit(origin).netloc.lower()
            if origin_host != host and origin_host not in self.public:
                return OTHER_SITE
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # Following a link to the studio is allowed; embedding its images or framing it is not.
            link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            if not link:
                return OTHER_SITE
        return None

    def _is_ours(self, host: str, name: str | None) -> bool:
        if name is None:
            return False
        if host in self.public or name in {_name_of(each) for each in self.public}:
            return True
        if self._is_local_only and name not in self._names:
            return _is_loopback(name)
        # A numeric address cannot be rebound.
        return name in self._names or _is_address(name)

    @property
    def _is_local_only(self) -> bool:
        return self.settings.is_loopback_only


def _name_of(host: str) -> str | None:
    """The host name in a Host header, without port and brackets; None if invalid."""
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
