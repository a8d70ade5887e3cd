"""Two aligned pictures at one set of levels: a bright copy has lost what was brightest, and is not asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import Levels

STEP = 4  # levels; finer, single pixels would decide


def at_one_set_of_levels(aligned: Aligned) -> Iterator[Aligned]:
    """The pair with the reference's levels mapped to the query's, then the other way round.

    Each level becomes the mean of what lies there in the other picture, in ascending order (after histogram
    specification). What an edit clipped is then flat in both. It helps no pair that shows different things: levels
    that lie on anything become one grey.
    """
    if aligned.inside.any():
        yield replace(aligned, reference=_mapped(aligned.reference, aligned.query, aligned.inside))
        yield replace(aligned, query=_mapped(aligned.query, aligned.reference, aligned.inside))


def _mapped(tones: Levels, like: Levels, inside: NDArray[np.bool_]) -> Levels:
    curves = [_curve(tones[..., k][inside], like[..., k][inside]) for k in range(tones.shape[2])]
    return np.stack([curve[tones[..., k]] for k, curve in enumerate(curves)], -1)


def _curve(levels: Levels, like: Levels) -> Levels:
    # uint8 (256,): level -> level
    step = levels // STEP
    count = np.bincount(step, minlength=256 // STEP)
    total = np.bincount(step, weights=like, minlength=256 // STEP)
    seen = np.flatnonzero(count)
    ascending = np.maximum.accumulate(total[seen] / count[seen])
    return np.interp(np.arange(256), seen * STEP + (STEP - 1) / 2, ascending).round().astype(np.uint8)
