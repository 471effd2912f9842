"""Proxies of the environment: none stands between the studio and itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LEADING = ("http_proxy", "https_proxy", "all_proxy")
"""Variables that name a proxy, in small or capital letters."""
EXCEPT = "no_proxy"
"""The variable that names the hosts that are reached without one."""
HERE = ("127.0.0.1", "localhost", "::1")


@contextmanager
def bypassing_proxies(host: str) -> Iterator[None]:
    """Within it httpx reaches this computer and `host` directly, whatever the environment says.

    Gradio asks itself at its start whether it answers, and takes proxies from the environment. Others than
    our own hosts are still asked through them, for a share link, but for a proxy that httpx cannot use (SOCKS
    without its package, an unknown scheme): that one would stop every question, also a direct one.
    """
    names = [name for name in os.environ if name.lower() in (*LEADING, EXCEPT)]
    before = {name: os.environ[name] for name in names}
    # Ours alone: the owner's list could hold what httpx cannot read, such as [::1].
    now = {name: text for name, text in before.items() if name.lower() in LEADING and _usable(text)}
    now[EXCEPT] = ",".join(dict.fromkeys((*HERE, host.strip("[]"))))
    _replace(names, now)
    try:
        yield
    finally:
        _replace(list(now), before)


def forget_proxies() -> None:
    """Take all proxies out of the environment, for programs that speak with this computer alone."""
    _replace([name for name in os.environ if name.lower() in LEADING], {EXCEPT: "*"})


def _replace(names: list[str], values: Mapping[str, str]) -> None:
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(values)


def _usable(proxy: str) -> bool:
    import httpx  # where a package is missing, the start says so

    try:
        httpx.Client(proxy=proxy if "://" in proxy else f"http://{proxy}", trust_env=False).close()
    except (ImportError, ValueError, TypeError, httpx.InvalidURL):
        return False
    return True
