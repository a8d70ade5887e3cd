"""The first, coarse look at a candidate pair: most pictures that have nothing in common are told apart by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.pairs import Parts, shipped_pairs
from twinpix.pipeline.second_look.features import import_cv2
from twinpix.pipeline.second_look.look import has_little_detail

# log-odds from which a close look follows, less by so much for each L2 between the two, within bounds (an encoder of
# one's own may have other distances): copies that lie far apart are small parts, and less sure than look-alikes nearby.
# `tests/bench/coarse.py` says what it costs
PROMISING, PER_L2, LEAST, MOST = 6.0, 9.0, -4.0, -0.5
AT_A_GLANCE = -7.0  # log-odds; below, the two are not compared part by part
NOTHING_TO_SEE: Parts = np.empty((0, 0), np.float16)


def parts(source: ImageLike) -> Parts:
    """What a coarse look sees of a picture: float16 (144, 112), 32 kB; nothing of a smooth one.

    Raises:
        ImageError: it can't be used.
    """
    return parts_of(shipped_pairs().prepare(source))


def parts_of(picture: NDArray[np.uint8]) -> Parts:
    """The same of a picture that `PairModel.prepare` has prepared."""
    luma = import_cv2().cvtColor(np.ascontiguousarray(picture.transpose(1, 2, 0)), import_cv2().COLOR_RGB2GRAY)
    return NOTHING_TO_SEE if has_little_detail(luma) else shipped_pairs().parts(picture[None])[0]


def have_something_in_common(query: Parts, reference: Parts, distance: float) -> bool:
    """Whether it is worth looking closely: see `worth_a_close_look`."""
    return worth_a_close_look([(query, reference, distance)])[0]


def worth_a_close_look(pairs: Sequence[tuple[Parts, Parts, float]]) -> list[bool]:
    """Which of these pairs have something in common. Smooth pictures, of which so coarse a look says nothing, have.

    Args:
        pairs: the parts of two pictures, and their L2 distance. All at once, they take less time.
    """
    detailed = [pair for pair in pairs if len(pair[0]) and len(pair[1])]
    worth_it = iter(_worth_it(detailed) if detailed else [])
    return [next(worth_it) if len(query) and len(reference) else True for query, reference, _ in pairs]


def _worth_it(pairs: Sequence[tuple[Parts, Parts, float]]) -> list[bool]:
    model, distance = shipped_pairs(), np.array([distance for *_, distance in pairs])
    queries, references = (
        np.stack(side) for side in zip(*(_in_order(query, reference) for query, reference, _ in pairs), strict=True)
    )
    found = model.glance(queries, references) >= AT_A_GLANCE
    if found.any():
        limit = np.clip(PROMISING - PER_L2 * distance[found], LEAST, MOST)
        found[found] = model.logits(queries[found], references[found]) >= limit
    return [bool(one) for one in found]


def _in_order(query: Parts, reference: Parts) -> tuple[Parts, Parts]:
    # the order of the two changes nothing then
    return (reference, query) if query.tobytes() > reference.tobytes() else (query, reference)
