"""How many connections this process may have open at once."""

from __future__ import annotations

import sys

# Files, the ledger and what the interpreter itself holds open.
OTHERS = 64
MOST = 16_384
UNKNOWN = 256


def sockets() -> int:
    """How many, after raising the limit as far as the system lets us (POSIX: RLIMIT_NOFILE)."""
    if sys.platform == "win32":
        return UNKNOWN
    import resource  # noqa: PLC0415  (does not exist on Windows)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (ValueError, OSError):
            pass
    return max(8, (MOST if soft == resource.RLIM_INFINITY else soft) - OTHERS)
