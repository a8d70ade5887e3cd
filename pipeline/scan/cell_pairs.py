"""The driver's part of finding pairs among very many pictures: in cells, with the recall measured on planted copies."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.duplicates import most_wanted
from twinpix.pipeline.index import IndexUsed, Pairs, Vectors
from twinpix.pipeline.index.ivf import TRAINED_ON, cells_for
from twinpix.pipeline.index.policy import CHOSEN_ON, MEASURED_ON, WANTED
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.cell_stages import (
    assign,
    bucket_sizes,
    count_nearer,
    fit,
    join_bucket,
    plant_copies,
    read_cells,
)
from twinpix.pipeline.scan.cells import Cells, meet, merge
from twinpix.pipeline.scan.embedded import Embedded
from twinpix.pipeline.scan.engine import CELLS, JOIN, Run, Task
from twinpix.pipeline.scan.pairs import read_pairs

FEW, MANY = 65_536, 1_048_576  # vectors that one task assigns, and a bucket holds, about; 1 kB each
FILES = 1000  # of the shuffle, about, until a task would hold too many vectors: each join opens all of them
HOT = 4  # times that in a bucket: it is joined in portions
MOST_TRAINED_ON = 2_000_000  # vectors
NEAREST_CELLS = (2, 3, 4, 6, 8, 12, 16)  # that each vector may lie in: the first that finds enough


def together(images: int) -> int:
    """How many vectors one task assigns, and a bucket holds, about, of so many."""
    return min(max(FEW, images // FILES), MANY)


def celled_pairs(run: Run, work: str, embedded: Embedded, limit: Limits) -> tuple[Pairs, IndexUsed]:
    """The pairs within reach that meet in a cell, and what share of all that is."""
    wanted = (limit.candidate, limit.sure, most_wanted(limit))
    n, count, size_of_task = len(embedded), cells_for(len(embedded)), together(len(embedded))
    place = partial(_place, work, embedded)
    sample = min(TRAINED_ON * count, MOST_TRAINED_ON)
    fitted = place("cells", sample, count)
    run.perform(CELLS, [Task(fit, (embedded.files, embedded.starts, sample, count), fitted)])
    cells = read_cells(fitted)
    nearest, recall, planted = _recall(run, work, embedded, cells, limit)
    buckets = max(1, min(len(cells), n * nearest // size_of_task))
    shuffled = [
        Task(
            assign,
            (files, firsts, _left(embedded, firsts), fitted, nearest, buckets),
            place("assigned", fitted, nearest, buckets, firsts),
        )
        for files, firsts in _together(embedded)
    ]
    assigned = tuple(run.perform(CELLS, shuffled))
    joins = []
    for bucket, size in enumerate(bucket_sizes(assigned, buckets).tolist()):
        parts = max(1, -(-size // (HOT * size_of_task)))
        for part in range(parts if size else 0):
            target = place("pairs", fitted, nearest, buckets, *wanted, bucket, part, parts)
            joins.append(Task(join_bucket, (assigned, bucket, part, parts, *wanted), target))
    pairs = merge(read_pairs(run.perform(JOIN, joins)))
    return pairs, IndexUsed("cells", recall, planted, len(cells), nearest)


def _place(work: str, embedded: Embedded, stage: str, *what: object) -> str:
    names = [one.rpartition("/")[2] if isinstance(one, str) else one for one in what]
    return store.inside(work, stage, f"{store.key_of(embedded.key, stage, *names)}.parquet")


def _together(embedded: Embedded) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    # files of the first stage that one task reads, and where each begins
    groups, files, firsts, held, most = [], list[str](), list[int](), 0, together(len(embedded))
    for file, first, end in zip(embedded.files, embedded.starts.tolist(), embedded.starts[1:].tolist(), strict=False):
        files.append(file)
        firsts.append(first)
        held += end - first
        if held >= most:
            groups.append((tuple(files), tuple(firsts)))
            files, firsts, held = [], [], 0
    return groups + ([(tuple(files), tuple(firsts))] if files else [])


def _left(embedded: Embedded, firsts: tuple[int, ...]) -> NDArray[np.intp]:
    # rows of these files that are not compared
    left, end = embedded.copies.left, embedded.starts[np.searchsorted(embedded.starts, firsts[-1], "right")]
    return np.asarray(left[(left >= firsts[0]) & (left < end)])


def _recall(run: Run, work: str, embedded: Embedded, cells: Cells, limit: Limits) -> tuple[int, float, int]:
    # in how many cells each vector has to lie, chosen on some planted copies, and what that finds of others
    (chosen_on, measured_on), nearest = (
        (_planted(run, work, embedded, limit, seed, count) for seed, count in ((1, CHOSEN_ON), (2, MEASURED_ON))),
        NEAREST_CELLS[-1],
    )
    for nearest in NEAREST_CELLS:
        if not len(chosen_on[0]) or meet(cells, *chosen_on, nearest).mean() >= WANTED:
            break
    recall = float(meet(cells, *measured_on, nearest).mean()) if len(measured_on[0]) else 1.0
    return nearest, recall, len(measured_on[0])


def _planted(run: Run, work: str, embedded: Embedded, limit: Limits, seed: int, count: int) -> tuple[Vectors, Vectors]:
    # pictures and copies of them, of which comparing everything would keep the pair
    n, most = len(embedded), most_wanted(limit)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(n, count), replace=False))
    place = partial(_place, work, embedded)
    made = place("planted", limit.candidate, seed, count)
    (made,) = run.perform(
        CELLS, [Task(plant_copies, (embedded.files, embedded.starts, limit.candidate, rows, seed), made)]
    )
    table = store.read(made)
    own, copies = (store.vectors_in(table, column) for column in ("own", "copy"))
    if not most:
        return own, copies
    tasks = [Task(count_nearer, (files, made), place("nearer", made, firsts)) for files, firsts in _together(embedded)]
    nearer = sum((_nearer(file) for file in run.perform(CELLS, tasks)), np.zeros(len(own), np.int64))
    return own[nearer < most], copies[nearer < most]


def _nearer(file: str) -> NDArray[np.int64]:
    return np.asarray(store.read(file).column("nearer").to_numpy(), np.int64)
