"""Pairs -> groups that don't chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.report import Group


def star_groups(
    paths: Sequence[Path],
    i: NDArray[np.intp],
    j: NDArray[np.intp],
    distance: NDArray[np.float32],
    apart: Collection[tuple[int, int]] = (),
) -> tuple[Group, ...]:
    """Group images around representatives.

    The image with the most duplicates (then the first by name) takes all of them that are still free,
    and so on. So every member lies within the threshold of its representative: A~B and B~C never puts
    A and C together through a chain of B's. A star rather than a clique, because several crops of one
    original belong together although they need not overlap each other. The result does not depend on
    the order of the input.

    Args:
        paths: n images.
        i, j, distance: the pairs within the threshold, (k,) each, as row numbers and L2.
        apart: rows, the smaller first, that are never in one group.
    """
    near: dict[int, dict[int, float]] = defaultdict(dict)
    for a, b, d in zip(i.tolist(), j.tolist(), distance.tolist(), strict=True):
        near[a][b] = near[b][a] = d
    free = set(near)
    groups = []
    for centre in sorted(near, key=lambda row: (-len(near[row]), str(paths[row]))):
        members = [row for row in near[centre] if row in free] if centre in free else []
        if apart:
            members = _compatible(sorted(members, key=lambda row: (near[centre][row], str(paths[row]))), apart)
        if members:
            free -= {centre, *members}
            groups.append(_group(paths, centre, members, near[centre]))
    return tuple(sorted(groups, key=lambda group: (-len(group.files), str(group.files[0]))))


def _compatible(nearest_first: list[int], apart: Collection[tuple[int, int]]) -> list[int]:
    kept: list[int] = []
    for row in nearest_first:
        if not any((min(row, other), max(row, other)) in apart for other in kept):
            kept.append(row)
    return kept


def _group(paths: Sequence[Path], centre: int, members: list[int], near: dict[int, float]) -> Group:
    ordered = sorted(members, key=lambda row: (near[row], str(paths[row])))
    return Group((paths[centre], *(paths[row] for row in ordered)), max(near[row] for row in members))
