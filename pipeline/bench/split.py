"""The split against self-deception: half of everything is for choosing, the other half for reporting."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class Split(StrEnum):
    """Which half a number comes from. Whatever is chosen by a number is chosen on `DEVELOP`."""

    REPORT = "report"
    DEVELOP = "develop"
    ALL = "all"

    def holds(self, name: str) -> bool:
        """Whether a picture or a group of that name belongs to it."""
        return self is Split.ALL or self is (Split.REPORT if draw(name) % 2 else Split.DEVELOP)


def draw(name: str) -> int:
    """A number 0..2^63-1 that follows from a name alone, the same on every machine and in every year."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1
