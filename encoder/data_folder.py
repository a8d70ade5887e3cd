"""Where twinpix keeps what it remembers for its user."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """The user's data folder, absolute. The environment's TWINPIX_DATA names another one."""
    return Path(os.environ.get("TWINPIX_DATA") or platformdirs.user_data_dir("twinpix", appauthor=False)).absolute()
