"""Proxy settings of the environment, which must not apply to connections to ourselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
"""Environment variables that set a proxy, in lower or upper case."""
NO_PROXY = "no_proxy"
"""Environment variable with the hosts to reach directly."""
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@contextmanager
def bypassing_proxies(host: str) -> Iterator[None]:
    """Make httpx connect to this computer and `host` directly, whatever the environment says.

    On launch, Gradio sends a request to itself and takes proxies from the environment. Other hosts are still
    reached through the proxies, which a share link may need; only proxies that httpx cannot use (SOCKS
    without its package, an unknown scheme) are removed, as they would make every request fail.
    """
    names = [name for name in os.environ if name.lower() in (*PROXY_VARIABLES, NO_PROXY)]
    before = {name: os.environ[name] for name in names}
    # Replace the user's list, which may contain entries that httpx rejects, such as [::1].
    replaced = {
        name: text for name, text in before.items() if name.lower() in PROXY_VARIABLES and _is_usable(text)
    }
    replaced[NO_PROXY] = ",".join(dict.fromkeys((*LOOPBACK_HOSTS, host.strip("[]"))))
    _replace(names, replaced)
    try:
        yield
    finally:
        _replace(list(replaced), before)


def forget_proxies() -> None:
    """Remove all proxies from the environment, for programs that only connect to this computer."""
    _replace([name for name in os.environ if name.lower() in PROXY_VARIABLES], {NO_PROXY: "*"})


def _replace(names: list[str], values: Mapping[str, str]) -> None:
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(values)


def _is_usable(proxy: str) -> bool:
    import httpx  # imported late: a missing package is reported at start

    try:
        httpx.Client(proxy=proxy if "://" in proxy else f"http://{proxy}", trust_env=False).close()
    except (ImportError, ValueError, TypeError, httpx.InvalidURL):
        return False
    return True
