"""Symbolic links to files: one that leads to a file that goes would lead nowhere, and albums are made of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from twinpix.encoder.find import find_links


def links_below(roots: Iterable[Path]) -> dict[Path, Path]:
    """What symbolic links below these folders lead to, without links in its path -> the first such link by name."""
    found: dict[Path, Path] = {}
    for link in find_links(roots):
        found.setdefault(Path(os.path.realpath(link)), link)
    return found
