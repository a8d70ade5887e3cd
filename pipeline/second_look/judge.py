"""What one alignment of two pictures amounts to: a copy, perhaps with something on it, a worn copy, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from twinpix.pipeline.second_look.agreement import (
    Agreement,
    agree,
    agree_at_one_sharpness,
    cover,
    detail_lost,
    without,
)
from twinpix.pipeline.second_look.align import Aligned, Alignment, superpose
from twinpix.pipeline.second_look.levels import at_one_set_of_levels
from twinpix.pipeline.second_look.look import Look
from twinpix.pipeline.second_look.motion import drift, off, refine, wandered
from twinpix.pipeline.second_look.outcome import Outcome

MIN_TILES, ENOUGH_TILES = 8, 30  # to judge sharp pictures by, and worn ones
PROMISING, LAID_PROMISING = 0.35, 0.5  # share of agreeing tiles from which an alignment is worth refining
REPEATING_TILES, REPEATING = 20, 0.98  # so many of so many agree: then few of the matched features need to fit
# px: where a copy fits best, its tiles are off by .05, noisy ones by .25; those of a second shot by .3 and more
STILL, TILTED_STILL = 0.28, 0.12  # a perspective leaves less of either
SHARP, SHARP_STILL = 0.95, 0.2  # correlation from which there is no noise that could excuse more than this
CLEAR = 0.9  # correlation from which it is plain that something moved
MOVED_FAR = 0.5  # px; what is so far off is no copy at other levels, and nothing lies on it that explains it
# a whole copy: nearly all tiles agree, and no strong one contradicts (a thing that moved would)
WHOLE, CONTRADICTED = 0.88, 0.01
# other levels explain contradiction only up to here (of 52 copies that they saved: .13 at most)
LEVELS_CONTRADICTED = 0.2
# a copy with something on it (sticker, caption): enough of what there is to see is left, it agrees all the better,
# and what is hidden in the one picture does not lie elsewhere in the other: then it has moved
TOUCHED = 0.4
UNCOVERED, UNCOVERED_MEDIAN, UNCOVERED_STILL = 0.97, 0.93, 0.1
WANDERED = 0.2
# where a perspective had to be fitted: it fits flat things in two photos, too, so it must fit all the better
TILTED_WHOLE, TILTED_CONTRADICTED = 0.92, 0.005
# a copy that lost its detail (strong JPEG, enlarged thumbnail) is not refuted by the detail it lacks: its tiles are
# all a little off, while those of a second shot are right except where something moved
BLURRED, AS_BLURRED = 0.7, 0.95
WORN, WORN_MEDIAN = 0.96, 0.88
WORN_OUT, WORN_OUT_MEDIAN, WORN_OUT_CONTRADICTED = 0.9, 0.8, 0.1
WORN_SIGMA, WORN_STILL = 4.0, 0.8  # px
SMOOTH = 0.98
# a worn copy that nobody has cropped or turned lies where its original lies
STAYED = 2.5  # px
COARSE_SIGMA, COARSE, HARDLY_COARSE, COARSE_CONTRADICTED = 6.0, 0.93, 0.6, 0.015


@dataclass(frozen=True)
class Finding:
    """What one alignment shows.

    Attributes:
        outcome: what it amounts to.
        agreement: of the tiles.
        alignment: where the query lies in the reference, as well as that is known.
        motion: how far a tile is from where the whole fits best, px; 0 if that can't be told.
    """

    outcome: Outcome
    agreement: Agreement
    alignment: Alignment
    motion: float = 0.0

    @property
    def tilted(self) -> bool:
        """Whether a perspective was fitted."""
        return self.alignment.is_tilted

    @property
    def mirrored(self) -> bool:
        """Whether one of the two was mirrored."""
        return self.alignment.mirrored

    @property
    def still(self) -> bool:
        """Whether so little motion may be none."""
        return self.motion <= (TILTED_STILL if self.tilted else STILL)

    @property
    def moved(self) -> bool:
        """Whether the same things are there, clear to see, in other places."""
        return not self.still and self.is_clear

    @property
    def moved_far(self) -> bool:
        """Whether it is plain that they are so far off that another look at them could change nothing."""
        return self.is_clear and self.motion > MOVED_FAR

    @property
    def is_clear(self) -> bool:
        """Whether the same things are there, clear to see."""
        return self.agreement.median >= CLEAR


def look_closer(query: Look, reference: Look, alignment: Alignment) -> Finding:
    """What one alignment amounts to, refined where it is worth it."""
    laid = superpose(query, reference, alignment)
    aligned, motion, agreement = laid, 0.0, agree(laid)
    if agreement.tiles >= REPEATING_TILES and agreement.agreeing >= REPEATING and agreement.contradicting == 0:
        # a calendar, a chessboard: what matched elsewhere were repetitions
        alignment = replace(alignment, matches=alignment.inliers)
    enough = LAID_PROMISING if alignment.is_in_place else PROMISING
    if alignment.fits and agreement.tiles >= MIN_TILES and agreement.agreeing >= enough:
        better, motion = refine(query, reference, alignment, agreement.tone)
        if better is not alignment:
            alignment, aligned = better, superpose(query, reference, better)
            agreement = agree(aligned)
    # refining is misled where detail is lost
    finding = judge(alignment, aligned, agreement, motion, laid if alignment.is_in_place else None)
    promising = alignment.fits and agreement.tiles >= MIN_TILES and agreement.agreeing >= LAID_PROMISING
    levels_may_help = promising and agreement.contradicting <= LEVELS_CONTRADICTED
    if finding.outcome is Outcome.CONFIRMED or motion > MOVED_FAR or not levels_may_help:
        return finding
    again = (_confirmed(alignment, levelled, motion) for levelled in at_one_set_of_levels(aligned))
    return next((confirmed for confirmed in again if confirmed is not None), finding)


def _confirmed(alignment: Alignment, levelled: Aligned, otherwise: float) -> Finding | None:
    # the pair at one set of levels, if it is a copy there; its motion is only measured where it decides
    seen = agree(levelled)

    @cache
    def motion() -> float:
        return off(levelled, seen.tone, alignment.is_tilted) or otherwise

    if seen.tiles >= MIN_TILES and _is_copy(seen, levelled, alignment.is_tilted, motion):
        return Finding(Outcome.CONFIRMED, seen, alignment, motion())
    return None


def judge(
    alignment: Alignment, aligned: Aligned, agreement: Agreement, motion: float = 0.0, laid: Aligned | None = None
) -> Finding:
    """What two aligned pictures amount to. The limits are explained where they stand.

    Args:
        motion: how far a tile is still off, px.
        laid: the whole of one picture on the whole of the other, where that was the start.
    """
    may_be_copy = alignment.fits and motion <= MOVED_FAR
    if agreement.tiles < MIN_TILES:
        outcome = Outcome.UNCLEAR
    elif may_be_copy and _is_copy(agreement, aligned, alignment.is_tilted, lambda: motion):
        outcome = Outcome.CONFIRMED
    else:
        worn = _may_be_worn(alignment, aligned, agreement, motion) if laid is None else _is_worn_in_place(laid)
        outcome = Outcome.LIKELY if worn else Outcome.REFUTED
    return Finding(outcome, agreement, alignment, motion)


def _is_worn_in_place(laid: Aligned) -> bool:
    coarse = agree(laid, COARSE_SIGMA)
    if coarse.tiles < ENOUGH_TILES or coarse.agreeing < HARDLY_COARSE:
        return False
    if (coarse.agreeing < COARSE or coarse.contradicting > COARSE_CONTRADICTED) and not _is_same_blurred(laid):
        return False
    shift, covered = drift(laid), cover(laid)
    if shift is None or shift > STAYED:
        return False
    return covered is None or wandered(laid, covered) < WANDERED


def _is_same_blurred(aligned: Aligned) -> bool:
    # whether one has lost its detail, and blurring the other makes them agree
    if detail_lost(aligned) < BLURRED:
        return False
    matched = agree_at_one_sharpness(aligned)
    return (
        matched.tiles >= MIN_TILES and matched.agreeing >= AS_BLURRED and matched.contradicting <= COARSE_CONTRADICTED
    )


def _may_be_worn(alignment: Alignment, aligned: Aligned, agreement: Agreement, motion: float) -> bool:
    worn = alignment.fits and motion <= WORN_STILL and _is_worn(agreement, aligned)
    return worn or _is_same_blurred(aligned)


def _is_copy(agreement: Agreement, aligned: Aligned, tilted: bool, motion: Callable[[], float]) -> bool:
    agreeing, contradicting = agreement.agreeing, agreement.contradicting
    if tilted:
        return agreeing >= TILTED_WHOLE and contradicting <= TILTED_CONTRADICTED and motion() <= TILTED_STILL
    still = SHARP_STILL if agreement.median >= SHARP and not aligned.speckled else STILL
    if agreeing >= WHOLE and motion() <= still and (contradicting <= CONTRADICTED or _is_noise(aligned)):
        return True
    return agreeing >= TOUCHED and _is_covered_copy(aligned)


def _is_covered_copy(aligned: Aligned) -> bool:
    covered = cover(aligned)
    if covered is None:
        return False
    rest = without(aligned, covered)
    beside = agree(rest)
    motion = off(rest, beside.tone)
    return (
        beside.tiles >= ENOUGH_TILES
        and beside.agreeing >= UNCOVERED
        and beside.median >= UNCOVERED_MEDIAN
        and beside.contradicting <= CONTRADICTED
        and motion is not None
        and motion <= UNCOVERED_STILL
        and wandered(aligned, covered) < WANDERED
    )


def _is_noise(aligned: Aligned) -> bool:
    # where specks were taken out, what contradicts in single tiles is gone once both sides are smoothed
    if not aligned.speckled:
        return False
    coarse = agree(aligned, WORN_SIGMA)
    return coarse.agreeing >= SMOOTH and coarse.contradicting == 0


def _is_worn(agreement: Agreement, aligned: Aligned) -> bool:
    a_little = agreement.median < WORN_MEDIAN or agreement.contradicting <= CONTRADICTED
    badly = agreement.median < WORN_OUT_MEDIAN and agreement.contradicting < WORN_OUT_CONTRADICTED
    if not (a_little or badly):
        return False
    coarse = agree(aligned, WORN_SIGMA).agreeing
    return (coarse >= WORN and a_little) or (coarse >= WORN_OUT and badly)
