"""twinpix as `find-duplicates --thorough` works: the embedding finds candidates, a second look settles them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import pairs
from twinpix.pipeline.bench.method import Floats, Method, Plain, Rows, Unrelated
from twinpix.pipeline.bench.ordered import Sorted
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.index import Pairs, select
from twinpix.pipeline.index.near import pairs_within
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.look_again import (
    CROWD,
    NEAREST,
    NEAREST_IN_A_CROWD,
    faiss_alone,
    look_again,
    nearest_candidates,
    one_thread_each,
)
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import verify
from twinpix.pipeline.threads import cores

Outcomes = NDArray[np.object_]


def settled(distance: Floats, outcomes: Outcomes, limits: Limits) -> Floats:
    """Scores of k candidate pairs as `SecondLooked` has them, float32 (k,): infinite where a pair is no duplicate.

    Args:
        distance: L2 (k,), at most `limits.candidate`.
        outcomes: of the second look, (k,).
    """
    worn = max(limits.likely, limits.unverified)
    confirmed = outcomes == Outcome.CONFIRMED
    unclear = (outcomes == Outcome.UNCLEAR) & (distance <= limits.unverified)
    likely = (outcomes == Outcome.LIKELY) & (distance <= worn)
    scores = np.where(unclear, distance, np.inf).astype(np.float32)
    scores[likely] = distance[likely] * (limits.unverified / worn)
    scores[confirmed] = distance[confirmed] * (limits.unverified / limits.candidate)
    return scores


class SecondLooked:
    """A calibrated encoder with the second look.

    A score is the distance of a pair that a second look can't settle; a confirmed pair counts as much nearer as its
    threshold is wider; a refuted pair, and one that gets no look, is never called: infinite.

    Args:
        name: for tables.
        method: the embedding.
        pictures: the n originals.
        originals: float32 (n, dim).
        limits: the thresholds of `find-duplicates` for a folder of n pictures.
        looking: called with the number of pairs looked at so far, and of all.
    """

    def __init__(
        self,
        name: str,
        method: Method,
        pictures: Sequence[Image.Image],
        originals: Floats,
        limits: Limits,
        looking: Callable[[int, int], None] | None = None,
    ) -> None:
        self.name, self.method, self.limit = name, method, limits.unverified
        self._pictures, self._originals, self._limits, self._looking = pictures, originals, limits, looking
        self.seconds_a_pair = float("nan")
        self._look_at_original = cache(lambda row: look(pictures[row]))

    def unrelated(self) -> Unrelated:
        """See `Contestant`."""
        near = nearest_candidates(pairs_within(self._originals, self._limits.candidate), self._limits.sure)
        begun = time.perf_counter()
        scores = np.sort(self._score(near[2], self._look_again(self._pictures, near)))
        self.seconds_a_pair = (time.perf_counter() - begun) / max(1, len(near[2]))
        scores, formed = scores[np.isfinite(scores)], pairs(len(self._originals))
        return Unrelated(Sorted(scores), formed, self._extrapolation(scores, len(near[2]), formed))

    def to_own(self, rows: Rows, copies: Sequence[Image.Image], vectors: Floats) -> Floats:
        """See `Contestant`."""
        own = Plain(self.method, self._originals).to_own(rows, copies, vectors)
        near = (own <= self._limits.candidate) & self._is_among_nearest(rows, vectors, own)
        outcomes = np.full(len(rows), Outcome.REFUTED, object)
        outcomes[near] = Outcome.CONFIRMED
        doubtful = np.flatnonzero(near & (own > self._limits.sure))

        def look_at(k: int) -> Outcome:
            is_far = bool(own[k] > self._limits.far)
            return verify(self._look_at_original(int(rows[k])), look(copies[k]), is_far)

        with one_thread_each(), ThreadPoolExecutor(cores(), initializer=faiss_alone) as pool:
            outcomes[doubtful] = list(pool.map(look_at, doubtful.tolist()))
        return self._score(own, outcomes)

    def to_many(self, queries: Sequence[Image.Image], vectors: Floats, rows: Rows) -> Floats:
        """See `Contestant`."""
        distance = l2(vectors, self._originals[rows])
        q, r = np.nonzero(distance <= self._limits.candidate)
        near = nearest_candidates((q, len(queries) + r, distance[q, r]), self._limits.sure)
        outcomes = self._look_again([*queries, *(self._pictures[row] for row in rows.tolist())], near)
        scores = np.full(distance.shape, np.inf, np.float32)
        scores[near[0], near[1] - len(queries)] = self._score(near[2], outcomes)
        return scores

    def _look_again(self, pictures: Sequence[Image.Image], near: Pairs) -> Outcomes:
        doubtful = near[2] > self._limits.sure
        outcomes = np.full(len(doubtful), Outcome.CONFIRMED, object)
        outcomes[doubtful] = look_again(pictures, select(near, doubtful), looking=self._looking, far=self._limits.far)
        return outcomes

    def _score(self, distance: Floats, outcomes: Outcomes) -> Floats:
        return settled(distance, outcomes, self._limits)

    def _is_among_nearest(self, rows: Rows, vectors: Floats, own: Floats) -> NDArray[np.bool_]:
        # whether the copy would be looked at beside its original: few pictures are nearer to either of them
        closer = [(l2(ends, self._originals) < own[:, None]).sum(1) for ends in (self._originals[rows], vectors)]
        most = np.where(own <= CROWD, NEAREST_IN_A_CROWD, NEAREST)
        return np.asarray((closer[0] - 1 < most) | (closer[1] < most))  # an original is nearest to itself

    def _extrapolation(self, scores: Floats, looked_at: int, formed: int) -> Callable[[float], float] | None:
        # the embedding's own curve, thinned by what the second look let pass of all candidates (three at least)
        alone, share = Plain(self.method, self._originals).unrelated(), max(3, len(scores)) / max(3, looked_at)
        tail, wider = alone.extrapolate, self._limits.unverified / self._limits.candidate
        if tail is None:
            return None

        def extrapolate(rate: float) -> float:
            plain = rate / share
            distance = alone.limit(plain) if plain * formed >= 3 else tail(plain)
            return min(wider * distance, self._limits.unverified)

        return extrapolate
