"""Queries against references, most of them without a match: micro-average precision and recall at 1."""

from __future__ import annotations

import numpy as np

from twinpix.pipeline.bench.method import Floats, Rows

NO_MATCH = -1


def average_precision(scores: Floats, match: Rows) -> float:
    """Micro-average precision over all candidates of all queries together (µAP of DISC21), 0..1.

    All pairs are ranked by score; of equal scores the wrong ones come first. An infinite score is no candidate.

    Args:
        scores: float32 (q, r), smaller is closer.
        match: int (q,), the reference each query was made of, or `NO_MATCH`.
    """
    wanted = int((match != NO_MATCH).sum())
    if wanted == 0:
        return 0.0
    right = _is_right(scores, match).ravel()
    flat = scores.ravel()
    candidates = np.flatnonzero(np.isfinite(flat))
    order = candidates[np.lexsort((right[candidates], flat[candidates]))]
    hits = right[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / wanted)


def recall_at_1(scores: Floats, match: Rows) -> float:
    """Share of the queries with a match whose match is closer than every other reference; a tie is a miss. 0..1."""
    matched = np.flatnonzero(match != NO_MATCH)
    if len(matched) == 0:
        return 0.0
    others = scores[matched].copy()
    own = others[np.arange(len(matched)), match[matched]]
    others[np.arange(len(matched)), match[matched]] = np.inf
    return float((np.isfinite(own) & (own < others.min(1, initial=np.inf))).mean())


def _is_right(scores: Floats, match: Rows) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    right = np.zeros(scores.shape, bool)
    matched = np.flatnonzero(match != NO_MATCH)
    right[matched, match[matched]] = True
    return right
