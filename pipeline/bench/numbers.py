"""The outcome as plain values: what `--json` writes, and what tables and page are made of."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from twinpix.encoder.calibration import pairs
from twinpix.pipeline.bench.cost import Cost
from twinpix.pipeline.bench.edits import CHAINED, Edit, extra_edits, means
from twinpix.pipeline.bench.folder import Pictures
from twinpix.pipeline.bench.group_scores import GroupRow
from twinpix.pipeline.bench.groups import average
from twinpix.pipeline.bench.looked import SecondLooked
from twinpix.pipeline.bench.measure import Scores
from twinpix.pipeline.bench.method import Method
from twinpix.pipeline.bench.recall import Level, curve, levels, mean_recall, recall

SCHEMA = 1
HEADLINES = {"edits": "all single edits", "groups": "same pairs"}  # kind -> the mean that methods are judged by
PACKAGES = ("twinpix", "numpy", "pillow", "onnxruntime", "faiss-cpu", "opencv-python-headless", "imagehash", "pdqhash",
            "torch")  # fmt: skip
Numbers = dict[str, Any]


def versions() -> dict[str, str]:
    """Of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def edit_numbers(
    scores: Sequence[Scores],
    pictures: Pictures,
    edits: Sequence[Edit],
    rates: Sequence[float],
    costs: Mapping[str, Cost | None],
) -> Numbers:
    """Everything that the measurement by edits says, but where and when."""
    extra, n = {edit.name for edit in extra_edits()}, len(pictures.originals)
    rows = [_method(one, levels(one.contestant, one.unrelated, rates), edits, costs) for one in scores]
    return {
        "kind": "edits",
        "pictures": n,
        "pairs": pairs(n),
        "near_twins_left_out": pictures.twins,
        "queries": len(pictures.queries),
        "disc": {
            "queries": len(pictures.matched) + len(pictures.absent),
            "with_a_match": len(pictures.matched),
            "references": len(pictures.references),
        },
        "edits": [
            {
                "name": edit.name,
                "family": edit.family,
                "held_out": edit.is_held_out,
                "single": edit.family != CHAINED and edit.name not in extra,
            }
            for edit in edits
        ],
        "means": {mean.name: list(mean.rows) for mean in means(edits)},
        "levels": list(rows[0]["levels"]),
        "methods": rows,
    }


def _method(one: Scores, at: Sequence[Level], edits: Sequence[Edit], costs: Mapping[str, Cost | None]) -> Numbers:
    contestant = one.contestant
    single = [mean for mean in means(edits) if mean.name == "all single edits"]
    pooled = np.concatenate([one.by_edit[row] for mean in single for row in mean.rows])
    cost = costs.get(contestant.method.key)
    return {
        "key": contestant.method.key,
        "name": contestant.name,
        "second_look": isinstance(contestant, SecondLooked),
        "scale": contestant.method.scale,
        "levels": {level.name: _level(level, contestant.method) for level in at},
        "recall": {name: {lv.name: recall(found, lv) for lv in at} for name, found in one.by_edit.items()},
        "means": {mean.name: {lv.name: mean_recall(one.by_edit, mean, lv) for lv in at} for mean in means(edits)},
        "disc": {"average_precision": one.average_precision, "recall_at_1": one.recall_at_1},
        "curve": dict(zip(("rates", "recall"), curve(one.unrelated, pooled), strict=True)),
        "cost": None if cost is None else _cost(cost),
        "second_look_seconds_a_pair": contestant.seconds_a_pair if isinstance(contestant, SecondLooked) else None,
    }


def _level(level: Level, method: Method) -> Numbers:
    limit = level.limit if level.limit is not None and math.isfinite(level.limit) else None
    return {
        "limit": limit,
        "on_scale": None if limit is None else method.on_scale(limit),
        "false_match_rate": level.rate,
        "missing": level.missing or None,
    }


def _cost(cost: Cost) -> Numbers:
    return {
        "images": cost.images,
        "decode_seconds": cost.decode,
        "encode_seconds": cost.encode,
        "times_decoding": cost.ratio,
        "peak_mb": cost.peak_mb,
    }


def group_numbers(rows: Sequence[GroupRow], images: int, costs: Mapping[str, Cost | None]) -> Numbers:
    """Everything that known groups say, but where and when. Counts are (pairs called duplicates, all pairs)."""
    methods = [_group_row(row, costs) for row in rows]
    return {
        "kind": "groups",
        "pictures": images,
        "same_pairs": len(rows[0].found.same),
        "pairs": rows[0].found.different.pairs,
        "levels": list(methods[0]["levels"]),
        "methods": methods,
    }


def _group_row(row: GroupRow, costs: Mapping[str, Cost | None]) -> Numbers:
    cost, found = costs.get(row.method.key), row.found
    return {
        "key": row.method.key,
        "name": row.name,
        "second_look": row.second_look,
        "scale": row.method.scale,
        "same": found.counts.found,
        "same_average": average(found.counts.found),
        "view": found.counts.wrong,
        "view_average": average(found.counts.wrong),
        "unrelated": found.counts.unrelated,
        "levels": {level.name: _level(level, row.method) for level in found.levels},
        "means": {HEADLINES["groups"]: {level.name: recall(found.same, level) for level in found.levels}},
        "curve": dict(zip(("rates", "recall"), curve(found.different, found.same), strict=True)),
        "cost": None if cost is None else _cost(cost),
    }
