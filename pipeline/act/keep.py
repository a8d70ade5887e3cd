"""Which file of a group is the one to keep: rules, the first that can tell decides, and at last the path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.find import fleeting
from twinpix.pipeline.explore.where import Photo

DEFAULT = "resolution,format,size,oldest,path"
# without loss first (`Photo.is_lossless`), then what cameras write, then what the web makes of it
FORMATS = ("heif", "jpeg", "avif", "webp", "gif")


@dataclass(frozen=True)
class Rule:
    """One way to prefer a file.

    Attributes:
        rank: of a photo; the lowest is preferred.
        say: the same for people.
    """

    rank: Callable[[Photo], Any]
    say: Callable[[Photo], str]


def _newness(photo: Photo) -> tuple[int, ...]:
    return tuple(-ord(character) for character in photo.date)


def _format_rank(photo: Photo) -> int:
    if photo.is_lossless:
        return -1
    return FORMATS.index(photo.formats[0]) if photo.formats[0] in FORMATS else len(FORMATS)


def _path_rank(photo: Photo) -> tuple[int, int, str]:
    # "a.jpg" before "a copy.jpg" and "old/a.jpg"
    return len(photo.path.parts), len(str(photo.path)), str(photo.path)


RULES = {
    "resolution": Rule(lambda p: -p.shape[0] * p.shape[1], lambda p: "{}x{} px".format(*p.shape)),
    "format": Rule(_format_rank, lambda p: p.formats[0].upper()),
    "size": Rule(lambda p: -p.size, lambda p: f"{p.size} bytes"),
    "oldest": Rule(lambda p: p.date, lambda p: p.date),
    "newest": Rule(_newness, lambda p: p.date),
    "path": Rule(_path_rank, lambda p: "the path"),
}


def parse_keep(text: str) -> tuple[str, ...]:
    """Rules in one text, "resolution,oldest" -> their names; `path` comes last, wanted or not.

    Raises:
        InputError: an unknown rule, or one twice.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in RULES:
            raise InputError(f"--keep: no rule {name!r}; there are {', '.join(RULES)}")
        if names.count(name) > 1:
            raise InputError(f"--keep: {name} is there twice")
    return (*names, *(() if "path" in names else ("path",)))


class Ranked:
    """A file with its rank by each rule; what can't be read of it ranks behind all that can.

    Whatever the rules are, one in a folder that may be emptied ranks behind all that lie outside.
    """

    def __init__(self, path: Path, keep: Sequence[str]) -> None:
        self._photo, self._keep, self.is_fleeting = Photo(path), keep, fleeting(path)

    @property
    def order(self) -> tuple[Any, ...]:
        """To sort by."""
        return self.is_fleeting, self._ranks

    @cached_property
    def _ranks(self) -> tuple[Any, ...]:
        return tuple(self._rank(RULES[name]) for name in self._keep)

    def _rank(self, rule: Rule) -> tuple[int, Any]:
        try:
            return 0, rule.rank(self._photo)
        except (ImageError, OSError, OverflowError, ValueError):  # the latter from file times no calendar has
            return 1, 0

    def against(self, other: Ranked) -> str:
        """Why this one and not the other, in words: the first rule that tells them apart."""
        if self.is_fleeting < other.is_fleeting:
            return "the other lies in a hidden folder, or one that may be emptied"
        name = next((n for n, a, b in zip(self._keep, self._ranks, other._ranks, strict=True) if a != b), "path")
        if name == "path":
            return "path: the shorter, or first by name"
        return f"{name}: {self._say(name)} against {other._say(name)}"

    def _say(self, name: str) -> str:
        try:
            return RULES[name].say(self._photo)
        except (ImageError, OSError, OverflowError, ValueError):
            return "unreadable"
