"""From scores to numbers: recall at a threshold, at a false-match rate, and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinpix.pipeline.bench.edits import Mean
from twinpix.pipeline.bench.method import ROUNDING, Contestant, Floats, Unrelated

DEFAULT = "default"
EXTRAPOLATED = 1e-8
TOO_FEW, NO_DEFAULT, WHOLE = "too few", "none", "n/a"
MISSING = {
    TOO_FEW: "too few pictures: they form too few pairs to see a rate that small",
    NO_DEFAULT: "the method has no default threshold",
    WHOLE: "distances are whole numbers of bits, or too few are finite: no tail can be fitted",
}
CURVE = 60  # points


@dataclass(frozen=True)
class Level:
    """One way to set a method's threshold.

    Attributes:
        name: `default`, or the false-match rate.
        limit: scores below it are duplicates; None where it can't be known.
        missing: why not.
        rate: the share of pairs of different pictures below `limit`, measured.
    """

    name: str
    limit: float | None
    missing: str = ""
    rate: float | None = None


def levels(contestant: Contestant, unrelated: Unrelated, rates: Sequence[float]) -> tuple[Level, ...]:
    """The default threshold, each of the rates, and 1e-8."""
    return (
        *measured_levels(contestant.limit, unrelated, rates),
        _level(rate_name(EXTRAPOLATED), _extrapolated(unrelated), unrelated),
    )


def measured_levels(limit: float | None, unrelated: Unrelated, rates: Sequence[float]) -> tuple[Level, ...]:
    """The default threshold `limit`, and each of the rates."""
    rows = [_level(DEFAULT, NO_DEFAULT if limit is None else limit + ROUNDING, unrelated)]
    for rate in rates:
        found = unrelated.limit(rate)
        rows.append(_level(rate_name(rate), TOO_FEW if np.isnan(found) else found, unrelated))
    return tuple(rows)


def rate_name(rate: float) -> str:
    """As in tables: 1e-06 is `1e-6`; the extrapolated one says so."""
    mantissa, exponent = f"{rate:.3g}e0".split("e")[0], 0
    if rate < 0.01:
        mantissa, digits = f"{rate:e}".split("e")
        mantissa, exponent = f"{float(mantissa):.3g}", int(digits)
    text = f"{mantissa}e{exponent}" if exponent else mantissa
    return f"{text} (extrapolated)" if rate == EXTRAPOLATED else text


def _level(name: str, limit: float | str, unrelated: Unrelated) -> Level:
    if isinstance(limit, str):
        return Level(name, None, limit)
    return Level(name, limit, rate=unrelated.scores.below(limit) / max(1, unrelated.pairs))


def _extrapolated(unrelated: Unrelated) -> float | str:
    if unrelated.extrapolate is None:
        return WHOLE
    return unrelated.extrapolate(EXTRAPOLATED) if unrelated.reaches(EXTRAPOLATED) else TOO_FEW


def recall(scores: Floats, level: Level) -> float | None:
    """Share of the copies that score better than the level's limit, 0..1; a tie is a miss. None without a copy."""
    return None if level.limit is None or not len(scores) else float((scores < level.limit).mean())


def mean_recall(by_edit: Mapping[str, Floats], mean: Mean, level: Level) -> float | None:
    """The plain mean of the rows' recalls."""
    found = [recall(by_edit[row], level) for row in mean.rows]
    known = [share for share in found if share is not None]
    return sum(known) / len(known) if known else None


def curve_rates(pairs: int) -> list[float]:
    """The false-match rates of the curve, ascending, for that many pairs of different pictures."""
    rates: list[float] = np.logspace(np.log10(1 / max(1, pairs)), -1, CURVE).tolist()
    return rates


def curve(unrelated: Unrelated, copies: Floats) -> tuple[list[float], list[float]]:
    """Recall of copies against the false-match rate: (rates ascending, recall), nothing where there are no pairs."""
    if not unrelated.pairs or not len(copies):
        return [], []
    rates = curve_rates(unrelated.pairs)
    limits = np.array([unrelated.limit(rate) for rate in rates])
    found = np.searchsorted(np.sort(copies[np.isfinite(copies)]), limits) / max(1, len(copies))
    return rates, found.tolist()
