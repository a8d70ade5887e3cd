"""Known groups, on vectors with known answers."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.bench.group_scores import Scores, measure_groups, scores_by_method, scores_by_twinpix
from twinpix.pipeline.bench.groups import Groups, GroupScore, average, members_of, read_groups, total
from twinpix.pipeline.bench.method import BLOCK, ROUNDING, Distances, Floats, Method, Unrelated
from twinpix.pipeline.bench.ordered import Sorted
from twinpix.pipeline.bench.recall import curve, measured_levels
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.bench.truth import Marks, Truth
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.stream import encode_images

NAMES = ["a1", "a2", "b1", "b2", "c"]
VECTORS = np.array([[0], [1], [5], [5.5], [0.4]], np.float32)
METHOD = Method("v", "v", lambda pictures: VECTORS, None)
ALBUM = Groups({"album/1": ["a1", "a2", "gone"]}, {"walk/1": ["b1", "b2"]}, ["c"])


def whole(scores: Scores, n: int) -> Floats:
    """All scores at once; infinite on and below the diagonal."""
    found = np.full((n, n), np.inf, np.float32)
    for start in range(0, n, BLOCK):
        found[start : start + BLOCK, start:] = scores(start)
    found[np.tri(n, dtype=np.bool_)] = np.inf
    return found


def in_blocks(scores: Floats) -> Scores:
    return lambda start: scores[start : start + BLOCK, start:]


def counted(threshold: float, groups: Groups) -> GroupScore:
    return measure_groups(Truth(NAMES, groups, Split.ALL), scores_by_method(METHOD, VECTORS), threshold, []).counts


def test_known_groups_are_counted() -> None:
    score = counted(0.7, ALBUM)
    assert score.found == {"album": (0, 1)}
    assert score.wrong == {"walk": (1, 1)}
    # c with the four others; then b1, b2 with a1, a2; then nothing
    assert score.unrelated == {"alone": (2, 4), "view": (0, 4), "same": (0, 0)}
    assert counted(1.0, ALBUM).found == {"album": (1, 1)}  # at the threshold is within it


def test_pictures_that_are_named_nowhere_count_for_nothing() -> None:
    same = {"album/1": ["a1", "a2"]}
    assert counted(0.7, Groups(same, {}, ["b1"])).unrelated["alone"] == (0, 2)
    assert counted(0.7, Groups(same, {})).unrelated["alone"] == (3, 9)


def test_scores_of_same_and_of_different_pictures() -> None:
    found = measure_groups(Truth(NAMES, ALBUM, Split.ALL), scores_by_method(METHOD, VECTORS), 0.7, [0.5])
    assert found.same.tolist() == [1]
    assert found.different.pairs == 9  # all others, those of the view included
    scores = [found.different.scores.at(rank) for rank in range(len(found.different.scores))]
    assert scores == pytest.approx([0.4, 0.5, 0.6, 4, 4.5, 4.6, 5, 5.1, 5.5], rel=1 / 4096)
    assert [level.limit for level in found.levels] == [0.7 + ROUNDING, 4.5]
    assert [level.rate for level in found.levels] == [3 / 9, 4 / 9]


def marked(groups: Mapping[str, Sequence[str]], names: list[str], split: Split) -> dict[str, Marks]:
    """Source -> its pairs, bool (n, n)."""
    found: dict[str, Marks] = {}
    for group, members in groups.items():
        if split.holds(group):
            inside, source = np.isin(names, members), group.split("/")[0]
            found[source] = np.triu(inside[:, None] & inside, 1) | found.get(source, False)
    return {source: marks for source, marks in found.items() if marks.any()}


def either(*marks: Marks) -> Marks:
    """Of one set of pairs at least."""
    found: Marks = np.logical_or.reduce(marks)
    return found


def plainly(truth: Truth, scores: Floats, limit: float) -> tuple[GroupScore, Floats, Unrelated]:
    """What `measure_groups` finds, by the definitions, n x n at a time: counts, same, different."""
    names, groups, split = list(truth.names), truth.groups, truth.split
    same, view = (marked(kind, names, split) for kind in (groups.same, groups.view))
    related = either(*(m for kind in (groups.same, groups.view) for m in marked(kind, names, Split.ALL).values()))
    held, alone = (np.isin(names, list(part)) for part in members_of(set(names), groups, split))
    viewed = held & np.isin(names, [name for members in groups.view.values() for name in members])
    rest, classes = np.triu(np.outer(held | alone, held | alone), 1) & ~related, {}
    for kind, member in (("alone", alone), ("view", viewed), ("same", held)):
        classes[kind] = rest & (member[:, None] | member)
        rest = rest & ~classes[kind]
    different = (either(*view.values()) | either(*classes.values())) & ~either(*same.values())
    near = scores <= limit + ROUNDING
    counts = ({k: (int((near & m).sum()), int(m.sum())) for k, m in kinds.items()} for kinds in (same, view, classes))
    values = np.sort(scores[different & np.isfinite(scores)])
    return GroupScore(*counts), scores[either(*same.values())], Unrelated(Sorted(values), int(different.sum()))


def drawn_groups(dice: np.random.Generator, names: Sequence[str], of: str, alike: int) -> dict[str, list[str]]:
    """Groups of three sources, some of pictures that are not there; a picture may be in several."""
    draws = (dice.choice([*names, "gone", "gone too"], dice.integers(1, 6), replace=False) for _ in range(alike))
    return {f"{of}{k % 3}/{k}": draw.tolist() for k, draw in enumerate(draws)}


def apart(originals: Floats) -> Distances:
    """Only pictures on one side of zero are compared."""

    def distances(a: Floats, b: Floats) -> Floats:
        found = l2(a, b)
        found[np.sign(a[:, :1]) != np.sign(b[:, 0])] = np.inf
        return found

    return distances


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "all others"])
@pytest.mark.parametrize("ties", [True, False], ids=["ties", "no ties"])
def test_block_by_block_is_what_all_pairs_at_once_say(split: Split, alone: bool, ties: bool) -> None:
    dice, names = np.random.default_rng(5), [f"p{i}" for i in range(2 * BLOCK + 90)]
    draw = dice.standard_normal((len(names), 3))
    vectors = (np.round(4 * draw) if ties else draw).astype(np.float32)
    same, view = drawn_groups(dice, names[:300], "s", 60), drawn_groups(dice, names[200:500], "v", 60)
    view |= {f"v0/{group}": members for group, members in list(same.items())[:9]}  # said to be both
    truth = Truth(names, Groups(same, view, names[400:550] if alone else None), split)
    method, limit, rates = Method("v", "v", lambda pictures: vectors, None, learn=apart), 2.0, (0.5, 0.01, 1e-3, 1e-6)
    scores = scores_by_method(method, vectors)
    found = measure_groups(truth, scores, limit, rates)
    counts, of_same, different = plainly(truth, whole(scores, len(names)), limit)
    assert found.counts == counts
    assert found.same.tolist() == of_same.tolist()
    assert (found.different.pairs, len(found.different.scores)) == (different.pairs, len(different.scores))
    assert found.levels == measured_levels(limit, different, rates)
    assert curve(found.different, found.same) == curve(different, of_same)


def peak(images: int) -> int:
    """Bytes at most while so many pictures are scored, beside their vectors."""
    vectors = np.random.default_rng(0).standard_normal((images, 8)).astype(np.float32)
    names = [f"p{i}" for i in range(images)]
    truth = Truth(names, Groups({f"s/{i}": names[2 * i : 2 * i + 2] for i in range(images // 4)}, {}), Split.ALL)
    tracemalloc.start()
    try:
        measure_groups(truth, scores_by_method(METHOD, vectors), 1.0, [0.1, 1e-4])
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_as_pictures_not_as_pairs() -> None:
    small, large = peak(3_000), peak(6_000)
    assert large < 72e6  # half of 6,000 x 6,000 float32
    assert large < 2.2 * small  # four times as many pairs


@pytest.mark.parametrize("seed", range(4))
def test_halves_share_no_known_pair_and_miss_only_pairs_between_them(seed: int) -> None:
    dice = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(40)]
    same = {f"s{i % 2}/{i}": names[2 * i : 2 * i + 2] for i in range(8)}
    view = {f"v{i % 2}/{i}": names[2 * i : 2 * i + 2] for i in range(8, 16)}
    called = dice.random((40, 40)) < 0.3
    near = in_blocks(np.where(called, 0, np.inf).astype(np.float32))
    scores = {split: measure_groups(Truth(names, Groups(same, view), split), near, 0, []).counts for split in Split}
    for kind in ("found", "wrong"):
        halves = [total(getattr(scores[split], kind)) for split in (Split.REPORT, Split.DEVELOP)]
        assert tuple(map(sum, zip(*halves, strict=True))) == total(getattr(scores[Split.ALL], kind)), kind
    everything = total(scores[Split.ALL].unrelated)
    assert everything[1] == 40 * 39 // 2 - 16
    for i in range(16):
        called[2 * i, 2 * i + 1] = False
    assert everything[0] == np.triu(called, 1).sum()
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
    found = whole(scores, len(names))
    assert frozenset(frozenset((names[i], names[j])) for i, j in np.argwhere(found <= limit).tolist()) == expected
    assert np.isfinite(found).sum() == len(expected)


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
