"""How sure it is that one file can stand in for another: the same bytes, or the same picture by a second look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.decode import read_picture
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.act.explained import unexplained
from twinpix.pipeline.act.labels import labels_of
from twinpix.pipeline.act.loss import Extras, extras_of, loss_of_extras, loss_of_labels, loss_of_levels
from twinpix.pipeline.act.state import State
from twinpix.pipeline.act.told import Told
from twinpix.pipeline.explore.where import Photo
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.pairs import relation_of_looks
from twinpix.pipeline.relation.words import short
from twinpix.pipeline.report import Match
from twinpix.pipeline.second_look.fine_print import is_same_throughout
from twinpix.pipeline.second_look.look import Levels, Look, import_cv2, try_look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.tiles import Plane, tile_means
from twinpix.pipeline.second_look.verify import examine, verify

SAME_MEAN, SAME_MOST = 4.0, 16.0  # levels, at 32 px: within these, no colour was changed on purpose
IDENTICAL = "the same bytes"
FAINT, PALER = 0.75, 0.5  # levels of colour beyond which a picture is not grey; and share of it that a copy must have
ROUNDING = 0.02  # relative difference of aspect ratios that resizing may cause
SHARP = 0.8  # what stays has at least so much of the sharpness of what goes; one of equal size hardly more either
# px of a tile; times as sharp as four of them in a square are where the focus is another: re-encoding and resizing make
# 1.35 of it at most, a blur of 1.5 px 2.1; and levels beside which noise is no detail
TILE, SHARPER, EVEN = 64, 1.5, 2.0


@dataclass(frozen=True)
class Verdict:
    """What is known of two files.

    Attributes:
        sure: whether one can be removed without asking.
        words: why, or why not.
    """

    sure: bool
    words: str


class Seen:
    """A file with what a second look sees of it, prepared when it is first needed."""

    def __init__(self, path: Path, state: State) -> None:
        self.path, self.state = path, state

    @cached_property
    def look(self) -> Look | None:
        """None where the picture can't be read."""
        return try_look(self.path)

    @cached_property
    def extras(self) -> Extras:
        """What lies beside the picture. Raises ImageError, OSError."""
        return extras_of(self.path)

    @cached_property
    def labels(self) -> frozenset[tuple[str, str]]:
        """Tags and such that the file system keeps of it."""
        return labels_of(self.path)

    @cached_property
    def pixels(self) -> int:
        """Width times height; 0 where the picture can't be read."""
        try:
            width, height = Photo(self.path).shape
        except ImageError:
            return 0
        return width * height


class Sureness:
    """Judges pairs of some files by the matches among them; a match of two holds for all that have the same bytes."""

    def __init__(self, files: Sequence[Seen], matches: Iterable[Match], told: Told) -> None:
        content = {str(file.path): file.state.content for file in files}
        named = ((str(match.query), str(match.reference), match) for match in matches)
        self._matches = {frozenset((content[a], content[b])): m for a, b, m in named if a in content and b in content}
        self._told = told

    def of(self, a: Seen, b: Seen) -> Verdict:
        """Whether `a` can be removed while `b` stays.

        A near embedding alone is not enough: frames of a burst and blank pages lie near, too. So pairs that had no
        second look get one here, and both must also have the same tones all over: a confirmed pair may still be a
        crop, a caption or another colouring, which somebody made on purpose.
        """
        if a.state.content == b.state.content:
            lost = loss_of_labels(a.labels, b.labels)
            return Verdict(not lost, f"{IDENTICAL}, but {lost}" if lost else IDENTICAL)
        match = self._matches.get(frozenset((a.state.content, b.state.content)))
        if match is None:
            return Verdict(False, "no match with what stays")
        if said := self._told.doubt(a.path, b.path):
            return Verdict(False, said)
        if a.look is None or b.look is None:
            return Verdict(False, "can no longer be read")
        outcome = match.second_look or verify(a.look, b.look)
        distance = f"L2 distance {match.l2_distance:.3f}"
        if outcome is not Outcome.CONFIRMED:
            return Verdict(False, f"{distance}, and a second look is not sure ({outcome.value})")
        if not (a.look.is_detailed and b.look.is_detailed):
            return Verdict(False, f"{distance}, but hardly any detail to tell pictures apart by")
        if a.look.is_animated or b.look.is_animated:
            return Verdict(False, f"{distance}, but animated or of several pages: any of them may be another")
        if not _is_unedited(a, b, a.look, b.look):
            return Verdict(False, f"{distance}, the same details, but edited: cropped, captioned, recoloured, noisy …")
        if worse := _worse(a, b):
            return Verdict(False, f"{distance}, the same details, but {worse}")
        relation = _relation(b, a, (b.look, a.look))
        if relation is None or not relation.is_unedited:
            return Verdict(False, f"{distance}, the same details, but {short(relation) if relation else 'unreadable'}")
        if lost := _unseen_loss(a, b, relation):
            return Verdict(False, f"{distance}, the same picture, but {lost}")
        return Verdict(True, f"{distance}, confirmed by a second look: {short(relation)}")


