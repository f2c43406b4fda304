"""Memory that was let go of, given back to the system.

glibc keeps it for later: after a million rows were read, a fifth of what a run holds.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_ARENA_MAX = -8  # M_ARENA_MAX
LARGE = 2_000_000  # bytes
_NOT_GLIBC = (AttributeError, OSError, TypeError)


def keep_little() -> None:
    """From now on what is as large as `LARGE` goes back at once; by itself glibc soon keeps up to 32 MiB.

    And all threads use what one of them let go of, for each chunk of rows passes through two.
    For the whole process, so only for programs of our own. Where there is another libc, nothing happens.
    """
    with suppress(*_NOT_GLIBC):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, LARGE)
        libc.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """What was let go of goes back now."""
    with suppress(*_NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)
