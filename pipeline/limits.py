"""How near two pictures must be to be called duplicates: thresholds, given or calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.calibrations import in_force, is_calibrated
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.second_look.outcome import Outcome

MAX_L2 = 2.0
FARTHEST = 1e19  # L2; of models whose vectors have no norm: beyond, its square is no float32
SURE = 0.04  # L2; pairs this near need no second look
WIDER = 1.09  # times as far as pairs that get one; in between lie five times as many, and a glimpse comes first


@dataclass(frozen=True)
class Limits:
    """How near two pictures must be to be called duplicates; all L2, 0..2.

    Attributes:
        candidate: pairs farther apart are no duplicates.
        unverified: the same for pairs that a second look can't settle.
        sure: pairs this near get none.
        likely: the same for pairs that seem to be worn copies.
        far: of pairs farther apart, only those that have something in common at a glimpse get a second look.
        animated_with_stills: whether an animated picture may be a duplicate of a still one.
    """

    candidate: float
    unverified: float
    sure: float
    likely: float = 0.0
    far: float = MAX_L2
    animated_with_stills: bool = False

    def accept(self, distance: float, outcome: Outcome | None) -> bool:
        """Whether a pair is a duplicate; `outcome` None stands for no second look."""
        if outcome is None or outcome is Outcome.CONFIRMED:
            return distance <= self.candidate
        if outcome is Outcome.ANIMATED:
            return self.animated_with_stills and distance <= self.unverified
        if outcome is Outcome.LIKELY:
            return distance <= max(self.likely, self.unverified)
        return outcome is Outcome.UNCLEAR and distance <= self.unverified

    def at(self, threshold: float) -> Limits:
        """The same, stricter or looser: `candidate` is `threshold`, and the others keep their proportion to it."""
        factor = threshold / self.candidate if self.candidate else 0.0
        unverified, likely = (min(MAX_L2, factor * limit) for limit in (self.unverified, self.likely))
        return replace(self, candidate=threshold, unverified=unverified, likely=likely)

    def at_most(self, curve: Calibration, images: int, false_pairs: float | None = None) -> Limits:
        """The same, but what no second look settles by the stricter of two calibrations."""
        unverified = min(self.unverified, curve.library_threshold(images, false_pairs))
        if self.sure == self.candidate:  # no second look at all
            return Limits(unverified, unverified, unverified, unverified)
        likely = min(self.likely, curve.likely_threshold(images, false_pairs))
        return replace(self, unverified=unverified, sure=min(self.sure, unverified), likely=likely)

    def accepted(self, pairs: Pairs, outcomes: NDArray[np.object_]) -> NDArray[np.bool_]:
        """Which pairs are duplicates, bool (k,)."""
        accepted = np.zeros(len(outcomes), bool)
        for outcome in (None, *Outcome):
            rows = np.flatnonzero(outcomes == outcome)
            accepted[rows] = [self.accept(distance, outcome) for distance in pairs[2][rows].tolist()]
        return accepted

    @property
    def loosest(self) -> float:
        """The threshold at which every candidate that was not refuted is accepted, 0..2."""
        return min(MAX_L2, self.candidate * self.candidate / self.unverified) if self.unverified else MAX_L2


def limits(
    encoder: Encoder, images: int, threshold: float | None, verify: bool | None, false_pairs: float | None = None
) -> Limits:
    """The thresholds for `images` pictures.

    A threshold of your own is taken at its word: every pair within it is a duplicate, unless `verify` is set.
    Without one, about `false_pairs` false pairs (1) are accepted among all, by the calibration in force.

    Raises:
        InputError: the threshold lies outside 0..2, or `false_pairs` is not above 0 or is given beside it.
        ModelError: there is no threshold, and the encoder is not calibrated.
    """
    second_look = takes_second_look(threshold, verify)
    if threshold is not None:
        if false_pairs is not None:
            raise InputError("a threshold or a number of false pairs: give one of the two")
        own = check_threshold(threshold, encoder.max_distance)
        return Limits(own, own, min(SURE, own) if second_look else own, own)
    curve = in_force(encoder).calibration
    plain = curve.library_threshold(images, false_pairs)
    if not second_look:
        return Limits(plain, plain, plain, plain)
    near, likely = curve.candidate_threshold(images, false_pairs), curve.likely_threshold(images, false_pairs)
    return Limits(min(encoder.max_distance, WIDER * near), plain, min(SURE, plain), likely, far=near)


def known_threshold(encoder: Encoder, images: int, threshold: float | None) -> float | None:
    """The threshold for `images` pictures without a second look (L2); None where none is given and none calibrated.

    Raises:
        InputError: the threshold lies outside 0..2.
    """
    if threshold is None and not is_calibrated(encoder):
        return None
    return limits(encoder, images, threshold, verify=False).candidate


def takes_second_look(threshold: float | None, verify: bool | None) -> bool:
    """Whether pairs get a second look, and groups the relations of their members."""
    return threshold is None if verify is None else verify


def check_thorough(thorough: bool, threshold: float | None, verify: bool | None) -> None:
    """Raises InputError where closer looks are asked for, but none is taken at all."""
    if thorough and not takes_second_look(threshold, verify):
        raise InputError(
            "thorough (--thorough) is about second looks, and none is taken: ask for them (--verify), or leave it out"
        )


def check_threshold(threshold: float, most: float = MAX_L2) -> float:
    """The threshold itself.

    Raises:
        InputError: it lies outside 0..`most`, or is beyond all distances.
    """
    most = min(most, FARTHEST)
    if not 0 <= threshold <= most:
        raise InputError(f"a threshold is an L2 distance from 0 to {most:g}, not {threshold}")
    return float(threshold)
