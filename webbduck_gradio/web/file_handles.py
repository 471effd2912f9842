"""The limit of open file descriptors: raises it and derives the maximum number of connections."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

MAX_HANDLES = 65_536
"""Requested at start, as far as the hard limit allows."""
FALLBACK_LIMITS = (10_240, 4_096)
"""Tried if the system rejects its own hard limit, as macOS does."""
RESERVED_HANDLES = 256
"""For the queue, the catalog, models and images; a quarter of the limit if that is below 1,024."""
HANDLES_PER_CONNECTION = 2
"""Its socket and a file being sent."""
MAX_CONNECTIONS = 1_024


def raise_limit() -> int:
    """Raise this process's limit of open files as far as the system allows; returns the limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MAX_HANDLES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return MAX_HANDLES
    wanted = MAX_HANDLES if hard == unlimited else min(hard, MAX_HANDLES)
    for limit in (wanted, *FALLBACK_LIMITS):
        if not soft < limit <= wanted:
            continue
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            continue
        return limit
    return int(soft)


def connections_within(limit: int) -> int:
    """Maximum number of connections under a limit of handles, so that files can always be opened."""
    reserved = min(RESERVED_HANDLES, limit // 4)
    return max(16, min(MAX_CONNECTIONS, (limit - reserved) // HANDLES_PER_CONNECTION))
