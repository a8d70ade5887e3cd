"""What `twinpix scale` found, beside what comparing a sample of the vectors with all finds: a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Vectors, exact_distances
from twinpix.pipeline.index.near import flat_index
from twinpix.pipeline.limits import SURE
from twinpix.pipeline.second_look.look_again import NEAREST_IN_A_CROWD

QUERY_BLOCK = 2048


def expected_pairs(vectors: Vectors, sample: NDArray[np.intp], within: float) -> NDArray[np.int64]:
    """The pairs that these rows are in, as i * n + j with i < j, sorted: those that an exact search hands on.

    Args:
        vectors: float32 (n, dim).
        sample: int (m,), rows.
        within: L2, at most 0.8: of each row count those within `SURE` and the 60 nearest others.
    """
    index, n, parts = flat_index(vectors), len(vectors), [np.empty(0, np.int64)]
    for start in range(0, len(sample), QUERY_BLOCK):
        block = sample[start : start + QUERY_BLOCK]
        at, other, _ = index.range_search(vectors[block], within + index.error)
        apart = other != block[at]
        at, other = at[apart], other[apart]
        distance = exact_distances(vectors, block[at], other)
        order = np.lexsort((other, distance, at))
        order = order[distance[order] <= within]
        sure = distance[order] <= SURE
        doubtful, chosen = order[~sure], at[order[~sure]]
        place = np.arange(len(doubtful)) - np.searchsorted(chosen, chosen)
        kept = np.concatenate([order[sure], doubtful[place < NEAREST_IN_A_CROWD]])
        i, j = block[at[kept]], other[kept]
        parts.append(np.minimum(i, j).astype(np.int64) * n + np.maximum(i, j))
    return np.unique(np.concatenate(parts))


def main() -> None:
    """Compare a sample, print how many pairs it is in and which share of them was found, as JSON."""
    folder, within, size = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    sample = np.sort(np.random.default_rng(1).choice(len(vectors), min(size, len(vectors)), replace=False))
    wanted = expected_pairs(vectors, sample, within)
    found = np.load(folder / "found.npy")  # sorted
    there = found[np.minimum(np.searchsorted(found, wanted), len(found) - 1)] == wanted if len(found) else wanted < 0
    share = float(there.mean()) if len(wanted) else 1.0
    print(json.dumps({"checked": len(sample), "checked_pairs": len(wanted), "checked_recall": share}))


if __name__ == "__main__":
    main()
