"""What is remembered of earlier second looks, and when it still holds.

An outcome rests on the bytes of two pictures, the order in which they were looked at, and which of the cheaper tests
came first. Those depend on how far apart the two lie, so that is part of it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs
from twinpix.pipeline.second_look.outcome import Outcome

LOOKS_VERSION = 10  # to be raised whenever any second look could come to another outcome
# by code, never to be reordered; None: it is so near that its kind needs no look
OUTCOMES: tuple[Outcome | None, ...] = (
    None, Outcome.CONFIRMED, Outcome.LIKELY, Outcome.REFUTED, Outcome.UNCLEAR, Outcome.ANIMATED
)  # fmt: skip
UNKNOWN = 255
CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
SURE, COARSE, GLIMPSE = 1, 2, 4  # so near that its kind was asked; a coarse look, a glimpse came first
TESTS = COARSE | GLIMPSE  # either of them can refute a pair, and nothing else

Codes = NDArray[np.uint8]


class Remembered(Protocol):
    """Outcomes of earlier looks at the pictures of one folder. No fault of it raises."""

    def known(self, pairs: Pairs, tests: Codes) -> Codes:
        """The code of each pair's outcome, uint8 (k,); `UNKNOWN` where nothing that is remembered holds.

        Args:
            pairs: rows of the pictures.
            tests: uint8 (k,), of `checks_of`.
        """

    def keep(self, pairs: Pairs, codes: Codes, tests: Codes) -> None:
        """Remember new ones, of these pairs."""


def checks_of(distances: NDArray[np.float32], sure: float, close: float, far: float) -> Codes:
    """Which tests come before the closest look at pairs so far apart (L2), uint8 (k,): `SURE`, `COARSE`, `GLIMPSE`."""
    flags = ((distances <= sure, SURE), (distances > close, COARSE), (distances > far, GLIMPSE))
    tests = np.zeros(len(distances), np.uint8)
    for holds, flag in flags:
        tests[holds] |= flag
    return tests


def still_holds(codes: Codes, before: int, now: Codes) -> NDArray[np.bool_]:
    """Whether outcomes after the tests `before` are those after the tests `now`, bool (k,).

    What was refuted would be refuted by more tests, too; what was not would pass fewer, too.
    """
    refuted = codes == CODES[Outcome.REFUTED]
    same_tests = np.where(refuted, ~now & (before & TESTS), now & (TESTS & ~before)) == 0
    holds: NDArray[np.bool_] = np.where(now & SURE, bool(before & SURE), codes != CODES[None]) & same_tests
    return holds
