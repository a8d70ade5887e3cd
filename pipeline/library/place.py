"""Where a library lies."""

from __future__ import annotations

from pathlib import Path

from twinpix.encoder.data_folder import data_folder

NAME, LOCK, LOOKS, RELATIONS, TAKEN = "library.sqlite", "lock", "looks", "relations", "taken"


def default_library() -> Path:
    """The folder of the one library for all folders. The environment's TWINPIX_DATA names the data folder."""
    return data_folder() / "library"
