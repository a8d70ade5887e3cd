"""A second look at two pictures that may be one: are the same details there, in the same places?

An embedding says how alike two pictures are, and two frames of a burst are very alike. So a candidate pair is
aligned by local features, and the aligned grey levels are compared tile by tile. An edited copy agrees almost
everywhere, whatever was done to its colours; another shot of the scene does not, because the camera or something
in front of it has moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twinpix.pipeline.agreement import Agreement, agree, agree_beside_caption, detail_lost
from twinpix.pipeline.align import Aligned, Alignment, alignments, superpose
from twinpix.pipeline.look import Look, import_cv2
from twinpix.pipeline.motion import refine
from twinpix.pipeline.twins import TWIN_CORRELATION

RICH, POOR = 100, 20  # local features from which a picture can be aligned for sure, and below which not at all
PLAIN_PX, PLAIN_MEAN, PLAIN_MOST = 32, 4.0, 16.0  # px, levels: within these, plain pictures have the same pixels
MIN_TILES = 8
PROMISING = 0.5  # share of agreeing tiles from which an alignment is worth refining
# px: where a copy fits best, its tiles are off by .05, noisy ones by .25; those of a second shot by .3 and more
STILL, TILTED_STILL = 0.28, 0.12  # a perspective leaves less of either
CLEAR = 0.9  # correlation from which it is plain that something moved,
IN_PLACE = 0.985  # unless the thumbnails (their fine structure) are this alike: then noise looks like motion
SOUND = 0.75  # correlation from which an alignment is a right one
ALIKE = TWIN_CORRELATION  # of the thumbnails: details that can't be aligned refute nothing then
# a whole copy: nearly all tiles agree, and no strong one contradicts (a thing that moved would)
WHOLE, CONTRADICTED = 0.88, 0.01
# a copy with something on it (sticker, caption): the other tiles agree as no second shot does
TOUCHED, PERFECT = 0.75, 0.98
UNCOVERED = 0.95  # what a band along the top or the bottom leaves free must agree all the better
# where a perspective had to be fitted: it fits flat things in two photos, too, so it must fit all the better
TILTED_WHOLE, TILTED_CONTRADICTED = 0.92, 0.005
# a copy that lost its detail (strong JPEG, enlarged thumbnail) is not refuted by the detail it lacks: its tiles are
# all a little off, while those of a second shot are right except where something moved
BLURRED, WORN_BLURRED = 0.7, 0.8
WORN, WORN_MEDIAN = 0.96, 0.88
WORN_OUT, WORN_OUT_MEDIAN, WORN_OUT_CONTRADICTED = 0.9, 0.8, 0.1
WORN_SIGMA = 4.0
SMOOTH = 0.98


class Outcome(StrEnum):
    """What the second look says of a pair."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    REFUTED = "refuted"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Finding:
    """What one alignment shows.

    Attributes:
        outcome: what it amounts to.
        agreement: of the tiles.
        still: whether the tiles lie where the whole fits best, or that can't be told.
    """

    outcome: Outcome
    agreement: Agreement
    still: bool

    @property
    def moved(self) -> bool:
        """Whether the same things are there, clear to see, in other places."""
        return not self.still and self.agreement.median >= CLEAR


def verify(query: Look, reference: Look) -> Outcome:
    """Whether the details of two pictures agree.

    `CONFIRMED`: aligned, the tiles agree, and nothing moved. `REFUTED`: both are full of details that don't agree,
    or that agree in other places. `LIKELY`: one has lost its detail, and what is left agrees. `UNCLEAR`: too little
    to see. Two pictures without any detail (flat, a gradient) are the same only if their pixels are.
    """
    if is_plain(query, reference):
        return Outcome.CONFIRMED if has_same_levels(query, reference) else Outcome.REFUTED
    findings: list[Finding] = []
    for alignment in alignments(query, reference):
        findings.append(look_closer(query, reference, alignment))
        if findings[-1].outcome is Outcome.CONFIRMED:
            return Outcome.CONFIRMED
    return _weigh(findings, unaligned(query, reference), is_in_place(query, reference))


def _weigh(findings: Sequence[Finding], otherwise: Outcome, in_place: bool) -> Outcome:
    if not in_place and any(finding.moved for finding in findings):
        return Outcome.REFUTED
    for outcome in (Outcome.LIKELY, Outcome.UNCLEAR):
        if any(finding.outcome is outcome for finding in findings):
            return outcome
    # an alignment under which hardly anything agrees is a wrong one, and refutes nothing
    return Outcome.REFUTED if any(finding.agreement.median >= SOUND for finding in findings) else otherwise


