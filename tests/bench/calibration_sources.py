"""Do calibrations hold on photo sets of other origin? Each source is left out in turn, and then measured.

    python tests/bench/calibration_sources.py DIR [GROUPS]     # a sub-folder for each source, of 100 pictures or more

GROUPS, a JSON file of known groups as `twinpix bench` takes it, tells which pictures are no different ones, such as two
shots of one shelf: one of each group counts. `calibration_known.json` beside this file is that of calibration.tar.

Prints, for each source: what a curve made of all others promises, and what is measured, with that curve as it is and as
`find-duplicates` goes by it: raised by how alike the source's own pictures are, which no label tells. And once more
with that taken from one half of the source, and the rate measured on the other: the mean of 30 random halves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration, pairs
from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.bench.groups import read_groups
from twinpix.pipeline.calibration.alikeness import alikeness, count_within
from twinpix.pipeline.calibration.calibrate import calibrate
from twinpix.pipeline.calibration.gather import gather
from twinpix.pipeline.calibration.promise import CHECKED_RATES, FACTOR

SMALLEST, HALVES = 100, 30

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Sources:
    """Different pictures: float32 (n, dim), and the source of each, int (n,)."""

    vectors: Vectors
    source: NDArray[np.intp]
    names: tuple[str, ...]

    def without(self, one: int) -> Calibration:
        """The curve of all others."""
        others = self.source != one
        return calibrate(self.vectors[others], "the others", sets=self.source[others])


def main(folder: Path, groups: Path | None = None) -> int:
    """Print a row for each source; 1 where a promise is surely broken."""
    found, broken = read_sources(folder, frozenset() if groups is None else surplus(groups)), False
    print("source, pairs, how alike; measured / promised at each rate: as it is, raised, on other halves")
    for one, name in enumerate(found.names):
        own, curve = found.vectors[found.source == one], found.without(one)
        alike, formed = alikeness(own, curve), pairs(len(own))
        cells = []
        for rate in CHECKED_RATES:
            plain, raised = (count_within(own, some.threshold(rate)) for some in (curve, curve.raised(alike)))
            halves = np.mean([halved(own, curve, rate, seed) for seed in range(HALVES)]) / (rate * pairs(len(own) // 2))
            cells.append(f"{rate:.0e}: {plain / rate / formed:.2f} ({plain}), {raised / rate / formed:.2f} ({raised}), "
                         f"{halves:.2f}")  # fmt: skip
            broken |= rate * formed >= 1 and not 1 / FACTOR <= max(raised, 1) / (rate * formed) <= FACTOR
        print(f"{name}, {formed}, {alike:.2f}; {'; '.join(cells)}", flush=True)
    return int(broken)


def halved(own: Vectors, curve: Calibration, rate: float, seed: int) -> int:
    """False pairs in one half of the pictures, at the curve raised by how alike those of the other half are."""
    order = np.random.default_rng(seed).permutation(len(own))
    one, other = own[order[: len(own) // 2]], own[order[len(own) // 2 :]]
    return count_within(other[: len(own) // 2], curve.raised(alikeness(one, curve)).threshold(rate))


def surplus(groups: Path) -> frozenset[str]:
    """All but the first of each known group."""
    known = read_groups(groups)
    return frozenset(name for kind in (known.same, known.view) for members in kind.values() for name in members[1:])


def read_sources(folder: Path, but: frozenset[str] = frozenset()) -> Sources:
    """The pictures under the folder without near twins, and without those named."""
    gathered = gather(folder, encoder=load_encoder())
    inside_folder = [path.relative_to(folder.resolve()) for path in gathered.paths]
    rows = np.array([row for row in gathered.measure().rows.tolist() if inside_folder[row].as_posix() not in but])
    names = np.array([inside_folder[row].parts[0] for row in rows.tolist()])
    kept = tuple(large_enough(names))
    inside = np.isin(names, kept)
    return Sources(gathered.vectors[rows[inside]], np.searchsorted(kept, names[inside]), kept)


def large_enough(names: NDArray[np.str_]) -> Iterator[str]:
    """The sources with pictures enough, in order."""
    for name, count in zip(*np.unique(names, return_counts=True), strict=True):
        if count >= SMALLEST:
            yield str(name)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python tests/bench/calibration_sources.py DIR [GROUPS]")
    sys.exit(main(*map(Path, sys.argv[1:])))
