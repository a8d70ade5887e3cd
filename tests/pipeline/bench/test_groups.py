"""Known groups, on vectors with known answers."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.bench.group_scores import Truth, scores_by_method, scores_by_twinpix
from twinpix.pipeline.bench.groups import (
    Called,
    Groups,
    average,
    read_groups,
    score_groups,
    total,
)
from twinpix.pipeline.bench.method import ROUNDING, Floats, Method
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.stream import encode_images

NAMES = ["a1", "a2", "b1", "b2", "c"]
VECTORS = np.array([[0], [1], [5], [5.5], [0.4]], np.float32)


METHOD = Method("v", "v", lambda pictures: VECTORS, None)


def pairs_of(scores: Floats, limit: float) -> Called:
    return frozenset(pair(NAMES[i], NAMES[j]) for i, j in np.argwhere(scores <= limit + ROUNDING).tolist())


def called(threshold: float) -> Called:
    return pairs_of(scores_by_method(METHOD, VECTORS), threshold)


def pair(a: str, b: str) -> frozenset[str]:
    return frozenset((a, b))


def test_pairs_within_the_threshold() -> None:
    assert called(0.6) == {pair("a2", "c"), pair("a1", "c"), pair("b1", "b2")}
    assert called(0.5) == {pair("a1", "c"), pair("b1", "b2")}  # at the threshold is within it


def test_known_groups_are_counted() -> None:
    groups = Groups({"album/1": ["a1", "a2", "gone"]}, {"walk/1": ["b1", "b2"]}, ["c"])
    score = score_groups(called(0.7), NAMES, groups, Split.ALL)
    assert score.found == {"album": (0, 1)}
    assert score.wrong == {"walk": (1, 1)}
    # c with the four others; then b1, b2 with a1, a2; then nothing
    assert score.unrelated == {"alone": (2, 4), "view": (0, 4), "same": (0, 0)}
    assert score_groups(called(1.0), NAMES, groups, Split.ALL).found == {"album": (1, 1)}


def test_pictures_that_are_named_nowhere_count_for_nothing() -> None:
    same = {"album/1": ["a1", "a2"]}
    assert score_groups(called(0.7), NAMES, Groups(same, {}, ["b1"]), Split.ALL).unrelated["alone"] == (0, 2)
    assert score_groups(called(0.7), NAMES, Groups(same, {}), Split.ALL).unrelated["alone"] == (3, 9)


def test_scores_of_same_and_of_different_pictures() -> None:
    truth = Truth(NAMES, Groups({"album/1": ["a1", "a2"]}, {"walk/1": ["b1", "b2"]}, ["c"]), Split.ALL)
    row = truth.measure("v", METHOD, scores_by_method(METHOD, VECTORS), 0.7)
    assert row.same.tolist() == [1]
    assert row.different.pairs == 9  # all others, those of the view included
    assert row.different.scores == pytest.approx([0.4, 0.5, 0.6, 4, 4.5, 4.6, 5, 5.1, 5.5])
    assert row.counts == score_groups(called(0.7), NAMES, truth.groups, Split.ALL)


@pytest.mark.parametrize("split", Split)
def test_different_pairs_are_those_that_are_counted(split: Split) -> None:
    names = [f"p{i}" for i in range(40)]
    same = {f"s/{i}": names[2 * i : 2 * i + 2] for i in range(8)}
    view = {f"v/{i}": names[2 * i : 2 * i + 3] for i in range(8, 16)}  # neighbours share a picture
    truth = Truth(names, Groups(same, view), split)
    counts = score_groups(frozenset(), names, truth.groups, split)
    assert truth.same.sum() == total(counts.found)[1]
    assert truth.different.sum() == total(counts.wrong)[1] + total(counts.unrelated)[1]


@pytest.mark.parametrize("seed", range(4))
def test_halves_share_no_known_pair_and_miss_only_pairs_between_them(seed: int) -> None:
    dice = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(40)]
    same = {f"s{i % 2}/{i}": names[2 * i : 2 * i + 2] for i in range(8)}
    view = {f"v{i % 2}/{i}": names[2 * i : 2 * i + 2] for i in range(8, 16)}
    marked = frozenset(frozenset(p) for p in combinations(names, 2) if dice.random() < 0.3)
    scores = {split: score_groups(marked, names, Groups(same, view), split) for split in Split}
    for kind in ("found", "wrong"):
        halves = [total(getattr(scores[split], kind)) for split in (Split.REPORT, Split.DEVELOP)]
        assert tuple(map(sum, zip(*halves, strict=True))) == total(getattr(scores[Split.ALL], kind)), kind
    everything = total(scores[Split.ALL].unrelated)
    assert everything[1] == 40 * 39 // 2 - 16
    related = {frozenset(members) for members in [*same.values(), *view.values()]}
    assert everything[0] == len(marked - related)
    assert sum(total(scores[split].unrelated)[1] for split in (Split.REPORT, Split.DEVELOP)) < everything[1]


def test_no_source_drowns_another() -> None:
    assert average({"small": (1, 1), "large": (0, 99), "empty": (0, 0)}) == 0.5
    assert average({}) is None
    assert total({"small": (1, 1), "large": (0, 99)}) == (1, 100)


@pytest.mark.parametrize("verify", [None, False])
def test_twinpix_calls_what_find_duplicates_calls(encoder: OnnxEncoder, album: Path, verify: bool | None) -> None:
    copies = ("a.png", "a.webp", "sub/a copy.png")
    expected = frozenset(frozenset(pair) for pair in combinations(copies, 2))
    embeddings = encode_images(album, encoder=encoder)
    names = [str(path.relative_to(album.resolve())) for path in reversed(embeddings.paths)]
    scores, limit = scores_by_twinpix(encoder, album, names, embeddings, verify)
    assert frozenset(frozenset((names[i], names[j])) for i, j in np.argwhere(scores <= limit).tolist()) == expected
    assert np.isfinite(scores).sum() == len(expected)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "null", '{"same": []}', '{"same": {"a": "b"}, "view": {}}', '{"same": {"a": [1]}, "view": {}}',
     '{"same": {}, "view": {}, "alone": 3}', '{"same": {}, "view": {}}', '{"same": {"a/0": []}, "view": {}}'],
)  # fmt: skip
def test_damaged_files(content: str, tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"groups\.json"):
        read_groups(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_groups(tmp_path / "none.json")
