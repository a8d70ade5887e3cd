"""What is remembered of the relations of pictures.

A relation rests on the bytes of two pictures, and on which way round they were looked at before.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from twinpix.pipeline.relation.kinds import Relation

if TYPE_CHECKING:  # who only encodes need not load the second look
    from twinpix.pipeline.second_look.verify import Examination

RELATIONS_VERSION = 9  # to be raised whenever any two pictures could get another relation

PathPair = tuple[Path, Path]


class Way(IntEnum):
    """Which way round a second look was taken."""

    NONE = 0
    FORTH = 1
    BACK = 2


def way_of(pair: PathPair, examined: Mapping[PathPair, Examination | None]) -> Way:
    """Which way round these two were looked at."""
    if pair[::-1] in examined:
        return Way.BACK
    return Way.FORTH if pair in examined else Way.NONE


class RememberedRelations(Protocol):
    """Relations of files that were found before. No fault of it raises."""

    def known(self, pair: PathPair, way: Way) -> Relation | None:
        """What the second is to the first; None where nothing that is remembered holds."""

    def keep(self, pair: PathPair, way: Way, relation: Relation) -> None:
        """Remember a new one."""
