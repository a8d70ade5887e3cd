"""Costs of large scans: what is predicted from a sample of cells is what running everything takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.errors import FingerprintError, InputError
from twinpix.pipeline.index import exact_distances
from twinpix.pipeline.scan.cell_pairs import NEAREST_CELLS
from twinpix.pipeline.scan.cells import Cells, fit_cells
from twinpix.pipeline.simulate import crowd as crowd_module
from twinpix.pipeline.simulate import estimate as estimate_module
from twinpix.pipeline.simulate import sample as sample_module
from twinpix.pipeline.simulate import setting as setting_module
from twinpix.pipeline.simulate.cli import numbers, simulate
from twinpix.pipeline.simulate.collection import Collection
from twinpix.pipeline.simulate.crowd import join_crowd
from twinpix.pipeline.simulate.estimate import Estimate, estimate
from twinpix.pipeline.simulate.fill import Inside, Turn, fill
from twinpix.pipeline.simulate.likeness import Likeness, distances, fit_likeness, fit_of, unit
from twinpix.pipeline.simulate.reduce import Reduced, reduce_costs
from twinpix.pipeline.simulate.sample import Joined
from twinpix.pipeline.simulate.setting import Setting
from twinpix.pipeline.simulate.sizes import Sizes
from twinpix.pipeline.simulate.whole import Whole, run_whole

Vectors = NDArray[np.float32]
REACH = 0.1


def clustered(count: int, seed: int) -> Vectors:
    """Loose clusters in 24 dimensions, of which some matter more."""
    dice = np.random.default_rng(0)
    centres, scale = dice.standard_normal((40, 24)), np.linspace(1, 0.3, 24)
    dice = np.random.default_rng(seed)
    rows = centres[dice.integers(0, 40, count)] + 0.7 * dice.standard_normal((count, 24))
    return unit((rows * scale).astype(np.float32))


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return fit_likeness(clustered(800, 1))


@pytest.fixture(scope="module")
def collection(likeness: Likeness) -> Collection:
    return Collection(likeness, 12_000, REACH, 0.1, 0.002)


SETTING = Setting(12_000, 60, 3, 3840, REACH, 0.01, 120)


@pytest.fixture(scope="module")
def both(collection: Collection) -> tuple[Estimate, Whole]:
    return estimate(collection, SETTING, reduce_costs()), run_whole(collection, SETTING)


def test_drawn_vectors_lie_as_far_from_one_another_as_others_of_the_same_kind(likeness: Likeness) -> None:
    others = clustered(2000, 2)  # not those that it was fitted to, and more
    real, drawn = distances(others), distances(likeness.draw(2000, np.random.default_rng(5)))
    gaps = [abs(real[kind][at] - drawn[kind][at]) for kind in real for at in real[kind]]
    assert max(gaps) < 0.12
    assert fit_of(likeness, clustered(800, 1))["off"] < 0.12


def test_the_measure_of_a_fit_notices_a_bad_one(likeness: Likeness) -> None:
    assert 0.4 <= likeness.width < 0.95
    for width in (0.1, 1.0):  # the embeddings repeated; no clusters
        assert fit_of(replace(likeness, width=width), clustered(800, 1))["off"] > 0.15


def test_no_vector_is_drawn_twice(likeness: Likeness) -> None:
    drawn = likeness.draw(5000, np.random.default_rng(0))
    assert np.linalg.norm(drawn, axis=1) == pytest.approx(1, abs=1e-5)
    assert distances(drawn)["nearest"][0.1] > 0.1
    assert (likeness.draw(5000, np.random.default_rng(0)) == drawn).all()


def test_embeddings_that_tell_nothing() -> None:
    with pytest.raises(InputError, match="199 embeddings are too few"):
        fit_likeness(clustered(199, 1))
    with pytest.raises(InputError, match="the same"):
        fit_likeness(np.repeat(clustered(1, 1), 300, 0))


@pytest.fixture(scope="module")
def cells(likeness: Likeness) -> Cells:
    return fit_cells(likeness.draw(4000, np.random.default_rng(1)), 50)


def test_a_filled_cell_holds_what_drawing_everything_would_put_there(likeness: Likeness, cells: Cells) -> None:
    dice, turn = np.random.default_rng(2), Turn(likeness, cells)
    middles = likeness.middles[dice.integers(0, len(likeness.anchors), 40_000)]
    noise = likeness.noise(40_000, dice)
    vectors = likeness.vectors(middles + noise)
    nearest = cells.assign(vectors, 2)
    for cell in (0, 17):
        there = np.flatnonzero((nearest == cell).any(1))
        inside, few = Inside(cells, cell, 2), there[:100]  # chains begin at so many
        assert (inside.surely(vectors) == (nearest == cell).any(1)).all()
        assert inside.maybe(turn(middles[there] + noise[there])).mean() > 0.999
        filled = fill(likeness, turn, inside, middles[few], noise[few], 1000, dice)
        assert filled.shape == (1000, 24) and (cells.assign(filled, 2) == cell).any(1).all()
        shares = [(cells.assign(rows, 2)[:, 0] == cell).mean() for rows in (filled, vectors[there])]
        assert shares[0] == pytest.approx(shares[1], abs=0.12)
        pairs = [distances(rows)["pairs"] for rows in (filled, vectors[there[:1000]])]
        assert all(pairs[0][rate] == pytest.approx(pairs[1][rate], abs=0.1) for rate in (0.01, 0.1, 0.5))
        assert distances(filled)["nearest"][0.1] > REACH  # nobody stayed beside another one of the same beginning


def test_sizes_from_a_sample_that_hardly_fills_the_cells() -> None:
    share = np.random.default_rng(0).gamma(4, size=2000)
    share /= share.sum()
    drawn = np.random.default_rng(1).choice(2000, 6000, p=share)  # three a cell
    setting = Setting(1_000_000, 2000, 1, 128_000, REACH, 0.01, 120)
    sizes, true = Sizes.of(drawn[:, None].astype(np.int32), setting), 1_000_000 * share
    assert sizes.mean == 500
    assert sizes.squares == pytest.approx((true**2).sum(), rel=0.05)
    assert sizes.large == pytest.approx(np.quantile(true, 0.999), rel=0.15)
    chosen = true[np.random.default_rng(2).choice(2000, 300, p=share)]
    whole, error = sizes.all_over((chosen**2).tolist(), chosen.astype(int).tolist())
    assert whole == pytest.approx((true**2).sum(), rel=0.06)
    assert error < 0.05
    assert sizes.all_over([7.0] * 300, chosen.astype(int).tolist())[0] == pytest.approx(14_000, rel=0.15)


def test_a_sample_of_the_cells_predicts_all_of_them(both: tuple[Estimate, Whole]) -> None:
    predicted, measured = both
    assert predicted.measured["joined"] < 0.8 * 3 * 12_000  # that it is less than everything
    for one, other in [
        (predicted.cell["squares"], measured.cell["squares"]),
        (predicted.pairs, measured.pairs),
        (predicted.bytes["shuffle"], measured.bytes["shuffle"]),
        (predicted.memory["join"], measured.memory["join"]),
    ]:
        assert other / 1.5 < one < other * 1.5
    assert predicted.recall == pytest.approx(measured.recall, abs=0.02)
    assert measured.recall > 0.97  # of the planted ones, so that pairs were looked for at all
    assert measured.pairs > 1200
    assert all(seconds >= 0 for seconds in predicted.seconds.values())


def test_the_same_seed_draws_the_same(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_module, "MOST", 4)  # quicker
    monkeypatch.setattr(estimate_module, "peak_of_join", lambda vectors, setting: 1.0)
    setting, costs = Setting(3000, 20, 2, 1280, REACH, 0.01, 120), Reduced(1, 1, 1, 1)
    one, again, other = (estimate(replace(collection, images=3000), setting, costs, seed) for seed in (0, 0, 1))
    assert (one.pairs, one.cell, one.recall) == (again.pairs, again.cell, again.recall)
    assert other.pairs != one.pairs


def test_a_collection_holds_its_copies(collection: Collection) -> None:
    vectors, planted = collection.draw(np.random.default_rng(0))
    assert vectors.shape == (12_000, 24) and planted.shape == (1200, 2)
    gap = exact_distances(vectors, planted[:, 0], planted[:, 1])
    assert gap.min() > 0 and gap.max() <= REACH * 1.001
    near = np.linalg.norm(vectors[:, None, :] - vectors[planted[:20, 0]][None], axis=2) <= 2 * REACH
    assert 40 <= near.sum() < 20 * 12  # themselves and their copies; or one of the 24 of the crowd


def test_a_crowd_is_joined_in_portions(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    members = collection.likeness.draw(300, np.random.default_rng(0))
    beside = Joined(members, 300, 0.0, 0.0)
    many = replace(collection, images=200_000)  # 400 of them show one picture
    whole = join_crowd(many, SETTING, beside, np.random.default_rng(1))
    monkeypatch.setattr(crowd_module, "PAIRS_AT_ONCE", 40_000)
    monkeypatch.setattr(setting_module, "HOT", 1)  # a bucket that is as full as others
    parts = join_crowd(many, SETTING, beside, np.random.default_rng(1))
    assert (whole.hot, whole.portions, whole.size) == (0, 1, 700)
    assert (parts.hot, parts.portions, parts.size) == (3, 2, 700)
    assert 0 < parts.pairs == pytest.approx(whole.pairs, rel=0.2)
    assert join_crowd(replace(many, crowd=0), SETTING, beside, np.random.default_rng(1)).pairs == 0


def test_numbers_of_images_are_what_they_seem() -> None:
    assert numbers("1e6, 20000", "--images", 10**9) == [20_000, 1_000_000]
    for text in ("many", "", "1e6,,", "12.5e3x", "999", "1e11", "nan", "inf", "1000.5", "-5000"):
        with pytest.raises(InputError, match="--images takes numbers"):
            numbers(text, "--images", 10**9)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulate") / "drawn.npz"
    vectors = clustered(300, 4)
    np.savez(path, paths=np.array([f"{k}.jpg" for k in range(300)]), embeddings=vectors, fingerprint=np.array("drawn"))
    return path


def test_the_command(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_module, "MOST_MEMBERS", 2000)
    monkeypatch.setattr(sample_module, "MOST", 6)
    target = tmp_path / "numbers.json"
    assert simulate(file, "2000,1e7", "2000", within=0.2, cells=30, json=target) == 0
    shown = capsys.readouterr().out
    for word in ("300 embeddings of drawn.npz", "10,000,000", "hot cells", "core-hours in all", "predicted, measured"):
        assert word in shown
    said = json.loads(target.read_text())
    assert [one["setting"]["images"] for one in said["estimates"]] == [2000, 10_000_000]
    large = said["estimates"][1]
    assert large["setting"]["reach"] == 0.2  # no encoder was asked
    assert large["setting"]["nearest"] in NEAREST_CELLS
    assert large["cell"]["mean"] == 1e7 * large["setting"]["nearest"] / 30
    assert large["hot"] >= 25  # far too few cells: nearly all are hot
    assert 0.66 < said["compared"]["2000"]["vectors of a cell, squared"]["ratio"] < 1.5


def test_a_folder_of_pictures(
    tmp_path: Path, paint: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sample_module, "MOST_MEMBERS", 2000)
    monkeypatch.setattr(sample_module, "MOST", 6)
    for seed in range(210):
        paint(seed, 64, 48, 8 + seed % 9).save(tmp_path / f"{seed}.png")
    assert simulate(tmp_path, "2000", cells=30, json=tmp_path / "numbers.json") == 0
    assert f"210 embeddings of {tmp_path.name}" in capsys.readouterr().out
    said = json.loads((tmp_path / "numbers.json").read_text())
    assert 0 < said["estimates"][0]["setting"]["reach"] < 2  # as the encoder is calibrated
    assert 0.05 < said["wanted"]["embed_ms"] < 1000  # measured


def test_what_can_not_be_meant_is_said(file: Path, tmp_path: Path) -> None:
    few, nowhere = tmp_path / "few.npz", tmp_path / "no" / "where.json"
    np.savez(few, paths=np.array(["a"] * 9), embeddings=clustered(9, 1), fingerprint=np.array("drawn"))
    for call, said in (
        (partial(simulate, file, "lots"), "--images"),
        (partial(simulate, file, check="1e9"), "--check"),
        (partial(simulate, file, within=3), "--within"),
        (partial(simulate, file, copies=0.9), "--copies"),
        (partial(simulate, file, crowd=float("nan")), "--crowd"),
        (partial(simulate, file, embed_ms=0), "--embed-ms"),
        (partial(simulate, file, json=nowhere), "where.json"),
        (partial(simulate, tmp_path / "none.npz"), "no such file"),
        (partial(simulate, few, within=0.2), "too few"),
    ):
        with pytest.raises(InputError, match=said):
            call()
    with pytest.raises(FingerprintError):
        simulate(file)


def test_an_error_is_one_line(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "twinpix"), "simulate", str(tmp_path / "none.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
