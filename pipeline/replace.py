"""Writing a file anew: whatever happens meanwhile, the old one or the new one is there, whole."""

from __future__ import annotations

import os
from pathlib import Path


def replace_synced(temporary: Path, target: Path) -> None:
    """Put a finished file in the place of another; its content is on the disk before its name is.

    Raises:
        OSError: the disk is full, or fails.
    """
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
