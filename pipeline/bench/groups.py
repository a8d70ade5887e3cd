"""Known groups: which pairs of one picture are found, which pairs of different pictures are wrongly called."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.split import Split

Counts = tuple[int, int]  # (pairs called duplicates, all pairs)
Codes = NDArray[np.int64]  # pairs of n pictures, first row * n + second row, ascending, each once; first < second


@dataclass(frozen=True)
class Groups:
    """What is known about a folder. Names are relative to it.

    Attributes:
        same: group -> pictures that are versions of one picture. A group is called `SOURCE/NAME`.
        view: group -> pictures that show one scene or object, and are different pictures.
        alone: pictures without a partner; None for all that are in no group. Pictures that are named nowhere are
            unknown, and count for nothing.
    """

    same: Mapping[str, Sequence[str]]
    view: Mapping[str, Sequence[str]]
    alone: Sequence[str] | None = None

    @property
    def names(self) -> frozenset[str]:
        """Of all pictures that are named anywhere."""
        grouped = (name for kind in (self.same, self.view) for members in kind.values() for name in members)
        return frozenset(grouped) | frozenset(self.alone or ())


@dataclass(frozen=True)
class GroupScore:
    """How a method does on pictures with known groups; all values are (pairs called duplicates, all pairs).

    Attributes:
        found: source -> pairs of one picture.
        wrong: source -> pairs that show one scene or object but are different pictures.
        unrelated: class -> pairs across groups: `alone` if one of the two has no partner, else `view` if one of the
            two is in such a group, else `same`.
    """

    found: dict[str, Counts]
    wrong: dict[str, Counts]
    unrelated: dict[str, Counts]


def read_groups(path: Path) -> Groups:
    """Read a JSON file with `same`, `view` and perhaps `alone`.

    Raises:
        InputError: it is not such a file, or names no picture.
    """
    try:
        known = json.loads(path.read_text())
        groups = Groups(
            _members(known["same"]), _members(known["view"]), _names(known["alone"]) if "alone" in known else None
        )
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: not a JSON file of groups: `same` and `view`, each "
            "name -> list of files, and perhaps `alone`, a list of files"
        ) from None
    if not groups.names:
        raise InputError(f"{path}: names no picture")
    return groups


def _members(groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {str(group): _names(members) for group, members in groups.items()}


def _names(values: Sequence[str]) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("a group is a list of names")
    return values


def pairs_by_source(groups: Mapping[str, Sequence[str]], names: Sequence[str], split: Split) -> dict[str, Codes]:
    """The pairs inside the groups of a split, by source.

    Args:
        names: of the n images that could be read; the pairs are of their rows.
    """
    row, found = {name: k for k, name in enumerate(names)}, defaultdict[str, list[Codes]](list)
    for group, members in groups.items():
        if split.holds(group):
            rows = np.array(sorted({row[name] for name in members if name in row}), np.int64)
            i, j = np.triu_indices(len(rows), 1)
            found[group.split("/")[0]].append(rows[i] * len(names) + rows[j])
    joined = {source: np.unique(np.concatenate(parts)) for source, parts in found.items()}
    return {source: pairs for source, pairs in joined.items() if len(pairs)}


def members_of(there: set[str], groups: Groups, split: Split) -> tuple[set[str], set[str]]:
    """The pictures of a split: those in groups, and those without a partner.

    A group belongs to a split by its name, a picture by its groups' names; one that is in no group, by its own.
    """
    known = [*groups.same.items(), *groups.view.items()]
    held = {name for group, members in known if split.holds(group) for name in members} & there
    without = there.difference(*(members for _, members in known))
    alone = without if groups.alone is None else without & set(groups.alone)
    return held, {name for name in alone if split.holds(name)}


def total(counts: Mapping[str, Counts]) -> Counts:
    """All pairs of all sources together."""
    return sum(called for called, _ in counts.values()), sum(formed for _, formed in counts.values())


def average(counts: Mapping[str, Counts]) -> float | None:
    """The plain mean of the sources' shares, 0..1: no source drowns another. None without a source."""
    shares = [called / formed for called, formed in counts.values() if formed]
    return sum(shares) / len(shares) if shares else None
