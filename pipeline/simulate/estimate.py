"""What a scan of so many images costs: measured on a sample of its cells, and extrapolated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from twinpix.pipeline.index.policy import CHOSEN_ON, WANTED
from twinpix.pipeline.scan.cell_pairs import NEAREST_CELLS
from twinpix.pipeline.scan.cells import GRAPH_FROM, LINKS, Cells, fit_cells, meet
from twinpix.pipeline.simulate.centres import draw_cells
from twinpix.pipeline.simulate.clock import Clock, one_thread, peak_of_join
from twinpix.pipeline.simulate.collection import BLOCK, Collection
from twinpix.pipeline.simulate.crowd import join_crowd
from twinpix.pipeline.simulate.files import pair_bytes, seconds_to_find, shuffle_costs, vector_bytes
from twinpix.pipeline.simulate.likeness import Floats
from twinpix.pipeline.simulate.reduce import Reduced
from twinpix.pipeline.simulate.sample import choose, join_cells
from twinpix.pipeline.simulate.setting import CHOSEN, Setting
from twinpix.pipeline.simulate.sizes import Sizes

MB = 1 << 20
PLANTED = 2000  # copies, for recall
LEARNED = 1024  # cells, from which the cost of learning more is extrapolated


@dataclass(frozen=True)
class Estimate:
    """One number of images.

    Attributes:
        setting: how it would be scanned.
        recall: share of planted copies that meet their original in a cell, 0..1.
        cell: vectors in one: `mean`, `large` (one in a thousand is larger), `squares` (mean of the squared sizes),
            `crowded` (with what everybody has).
        hot: cells of more than `setting.hot` vectors.
        pairs: within reach, that would be found.
        bytes: `embeddings`, `shuffle` (files of cells), `pairs`.
        memory: MB of a process: `assign`, `join`, `crowd` (its pairs alone), `reduce` (all in one).
        seconds: of CPU: `learn`, `assign`, `shuffle`, `find` (a bucket in all files), `join`, `reduce`.
        errors: standard errors, relative, of `pairs` and `join`.
        measured: on how much: vectors `assigned`, cells and vectors `joined`.
    """

    setting: Setting
    recall: float
    cell: dict[str, float]
    hot: int
    pairs: float
    bytes: dict[str, float]
    memory: dict[str, float]
    seconds: dict[str, float]
    errors: dict[str, float]
    measured: dict[str, int]


def estimate(collection: Collection, setting: Setting, costs: Reduced, seed: int = 0) -> Estimate:
    """Learn as many cells as there would be, put a sample into them, and join some of them at full size.

    Args:
        costs: of `reduce_costs`.
    """
    dice, clock, images = np.random.default_rng([seed, setting.images]), Clock(), setting.images
    with one_thread():
        cells = draw_cells(collection.likeness, setting.cells, setting.trained_on, dice)
        sample = collection.likeness.draw(BLOCK, dice)
        if setting.nearest == CHOSEN:
            setting = replace(setting, nearest=_nearest(collection, cells, dice))
        cells.assign(sample[:1], 1)  # the graph of the centres is made once a process
        clock.rest()
        with clock("assign"):
            assigned = cells.assign(sample, setting.nearest)
        sizes = Sizes.of(assigned, setting)
        joined = join_cells(collection, setting, cells, choose(assigned, sizes.mean, dice), dice)
        crowd = join_crowd(collection, setting, joined[0], dice)
        learn = _seconds_to_learn(collection, setting, dice)
        recall = _recall(collection, setting, cells, dice)
    largest = max(joined, key=lambda one: len(one.members)).members
    row_bytes, row_seconds = shuffle_costs(sample, setting.group)
    of_each = [one.size for one in joined]
    join_seconds, join_error = sizes.all_over([one.seconds for one in joined], of_each)
    pairs, pairs_error = sizes.all_over([one.pairs for one in joined], of_each)
    pairs += crowd.pairs
    return Estimate(
        setting=setting,
        recall=recall,
        cell={
            "mean": sizes.mean, "large": sizes.large, "squares": sizes.squares / len(sizes.each), "crowded": crowd.size
        },
        hot=sizes.above(setting.hot) + crowd.hot,
        pairs=pairs,
        bytes={
            "embeddings": images * vector_bytes(sample), "shuffle": setting.rows * row_bytes,
            "pairs": pairs * pair_bytes(),
        },
        memory={
            "assign": _mb(cells, sample), "join": peak_of_join(largest, setting), "crowd": crowd.memory,
            "reduce": (images * costs.image_bytes + pairs * costs.pair_bytes) / MB,
        },
        seconds={
            "learn": learn, "assign": clock.seconds["assign"] / len(sample) * images,
            "shuffle": row_seconds * setting.rows, "find": seconds_to_find(setting, sample),
            "join": join_seconds + crowd.seconds, "reduce": images * costs.image_seconds + pairs * costs.pair_seconds,
        },
        errors={"join": join_error, "pairs": pairs_error},
        measured={"assigned": len(sample), "cells": len(joined), "joined": sum(len(one.members) for one in joined)},
    )  # fmt: skip


def _seconds_to_learn(collection: Collection, setting: Setting, dice: np.random.Generator) -> float:
    # k-means compares all of a sample with all centres
    cells = min(LEARNED, setting.cells)
    sample, clock = collection.likeness.draw(setting.trained_on * cells // setting.cells, dice), Clock()
    clock.rest()
    with clock("learn"):
        fit_cells(sample, cells)
    return clock.seconds["learn"] * (setting.cells / cells) * (setting.trained_on / len(sample))


def _nearest(collection: Collection, cells: Cells, dice: np.random.Generator) -> int:
    # as `cell_pairs` chooses it
    originals = collection.likeness.draw(CHOSEN_ON, dice)
    copies = collection.move(originals, dice)
    enough = (m for m in NEAREST_CELLS if meet(cells, originals, copies, m).mean() >= WANTED)
    return min(len(cells), next(enough, NEAREST_CELLS[-1]))


def _recall(collection: Collection, setting: Setting, cells: Cells, dice: np.random.Generator) -> float:
    originals = collection.likeness.draw(PLANTED, dice)
    return float(meet(cells, originals, collection.move(originals, dice), setting.nearest).mean())


def _mb(cells: Cells, block: Floats) -> float:
    # of a process that assigns a block: centres, their graph (two links each at the lowest level), vectors as they are
    # and turned
    centre = 4 * int(cells.centres.shape[1]) + (4 * 2 * LINKS if len(cells) >= GRAPH_FROM else 0)
    return float(len(cells) * centre + len(block) * 4 * (block.shape[1] + cells.centres.shape[1])) / MB
