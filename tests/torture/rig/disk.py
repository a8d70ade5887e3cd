"""What a power cut can leave of a folder: all that was synced, and of the rest any part, whole, torn, or not at all."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SECTOR = 512  # bytes; a write is torn between sectors
HEAD = struct.Struct("<5q")


@dataclass(frozen=True)
class Call:
    """One call that was recorded by the shim; see shim.c."""

    kind: str
    fd: int
    at: int
    one: bytes
    two: bytes


def calls_in(record: bytes) -> Iterator[Call]:
    """All calls, in their order."""
    place = 0
    while place < len(record):
        kind, fd, at, n, m = HEAD.unpack_from(record, place)
        place += HEAD.size
        yield Call(chr(kind), fd, at, record[place : place + n], record[place + n : place + n + m])
        place += n + m


@dataclass
class Content:
    """A file's bytes that are on the disk for sure, and what was done since: (offset, bytes), or (length, None)."""

    sure: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        """All of it is sure now."""
        for change in self.pending:
            _apply(self.sure, *change)
        self.pending.clear()

    def after_a_cut(self, dice: np.random.Generator) -> bytes:
        """What may be found: each change was made, was not, or (a write) in part."""
        data, chance = bytearray(self.sure), dice.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        for at, change in self.pending:
            if dice.random() >= chance:
                continue
            sectors = 0 if change is None else len(change) // SECTOR
            if change is not None and sectors > 1 and dice.random() < 0.3:
                begin, end = sorted(dice.integers(0, sectors + 1, 2).tolist())
                _apply(data, at + begin * SECTOR, change[begin * SECTOR : end * SECTOR])
            else:
                _apply(data, at, change)
        return bytes(data)


def _apply(data: bytearray, at: int, change: bytes | None) -> None:
    if change is None:
        del data[at:]
        data.extend(bytes(at - len(data)))
    else:
        data.extend(bytes(max(0, at - len(data))))
        data[at : at + len(change)] = change


@dataclass
class Disk:
    """A folder on a disk, as far as calls have gone.

    Attributes:
        is_strict: names are sure only when their folder was synced; else, as on ext4, with any sync, in their order.
        names: as programs see them; folders are None.
        sure: those that are on the disk.
        marks: the last number that was put among the calls.
    """

    is_strict: bool
    names: dict[str, Content | None] = field(default_factory=dict)
    sure: dict[str, Content | None] = field(default_factory=dict)
    marks: int = -1
    _pending: list[tuple[str, str, Content | None]] = field(default_factory=list)
    _open: dict[int, str | Content] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, is_strict: bool) -> Disk:
        """A folder as it is, all of it sure."""
        disk = cls(is_strict)
        for path in (folder, *sorted(folder.rglob("*"))):
            disk.names[str(path)] = None if path.is_dir() else Content(bytearray(path.read_bytes()))
        disk.sure = dict(disk.names)
        return disk

    def do(self, call: Call) -> None:
        """One more call."""
        held = self._open.get(call.fd)
        if call.kind == "M":
            self.marks = call.at
        elif call.kind == "O":
            self._opened(call)
        elif call.kind == "X":
            self._open.pop(call.fd, None)
        elif call.kind == "S":
            self._synced(held)
        elif call.kind in "WT":
            assert isinstance(held, Content)
            held.pending.append((call.at, call.one if call.kind == "W" else None))
        else:
            self._renamed(call.kind, os.fsdecode(call.one), os.fsdecode(call.two))

    def _opened(self, call: Call) -> None:
        path = os.fsdecode(call.one)
        if path in self.names and self.names[path] is None:
            self._open[call.fd] = path
            return
        content = self.names.get(path)
        if content is None:
            content = Content()
            self._name("+", path, content)
        if call.at & os.O_TRUNC:
            content.pending.append((0, None))
        self._open[call.fd] = content

    def _renamed(self, kind: str, old: str, new: str) -> None:
        if kind == "D":
            self._name("+", old, None)
        else:
            content = self.names[old]
            if kind == "N":
                self._name(f"-{old}", new, content)
            else:
                self._name("-", old, None)

    def _name(self, what: str, path: str, content: Content | None) -> None:
        self._pending.append((what, path, content))
        _rename(self.names, what, path, content)

    def _synced(self, held: str | Content | None) -> None:
        if isinstance(held, Content):
            held.sync()
        ours = [
            not self.is_strict or (isinstance(held, str) and str(Path(path).parent) == held)
            for _, path, _ in self._pending
        ]
        for is_ours, change in zip(ours, self._pending, strict=True):
            if is_ours:
                _rename(self.sure, *change)
        self._pending = [change for is_ours, change in zip(ours, self._pending, strict=True) if not is_ours]

    def after_a_cut(self, folder: Path, dice: np.random.Generator) -> None:
        """Make the folder as a power cut at this moment may leave it."""
        names = dict(self.sure)
        cut = int(dice.integers(len(self._pending) + 1))
        for number, change in enumerate(self._pending):
            if dice.random() < 0.5 if self.is_strict else number < cut:
                _rename(names, *change)
        for path in sorted(names):
            if str(Path(path).parent) in names or path == str(folder):
                content = names[path]
                if content is None:
                    Path(path).mkdir(parents=True, exist_ok=True)
                else:
                    Path(path).write_bytes(content.after_a_cut(dice))


def _rename(names: dict[str, Content | None], what: str, path: str, content: Content | None) -> None:
    if what == "-":
        names.pop(path, None)
        return
    if what != "+":
        names.pop(what[1:], None)
    names[path] = content
