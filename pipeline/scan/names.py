"""What pictures are called: files on this machine by their path, others by their URL, parts of a shard behind a `!`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from urllib.parse import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?=[^/]|$)")  # of one letter it is a drive
NO_HOST = ("file:/", "local:/")


class UrlPath(type(Path())):  # type: ignore[misc]  # the kind of path of this system
    """A URL among the paths of a report: no file is there by that name, and everything else works as for a path."""

    def __str__(self) -> str:
        text: str = super().__str__().replace(os.sep, "/")
        found = _SCHEME.match(text)
        if found is None:
            return text
        return f"{found[0]}/{'/' if found[0] in NO_HOST else ''}{text[found.end() :]}"

    __fspath__ = __str__

    def as_uri(self) -> str:
        """The URL; what may not stand in one is percent-encoded."""
        return quote(os.fsencode(str(self)), safe=":/!#?&=+,;@~")


def is_url(source: str) -> bool:
    """Whether it names something elsewhere (`s3://…`)."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", source) is not None and ":/" in source


def path_of(name: bytes) -> Path:
    """A picture's name, as it stands in stage files -> what reports call it."""
    text = os.fsdecode(name)
    return UrlPath(text) if is_url(text) else Path(text)


def name_of(path: PurePath | str) -> bytes:
    """The inverse of `path_of`: the exact bytes, also where they are no valid text."""
    return os.fsencode(str(path))
