"""The driver's part of finding pairs and looking at them: which tasks there are, and what their files say in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.duplicates import most_wanted, unlisted
from twinpix.pipeline.index import EXACT, IndexUsed, Pairs, select
from twinpix.pipeline.index.near import CROWD, HUBS
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.relation.remembered import RELATIONS_VERSION
from twinpix.pipeline.report import Group, Report
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.cells import merge
from twinpix.pipeline.scan.embedded import Embedded
from twinpix.pipeline.scan.engine import JOIN, LOOK, RELATE, Run, Task
from twinpix.pipeline.scan.looks import look_at, read_looks, read_relations, relate
from twinpix.pipeline.scan.pairs import count_ends, join_portion, read_pairs
from twinpix.pipeline.second_look.look_again import were_in_vain
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.remembered import LOOKS_VERSION, OUTCOMES

QUERIES = 4096  # pictures whose pairs one task looks for among all
LOOKS, RELATIONS = 512, 128  # pairs that one task looks at, relates


def exact_pairs(run: Run, work: str, embedded: Embedded, encoder: Encoder, limit: Limits) -> tuple[Pairs, IndexUsed]:
    """All pairs within reach that `find-duplicates` would keep: every picture is compared with every other."""
    left = tuple(embedded.copies.left.tolist())
    most, n = most_wanted(limit), len(embedded) - len(left)
    if n < 2:
        return merge([]), EXACT
    wanted = (limit.candidate, limit.sure, most)
    tasks = []
    for first in range(0, n, QUERIES):
        last = min(n, first + QUERIES)
        target = store.inside(work, "pairs", f"{store.key_of(embedded.key, CROWD, HUBS, *wanted, first, last)}.parquet")
        tasks.append(
            Task(join_portion, (embedded.files, embedded.key, left, encoder.dim, *wanted, first, last), target)
        )
    files = run.perform(JOIN, tasks)
    pairs = merge(read_pairs(files))
    return pairs, replace(EXACT, unlisted=unlisted(count_ends(files), len(pairs[0])))


def second_looks(
    run: Run, work: str, embedded: Embedded, pairs: Pairs, limit: Limits, portion: int, patience: int, close: float
) -> tuple[tuple[Outcome | None, ...], dict[int, str]]:
    """One outcome for each of the first pairs, as `look_again` gives them; the rest gets no look.

    Args:
        pairs: in portions of so many.
        patience: portions in vain, after which looks end.
        close: L2.

    Returns:
        outcomes: of the first pairs.
        gone: rows of pictures that could not be read any more -> why (`ImageError.reason`).
    """
    codes, gone = list[int](), dict[int, str]()
    portions = [slice(start, min(start + portion, len(pairs[0]))) for start in range(0, len(pairs[0]), portion)]
    # so many portions at a time as keep all workers busy; those behind some that were in vain count for nothing
    together = max(1, run.engine.workers * LOOKS // max(1, portion))
    for first in range(0, len(portions), together):
        some = portions[first : first + together]
        parts = [_looks(work, embedded, select(pairs, part), limit, close) for part in some]
        files = run.perform(LOOK, [task for part in parts for task, _ in part], already=-(-len(codes) // LOOKS))
        found = iter(files)
        for part in parts:
            for _, rows in part:
                told, lost = read_looks(next(found))
                codes += told.tolist()
                gone |= {rows[place]: reason for place, reason in lost.items()}
            if were_in_vain(np.array(codes, np.uint8), pairs[2], close, patience * portion):
                return tuple(OUTCOMES[code] for code in codes), gone
    return tuple(OUTCOMES[code] for code in codes), gone


def _looks(work: str, embedded: Embedded, pairs: Pairs, limit: Limits, close: float) -> list[tuple[Task, list[int]]]:
    # each with the rows of its pictures
    tasks = []
    for start in range(0, len(pairs[0]), LOOKS):
        block = select(pairs, slice(start, start + LOOKS))
        rows, (i, j) = _local(*block[:2])
        numbers = (limit.far, limit.sure, close)
        key = store.key_of(embedded.key, LOOKS_VERSION, *numbers, *block)
        places = tuple(embedded.place(row) for row in rows)
        target = store.inside(work, "looks", f"{key}.parquet")
        tasks.append((Task(look_at, (places, (i, j, block[2]), *numbers), target), rows))
    return tasks


def _local(i: NDArray[np.intp], j: NDArray[np.intp]) -> tuple[list[int], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    # the pictures of some pairs, and the pairs as rows of those
    rows, at = np.unique(np.concatenate([i, j]), return_inverse=True)
    return rows.tolist(), (at[: len(i)].astype(np.intp), at[len(i) :].astype(np.intp))


def with_relations(run: Run, work: str, embedded: Embedded, candidates: Candidates, report: Report) -> Report:
    """The report, each member of a group with what it is to the first."""
    row_of = {path: row for row, path in enumerate(embedded.paths)}
    copies = set(candidates.copies)
    pairs = [(row_of[group.files[0]], row_of[path]) for group in report.groups for path in group.files[1:]]
    seen = [(one, other, (other, one) in copies) for one, other in pairs]
    tasks = [_relate(work, embedded, seen[start : start + RELATIONS]) for start in range(0, len(seen), RELATIONS)]
    told = iter([relation for file in run.perform(RELATE, tasks) for relation in read_relations(file)])
    groups = [replace(group, relations=tuple(next(told) for _ in group.files[1:])) for group in report.groups]
    return replace(report, groups=tuple[Group, ...](groups))


def _relate(work: str, embedded: Embedded, pairs: Sequence[tuple[int, int, bool]]) -> Task:
    rows, (i, j) = _local(*(np.array([pair[k] for pair in pairs], np.intp) for k in (0, 1)))
    named = [(a, b, pair[2]) for a, b, pair in zip(i.tolist(), j.tolist(), pairs, strict=True)]
    key = store.key_of(embedded.key, LOOKS_VERSION, RELATIONS_VERSION, pairs)
    target = store.inside(work, "relations", f"{key}.parquet")
    return Task(relate, (tuple(embedded.place(row) for row in rows), named), target)
