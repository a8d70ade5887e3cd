"""What the file system keeps beside a file: tags, comments and ratings of a desktop's programs (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# extended attributes of file managers and of KDE's search; others, as where it was downloaded from, say nothing of it
LABELS = {
    "user.xdg.tags": "words", "user.xdg.comment": "words", "user.xdg.title": "words", "user.xdg.creator": "an author",
    "user.dublincore.title": "words", "user.dublincore.description": "words", "user.dublincore.subject": "words",
    "user.baloo.rating": "a rating",
}  # fmt: skip


def labels_of(path: Path) -> frozenset[tuple[str, str]]:
    """Pairs as of `notes_of`; none where the system, or the file system, keeps none."""
    found = set[tuple[str, str]]()
    with suppress(OSError, AttributeError):
        for name in set(os.listxattr(path)) & set(LABELS):
            value = os.getxattr(path, name).decode("utf-8", "replace").strip("\0 ")
            found |= {(LABELS[name], text) for text in _texts(name, value) if text}
    return frozenset(found)


def _texts(name: str, value: str) -> list[str]:
    if name == "user.baloo.rating" and value.isdigit():
        return [f"{int(value) / 2:g}".strip("0")]  # stars, halves of them
    return [text.strip() for text in value.split(",")] if name == "user.xdg.tags" else [value]
