"""A plan: per group of one picture what stays, what goes, and why. It is plain data; `apply` trusts none of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

CHOSEN = "your choice"


@dataclass(frozen=True)
class Partner:
    """A file that belongs to a picture and goes where it goes: its RAW, its live video, its XMP sidecar.

    Attributes:
        path: absolute.
        size: bytes.
        mtime_ns: ns since 1970.
        content: BLAKE2b-128 of its bytes, hex.
    """

    path: Path
    size: int
    mtime_ns: int
    content: str


@dataclass(frozen=True)
class PlannedFile:
    """One file of a group, as it was when the plan was made.

    Attributes:
        path: absolute.
        goes: whether it is to be removed; otherwise it stays.
        why: one line for people.
        size: bytes.
        mtime_ns: ns since 1970.
        content: BLAKE2b-128 of its bytes, hex; empty if it could not be read: it can neither go nor stand in for
            another.
        partners: what goes with it, if nothing that stays needs it.
        instead: of one that goes, the path of the one that stays for it; None: a person has chosen, with all that stays
            of the group in view.
    """

    path: Path
    goes: bool
    why: str
    size: int
    mtime_ns: int
    content: str
    partners: tuple[Partner, ...] = ()
    instead: Path | None = None

    @property
    def shot(self) -> tuple[PlannedFile | Partner, ...]:
        """The file and its partners."""
        return (self, *self.partners)


@dataclass(frozen=True)
class PlannedGroup:
    """Files that show one picture; what stays comes first.

    Attributes:
        files: two or more.
        sure: whether nothing in it was left to a person's judgement.
        because: why these files are taken for one picture, and where there is doubt.
        max_l2_distance: L2, 0..2, as in `twinpix.Group`.
    """

    files: tuple[PlannedFile, ...]
    sure: bool
    because: str
    max_l2_distance: float

    def copies_of(self, content: str) -> list[PlannedFile | Partner]:
        """What stays of that content: files, and their partners."""
        return [one for file in self.files if not file.goes for one in file.shot if one.content == content]

    @property
    def alone(self) -> list[Partner]:
        """Partners that would go, and of which nothing that stays holds a copy."""
        paths = {file.path for file in self.files}
        going = (partner for file in self.files if file.goes for partner in file.partners)
        return [one for one in going if one.path not in paths and not self.copies_of(one.content)]


@dataclass(frozen=True)
class Plan:
    """What is to be done; `twinpix.apply_plan` does it.

    Attributes:
        groups: in the order of the report.
        roots: absolute folders that were searched; what goes is put outside them.
        references: absolute folders in which nothing is touched.
        keep: the rules by which one file was preferred to another, the first that could tell.
        made: when, ISO 8601, UTC.
    """

    groups: tuple[PlannedGroup, ...]
    roots: tuple[Path, ...]
    references: tuple[Path, ...]
    keep: tuple[str, ...]
    made: str

    @property
    def going(self) -> int:
        """How many files are to go, partners not counted."""
        return sum(file.goes for group in self.groups for file in group.files)

    @property
    def digest(self) -> str:
        """Of what goes, and of what stays of its groups, partners included; another path or other contents, and it is
        another. Hex."""
        files = (file for group in self.groups if any(file.goes for file in group.files) for file in group.files)
        rows = sorted((str(one.path), one.content, file.goes) for file in files for one in file.shot)
        return hashlib.blake2b(json.dumps(rows).encode("ascii"), digest_size=16).hexdigest()


def decide(plan: Plan, going: Collection[str | os.PathLike[str]]) -> Plan:
    """The plan as a person wants it: exactly these of its files go, and all others stay.

    Nothing is checked here: `apply` refuses, file by file, what would lose a picture.

    Args:
        going: paths as they are in the plan; others are ignored.
    """
    wanted = {os.fspath(path) for path in going}
    return replace(plan, groups=tuple(_decide_group(group, wanted) for group in plan.groups))


def _decide_group(group: PlannedGroup, wanted: set[str]) -> PlannedGroup:
    files = [_decide_file(file, str(file.path) in wanted) for file in group.files]
    return replace(group, files=tuple(sorted(files, key=lambda file: file.goes)))


def _decide_file(file: PlannedFile, goes: bool) -> PlannedFile:
    return file if goes == file.goes else replace(file, goes=goes, why=CHOSEN, instead=None)
