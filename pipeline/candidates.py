"""Pairs that may be duplicates, and what a second look made of them: grouped at any threshold without another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.group import star_groups
from twinpix.pipeline.index import IndexUsed, Pairs, select
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.report import Match, Report, Skipped
from twinpix.pipeline.second_look.outcome import Outcome


@dataclass(frozen=True)
class Candidates:
    """The pairs of a collection that were near enough to be looked at.

    Attributes:
        paths: of n images.
        pairs: rows of `paths`, that of the query first, and L2 distances.
        outcomes: (k,), an `Outcome` or None a pair; None: it got no second look.
        limit: by which duplicates are told, unless another one is given.
        skipped: as in `Report`.
        fingerprint: of the encoder.
        curve: the calibration in force, raised to how alike these images are; None if there is none.
        clamped, calibrated_on, alikeness, index, unseen: as in `Report`.
        decisions: pairs that a person called different are left out.
    """

    paths: tuple[Path, ...]
    pairs: Pairs
    outcomes: NDArray[np.object_]
    limit: Limits
    skipped: tuple[Skipped, ...]
    fingerprint: str
    curve: Calibration | None
    clamped: bool
    calibrated_on: str
    alikeness: float
    index: IndexUsed
    decisions: Decisions
    unseen: int = 0

    @property
    def copies(self) -> list[tuple[int, int]]:
        """The rows of each pair that was confirmed or is likely, in the order in which it was looked at."""
        found = [outcome in (Outcome.CONFIRMED, Outcome.LIKELY) for outcome in self.outcomes.tolist()]
        return list(zip(*(end.tolist() for end in select(self.pairs, np.array(found, bool))[:2]), strict=True))

    def report(self, limit: Limits | None = None) -> Report:
        """The duplicates and groups by `limit` (their own by default). No file is decoded."""
        limit = limit or self.limit
        accepted = limit.accepted(self.pairs, self.outcomes)
        pairs = select(self.pairs, accepted)
        kept, apart = left_in(self.paths, pairs, self.decisions)
        pairs, outcomes = select(pairs, kept), self.outcomes[accepted][kept].tolist()
        looked = [outcome for outcome in self.outcomes.tolist() if outcome is not None]
        n = len(self.paths)
        return Report(
            groups=star_groups(self.paths, *pairs, apart),
            matches=_matches(self.paths, pairs, outcomes, limit),
            skipped=self.skipped,
            threshold=limit.candidate,
            unverified_threshold=limit.unverified,
            looked_at=len(looked),
            refuted=sum(outcome in (Outcome.REFUTED, Outcome.ANIMATED) for outcome in looked),
            expected_false_pairs=None if self.curve is None else expected(self.curve, limit, n),
            clamped=self.clamped,
            images=n,
            fingerprint=self.fingerprint,
            calibrated_on=self.calibrated_on,
            alikeness=self.alikeness,
            index=self.index,
            unseen=self.unseen,
            dismissed=int((~kept).sum()),
            paths=self.paths,
        )


def left_in(
    paths: Sequence[Path], pairs: Pairs, decisions: Decisions
) -> tuple[NDArray[np.bool_], frozenset[tuple[int, int]]]:
    """Which pairs nobody has called different, bool (k,); and the rows i < j that must not be in one group."""
    if not decisions.verdicts:
        return np.ones(len(pairs[0]), bool), frozenset()
    rows = np.unique(np.concatenate(pairs[:2])).tolist()
    apart = frozenset((rows[i], rows[j]) for i, j in decisions.apart([paths[row] for row in rows]))
    named = zip(np.minimum(*pairs[:2]).tolist(), np.maximum(*pairs[:2]).tolist(), strict=True)
    return np.array([(i, j) not in apart for i, j in named], bool), apart


def expected(calibration: Calibration, limit: Limits, images: int) -> float:
    """How many false pairs to expect among `images` different pictures."""
    if limit.sure >= limit.candidate:  # no second look
        return calibration.false_pairs(limit.candidate, images)
    looked_at = min(limit.candidate, limit.far)  # beyond, a glimpse leaves one pair in hundreds
    return calibration.verified_false_pairs(looked_at, limit.likely, limit.unverified, images)


def _matches(
    paths: tuple[Path, ...], pairs: Pairs, outcomes: Sequence[Outcome | None], limit: Limits
) -> tuple[Match, ...]:
    # closest first, then by name: the order in which folders were named changes nothing
    matches = []
    for i, j, distance, outcome in zip(*(column.tolist() for column in pairs), outcomes, strict=True):
        query, reference = sorted((paths[i], paths[j]), key=str)
        matches.append(Match(query, reference, distance, limit.candidate, True, outcome, limit.unverified))
    return tuple(sorted(matches, key=lambda match: (match.l2_distance, str(match.query), str(match.reference))))
