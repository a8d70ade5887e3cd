"""What a person said of pairs of pictures: "not a duplicate", or "yes, the same". Kept by content, not by name.

A line of JSON a decision, in the user's data folder. Lines are only ever appended, each in one write and with a
digest of its own, so that a kill or a flipped bit costs one line at most; of several about a pair the last one counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import InputError

SCHEMA = 1
BLOCK = 1 << 20  # bytes


class Verdict(StrEnum):
    """What a person said of a pair."""

    SAME = "same"
    DIFFERENT = "different"
    OPEN = "open"  # taken back


@dataclass(frozen=True, order=True)
class Content:
    """What a file holds, whatever it is called.

    Attributes:
        digest: BLAKE2b of its bytes, 16 bytes, as hex.
        size: bytes; it tells most files apart without reading them.
    """

    digest: str
    size: int


Pair = tuple[Content, Content]


def content_of(path: str | os.PathLike[str]) -> Content:
    """Read a file through.

    Raises:
        OSError: it can't be read.
    """
    digest, size = hashlib.blake2b(digest_size=16), 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
    return Content(digest.hexdigest(), size)


def pair_of(one: Content, other: Content) -> Pair:
    """The two in a fixed order: a decision knows no first and second."""
    return (one, other) if one <= other else (other, one)


@dataclass(frozen=True)
class Decisions:
    """All that was decided.

    Attributes:
        verdicts: by pair; pairs that are open again are not among them.
        damaged: how many lines of the file are not as they were written; they count for nothing.
        contents: of pictures that are no files, such as those inside an archive.
    """

    verdicts: Mapping[Pair, Verdict]
    damaged: int = 0
    contents: Mapping[Path, Content] = field(default_factory=dict)

    def apart(self, paths: Sequence[Path]) -> frozenset[tuple[int, int]]:
        """Rows i < j of `paths` that hold two pictures which a person has called different.

        Only files as large as one that was decided about are read; one that can't be read is apart from none.
        """
        return self._rows(paths, Verdict.DIFFERENT)

    def together(self, paths: Sequence[Path]) -> frozenset[tuple[int, int]]:
        """The same, of pictures that a person has called one."""
        return self._rows(paths, Verdict.SAME)

    def _rows(self, paths: Sequence[Path], said: Verdict) -> frozenset[tuple[int, int]]:
        wanted = [pair for pair, verdict in self.verdicts.items() if verdict is said]
        decided = {content for pair in wanted for content in pair}
        rows = _rows_by_content(paths, decided, self.contents) if wanted else {}
        return frozenset(
            (min(i, j), max(i, j)) for one, other in wanted for i in rows.get(one, ()) for j in rows.get(other, ())
        )


def _rows_by_content(
    paths: Sequence[Path], decided: set[Content], known: Mapping[Path, Content]
) -> dict[Content, list[int]]:
    sizes, rows = {content.size for content in decided}, defaultdict[Content, list[int]](list)
    for row, path in enumerate(paths):
        if path in known:
            rows[known[path]].append(row)
            continue
        with suppress(OSError):
            if path.stat().st_size in sizes:
                rows[content_of(path)].append(row)
    return rows


def decisions_path() -> Path:
    """Where they are kept."""
    return data_folder() / "decisions.jsonl"


def read_decisions(path: Path | None = None) -> Decisions:
    """What was decided so far; nothing where there is no file.

    Raises:
        InputError: it is there, and can't be read. It is not passed over: dismissed pairs would come back unseen.
    """
    path = path or decisions_path()
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):  # the latter where the data folder is a file: none was ever kept
        return Decisions({})
    except OSError as error:
        raise InputError(f"{path}: your decisions can't be read ({error.strerror or error})") from None
    verdicts: dict[Pair, Verdict] = {}
    damaged = 0
    for line in filter(None, lines):
        try:
            pair, verdict = _parse(line)
        except (ValueError, KeyError, TypeError):
            damaged += 1
            continue
        verdicts[pair] = verdict
    return Decisions({pair: verdict for pair, verdict in verdicts.items() if verdict is not Verdict.OPEN}, damaged)


def decide(pairs: Iterable[Pair], verdict: Verdict, path: Path | None = None) -> None:
    """Keep a verdict on pairs of contents; it is on the disk when this returns.

    Raises:
        InputError: a pair is twice the same content, or the file can't be written.
    """
    path = path or decisions_path()
    rows = [_line(pair_of(*pair), verdict) for pair in pairs]
    if not rows:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(path, rows)
    except OSError as error:
        raise InputError(f"{path}: your decision can't be written ({error.strerror or error})") from None


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append whole lines in one write and wait for the disk; a torn last line is closed first, never continued.

    Raises:
        OSError: the file can't be written.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        torn = end > 0 and _last_byte(file, end) != b"\n"
        data = (b"\n" if torn else b"") + b"".join(line + b"\n" for line in lines)
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)


def _last_byte(file: int, end: int) -> bytes:
    os.lseek(file, end - 1, os.SEEK_SET)
    return os.read(file, 1)


def sealed(row: Mapping[str, Any]) -> bytes:
    """A line of JSON that carries a digest of itself."""
    return json.dumps({**row, "sum": _sum(row)}).encode()


def unsealed(line: bytes) -> dict[str, Any]:
    """The row in a line.

    Raises:
        ValueError, KeyError, TypeError: it is not what was written.
    """
    row: dict[str, Any] = dict(json.loads(line))
    if row.pop("sum") != _sum(row):
        raise ValueError("the digest does not fit")
    return row


def _sum(row: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=8).hexdigest()


def _line(pair: Pair, verdict: Verdict) -> bytes:
    if pair[0] == pair[1]:
        raise InputError("two files with the same bytes are duplicates: nothing to decide")
    rows = [[content.digest, content.size] for content in pair]
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    return sealed({"schema": SCHEMA, "pair": rows, "verdict": verdict, "at": moment})


def _parse(line: bytes) -> tuple[Pair, Verdict]:
    row = unsealed(line)
    if row["schema"] != SCHEMA:
        raise ValueError("another schema")
    one, other = (Content(str(digest), int(size)) for digest, size in row["pair"])
    return pair_of(one, other), Verdict(row["verdict"])
