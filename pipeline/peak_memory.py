"""The most memory that this process has held so far."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_mb() -> float | None:
    """Peak resident memory of this process in MB; None where no system call tells.

    Of a child, `ru_maxrss` is at least what its parent held when it started it: so Linux's own account comes first.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
