"""Stage files give back what was written, and take no more room than that needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinpix.pipeline.scan import store


@pytest.mark.parametrize("rows", [200, 5000])
def test_vectors_come_back_bit_for_bit_and_take_less_than_they_do_in_memory(tmp_path: Path, rows: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((5000, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    place, blocks = str(tmp_path / "a" / "vectors.parquet"), np.split(vectors, 5000 // rows)
    parts = ({"id": np.arange(rows), "vector": store.vector_column(block)} for block in blocks)
    store.write_parts(place, parts, {"fact": "1"})
    table = store.read(place)
    assert np.array_equal(store.vectors_in(table), vectors) and store.facts_of(place)["fact"] == "1"
    assert np.array_equal(table.column("id").to_numpy()[:rows], np.arange(rows))
    assert store.size_of(place) < 920 * len(vectors)


def test_other_columns_come_back(tmp_path: Path) -> None:
    columns = {"name": ["a", None, "a"], "boxes": [[1.0], [], [2.0, 3.0]], "rows": [1, 2, 3]}
    store.write(place := str(tmp_path / "table.parquet"), columns)
    assert store.read(place).to_pydict() == columns
