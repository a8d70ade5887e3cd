"""The ruler itself, on vectors with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.bench import measure as bench
from twinpix.pipeline.bench.edits import Edit, mirror
from twinpix.pipeline.bench.measure import (
    Method,
    called_by_method,
    called_by_twinpix,
    edit_recall,
    encoder_method,
    load_folder,
    phash_method,
    score_groups,
    verified_recall,
)
from twinpix.pipeline.duplicates import Limits
from twinpix.pipeline.stream import encode_images
from twinpix.pipeline.verify import Outcome

Paint = Callable[..., Image.Image]
Command = Callable[..., object]


def mean_level(pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
    return np.array([[np.asarray(picture).mean()] for picture in pictures], np.float32)


def flat(levels: Sequence[int]) -> list[Image.Image]:
    return [Image.new("RGB", (8, 8), (level, level, level)) for level in levels]


def lighter(by: int) -> Edit:
    return Edit("lighter", str(by), lambda picture, dice: picture.point(lambda level: level + by))


def test_known_groups_are_counted() -> None:
    names = ["a1", "a2", "b1", "b2", "c"]
    vectors = np.array([[0], [1], [5], [5.5], [0.4]], np.float32)
    pictures = flat(range(5))

    def called(threshold: float) -> bench.Called:
        return called_by_method(Method("known", lambda pictures: vectors, threshold), names, pictures)

    groups = {"same": {"album/1": ["a1", "a2", "gone"]}, "view": {"walk/1": ["b1", "b2"], "other/2": ["c", "b1"]}}
    score = score_groups(called(0.7), names, groups)
    assert score.found == {"album": (0, 1)}
    assert score.wrong == {"walk": (1, 1), "other": (0, 1)}
    assert score.unrelated == (2, 7)  # a1-c and a2-c
    assert score_groups(called(1.0), names, groups).found == {"album": (1, 1)}


@pytest.mark.parametrize("verify", [None, False])
def test_twinpix_calls_what_find_duplicates_calls(encoder: OnnxEncoder, album: Path, verify: bool | None) -> None:
    copies = ("a.png", "a.webp", "sub/a copy.png")
    expected = frozenset(frozenset(pair) for pair in combinations(copies, 2))
    assert called_by_twinpix(encoder, album, encode_images(album, encoder=encoder), verify) == expected


def test_recall_at_a_rate() -> None:
    method, pictures = Method("mean", mean_level, 0), flat(range(0, 250, 10))  # 25 pictures, neighbours 10 apart
    edits = [lighter(3), lighter(9), lighter(12)]
    recall = edit_recall(method, pictures, edits, rate=1 / 300)
    assert recall == {"lighter 3": 1.0, "lighter 9": 1.0, "lighter 12": 0.0}


def test_ties_count_against_the_method() -> None:
    recall = edit_recall(Method("mean", mean_level, 0), flat(range(0, 200, 10)), [lighter(10)], rate=1 / 190)
    assert recall == {"lighter 10": 0.0}


def test_a_rate_below_one_pair_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        edit_recall(Method("mean", mean_level, 0), flat(range(10)), [lighter(1)], rate=1e-3)


def test_the_shipped_encoder_as_a_method(encoder: OnnxEncoder, paint: Paint) -> None:
    method = encoder_method(encoder, 3)
    pictures = [paint(seed) for seed in range(3)]
    assert np.array_equal(method.encode(pictures), encoder(pictures))
    assert method.threshold == encoder.calibration.library_threshold(3)


def test_phash_counts_bits(paint: Paint) -> None:
    imagehash = pytest.importorskip("imagehash")
    method, pair = phash_method(), [paint(1), mirror(paint(1), np.random.default_rng())]
    a, b = method.encode(pair)
    assert ((a - b) ** 2).sum() == imagehash.phash(pair[0]) - imagehash.phash(pair[1])
    assert method.threshold**2 == pytest.approx(10)


def test_load_folder(album: Path) -> None:
    names, pictures = load_folder(album, px=100)
    assert names == ["a.png", "a.webp", "b.png", "sub/a copy.png", "sub/c.png"]
    assert all(max(picture.size) <= 100 and picture.mode == "RGB" for picture in pictures)
    assert len(load_folder(album, limit=2)[0]) == 2


def test_load_folder_reads_no_further_than_its_limit(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def noted(path: Path, at_least: int) -> Image.Image:
        read.append(path)
        return decode(path, at_least)

    monkeypatch.setattr(bench, "decode", noted)
    monkeypatch.setattr(bench, "READ_BLOCK", 1)
    names, _ = load_folder(album, limit=2)
    assert [path.name for path in read] == names == ["a.png", "a.webp"]


def test_recall_with_the_second_look(encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(0)
    pictures = [Image.fromarray(dice.integers(0, 256, (96, 96, 3), dtype=np.uint8)) for _ in range(20)]
    edits = [Edit("same", "-", lambda picture, dice: picture), Edit("other", "-", lambda picture, dice: flat([90])[0])]
    recall = verified_recall(encoder, pictures, edits, rate=1e-2)
    assert recall == {"same -": 1.0, "other -": 0.0}


def test_refuted_pairs_come_last_and_confirmed_ones_are_as_much_nearer_as_their_threshold_is_wider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = (Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNCLEAR)
    monkeypatch.setattr(bench, "look_again", lambda pictures, near: answers)
    near = (np.arange(4), np.arange(4, 8), np.array([0.05, 0.8, 0.3, 0.4], np.float32))
    scores = bench._verified_distance(Limits(candidate=0.8, unverified=0.4, sure=0.1), [], near)
    assert scores == pytest.approx([0.025, 0.4, 2.0, 0.4])


@pytest.fixture
def rows(tmp_path: Path, paint: Paint) -> Path:
    for seed in range(30):
        paint(seed, 96, 96).save(tmp_path / f"{seed:02}.png")
    return tmp_path


def test_command_with_edits(rows: Path, command: Callable[..., object], tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    done = command("twinpix", "bench", rows, "--rate", "0.01", "--limit", "20", "--json", rows / "out.json")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert "mean of card edits" in done.stdout  # type: ignore[attr-defined]
    numbers = json.loads((rows / "out.json").read_text())
    assert any(name.startswith("twinpix") for name in numbers["recall"])
    assert all(0 <= share <= 1 for edits in numbers["recall"].values() for share in edits.values())


def test_command_with_groups(rows: Path, command: Callable[..., object]) -> None:
    (rows / "groups.json").write_text(
        json.dumps({"same": {"a/1": ["00.png", "01.png"]}, "view": {"b/1": ["02.png", "03.png"]}})
    )
    done = command("twinpix", "bench", rows, "--groups", rows / "groups.json")
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert "same: all pairs" in done.stdout  # type: ignore[attr-defined]
    assert "0/1 0.0 %" in done.stdout  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", ["", "[]", "{}", "null"])
def test_command_with_damaged_groups(rows: Path, command: Callable[..., object], content: str) -> None:
    (rows / "groups.json").write_text(content)
    done = command("twinpix", "bench", rows, "--groups", rows / "groups.json")
    assert done.returncode == 2  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
