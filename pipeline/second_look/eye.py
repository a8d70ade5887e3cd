"""What looks at one pair of pictures after the other, and keeps of each picture what the next pair may need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError
from twinpix.encoder.pairs import Parts
from twinpix.pipeline.second_look.align import alignments, has_a_glimpse
from twinpix.pipeline.second_look.delicate import glance_at, have_same_bytes, need_a_look
from twinpix.pipeline.second_look.fine_print import is_printed, readable
from twinpix.pipeline.second_look.look import Look, features_only, lend_features, look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.parts import parts, parts_of, worth_a_close_look
from twinpix.pipeline.second_look.verify import Examination, at_a_glance, examine, is_plain, unaligned

NEAR = 0.3  # L2; pairs so near are looked at closely at once
PARTS_KEPT = 10_000  # pictures, 32 kB each
LOOKS_KEPT = 96  # prepared pictures, up to 1 MB each
FEATURES_KEPT = 2000  # pictures whose local features stay in memory, 65 kB each; of a page 250 kB
GLANCES_KEPT = 5_000  # pictures, 9 kB each

T = TypeVar("T")
Pair = tuple[int, int, float]  # rows of the pictures, and the L2 distance of the two


class Eye:
    """Looks at pairs of some pictures. Safe to share between threads.

    Args:
        pictures: n paths, or whatever else an image can be.
        sure: L2; pairs at most so far apart get no second look unless their kind needs one (`need_a_look`).
        close: L2; pairs farther apart are refuted if a coarse look finds nothing in common.
        far: L2; pairs farther apart are refuted unless a glimpse, at a tenth of the cost, finds something in common.
        prepared: a picture as the pair model prepares it, where that is at hand: its file is not read for a coarse
            look.

    Attributes:
        unread: rows of pictures that could not be read -> why.
    """

    # what is kept knows nothing of the eye, or all of it would stay until the next collection of garbage
    def __init__(
        self,
        pictures: Sequence[ImageLike],
        sure: float,
        close: float,
        far: float,
        prepared: Callable[[int], NDArray[np.uint8] | None],
    ) -> None:
        self._pictures, self._sure, self._close, self._far = pictures, sure, close, far
        self.unread: dict[int, ImageError] = {}
        self._aligned = set[int]()  # rows whose features are known, if not forgotten again
        read = partial(_read, pictures, self.unread)
        self._glance = lru_cache(GLANCES_KEPT)(partial(read, glance_at))
        self._parts = lru_cache(PARTS_KEPT)(partial(_parts, partial(read, parts), prepared))
        self._whole = lru_cache(LOOKS_KEPT)(partial(read, look))
        self._features = lru_cache(FEATURES_KEPT)(partial(_features, self._whole, self._aligned))

    def differ(self, pairs: Sequence[Pair]) -> list[bool]:
        """Which of these pairs a coarse look refutes; none of a picture that can't be read."""
        sides = [(self._parts(query), self._parts(reference), distance) for query, reference, distance in pairs]
        read_ones = [(a, b, distance) for a, b, distance in sides if a is not None and b is not None]
        worth_it = iter(worth_a_close_look(read_ones))
        return [a is not None and b is not None and not next(worth_it) for a, b, _ in sides]

    def look_at(self, pair: Pair) -> tuple[Examination | None, bool]:
        """What a closer look finds, None where none is needed; and whether another one would find it, too."""
        used = list[Look]()
        found = self._judged(pair, used)
        return found, not (self.unread.keys() & pair[:2]) and not any(one.has_failed for one in used)

    def _judged(self, pair: Pair, used: list[Look]) -> Examination | None:
        query, reference, distance = pair
        if distance <= self._sure and not self._needs_a_look(query, reference):
            return None
        if (distance > self._close or distance <= NEAR) and not self._aligned.issuperset(pair[:2]):
            return self._closely(pair, used)  # probably a copy: features are found only if it is not in place
        a, b = self._features(query), self._features(reference)
        if a is None or b is None:
            return Examination(Outcome.UNCLEAR)
        used += a, b
        found = self._by_features(a, b, distance)
        return found or self._examined(self._seen(query), self._seen(reference), used)

    def _needs_a_look(self, query: int, reference: int) -> bool:
        if have_same_bytes(self._pictures[query], self._pictures[reference]):
            return False
        a, b = self._glance(query), self._glance(reference)
        return a is not None and b is not None and need_a_look(a, b)

    def _closely(self, pair: Pair, used: list[Look]) -> Examination:
        query, reference = (self._seen(row) if row in self._aligned else self._whole(row) for row in pair[:2])
        found = self._examined(query, reference, used, pair[2] > self._far)
        for row, one in ((pair[0], query), (pair[1], reference)):
            if one is not None and (one.has_features or one.has_little):  # a blank scan is in many pairs
                self._features(row)  # kept for longer than the look
        return found

    def _examined(
        self, query: Look | None, reference: Look | None, used: list[Look], is_far: bool = False
    ) -> Examination:
        if query is None or reference is None:
            return Examination(Outcome.UNCLEAR)
        used += query, reference
        return examine(query, reference, is_far)

    def _by_features(self, a: Look, b: Look, distance: float) -> Examination | None:
        # most candidates can't be aligned: their tones need not be there
        if (found := at_a_glance(a, b)) is not None:
            return found
        if distance > self._far and not has_a_glimpse(a, b):
            return Examination(Outcome.REFUTED)
        outcome = None if a.has_little or b.has_little or is_plain(a, b) else _aligned_in_vain(a, b)
        if outcome is Outcome.REFUTED or (outcome is not None and not (a.is_animated or b.is_animated)):
            return Examination(outcome)
        return None

    def _seen(self, row: int) -> Look | None:
        known, one = self._features(row), self._whole(row)
        if known is not None and one is not None:
            lend_features(one, known)
        return one


def _read(
    pictures: Sequence[ImageLike], unread: dict[int, ImageError], how: Callable[[ImageLike], T], row: int
) -> T | None:
    try:
        return how(pictures[row])
    except ImageError as error:
        unread[row] = error
        return None


def _parts(
    read: Callable[[int], Parts | None], prepared: Callable[[int], NDArray[np.uint8] | None], row: int
) -> Parts | None:
    picture = prepared(row)
    return read(row) if picture is None else parts_of(picture)


def _features(whole: Callable[[int], Look | None], aligned: set[int], row: int) -> Look | None:
    one = whole(row)
    aligned.add(row)
    return None if one is None else features_only(one)


def _aligned_in_vain(a: Look, b: Look) -> Outcome | None:
    # what it means that there is no alignment, or of two pages none that is worth reading them; None: there is one
    if is_printed(a, b):
        return Outcome.REFUTED if not any(True for _ in readable(a, b)) else None
    return unaligned(a, b) if next(alignments(a, b), None) is None else None
