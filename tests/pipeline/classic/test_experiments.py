"""The experiments, at a tiny size."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from twinpix.encoder.classic import pixels
from twinpix.encoder.errors import InputError
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.classic.euclidean_speed import euclidean_speed
from twinpix.pipeline.classic.experiments import Contender, read_groups, resilience, retrieval
from twinpix.pipeline.classic.rendered import scenes, turntable
from twinpix.pipeline.cli import app

Paint = Callable[..., Image.Image]
EUCLIDEAN = Contender("euclidean", pixels(), l2)


def levels(picture: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(picture, np.float64)


def test_turntable_turns() -> None:
    things = turntable(3, 8, px=48)
    assert [len(frames) for frames in things.values()] == [8, 8, 8]
    frames = [levels(frame) for frame in things["object 00"]]
    assert (frames[0][0, 0] == 255).all()
    steps = [np.abs(frame - frames[0]).mean() for frame in frames[1:]]
    assert min(steps) > 1
    assert steps[0] < steps[2]
    again = turntable(3, 8, px=48)["object 00"][3]
    assert np.array_equal(levels(again), frames[3])
    full_turn = turntable(1, 1, px=48)["object 00"][0]
    assert np.array_equal(levels(full_turn), frames[0])


def test_scenes_have_four_views() -> None:
    drawn = scenes(2, px=64)
    for views in drawn.values():
        assert len(views) == 4
        assert len({view.tobytes() for view in views}) == 4
    first, other = (levels(views[0]) for views in drawn.values())
    assert np.abs(first - levels(drawn["scene 000"][1])).mean() < np.abs(first - other).mean()


def test_retrieval_of_easy_and_of_impossible_groups(paint: Paint) -> None:
    easy = {str(seed): [paint(seed, 64 + k, 48) for k in range(4)] for seed in range(3)}
    found = retrieval(EUCLIDEAN, easy)
    assert found.accuracy == 1
    assert found.by_group == {"0": 1, "1": 1, "2": 1}
    assert found.ms_per_image > 0
    assert found.us_per_pair > 0
    assert found.ms_per_pair >= 2 * found.ms_per_image
    # each group's pictures have their copies in the other groups
    mixed = {str(k): [paint(seed, 64, 48) for seed in range(4 * k, 4 * k + 4)] * 1 for k in range(2)}
    mixed["1"] = mixed["0"]
    assert retrieval(EUCLIDEAN, mixed).accuracy < 0.7


def test_resilience(paint: Paint) -> None:
    groups = {str(seed): [paint(seed, 64 + k, 48) for k in range(4)] for seed in range(3)}
    other = {"0": groups["1"][0], "1": groups["2"][0], "2": groups["0"][0]}
    swap = {groups[name][0].tobytes(): picture for name, picture in other.items()}
    outcome = resilience(EUCLIDEAN, groups, {
        "none": lambda picture, dice: picture, "another scene": lambda picture, dice: swap[picture.tobytes()],
    })  # fmt: skip
    assert outcome.top1 == {"none": 1, "another scene": 0}
    assert outcome.top4 == {"none": 4, "another scene": 0}


def test_scipy_and_numpy_agree() -> None:
    pytest.importorskip("scipy")
    rows = euclidean_speed(((5, 8),))
    assert len(rows) == 9
    for row in rows:
        assert row.difference < 1e-12, row
        assert row.seconds > 0
        assert (row.ratio == 1) == row.way.startswith("SciPy")


def test_folders(tmp_path: Path, paint: Paint) -> None:
    for group in ("x", "y", "lonely"):
        (tmp_path / group).mkdir()
        for k in range(1 if group == "lonely" else 3):
            paint(k).save(tmp_path / group / f"{k}.png")
    (tmp_path / "x" / "cut.png").write_bytes((tmp_path / "x" / "0.png").read_bytes()[:-500])
    groups, skipped = read_groups(tmp_path, limit=2)
    assert {name: len(pictures) for name, pictures in groups.items()} == {"x": 2, "y": 2}
    assert not skipped
    groups, skipped = read_groups(tmp_path, limit=9)
    assert len(groups["x"]) == 3
    assert [entry.path.name for entry in skipped] == ["cut.png"]
    with pytest.raises(InputError, match="two sub-folders"):
        read_groups(tmp_path / "x", limit=9)
    with pytest.raises(InputError, match="no such folder"):
        read_groups(tmp_path / "gone", limit=9)


@pytest.mark.parametrize("drawn", [True, False])
def test_the_command(drawn: bool, tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, None)
    for group in ("x", "y"):
        (tmp_path / group).mkdir()
        for k in range(4):
            paint(k, 64, 48).save(tmp_path / group / f"{k}.png")
    (tmp_path / "y" / "cut.png").write_bytes((tmp_path / "y" / "0.png").read_bytes()[:-500])
    out = tmp_path / "out.json"
    where = ("--objects", "2", "--frames", "4", "--scenes", "2") if drawn else (str(tmp_path),)
    result = CliRunner().invoke(app, ["experiments", *where, "--json", str(out)])
    assert result.exit_code == (0 if drawn else 3), result.stderr
    for title in ("1. Retrieval", "2. Resilience", "3. SciPy and NumPy"):
        assert title in result.stdout
    assert "left out: cnn-euclidean: the CNN needs torch" in result.stderr
    values = json.loads(out.read_text())
    methods = {row["method"] for row in values["retrieval"]}
    assert {"euclidean", "cosine", "ssim", "twinpix, embedding alone"} <= methods
    assert methods == {row["method"] for row in values["resilience"]}
    assert all(0 <= row["accuracy"] <= 1 for row in values["retrieval"])
    assert all(0 <= score <= 4 for row in values["resilience"] for score in row["top4"].values())
    assert values["resilience"][0]["top1"]["none"] >= (1 if drawn else 0.5)
    assert {row["metric"] for row in values["left_out"]} >= {"cnn-euclidean", "cnn-cosine"}


def test_the_command_refuses(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for args, said in (((str(gone),), "no such folder"), (("--json", str(gone / "out.json")), "does not exist")):
        result = CliRunner().invoke(app, ["experiments", *args])
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr


def test_the_metrics_that_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinpix.pipeline.classic.metrics.CnnEncoder", lambda *_: pytest.fail("not asked for"))
    out = tmp_path / "out.json"
    few = ("--objects", "2", "--frames", "4", "--scenes", "2")
    result = CliRunner().invoke(
        app, ["experiments", *few, "--metric", "ssim, Euclidean,twinpix,ssim", "--json", str(out)]
    )
    assert result.exit_code == 0, result.stderr
    values = json.loads(out.read_text())
    assert [row["method"] for row in values["retrieval"]] == ["ssim", "euclidean", "twinpix, embedding alone"]
    assert values["left_out"] == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--metric", "ssim,nope"), "no metric is called 'nope': choose from euclidean, cosine"),
        (("--metric", "ssim,"), "no metric is called ''"),
        (("--metric", "ssim", "--weights", "w.pth"), "--weights are for cnn-euclidean and cnn-cosine"),
        ((".", "--objects", "3"), "--objects: nothing is drawn where DIR is given"),
        ((".", "--frames", "4", "--scenes", "2"), "--frames and --scenes: nothing is drawn where DIR is given"),
        (("--limit", "5"), "--limit is for the pictures of DIR"),
    ],
)
def test_options_that_would_do_nothing(args: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(app, ["experiments", *args])
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr and result.stderr.count("\n") == 1