def is_in_place(query: Look, reference: Look) -> bool:
    """Whether two thumbnails are the same down to their finest structure."""
    return bool(query.structure @ reference.structure >= IN_PLACE)


def is_plain(query: Look, reference: Look) -> bool:
    """Whether neither picture has any detail."""
    return max(len(query.points), len(reference.points)) < POOR


def unaligned(query: Look, reference: Look) -> Outcome:
    """What it means that two pictures can't be aligned; pixelated or posterized ones may look alike all the same."""
    if is_in_place(query, reference):
        return Outcome.LIKELY
    rich = min(len(query.points), len(reference.points)) >= RICH
    return Outcome.REFUTED if rich and query.structure @ reference.structure < ALIKE else Outcome.UNCLEAR


def has_same_levels(query: Look, reference: Look) -> bool:
    """Whether two pictures have the same pixels but for compression, once they are small."""
    cv2, size = import_cv2(), (PLAIN_PX, PLAIN_PX)
    small = [
        cv2.resize(look.tones, size, interpolation=cv2.INTER_AREA).astype(np.float32) for look in (query, reference)
    ]
    gap = np.abs(small[0] - small[1])
    return bool(gap.mean() <= PLAIN_MEAN and gap.max() <= PLAIN_MOST)


def look_closer(query: Look, reference: Look, alignment: Alignment) -> Finding:
    """What one alignment amounts to, refined where it is worth it."""
    aligned, motion = superpose(query, reference, alignment), 0.0
    agreement = agree(aligned)
    if alignment.fits and agreement.tiles >= MIN_TILES and agreement.agreeing >= PROMISING:
        alignment, motion = refine(query, reference, alignment, agreement.tone)
        aligned = superpose(query, reference, alignment)
        agreement = agree(aligned)
    return judge(alignment, aligned, agreement, motion)


def judge(alignment: Alignment, aligned: Aligned, agreement: Agreement, motion: float = 0.0) -> Finding:
    """What two aligned pictures amount to. The limits are explained where they stand; `motion` is in px."""
    still = motion <= (TILTED_STILL if alignment.is_tilted else STILL)
    if agreement.tiles < MIN_TILES:
        outcome = Outcome.UNCLEAR
    elif alignment.fits and still and _is_copy(agreement, aligned, alignment.is_tilted):
        outcome = Outcome.CONFIRMED
    else:
        outcome = Outcome.LIKELY if _may_be_worn(alignment, aligned, agreement) else Outcome.REFUTED
    return Finding(outcome, agreement, still)


def _may_be_worn(alignment: Alignment, aligned: Aligned, agreement: Agreement) -> bool:
    blurred = detail_lost(aligned) >= BLURRED
    return (alignment.fits or blurred) and _is_worn(agreement, aligned, blurred)


def _is_copy(agreement: Agreement, aligned: Aligned, tilted: bool) -> bool:
    if tilted:
        return agreement.agreeing >= TILTED_WHOLE and agreement.contradicting <= TILTED_CONTRADICTED
    if agreement.agreeing >= TOUCHED and agreement.median >= PERFECT:
        return True
    if agreement.agreeing >= WHOLE and (agreement.contradicting <= CONTRADICTED or _is_noise(aligned)):
        return True
    beside = agree_beside_caption(aligned)
    return beside.tiles >= MIN_TILES and beside.agreeing >= UNCOVERED and beside.contradicting <= CONTRADICTED


def _is_noise(aligned: Aligned) -> bool:
    # where specks were taken out, what contradicts in single tiles is gone once both sides are smoothed
    if not aligned.speckled:
        return False
    coarse = agree(aligned, WORN_SIGMA)
    return coarse.agreeing >= SMOOTH and coarse.contradicting == 0


def _is_worn(agreement: Agreement, aligned: Aligned, blurred: bool) -> bool:
    coarse = agree(aligned, WORN_SIGMA).agreeing
    if blurred:
        return coarse >= WORN_BLURRED
    a_little = agreement.median < WORN_MEDIAN or agreement.contradicting <= CONTRADICTED
    badly = agreement.median < WORN_OUT_MEDIAN and agreement.contradicting < WORN_OUT_CONTRADICTED
    return (coarse >= WORN and a_little) or (coarse >= WORN_OUT and badly)
