"""What was done in a review, in order and with a way back: it goes on where it was left, whatever ended it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import InputError
from twinpix.pipeline.decisions import Content, Pair, append_lines, sealed, unsealed
from twinpix.pipeline.library.lock import writer_lock

Stamp = tuple[int, int]  # size in bytes, and when it was changed, ns since 1970


@dataclass(frozen=True)
class Chose:
    """Files were marked to go or to stay.

    Attributes:
        files: whether each goes; those of one group follow one another.
        stamps: what they were then: a choice is about a picture, not about a name.
        sizes: how many files each of the groups had.
    """

    files: Mapping[Path, bool]
    stamps: Mapping[Path, Stamp]
    sizes: tuple[int, ...]

    @property
    def choices(self) -> dict[Path, Choice]:
        """The same, with what was to stay of each group."""
        found, files = dict[Path, Choice](), iter(self.files.items())
        for group in (list(islice(files, size)) for size in self.sizes):
            beside = frozenset(path for path, goes in group if not goes)
            found.update((path, Choice(goes, beside)) for path, goes in group)
        return found


class Choice(NamedTuple):
    """What was chosen of a file.

    Attributes:
        goes: whether it is to go.
        beside: what was to stay of its group: a file goes while that stays, and for nothing else.
    """

    goes: bool
    beside: frozenset[Path]


@dataclass(frozen=True)
class Parted:
    """Pictures were called different.

    Attributes:
        files: that no longer belong to the others of their group.
        pairs: of contents.
    """

    files: tuple[Path, ...]
    pairs: tuple[Pair, ...]


Step = Chose | Parted


class Log:
    """The steps of one review, in a file of its own in the user's data folder; each is on the disk before it counts.

    Args:
        roots: the folders reviewed; the same ones have the same log.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.path = _path_of(roots)
        self.steps: list[Step] = []
        self.threshold: float | None = None
        self.damaged = 0
        for line in self._lines():
            try:
                self._replay(unsealed(line))
            except (ValueError, KeyError, TypeError, IndexError):
                self.damaged += 1

    def _lines(self) -> list[bytes]:
        try:
            return list(filter(None, self.path.read_bytes().split(b"\n")))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.path}: the review can't be read ({error.strerror or error})") from None

    def _replay(self, row: dict[str, Any]) -> None:
        if row["do"] == "undo":
            self.steps.pop()
        elif row["do"] == "threshold":
            self.threshold = None if row["value"] is None else float(row["value"])
        else:
            self.steps.append(_read_step(row))

    @property
    def choices(self) -> dict[Path, Choice]:
        """What was chosen of each file, the last time; of those that have not changed since."""
        found: dict[Path, tuple[Choice, Stamp | None]] = {}
        for step in self.steps:
            if isinstance(step, Chose):
                found.update((path, (choice, step.stamps.get(path))) for path, choice in step.choices.items())
        return {path: choice for path, (choice, stamp) in found.items() if stamp and stamp_at(path) == stamp}

    def add(self, step: Step) -> None:
        """Keep a step.

        Raises:
            InputError: it can't be written.
        """
        self._write(_step_row(step))
        self.steps.append(step)

    def undo(self) -> Step | None:
        """Take back the last step; None: there is none."""
        if not self.steps:
            return None
        self._write({"do": "undo"})
        return self.steps.pop()

    def set_threshold(self, value: float | None) -> None:
        """Keep the threshold; None: the default one."""
        self._write({"do": "threshold", "value": value})
        self.threshold = value

    def _write(self, row: dict[str, Any]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_lines(self.path, [sealed(row)])
        except OSError as error:
            raise InputError(f"{self.path}: the review can't be kept ({error.strerror or error})") from None


@contextmanager
def alone(roots: Sequence[Path]) -> Iterator[None]:
    """Keep out other reviews of the same folders: of two in one log, each would take back steps of the other.

    Raises:
        LibraryBusyError: another one runs.
        InputError: the user's data folder can't be written.
    """
    place, named = _path_of(roots).with_suffix(""), ", ".join(map(str, roots))
    with ExitStack() as held:
        try:
            place.mkdir(parents=True, exist_ok=True)
            held.enter_context(writer_lock(place, f"{named}: being reviewed already: end that review first"))
        except OSError as error:
            raise InputError(f"{place}: the review can't be kept ({error.strerror or error})") from None
        yield


def _path_of(roots: Sequence[Path]) -> Path:
    key = hashlib.blake2b(b"\0".join(sorted(map(os.fsencode, roots))), digest_size=10).hexdigest()
    return data_folder() / "reviews" / f"{key}.jsonl"


def stamp_at(path: Path) -> Stamp | None:
    """What a file is now; None: it can't be asked."""
    try:
        now = os.lstat(path)
    except OSError:
        return None
    return now.st_size, now.st_mtime_ns


def _step_row(step: Step) -> dict[str, Any]:
    if isinstance(step, Chose):
        return {
            "do": "choose",
            "files": {str(path): [goes, step.stamps.get(path)] for path, goes in step.files.items()},
            "sizes": step.sizes,
        }
    pairs = [[[content.digest, content.size] for content in pair] for pair in step.pairs]
    return {"do": "part", "files": [str(path) for path in step.files], "pairs": pairs}


def _read_step(row: dict[str, Any]) -> Step:
    if row["do"] == "choose":
        rows = {Path(name): (bool(goes), stamp) for name, (goes, stamp) in row["files"].items()}
        stamps = {path: (int(stamp[0]), int(stamp[1])) for path, (_, stamp) in rows.items() if stamp is not None}
        sizes = tuple(map(int, row.get("sizes", [len(rows)])))  # once they were not written
        if sum(sizes) != len(rows):
            raise ValueError("groups of other sizes")
        return Chose({path: goes for path, (goes, _) in rows.items()}, stamps, sizes)
    if row["do"] != "part":
        raise ValueError(row["do"])
    pairs = tuple((_read_content(one), _read_content(other)) for one, other in row["pairs"])
    return Parted(tuple(map(Path, row["files"])), pairs)


def _read_content(row: Iterable[Any]) -> Content:
    digest, size = row
    return Content(str(digest), int(size))
