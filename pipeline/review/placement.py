"""Where one picture lies on another, so that the page can lay them on one another and flip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.agreement import NOTHING, agree
from twinpix.pipeline.second_look.align import Alignment, alignments, superpose
from twinpix.pipeline.second_look.judge import MIN_TILES, PROMISING
from twinpix.pipeline.second_look.look import Look, look
from twinpix.pipeline.second_look.motion import refine

SETTLED = 0.9  # share of agreeing tiles from which no better alignment is sought
MIRROR = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])


@dataclass(frozen=True)
class Placement:
    """Where one picture lies on another.

    Attributes:
        matrix: float64 (3, 3), homogeneous: (x, y) of the upper picture -> of the lower, both 0..1 from the upper left.
        found: whether their details said so; otherwise the upper one simply covers the lower.
        mirrored: whether the upper one is turned over.
    """

    matrix: NDArray[np.float64]
    found: bool
    mirrored: bool


def place(upper: Path, lower: Path) -> Placement:
    """Lay one picture on the other by their details.

    Raises:
        ImageError: one of them can't be read.
    """
    query, reference = look(upper), look(lower)
    best, best_agreement = None, NOTHING
    for alignment in alignments(query, reference):
        agreement = agree(superpose(query, reference, alignment))
        if agreement.agreeing > best_agreement.agreeing:
            best, best_agreement = alignment, agreement
        if agreement.agreeing >= SETTLED:
            break
    if best is None or best_agreement.agreeing < PROMISING or best_agreement.tiles < MIN_TILES:
        return Placement(np.eye(3), False, False)
    finer, _ = refine(query, reference, best, best_agreement.tone)
    return Placement(_normalised(finer, query, reference), True, best.mirrored)


def _normalised(alignment: Alignment, query: Look, reference: Look) -> NDArray[np.float64]:
    # OpenCV counts px from the middle of the first one
    centre = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    scale = [np.diag([*size, 1.0]) for size in (query.size, reference.size)]
    matrix = np.linalg.inv(scale[1]) @ centre @ alignment.matrix @ np.linalg.inv(centre) @ scale[0]
    matrix = matrix @ MIRROR if alignment.mirrored else matrix
    return np.asarray(matrix / matrix[2, 2])
