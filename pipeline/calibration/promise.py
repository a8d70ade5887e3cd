"""Is a promised false-match rate kept on other pictures?"""

from __future__ import annotations

from dataclasses import dataclass

from twinpix.encoder.calibration import Calibration, pairs
from twinpix.pipeline.calibration.calibrate import Measured

CHECKED_RATES = (1e-4, 1e-5)
FACTOR = 5  # within which a promise counts as kept


@dataclass(frozen=True)
class Promise:
    """One promised rate, and what was measured.

    Attributes:
        promised: the false-match rate that the calibration gives for `threshold`.
        threshold: L2.
        seen: false pairs within it.
        pairs: all pairs of different pictures.
    """

    promised: float
    threshold: float
    seen: int
    pairs: int

    @property
    def measured(self) -> float:
        """The rate on these pictures."""
        return self.seen / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of that rate, for pairs that don't depend on one another.

        Pairs that share a picture do: where a few look-alikes make up the count, the truth is wider.
        """
        low, high = poisson_interval(self.seen)
        return low / self.pairs, high / self.pairs

    @property
    def verdict(self) -> str:
        """`kept` within a factor 5, else `too low` or `too high`; `open` while the interval still allows a factor 5."""
        low, high = self.promised / FACTOR, self.promised * FACTOR
        if low <= self.measured <= high:
            return "kept"
        if self.interval[0] <= high and self.interval[1] >= low:
            return "open"
        return "too low" if self.measured > high else "too high"


def check_promise(calibration: Calibration, measured: Measured) -> tuple[Promise, ...]:
    """What a calibration made elsewhere promises, against these pictures.

    Args:
        calibration: raised by the pictures' `alikeness`, it is what `find-duplicates` goes by.
    """
    formed = pairs(len(measured.rows))
    limits = [(rate, calibration.threshold(rate)) for rate in CHECKED_RATES]
    return tuple(Promise(rate, limit, int((measured.closest[2] <= limit).sum()), formed) for rate, limit in limits)


def poisson_interval(count: int) -> tuple[float, float]:
    """95 % interval of a Poisson mean, `count` seen: Byar's approximation (Breslow & Day 1987), 0..3 for none."""
    if count == 0:
        return 0.0, 3.0  # the rule of three
    more = count + 1
    low = count * (1 - 1 / (9 * count) - 1.96 / (3 * count**0.5)) ** 3
    return low, more * (1 - 1 / (9 * more) + 1.96 / (3 * more**0.5)) ** 3
