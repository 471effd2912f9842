"""Handles (file descriptors) of this process: raised to what the system gives, shared with connections."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

MOST_HANDLES = 65_536
"""Asked for at the start, where the system's hard limit allows it."""
USUAL_LIMITS = (10_240, 4_096)
"""Tried where the system takes less than it says, as macOS does."""
KEPT_BACK = 256
"""For the queue, the catalog, models and pictures; a quarter of the limit where that is below 1,024."""
EACH_CONNECTION = 2
"""Handles that a connection may take: its own, and that of the file which it is sent."""
MOST_CONNECTIONS = 1_024


def raise_limit() -> int:
    """Raise this process's limit of open handles as far as the system allows; returns the limit."""
    try:
        import resource
    except ImportError:  # Windows counts differently and allows more
        return MOST_HANDLES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return MOST_HANDLES
    wanted = MOST_HANDLES if hard == unlimited else min(hard, MOST_HANDLES)
    for limit in (wanted, *USUAL_LIMITS):
        if not soft < limit <= wanted:
            continue
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            continue
        return limit
    return int(soft)


def connections_within(limit: int) -> int:
    """Connections that may be open at once under a limit of handles, so that files can always be opened."""
    kept = min(KEPT_BACK, limit // 4)
    return max(16, min(MOST_CONNECTIONS, (limit - kept) // EACH_CONNECTION))
