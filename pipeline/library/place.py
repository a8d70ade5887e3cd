"""Where a library lies."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME, LOCK = "library.sqlite", "lock"


def default_library() -> Path:
    """The folder of the one library for all folders. The environment's TWINPIX_DATA names the data folder."""
    data = os.environ.get("TWINPIX_DATA") or platformdirs.user_data_dir("twinpix", appauthor=False)
    return Path(data).absolute() / "library"
