"""What a distance means: the curve from L2 distance to false-match rate, and thresholds read from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from twinpix.encoder.errors import InputError, ModelError

PAIR_RATE = 1e-6  # default of one pair: one false match in a million pairs of different pictures
CANDIDATE_RATE = 1e-2  # a second look is taken at no more than this share of all pairs of different pictures,
CANDIDATES, CANDIDATE_SHARE = 10_000, 0.05  # and, to stay quick, at that many pairs or that many a picture
WORTH_ALL = 50  # confirmed pairs that a person called different: to avoid so many, nothing gets a second look


@dataclass(frozen=True)
class SecondLook:
    """How a second look (`twinpix.pipeline.second_look.verify`) fares with the nearest pairs of different pictures.

    Attributes:
        pairs: how many of the nearest were looked at.
        confirmed: of those, how many it took for one picture all the same.
        unclear: how many it could not settle.
        likely: how many seemed to be worn copies.
        wrong: how far apart the confirmed ones are, L2, ascending; empty where that was not kept.
    """

    pairs: int
    confirmed: int
    unclear: int
    likely: int | None = None  # None: not told from unclear ones
    wrong: tuple[float, ...] = ()

    @property
    def confirmed_share(self) -> float:
        """At most this share is confirmed, 0..1; three pairs at least: fewer say next to nothing about a rate."""
        return max(self.confirmed, 3) / max(self.pairs, 3)

    @property
    def unclear_share(self) -> float:
        """At most this share is unclear, 0..1."""
        return max(self.unclear, 3) / max(self.pairs, 3)

    @property
    def likely_share(self) -> float:
        """At most this share seems to be worn copies, 0..1."""
        return 1.0 if self.likely is None else max(self.likely, 3) / max(self.pairs, 3)


@dataclass(frozen=True)
class Calibration:
    """False-match rate by distance, of one encoder on pictures it was not trained on.

    Attributes:
        distances: L2 distances 0..2, ascending.
        rates: share of pairs of different pictures that lie at most that far apart, ascending, 0..1.
        measured_from: the lowest rate that was seen in the data; smaller ones are extrapolated by a
            generalised Pareto tail (Pickands 1975), at most two decades.
        pictures: how many pictures were compared with one another.
        source: what those pictures were.
        second_look: what it makes of the nearest of those pairs; None if that was not measured.
        low, high: at the same distances, the rates between which 90 % of bootstrap samples of the pictures lie;
            empty where that was not measured.
        classes: curves of one kind of picture each (`source` names it), where there were enough of that kind.
        told_apart: the curve without the pairs that the second look takes for one picture; None: there are none.
    """

    distances: tuple[float, ...]
    rates: tuple[float, ...]
    measured_from: float
    pictures: int
    source: str
    second_look: SecondLook | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    classes: tuple[Calibration, ...] = ()
    told_apart: Calibration | None = None

    def threshold(self, rate: float) -> float:
        """The L2 distance whose false-match rate is `rate`, clamped to what the curve supports.

        Raises:
            InputError: `rate` is not between 0 and 1.
        """
        if not 0 < rate <= 1:
            raise InputError(f"a false-match rate lies between 0 and 1, not {rate}")
        return float(np.interp(np.log10(rate), np.log10(self.rates), self.distances))

    def rate(self, distance: float) -> float:
        """The false-match rate at an L2 distance; outside the curve, the nearest end of it."""
        return float(10 ** np.interp(distance, self.distances, np.log10(self.rates)))

    def raised(self, factor: float) -> Calibration:
        """The curve for pictures that lie near one another `factor` times as often: see `calibration.alikeness`."""
        if factor == 1:
            return self
        rates, low, high = (tuple(min(1.0, r * factor) for r in side) for side in (self.rates, self.low, self.high))
        seen = min(1.0, self.measured_from * factor)
        apart = None if self.told_apart is None else self.told_apart.raised(factor)
        return replace(self, rates=rates, low=low, high=high, measured_from=seen, classes=(), told_apart=apart)

    @property
    def pair_threshold(self) -> float:
        """The default for comparing two pictures: L2 at a false-match rate of 1e-6."""
        return self.threshold(PAIR_RATE)

    def is_clamped(self, images: int, false_pairs: float | None = None) -> bool:
        """Whether so few false pairs in a library of this size would need a lower rate than the curve supports."""
        return _library_rate(images, false_pairs) < self.rates[0]

    def library_threshold(self, images: int, false_pairs: float | None = None) -> float:
        """The threshold for comparing `images` pictures with one another: about `false_pairs` false pairs in all.

        Without a number about one, but never looser than the default of a single pair: in a small folder even one
        is too many.

        Raises:
            InputError: `false_pairs` is not a number above 0.
        """
        return self.threshold(_library_rate(images, false_pairs))

    def false_pairs(self, distance: float, images: int) -> float:
        """Expected number of false pairs among `images` different pictures at that threshold; beyond the curve, all."""
        return (self.rate(distance) if distance <= self.distances[-1] else 1.0) * pairs(images)

    def candidate_threshold(self, images: int, false_pairs: float | None = None) -> float:
        """How near a pair must be for a second look: L2, never stricter than `library_threshold`.

        A second look costs about ten times an embedding, so a large library gets fewer of them per pair. It errs now
        and then, so fewer are looked at, too, where less than one false pair is wanted.

        Where a person called pairs different that it confirms, these say how often it errs at their distance, and
        nothing of pairs that lie elsewhere: a look-alike at 0.2 is no reason to look at no crop at 0.8. A stricter
        threshold avoids only the errors beyond it, and costs copies all over the stretch that it gives up: edited ones
        lie spread over the whole reach, about 1 % of them in each of its outer fiftieths. So the threshold is drawn in,
        to just below one of these errors, where that avoids the most of them, less one for each fiftieth (`WORTH_ALL`)
        of the reach: three give up 6 % of it at most, ten a fifth, and a hundred count for more than every crop. Nor
        do they use up the looks that are affordable: what is confirmed was never counted among those.
        """
        curve = self.told_apart or self
        affordable = min(1.0, false_pairs or 1.0) * max(CANDIDATES, CANDIDATE_SHARE * images) / max(1, pairs(images))
        wrong = () if self.second_look is None else self.second_look.wrong
        return max(
            _drawn_in(curve.threshold(min(CANDIDATE_RATE, affordable)), wrong),
            self.library_threshold(images, false_pairs),
        )

    def likely_threshold(self, images: int, false_pairs: float | None = None) -> float:
        """How near a pair must be that seems to be a worn copy: L2, from how seldom different pictures seem so.

        Never stricter than `library_threshold`, never looser than `candidate_threshold`.
        """
        share = 1.0 if self.second_look is None else self.second_look.likely_share
        rate = min(1.0, _library_rate(images, false_pairs) / share)
        return min(self.threshold(rate), self.candidate_threshold(images, false_pairs))

    def verified_false_pairs(self, candidate: float, likely: float, unverified: float, images: int) -> float:
        """Expected false pairs among `images` different pictures after a second look; thresholds are L2.

        Confirmed ones come as often as in the pairs that were looked at; at least, where a person named some, as often
        as those within `candidate`.
        """
        look = self.second_look
        if look is None:
            return self.false_pairs(candidate, images)
        named = sum(distance <= candidate for distance in look.wrong) / max(1, pairs(self.pictures))
        looked_at = (self.told_apart or self).false_pairs(candidate, images)
        confirmed = max(looked_at * look.confirmed_share, named * pairs(images))
        kinds = [(unverified, look.unclear_share)]
        if look.likely is not None:
            kinds.append((likely, look.likely_share))
        return confirmed + sum(self.false_pairs(distance, images) * share for distance, share in kinds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "distances": [round(d, 6) for d in self.distances],
            "rates": [float(f"{r:.4g}") for r in self.rates],
            "measured_from": float(f"{self.measured_from:.4g}"),
            "pictures": self.pictures,
            "source": self.source,
            "second_look": None if self.second_look is None else _look_dict(self.second_look),
            **{name: [float(f"{r:.4g}") for r in getattr(self, name)] for name in ("low", "high") if self.low},
            **({"classes": [one.to_dict() for one in self.classes]} if self.classes else {}),
            **({"told_apart": self.told_apart.to_dict()} if self.told_apart is not None else {}),
        }


def _drawn_in(reach: float, wrong: tuple[float, ...]) -> float:
    # just below the error that is worth it most, if one is
    best, most = reach, 0.0
    for avoided, distance in enumerate(sorted((d for d in wrong if d <= reach), reverse=True), 1):
        gain = avoided - WORTH_ALL * (1 - distance / max(reach, 1e-9))
        if gain > most:
            best, most = float(np.nextafter(distance, 0)), gain
    return best


def _library_rate(images: int, false_pairs: float | None) -> float:
    if false_pairs is None:
        return min(PAIR_RATE, 1 / max(1, pairs(images)))
    if not 0 < false_pairs < float("inf"):
        raise InputError(f"a number of false pairs is above 0, not {false_pairs}")
    return min(1.0, false_pairs / max(1, pairs(images)))


def pairs(images: int) -> int:
    """How many pairs `images` pictures form."""
    return images * (images - 1) // 2


def _look_dict(look: SecondLook) -> dict[str, Any]:
    values = asdict(look)
    wrong = [round(distance, 6) for distance in values.pop("wrong")]
    return {**values, "wrong": wrong} if wrong else values


def _read_second_look(seen: dict[str, Any]) -> SecondLook:
    likely = seen.get("likely")
    pairs, confirmed, unclear = (int(seen[key]) for key in ("pairs", "confirmed", "unclear"))
    wrong = tuple(sorted(float(distance) for distance in seen.get("wrong", ())))
    return SecondLook(pairs, confirmed, unclear, None if likely is None else int(likely), wrong)


def read_calibration(values: dict[str, Any]) -> Calibration:
    """The inverse of `Calibration.to_dict`. Older ones lack the band, the classes, and what the second look got wrong.

    Raises:
        ModelError: a value is missing, or the curve does not ascend.
    """
    try:
        curve = _read_fields(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the calibration in the model file is damaged ({error})") from None
    ascending = all(a <= b for part in (curve.distances, curve.rates) for a, b in pairwise(part))
    lengths = {len(curve.distances), len(curve.rates)} | {len(side) for side in (curve.low, curve.high) if side}
    if len(lengths) != 1 or len(curve.rates) < 2 or not ascending or curve.rates[0] <= 0:
        raise ModelError("the calibration in the model file is damaged (not an ascending curve)")
    return curve


def _read_fields(values: dict[str, Any]) -> Calibration:
    seen, apart = values.get("second_look"), values.get("told_apart")
    numbers = {key: tuple(float(v) for v in values[key]) for key in ("distances", "rates")}
    band = {key: tuple(float(v) for v in values.get(key, ())) for key in ("low", "high")}
    return Calibration(
        **numbers,
        measured_from=float(values["measured_from"]),
        pictures=int(values["pictures"]),
        source=str(values["source"]),
        second_look=None if seen is None else _read_second_look(seen),
        **band,
        classes=tuple(read_calibration(one) for one in values.get("classes", ())),
        told_apart=None if apart is None else read_calibration(apart),
    )
