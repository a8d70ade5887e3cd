"""What a person has said of pictures near two files: one that was called different may be told from a copy, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.report import Group, Match


class Told:
    """Of a group and the files that its members resemble: which were called different."""

    def __init__(self, group: Group, matches: Iterable[Match], decisions: Decisions) -> None:
        near = [(link.member, link.other) for link in group.links]
        near += [(Path(match.query), Path(match.reference)) for match in matches]
        self._near = defaultdict[Path, set[Path]](set, {path: {path} for path in group.files})
        for one, other in near:
            self._near[one].add(other)
            self._near[other].add(one)
        paths = sorted({path for some in self._near.values() for path in some})
        self._apart = {frozenset((paths[i], paths[j])) for i, j in decisions.apart(paths)}

    def doubt(self, goes: Path, stays: Path) -> str:
        """Why the one can't go for the other; empty where nothing was said.

        If A was called different from B, and C resembles both, nobody has said which of the two C is a copy of.
        """
        if not self._apart:
            return ""
        pairs = product(sorted(self._near[goes]), sorted(self._near[stays]))
        said = next(((one, other) for one, other in pairs if frozenset((one, other)) in self._apart), None)
        if said is None:
            return ""
        return f"you have called {said[0]} and {said[1]} different, and what stays may be a copy of either"