def _relation(stays: Seen, goes: Seen, looks: tuple[Look, Look]) -> Relation | None:
    # None where either can no longer be read
    try:
        return relation_of_looks(stays.path, goes.path, looks, examine(*looks))
    except ImageError:
        return None


def _unseen_loss(a: Seen, b: Seen, relation: Relation) -> str:
    if relation.facts is None:
        return ""
    stays, goes = relation.facts
    try:
        return loss_of_levels(a.path, goes, stays) or loss_of_extras(a.extras, b.extras)
    except (ImageError, OSError):
        return "it can no longer be read"


def _is_unedited(goes: Seen, stays: Seen, a: Look, b: Look) -> bool:
    """Whether the two differ by compression and size alone, as far as can be seen, and what stays is not the worse."""
    (width, height), (wide, high) = a.size, b.size
    same_shape = abs(width * high - wide * height) <= ROUNDING * width * high
    if not same_shape or a.speckled != b.speckled or not _has_same_colours(a, b):
        return False
    if not is_same_throughout(a, b):  # a date stamp, a seat on a ticket
        return False
    # noise and sharpening look sharp, too
    most = 1 / SHARP if stays.pixels <= 1.1 * goes.pixels else float("inf")
    fine, finer = _sharpness(a.fine.tones[..., 0], b.fine.tones[..., 0])
    return bool(finer.mean() <= most * max(fine.mean(), 1e-6))


def _worse(goes: Seen, stays: Seen) -> str:
    # at full size: what was shrunk and enlarged again lacks its finest detail alone, and what stays may be far larger
    try:
        one, other = (read_picture(seen.path) for seen in (goes, stays))
        return _blurrier(one, other) or unexplained(goes.path, one, other)
    except (ImageError, OSError, ValueError):
        return "it can no longer be read"


def _blurrier(goes: Image.Image, stays: Image.Image) -> str:
    fine, other = _sharpness(*(np.asarray(picture.convert("L")) for picture in (goes, stays)))
    if other.mean() < SHARP * fine.mean():
        return "what stays is the blurrier"
    return "a part of it is sharper than in what stays: which is in focus?" if _has_sharper_part(fine, other) else ""


def _has_sharper_part(goes: Plane, stays: Plane) -> bool:
    sharper = (goes + EVEN > SHARPER * (stays + EVEN)).astype(np.uint8)
    square = np.ones((2, 2), np.uint8)
    return bool(import_cv2().erode(sharper, square, borderType=0, borderValue=0).any())  # beyond the edge is nothing


def _has_same_colours(a: Look, b: Look) -> bool:
    # the second look itself leaves hue aside
    gap, colour = np.abs(a.thumb - b.thumb), sorted((_colour(a), _colour(b)))
    is_grey = colour[1] > FAINT and colour[0] < PALER * colour[1]
    return bool(gap.mean() <= SAME_MEAN and gap.max() <= SAME_MOST and not is_grey)


def _colour(look: Look) -> float:
    # how far red, green and blue are apart, levels
    return float(np.ptp(look.thumb, axis=2).mean())


def _sharpness(*lumas: Levels) -> tuple[Plane, Plane]:
    # of each tile of two pictures, at the size of the smaller: the root mean square of the steps between neighbouring
    # pixels, levels. Their mean would hardly tell blur: a wider edge climbs as many levels
    size = min(luma.shape[::-1] for luma in lumas)
    one, other = (_steps(luma, size) for luma in lumas)
    return one, other


def _steps(luma: Levels, size: tuple[int, ...]) -> Plane:
    cv2 = import_cv2()
    luma = luma if luma.shape[::-1] == size else cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    down, right = cv2.absdiff(luma[1:, 1:], luma[:-1, 1:]), cv2.absdiff(luma[1:, 1:], luma[1:, :-1])
    squares = (step.astype(np.float32) ** 2 for step in (down, right))
    tile = min(TILE, *down.shape)
    return np.asarray(np.sqrt(sum(tile_means(square, tile) for square in squares)), np.float32)
