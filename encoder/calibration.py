"""What a distance means: the curve from L2 distance to false-match rate, and thresholds read from it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from twinpix.encoder.errors import InputError, ModelError

PAIR_RATE = 1e-6  # default of one pair: one false match in a million pairs of different pictures


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
    """

    distances: tuple[float, ...]
    rates: tuple[float, ...]
    measured_from: float
    pictures: int
    source: str

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

    @property
    def pair_threshold(self) -> float:
        """The default for comparing two pictures: L2 at a false-match rate of 1e-6."""
        return self.threshold(PAIR_RATE)

    def is_clamped(self, images: int) -> bool:
        """Whether a library of this size would need a lower rate than the curve supports."""
        return 1 / max(1, pairs(images)) < self.rates[0]

    def library_threshold(self, images: int) -> float:
        """The threshold for comparing `images` pictures with one another: about one false pair in all.

        Never looser than the default of a single pair: in a small folder even one is too many.
        """
        return self.threshold(min(PAIR_RATE, 1 / max(1, pairs(images))))

    def false_pairs(self, distance: float, images: int) -> float:
        """Expected number of false pairs among `images` different pictures at that threshold."""
        return self.rate(distance) * pairs(images)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "distances": [round(d, 6) for d in self.distances],
            "rates": [float(f"{r:.4g}") for r in self.rates],
            "measured_from": float(f"{self.measured_from:.4g}"),
            "pictures": self.pictures,
            "source": self.source,
        }


def pairs(images: int) -> int:
    """How many pairs `images` pictures form."""
    return images * (images - 1) // 2


def read_calibration(values: dict[str, Any]) -> Calibration:
    """The inverse of `Calibration.to_dict`.

    Raises:
        ModelError: a value is missing, or the curve does not ascend.
    """
    try:
        distances = tuple(float(d) for d in values["distances"])
        rates = tuple(float(r) for r in values["rates"])
        known = float(values["measured_from"]), int(values["pictures"]), str(values["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the calibration in the model file is damaged ({error})") from None
    ascending = all(a <= b for curve in (distances, rates) for a, b in pairwise(curve))
    if len(distances) != len(rates) or len(rates) < 2 or not ascending or rates[0] <= 0:
        raise ModelError("the calibration in the model file is damaged (not an ascending curve)")
    return Calibration(distances, rates, *known)
