"""Clusters, outliers, links and the map, with an encoder whose distances are known: the mean colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import twinpix
from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.explore.clusters import default_clusters, explore, explore_embeddings
from twinpix.pipeline.explore.layout import lay_out
from twinpix.pipeline.index.near import nearest_others

REDS, BLUES = 18, 9


@dataclass(frozen=True)
class MeanColour:
    """Pictures -> mean red, green and blue, 0..1."""

    name: str = "mean colour"
    dim: int = 3
    fingerprint: str = "meancolour"
    max_distance: float = 2.0
    is_calibrated: bool = False

    @property
    def calibration(self) -> Calibration:
        """There is none."""
        raise ModelError("mean colour: not calibrated")

    def prepare(self, source: ImageLike) -> NDArray[np.float32]:
        """float32 (3,)."""
        means: NDArray[np.float32] = np.asarray(read_picture(source), np.float32).mean((0, 1)) / np.float32(255)
        return means

    def encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, 3)."""
        return pictures


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Many reds, fewer blues, and one green picture."""
    folder = tmp_path / "colours"
    folder.mkdir()
    for i in range(REDS):
        Image.new("RGB", (8, 8), (200 + i, i, 0)).save(folder / f"red{i:02}.png")
    for i in range(BLUES):
        Image.new("RGB", (8, 8), (0, i, 200 + i)).save(folder / f"blue{i}.png")
    Image.new("RGB", (8, 8), (0, 90, 40)).save(folder / "green.png")
    return folder


def test_two_kinds_and_a_stranger(colours: Path) -> None:
    found = explore(colours, clusters=3, encoder=MeanColour())
    names = [[found.embeddings.paths[i].stem.rstrip("0123456789") for i in rows] for rows in found.clusters]
    assert names == [["red"] * REDS, ["blue"] * BLUES, ["green"]]
    assert found.outliers[0].path.name == "green.png"
    assert found.outliers[0].isolation == pytest.approx(float(found.isolation.max()))
    assert len(found.outliers) == 2  # 5 % of 28, rounded up


def test_the_middle_of_a_cluster_comes_first(colours: Path) -> None:
    found = explore(colours, clusters=3, encoder=MeanColour())
    vectors = found.embeddings.vectors
    for rows in found.clusters:
        members = vectors[list(rows)]
        from_centre = np.linalg.norm(members - members.mean(0), axis=1)
        assert np.all(np.diff(from_centre) >= -1e-6)


def test_every_image_is_in_one_cluster(colours: Path) -> None:
    for k in (1, 2, 7, 28, 100):
        found = explore(colours, clusters=k, encoder=MeanColour())
        assert sorted(i for rows in found.clusters for i in rows) == list(range(28))
        assert len(found.clusters) <= k


def test_isolation_is_the_mean_of_the_nearest_five(colours: Path) -> None:
    found = explore(colours, encoder=MeanColour())
    v = found.embeddings.vectors.astype(np.float64)
    distances = np.sort(np.linalg.norm(v[:, None] - v[None], axis=2), axis=1)
    assert found.isolation == pytest.approx(distances[:, 1:6].mean(1), abs=1e-5)


def test_duplicates_need_a_threshold(colours: Path, encoder: OnnxEncoder, album: Path) -> None:
    assert explore(colours, encoder=MeanColour()).duplicates is None
    own = explore(colours, encoder=MeanColour(), threshold=0.006).duplicates
    assert own is not None and own.threshold == 0.006
    assert len(own.matches) == REDS - 1 + BLUES - 1  # neighbours in colour lie sqrt(2) / 255 apart
    shipped = explore(album).duplicates
    assert shipped is not None and shipped.threshold == encoder.calibration.pair_threshold
    names = {Path(path).name for match in shipped.matches for path in (match.query, match.reference)}
    assert names == {"a.png", "a.webp", "a copy.png"}


def test_the_same_again(colours: Path) -> None:
    first, second = (explore(colours, encoder=MeanColour(), workers=w) for w in (1, 3))
    assert first.clusters == second.clusters
    assert first.outliers == second.outliers
    assert np.array_equal(first.places, second.places)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_hardly_any_images(tmp_path: Path, n: int) -> None:
    (tmp_path / "few").mkdir()
    for i in range(n):
        Image.new("RGB", (8, 8), (90 * i, 0, 0)).save(tmp_path / "few" / f"{i}.png")
    found = explore(tmp_path / "few", encoder=MeanColour(), threshold=0.1)
    assert sum(map(len, found.clusters)) == n == len(found.places)
    assert np.isfinite(found.places).all() and np.isfinite(found.isolation).all()


def test_equal_images(tmp_path: Path) -> None:
    for i in range(30):
        Image.new("RGB", (8, 8), (90, 0, 0)).save(tmp_path / f"{i:02}.png")
    found = explore(tmp_path, encoder=MeanColour(), threshold=0)
    assert found.duplicates is not None and len(found.duplicates.matches) == 30 * 29 // 2
    assert found.isolation.max() == 0 and np.isfinite(found.places).all()


def test_wrong_arguments(colours: Path) -> None:
    with pytest.raises(InputError, match="at least one cluster"):
        explore(colours, clusters=0)
    with pytest.raises(InputError, match="0 to 2"):
        explore(colours, threshold=3)
    with pytest.raises(InputError, match="at least one folder"):
        explore()
    strange = twinpix.Embeddings((), np.empty((0, 3), np.float32), "another")
    with pytest.raises(twinpix.FingerprintError):
        explore_embeddings(strange, MeanColour())


def test_how_many_clusters_by_default() -> None:
    assert [default_clusters(n) for n in (0, 1, 8, 200, 20_000)] == [1, 1, 2, 10, 60]


def test_the_map_keeps_groups_together() -> None:
    dice = np.random.default_rng(1)
    group = np.repeat(np.arange(6), 40)
    vectors = (dice.normal(size=(6, 32))[group] + 0.3 * dice.normal(size=(240, 32))).astype(np.float32)
    neighbours = nearest_others(vectors, 15)
    places = lay_out(vectors, neighbours)
    assert places.min() == 0 and places.max() == 1
    close, _ = nearest_others(places, 5)
    assert (group[close] == group[:, None]).mean() > 0.95
    assert np.array_equal(places, lay_out(vectors, neighbours))


def test_copies_lie_side_by_side_on_the_map() -> None:
    dice = np.random.default_rng(1)
    originals = dice.normal(size=(200, 32))
    vectors = np.concatenate([originals, originals + 0.05 * dice.normal(size=(200, 32))]).astype(np.float32)
    places = lay_out(vectors, nearest_others(vectors, 15))
    apart = np.linalg.norm(places[:200] - places[200:], axis=1)
    strangers = np.linalg.norm(places[:200] - places[np.roll(np.arange(200, 400), 1)], axis=1)
    assert np.median(apart) < 0.15 * np.median(strangers)


def test_nearest_agrees_with_sorting_all_distances() -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    vectors[100:120] = vectors[0]  # a crowd of equal ones
    rows, distances = nearest_others(vectors, 7)
    brute = np.linalg.norm(vectors[:, None].astype(np.float64) - vectors[None], axis=2)
    np.fill_diagonal(brute, np.inf)
    assert distances == pytest.approx(np.sort(brute, axis=1)[:, :7], abs=1e-5)
    assert not (rows == np.arange(300)[:, None]).any()
    assert brute[np.arange(300)[:, None], rows] == pytest.approx(distances, abs=1e-5)
    assert nearest_others(vectors[:3], 7)[0].shape == (3, 2)
    assert nearest_others(vectors[:0], 7)[0].shape == (0, 0)
