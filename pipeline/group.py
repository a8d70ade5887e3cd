"""Pairs -> groups that don't chain."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs
from twinpix.pipeline.report import Group, Link

Rows = NDArray[np.intp]


def star_groups(
    paths: Sequence[Path],
    i: Rows,
    j: Rows,
    distance: NDArray[np.float32],
    apart: Collection[tuple[int, int]] = (),
) -> tuple[Group, ...]:
    """Group images around representatives.

    The image with the most duplicates (then the first by name) takes all of them that are still free,
    and so on. So every member lies within the threshold of its representative: A~B and B~C never puts
    A and C together through a chain of B's. A star rather than a clique, because several crops of one
    original belong together although they need not overlap each other. Pairs that this leaves apart are
    the links of the groups that they touch. The result does not depend on the order of the input.

    Args:
        paths: n images.
        i, j, distance: the pairs within the threshold, (k,) each, as row numbers and L2.
        apart: rows, the smaller first, that are never in one group.
    """
    rank = _rank(paths, np.unique(np.concatenate([i, j])))
    stars = _stars(i, j, distance, rank, apart)
    group_of = np.full(len(paths), -1, np.intp)
    for number, (rows, _) in enumerate(stars):
        group_of[rows] = number
    links = _links(paths, (i, j, distance), group_of, len(stars))
    groups = (
        Group(tuple(paths[row] for row in rows.tolist()), far, found)
        for (rows, far), found in zip(stars, links, strict=True)
    )
    return tuple(sorted(groups, key=lambda group: (-len(group.files), str(group.files[0]))))


def _rank(paths: Sequence[Path], rows: Rows) -> Rows:
    # place by name of the rows that matter
    rank = np.zeros(len(paths), np.intp)
    rank[sorted(rows.tolist(), key=lambda row: str(paths[row]))] = np.arange(len(rows))
    return rank


def _stars(
    i: Rows, j: Rows, distance: NDArray[np.float32], rank: Rows, apart: Collection[tuple[int, int]]
) -> list[tuple[Rows, float]]:
    # a representative and its members, nearest first, and the distance of the last
    ends, others, distance = np.concatenate([i, j]), np.concatenate([j, i]), np.tile(distance, 2)
    order = np.lexsort((rank[others], distance, ends))
    rows, starts, degrees = np.unique(ends[order], return_index=True, return_counts=True)
    free, stars = np.ones(len(rank), bool), []
    for k in np.lexsort((rank[rows], -degrees)).tolist():
        near = order[starts[k] : starts[k] + degrees[k]]
        near = near[free[others[near]]]
        if apart:
            near = near[_compatible(others[near].tolist(), apart)]
        if free[rows[k]] and len(near):
            stars.append((np.array([rows[k], *others[near]]), float(distance[near[-1]])))
            free[stars[-1][0]] = False
    return stars


def _compatible(nearest_first: list[int], apart: Collection[tuple[int, int]]) -> list[int]:
    # places of those that are to be apart from none before them
    kept: list[int] = []
    for place, row in enumerate(nearest_first):
        others = (nearest_first[k] for k in kept)
        if not any((min(row, other), max(row, other)) in apart for other in others):
            kept.append(place)
    return kept


def _links(paths: Sequence[Path], pairs: Pairs, group_of: Rows, groups: int) -> list[tuple[Link, ...]]:
    i, j, distance = pairs
    links: list[list[Link]] = [[] for _ in range(groups)]
    apart = np.flatnonzero(group_of[i] != group_of[j])
    for a, b, d in zip(i[apart].tolist(), j[apart].tolist(), distance[apart].tolist(), strict=True):
        for member, other in ((a, b), (b, a)):
            if group_of[member] >= 0:
                links[group_of[member]].append(Link(paths[member], paths[other], d))
    return [tuple(sorted(one, key=lambda link: (link.l2_distance, str(link.member), str(link.other)))) for one in links]
