"""Memory that is given back: a service runs for months, and glibc keeps much of what threads once needed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# glibc's mallopt: few arenas; large blocks are mapped, and unmapped when they are freed, at a size that stays as it is
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE, ARENAS = 256 << 10, 2  # bytes


def keep_memory_steady() -> None:
    """Where the C library is glibc; elsewhere nothing. Before threads are started."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for what, value in ((M_ARENA_MAX, ARENAS), (M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE)):
            mallopt(what, value)
