"""The album of `make run`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.demo import COPIES, PHOTOS, make_album


def test_album(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    planted = make_album(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert len(files) == len(PHOTOS) + sum(map(len, COPIES.values())) + 1
    assert set(planted) == set(COPIES)
    assert all(names <= files and len(names) >= 2 for names in planted.values())
    assert sum(map(len, planted.values())) == len(set().union(*planted.values()))


def test_the_album_is_the_same_every_time(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        make_album(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_without_scikit_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingPackageError, match="demo"):
        make_album(tmp_path)
