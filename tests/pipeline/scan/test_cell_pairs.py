"""Pairs of very many pictures: what cells find of what comparing everything finds, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.index.near import candidate_pairs, flat_index
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.scan import cell_pairs, scan, store
from twinpix.pipeline.scan.cell_pairs import celled_pairs
from twinpix.pipeline.scan.cell_stages import gather
from twinpix.pipeline.scan.embed import _table
from twinpix.pipeline.scan.embedded import Embedded, marked, read_embedded
from twinpix.pipeline.scan.engine import Run
from twinpix.pipeline.scan.local import LocalEngine
from twinpix.pipeline.scan.scanned import Options
from twinpix.pipeline.scan.shard import Kind, Shard

from .conftest import write_folder

Vectors = NDArray[np.float32]
LIMIT = Limits(0.6, 0.3, 0.1)
REST = Limits(0.5, 0.5, 0.5)  # no second look: all pairs within


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """3,000 in 256 dimensions, in clusters, every tenth a copy of the one before it."""
    dice = np.random.default_rng(0)
    centres = dice.normal(size=(150, 40)) @ np.linalg.qr(dice.normal(size=(256, 40)))[0].T
    rows = centres[dice.integers(0, 150, 3000)] + 0.06 * dice.normal(size=(3000, 256)) * 4
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[9::10] = rows[8::10] + dice.uniform(0, 0.5, (300, 1)) * (rows[7::10] - rows[6::10])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def embedded(vectors: Vectors, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    folder, files, shards = tmp_path_factory.mktemp("stage"), [], []
    for k in range(0, 3000, 500):
        rows = [{"name": b"/p/%05d" % row, "at": 0, "size": 0} for row in range(k, k + 500)]
        lost = {"name": b"/p/lost", "reason": "corrupt", "message": b"lost"}
        files.append(str(folder / f"{k}.parquet"))
        store.write(files[-1], _table([*rows[:100], lost, *rows[100:]], vectors[k : k + 500]))
        shards.append(Shard(Kind.FILES, (b"/p",), str(k)))
    return read_embedded(shards, files)


Found = Callable[..., tuple[set[tuple[int, int, float]], object]]


@pytest.fixture
def find(local: LocalEngine, embedded: Embedded, tmp_path: Path) -> Found:
    def start(limit: Limits, work: str = "work") -> tuple[set[tuple[int, int, float]], object]:
        run = Run(local, lambda stage, done, tasks: None)
        pairs, used = celled_pairs(run, str(tmp_path / work), embedded, limit)
        return set(zip(*(column.tolist() for column in pairs), strict=True)), used

    return start


def exactly(vectors: Vectors, limit: Limits, most: int) -> set[tuple[int, int, float]]:
    pairs = candidate_pairs(vectors, flat_index(vectors), limit.candidate, limit.sure, most)
    return set(zip(*(column.tolist() for column in pairs), strict=True))


@pytest.mark.parametrize(("limit", "most"), [(LIMIT, 120), (REST, 0)])
def test_cells_find_what_they_say(find: Found, vectors: Vectors, limit: Limits, most: int) -> None:
    found, used = find(limit)
    wanted = exactly(vectors, limit, most)
    share = len(found & wanted) / len(wanted)
    assert len(wanted) > 200 and share > 0.98
    assert used.recall > 0.98 and used.planted > 300  # type: ignore[attr-defined]
    assert used.cells == round(4 * 3000**0.5)  # type: ignore[attr-defined]
    if not most:
        assert found <= wanted


def test_buckets_and_portions_change_nothing(find: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, used = find(LIMIT)
    monkeypatch.setattr(cell_pairs, "FEW", 250)  # several tasks assign, there are several buckets,
    monkeypatch.setattr(cell_pairs, "HOT", 1)  # and all of them are joined in portions
    parts, again = find(LIMIT, "parts")
    assert parts == whole and again == used
    assert len(list((tmp_path / "parts" / "pairs").iterdir())) > 20
    assert len(list((tmp_path / "parts" / "assigned").iterdir())) == 6


def test_resumed_it_is_the_same(find: Found, tmp_path: Path) -> None:
    first = find(LIMIT)
    before = {path.name: path.read_bytes() for path in (tmp_path / "work").rglob("*.parquet")}
    for stage in ("cells", "assigned", "pairs", "planted"):
        next((tmp_path / "work" / stage).iterdir()).unlink()
    assert find(LIMIT) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "work").rglob("*.parquet")} == before


def test_rows_are_gathered_from_their_files(embedded: Embedded, vectors: Vectors) -> None:
    rows = np.array([0, 1, 499, 500, 1750, 2999])
    assert np.array_equal(gather(embedded.files, embedded.starts, rows), vectors[rows])
    few, kept = marked(embedded.files, 200, 256)
    assert len(few) == 200 and np.array_equal(kept, vectors[few])


def test_a_scan_in_cells_finds_the_groups_of_one_that_compares_all(
    local: LocalEngine, tmp_path: Path, encoder: OnnxEncoder, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "photos", members)
    exact = scan.scan([str(folder)], local, str(tmp_path / "a"), encoder)
    monkeypatch.setattr(scan, "EXACT_UP_TO", 5)
    celled = scan.scan([str(folder)], local, str(tmp_path / "b"), encoder)
    assert celled.report.index.name == "cells" and exact.report.index.is_exact
    assert celled.report.groups == exact.report.groups
    assert (
        scan.scan([str(folder)], local, str(tmp_path / "b"), encoder, options=Options(index="exact")).report
        == exact.report
    )
