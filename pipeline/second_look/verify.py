"""A second look at two pictures that may be one: are the same details there, in the same places?

An embedding says how alike two pictures are, and two frames of a burst are very alike. So a candidate pair is
aligned by local features, and the aligned grey levels are compared tile by tile. An edited copy agrees almost
everywhere, whatever was done to its colours; another shot of the scene does not, because the camera or something
in front of it has moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.second_look.align import alignments, has_a_glimpse, superpose
from twinpix.pipeline.second_look.border import Border, border_of, without_border
from twinpix.pipeline.second_look.film import show_the_same
from twinpix.pipeline.second_look.fine_print import (
    differs_at_a_glance,
    differs_in_small_print,
    has_same_ink,
    is_printed,
    is_small_print,
    readable,
)
from twinpix.pipeline.second_look.judge import LAID_PROMISING, STILL, TILTED_STILL, Finding, look_closer
from twinpix.pipeline.second_look.look import Look, import_cv2
from twinpix.pipeline.second_look.other_words import hold_other_words
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.plain import has_same_pixels
from twinpix.pipeline.second_look.recoloured import is_recoloured, is_same_but_for_levels
from twinpix.pipeline.second_look.things import have_moved
from twinpix.pipeline.twins import TWIN_CORRELATION

RICH = 100  # local features from which a picture can be aligned for sure
# px, levels: within these, plain pictures have the same pixels (JPEG of quality 30 changes 1.9 and 5.7 at most)
PLAIN_PX, PLAIN_MEAN, PLAIN_MOST = 32, 2.1, 6.1
IN_PLACE = 0.985  # correlation of the thumbnails (their fine structure) from which it is noise that looks like motion
SURELY_PLACED = 20  # local features that agree with one alignment
SOUND = 0.75  # correlation from which an alignment is a right one
ALIKE = TWIN_CORRELATION  # of the thumbnails: details that can't be aligned refute nothing then


@dataclass(frozen=True)
class Examination:
    """What a second look found.

    Attributes:
        outcome: what it says of the pair.
        finding: the alignment that it rests on, from the query to the reference unless `is_turned_round`; None where
            the two were not, or could not be, aligned.
        is_turned_round: whether that alignment leads from the reference to the query.
        borders: of the query and of the reference, where the two were aligned without them.
        say_otherwise: whether they would be one picture, but for other words at one place.
    """

    outcome: Outcome
    finding: Finding | None = None
    is_turned_round: bool = False
    borders: tuple[Border | None, Border | None] = (None, None)
    say_otherwise: bool = False

    @property
    def swapped(self) -> Examination:
        """The same with the query as the reference."""
        return replace(self, is_turned_round=not self.is_turned_round, borders=self.borders[::-1])

    def aligned(self, query: Look, reference: Look) -> tuple[Look, Look]:
        """What was aligned: the two, but for their borders."""
        return without_border(query, self.borders[0]), without_border(reference, self.borders[1])

    def in_order(self, query: Look, reference: Look) -> tuple[Look, Look]:
        """The two in the order in which the alignment leads from one to the other."""
        return (reference, query) if self.is_turned_round else (query, reference)


def verify(query: Look, reference: Look, is_far: bool = False) -> Outcome:
    """Whether the details of two pictures agree: the outcome of `examine`."""
    return examine(query, reference, is_far).outcome


def examine(query: Look, reference: Look, is_far: bool = False) -> Examination:
    """Whether the details of two pictures agree, and how they lie on one another then.

    `CONFIRMED`: aligned, the tiles agree, and nothing moved. `REFUTED`: both are full of details that don't agree,
    or that agree in other places. `LIKELY`: one has lost its detail, and what is left agrees. `UNCLEAR`: too little
    to see. Two pictures without any detail (flat, a gradient) are the same only if their pixels are, two documents
    or screenshots only if no spot of them holds other ink, two photos only if no line of words stands on both that is
    not the same, two animations only if all of their frames agree.
    `ANIMATED`: one is, and the other is not.

    Args:
        is_far: they lie so far apart that they are refuted unless a glimpse finds something in common.
    """
    found = at_a_glance(query, reference)
    if found is not None:
        return found
    found = _aligned(query, reference, is_far)
    if found.outcome is not Outcome.CONFIRMED:
        found = examine_recoloured(query, reference) or examine_without_borders(query, reference, is_far) or found
    return _with_frames(_with_the_rest(found, query, reference), query, reference)


def _with_the_rest(found: Examination, query: Look, reference: Look) -> Examination:
    # nearly all agrees: and what does not, lies on one of them, and has not moved, nor says something else
    if found.finding is None or found.outcome is not Outcome.CONFIRMED:  # a worn copy is a little off all over
        return found
    aligned = superpose(*found.in_order(*found.aligned(query, reference)), found.finding.alignment)
    if hold_other_words(aligned):
        return replace(found, outcome=Outcome.REFUTED, say_otherwise=True)
    return replace(found, outcome=Outcome.REFUTED) if have_moved(aligned) else found


def examine_recoloured(query: Look, reference: Look) -> Examination | None:
    """What is found of two things on an even ground that have other levels; None if that is no reason to look again.

    They are compared as photos are, but nothing may lie on one of them.
    """
    if not (is_printed(query, reference) and is_recoloured(query, reference)):
        return None
    for alignment in alignments(query, reference):
        finding = look_closer(query, reference, alignment)
        if finding.outcome is Outcome.CONFIRMED and is_same_but_for_levels(query, reference, finding.alignment):
            return Examination(Outcome.CONFIRMED, finding)
    return None


def examine_without_borders(query: Look, reference: Look, is_far: bool = False) -> Examination | None:
    """What `examine` finds where even borders are left out; None if there are none, or if that shows no copy.

    Pages have margins, and are read as they are.
    """
    borders = border_of(query), border_of(reference)
    if borders == (None, None) or is_printed(query, reference) or is_small_print(query, reference):
        return None
    inner = without_border(query, borders[0]), without_border(reference, borders[1])
    if any(one.has_little or one.is_on_ground for one in inner) or query.is_animated or reference.is_animated:
        return None
    found = _aligned(*inner, is_far)
    return replace(found, borders=borders) if found.outcome in (Outcome.CONFIRMED, Outcome.LIKELY) else None


def at_a_glance(query: Look, reference: Look) -> Examination | None:
    """What is clear without aligning two pictures; None if nothing is, or if one is `features_only` of a photo."""
    if not (query.page.size and reference.page.size):
        return None
    if query.has_little or reference.has_little:
        same = has_same_pixels(query, reference)
        return _with_frames(Examination(Outcome.CONFIRMED if same else Outcome.REFUTED), query, reference)
    if is_printed(query, reference) and differs_at_a_glance(query, reference):
        return Examination(Outcome.REFUTED)
    return None


def _with_frames(found: Examination, query: Look, reference: Look) -> Examination:
    if found.outcome is Outcome.REFUTED:
        return found
    sides = found.in_order(query, reference)
    try:
        a, b = (side.film for side in sides)
    except ImageError:  # too many, too large: nobody knows what else it shows
        return replace(found, outcome=Outcome.UNCLEAR)
    if a is None and b is None:
        return found
    if a is None or b is None:
        return replace(found, outcome=Outcome.ANIMATED)
    same = show_the_same(a, b, *sides, found.finding.alignment if found.finding else None)
    return found if same else replace(found, outcome=Outcome.REFUTED)


def _aligned(query: Look, reference: Look, is_far: bool) -> Examination:
    if is_far and not has_a_glimpse(query, reference):
        return Examination(Outcome.REFUTED)
    if is_plain(query, reference):
        same = has_same_levels(query, reference) and _has_no_other_ink(query, reference)
        return Examination(Outcome.CONFIRMED if same else Outcome.REFUTED)
    seen: list[Examination] = []
    for finding, turned_round in _both_ways(query, reference):
        if finding is None:
            return Examination(Outcome.REFUTED)
        seen.append(Examination(finding.outcome, finding, turned_round))
        if finding.outcome is Outcome.CONFIRMED and finding.motion <= TILTED_STILL:
            return seen[-1]
    return _weigh(seen, unaligned(query, reference), is_in_place(query, reference))


def _has_no_other_ink(query: Look, reference: Look) -> bool:
    return not is_printed(query, reference) or any(
        has_same_ink(query, reference, laid) for _, laid in readable(query, reference)
    )


def _both_ways(query: Look, reference: Look) -> Iterator[tuple[Finding | None, bool]]:
    # features of a crop find their places in the whole more surely than the other way round
    seen = []
    for finding in _findings(query, reference):
        yield finding, False
        if finding is not None:
            seen.append(finding)
    if any(finding.agreement.agreeing >= LAID_PROMISING for finding in seen) and not _is_settled(seen):
        for finding in _findings(reference, query):
            if finding is not None:  # that a way back was not found says nothing
                yield finding, True


def _is_settled(findings: Sequence[Finding]) -> bool:
    # surely placed, and refuted however they are laid: the way back, half of the cost, finds nothing else
    placed = any(finding.alignment.inliers >= SURELY_PLACED for finding in findings)
    return placed and all(finding.outcome is Outcome.REFUTED or finding.moved_far for finding in findings)


def _findings(query: Look, reference: Look) -> Iterator[Finding | None]:
    # None: two pages that don't hold the same ink, however they are laid on one another
    if is_printed(query, reference):
        yield from _findings_in_print(query, reference)
    elif is_small_print(query, reference):
        yield from _findings_in_small_print(query, reference)
    else:
        yield from (look_closer(query, reference, alignment) for alignment in alignments(query, reference))


def _findings_in_print(query: Look, reference: Look) -> Iterator[Finding | None]:
    is_legible = False
    for alignment, laid in readable(query, reference):
        if has_same_ink(query, reference, laid):
            is_legible = True
            if alignment is not None:
                yield look_closer(query, reference, alignment)
    if not is_legible:
        yield None


def _findings_in_small_print(query: Look, reference: Look) -> Iterator[Finding | None]:
    # of two receipts of one shop, as small as in many collections, nearly all tiles agree: to read them costs a fifth
    is_laid = is_legible = False
    for alignment in alignments(query, reference):
        is_laid = True
        if not differs_in_small_print(query, reference, alignment):
            is_legible = True
            yield look_closer(query, reference, alignment)
    if is_laid and not is_legible:
        yield None


def _weigh(seen: Sequence[Examination], otherwise: Outcome, in_place: bool) -> Examination:
    findings = [one.finding for one in seen if one.finding is not None]
    for one, finding in zip(seen, findings, strict=True):
        if one.outcome is Outcome.CONFIRMED:  # a little off, by one estimate: by all of them it must be no more
            all_of_them = [
                f.motion for f in findings if f.is_clear and (f.tilted, f.mirrored) == (False, finding.mirrored)
            ]
            still = np.mean(all_of_them or [finding.motion]) <= STILL
            return replace(one, outcome=Outcome.CONFIRMED if still else Outcome.REFUTED)
    clearest = max(
        seen, key=lambda one: one.finding.agreement.median if one.finding else 0.0, default=Examination(otherwise)
    )
    if not in_place and any(finding.moved for finding in findings):
        return replace(clearest, outcome=Outcome.REFUTED)
    for outcome in (Outcome.LIKELY, Outcome.UNCLEAR):
        for one in seen:
            if one.outcome is outcome:
                return one
    # an alignment under which hardly anything agrees is a wrong one, and refutes nothing
    if any(finding.agreement.median >= SOUND for finding in findings):
        return replace(clearest, outcome=Outcome.REFUTED)
    return Examination(otherwise)


def is_in_place(query: Look, reference: Look) -> bool:
    """Whether two thumbnails are the same down to their finest structure."""
    return bool(query.structure @ reference.structure >= IN_PLACE)


def is_plain(query: Look, reference: Look) -> bool:
    """Whether neither picture has any detail."""
    return not (query.is_detailed or reference.is_detailed)


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


__all__ = [
    "Examination",
    "examine",
    "examine_without_borders",
    "has_same_levels",
    "is_in_place",
    "is_plain",
    "unaligned",
    "verify",
]
