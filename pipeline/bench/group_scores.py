"""What methods make of pictures with known groups: a score for each pair, and what follows from it.

The pairs of n pictures are seen a block of rows at a time, as memory never holds n x n of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.bench.groups import Codes, Counts, GroupScore
from twinpix.pipeline.bench.looked import settled
from twinpix.pipeline.bench.method import BLOCK, ROUNDING, Floats, Method, Rows, Unrelated, allowed
from twinpix.pipeline.bench.ordered import PLACES, Times, places_of, places_of_ranks, times_of, told_apart
from twinpix.pipeline.bench.recall import Level, curve_rates, measured_levels
from twinpix.pipeline.bench.truth import CLASSES, UNCOUNTED, Kinds, Marks, Truth, part_of
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.duplicates import candidate_pairs
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.second_look.outcome import Outcome

# start -> scores of the rows from `start` on with all from `start` on, float32 (b, n - start); b is BLOCK, less at the
# end. What lies above the diagonal counts.
Scores = Callable[[int], Floats]


def scores_by_twinpix(
    encoder: Encoder, folder: Path, names: Sequence[str], embeddings: Embeddings, verify: bool | None = None
) -> tuple[Scores, float]:
    """Scores of the pairs that `find-duplicates FOLDER` reports, as `SecondLooked` has them; all others are infinite.

    Args:
        names: n, relative to the folder.
        embeddings: the folder's.

    Returns:
        (scores, the highest one that is a duplicate).
    """
    found = candidate_pairs(embeddings, encoder, verify=verify, decisions=Decisions({}))
    base, row = folder.resolve(), {name: k for k, name in enumerate(names)}
    own = np.array([row.get(str(path.relative_to(base)), -1) for path in found.paths], np.intp)
    outcomes = np.where(found.outcomes == None, Outcome.CONFIRMED, found.outcomes)  # noqa: E711  # near enough for none
    ends = np.sort(np.stack([own[found.pairs[0]], own[found.pairs[1]]]), axis=0)
    there, scores = ends[0] >= 0, settled(found.pairs[2], outcomes, found.limit)
    return _in_blocks(ends[:, there], scores[there], len(names)), found.limit.unverified


def _in_blocks(ends: Rows, scores: Floats, n: int) -> Scores:
    # ends: (2, k)
    order = np.argsort(ends[0], kind="stable")
    first, second, known = *ends[:, order], scores[order]

    def block(start: int) -> Floats:
        found, part = np.full((min(BLOCK, n - start), n - start), np.inf, np.float32), part_of(first, start)
        found[first[part] - start, second[part] - start] = known[part]
        return found

    return block


def scores_by_method(method: Method, vectors: Floats) -> Scores:
    """Distances of all pairs of n pictures.

    Args:
        vectors: float32 (n, dim).
    """
    distances = method.learn(vectors)
    return lambda start: distances(vectors[start : start + BLOCK], vectors[start:])


@dataclass(frozen=True)
class Found:
    """What scores say about known groups.

    Attributes:
        counts: the pairs within the default threshold.
        same: float32, scores of the pairs of one picture; infinite for those that are never called.
        different: scores of the pairs of different pictures, views included.
        levels: the default threshold, and each false-match rate.
    """

    counts: GroupScore
    same: Floats
    different: Unrelated
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class GroupRow:
    """One method on known groups.

    Attributes:
        name: for tables.
        method: which, without a second look.
        second_look: whether the scores come from `find-duplicates`, with the second look.
        found: what they say.
    """

    name: str
    method: Method
    second_look: bool
    found: Found


def measure_groups(truth: Truth, scores: Scores, limit: float, rates: Sequence[float]) -> Found:
    """What scores say at `limit`, the highest one that is a duplicate, and at each false-match rate.

    Scores are computed twice: which ones must be told apart, so that every number is exact, shows the first time. The
    others, for histograms, are kept to 1/4096.
    """
    seen = _look(truth, scores, limit + ROUNDING)
    pairs = int(seen.formed.sum())
    ranks = (allowed(pairs, rate) for rate in (*rates, *curve_rates(pairs)))
    at_limit = places_of(np.array([max(limit + ROUNDING, 0)], np.float32))
    places = np.unique(np.concatenate([places_of_ranks(seen.times, ranks), at_limit]))
    different = Unrelated(told_apart(seen.times, places, _different(truth, scores)), pairs)
    levels = measured_levels(limit, different, rates)
    return Found(_counts(truth, seen), seen.related[truth.is_same], different, levels)


@dataclass(frozen=True)
class _Seen:
    """All pairs, seen once.

    Attributes:
        related: float32, scores of the related pairs.
        is_called: which of them are within the limit.
        formed, called: pairs of different pictures of each kind, all and within the limit.
        times: their scores, by place.
    """

    related: Floats
    is_called: Marks
    formed: Times
    called: Times
    times: Times


def _look(truth: Truth, scores: Scores, limit: float) -> _Seen:
    related = np.empty(len(truth.related), np.float32)
    formed, called, times = np.zeros(UNCOUNTED, np.int64), np.zeros(UNCOUNTED, np.int64), np.zeros(PLACES, np.int64)
    for start in truth.starts:
        block, kinds = scores(start), truth.kinds(start)
        part, at = truth.related_in(start)
        related[part] = block[at]
        formed += _of_each(kinds)
        called += _of_each(kinds[block <= limit])
        times += times_of(block[kinds != UNCOUNTED])
    return _Seen(related, related <= limit, formed, called, times)


def _of_each(kinds: Kinds) -> Times:
    return np.array([np.count_nonzero(kinds == kind) for kind in range(UNCOUNTED)])


def _different(truth: Truth, scores: Scores) -> Iterator[Floats]:
    for start in truth.starts:
        yield scores(start)[truth.kinds(start) != UNCOUNTED]


def _counts(truth: Truth, seen: _Seen) -> GroupScore:
    def by_source(known: Mapping[str, Codes]) -> dict[str, Counts]:
        return {s: (int(seen.is_called[truth.places(pairs)].sum()), len(pairs)) for s, pairs in known.items()}

    across = {kind: (int(seen.called[k]), int(seen.formed[k])) for k, kind in enumerate(CLASSES)}
    return GroupScore(by_source(truth.same), by_source(truth.view), across)
