"""A portion of a source that one task embeds, and where in it each picture lies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from twinpix.pipeline.scan.store import key_of


class Kind(StrEnum):
    """How the pictures of a shard are kept."""

    FILES = "files"  # of this machine, or of a disk that all workers see
    REMOTE = "remote"  # objects of a store, each by its URL
    TAR = "tar"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Shard:
    """Pictures that are embedded together.

    Attributes:
        places: paths (bytes, as the system has them) or URLs: of each picture, or of the one archive.
        stamp: changes when what is there does: sizes, times, or what a store says of its objects.
        parts: of Parquet, the numbers of the row groups; empty: all.
        column: of Parquet, which holds the bytes; `name.field` of a struct.
        bytes: how large it is, about.
    """

    kind: Kind
    places: tuple[bytes, ...]
    stamp: str
    parts: tuple[int, ...] = ()
    column: str = ""
    bytes: int = 0

    @property
    def key(self) -> str:
        """Changes with anything that changes what is embedded."""
        return key_of(self.kind, *self.places, self.stamp, self.parts, self.column)


@dataclass(frozen=True)
class Item:
    """A picture of a shard, as it is read for embedding.

    Attributes:
        name: the bytes of what reports call it.
        source: the file, or what is in it.
        at: where it lies: the offset in a tar (its compression taken off), the row in Parquet, which of the shard's
            objects; 0 of a file.
        size: bytes; 0 where only its decoder reads it.
    """

    name: bytes
    source: Path | bytes
    at: int = 0
    size: int = 0


@dataclass(frozen=True)
class Unread:
    """What a shard holds and nobody can read.

    Attributes:
        name: of the picture, or of the shard where more is lost than one.
        reason: a short code, as of `Skipped`.
        message: one line.
    """

    name: bytes
    reason: str
    message: str


@dataclass(frozen=True)
class Place:
    """Where one picture lies, for who has to look at it once more.

    Attributes:
        kind, column: of its shard.
        place: path or URL of the file or the archive.
        at, size: as of `Item`.
    """

    kind: Kind
    place: bytes
    at: int = 0
    size: int = 0
    column: str = ""
