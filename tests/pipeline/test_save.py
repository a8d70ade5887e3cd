"""Embeddings in files: readable elsewhere, byte-exact names, all or nothing."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.save import check_target, save_embeddings
from twinpix.pipeline.stream import Chunk

ENDINGS = (".npz", ".parquet", ".jsonl")
NAMES = [
    b"/a/plain.jpg",
    b"/a/\xff\xfe bytes.jpg",
    b"/a/new\nline.jpg",
    "/a/é\u202e😀.png".encode(),
    b'/a/"=cmd|<b>.png',
]
Rows = tuple[list[str], NDArray[np.float32], str]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def chunks(dim: int = 4) -> Iterator[Chunk]:
    vectors = np.random.default_rng(0).standard_normal((len(NAMES), dim)).astype(np.float32)
    paths = tuple(Path(os.fsdecode(name)) for name in NAMES)
    yield Chunk(paths[:2], vectors[:2], ())
    yield Chunk((), np.empty((0, dim), np.float32), ())
    yield Chunk(paths[2:], vectors[2:], ())


def expected() -> Rows:
    parts = list(chunks())
    return [str(p) for c in parts for p in c.paths], np.concatenate([c.vectors for c in parts]), "f00d"


def read(path: Path) -> Rows:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            assert sorted(stored.files) == ["embeddings", "fingerprint", "paths"]
            return stored["paths"].tolist(), stored["embeddings"], str(stored["fingerprint"])
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
        marks = {row["fingerprint"] for row in rows}
        return [r["path"] for r in rows], np.array([r["embedding"] for r in rows], np.float32), marks.pop()
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    paths = [os.fsdecode(name) for name in table["path_bytes"].to_pylist()]
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    return paths, vectors, table.schema.metadata[b"fingerprint"].decode()


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out{ending}"
    assert save_embeddings(target, chunks(), "f00d", 4) == len(NAMES)
    (paths, vectors, fingerprint), (wanted, floats, mark) = read(target), expected()
    assert paths == wanted
    assert [os.fsencode(path) for path in paths] == NAMES
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, floats)
    assert fingerprint == mark
    assert names(tmp_path) == [target.name], "nothing else is left behind"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_path_that_is_no_text(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "\udcff"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("names are text on this disk")
    target = folder / f"\udcfe{ending}"
    assert save_embeddings(target, chunks(), "f00d", 4) == len(NAMES)
    target.rename(tmp_path / f"out{ending}")
    assert read(tmp_path / f"out{ending}")[0] == expected()[0]


def test_no_images_npz(tmp_path: Path) -> None:
    assert save_embeddings(tmp_path / "out.npz", iter(()), "f00d", 7) == 0
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        assert (stored["paths"].shape, stored["embeddings"].shape) == ((0,), (0, 7))
        assert stored["embeddings"].dtype == np.float32


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_no_images(tmp_path: Path, ending: str) -> None:
    assert save_embeddings(tmp_path / f"out{ending}", iter(()), "f00d", 7) == 0
    assert (tmp_path / f"out{ending}").exists()


def failing(error: BaseException) -> Iterator[Chunk]:
    yield next(chunks())
    raise error


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("boom"), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, ending: str, error: BaseException) -> None:
    target = tmp_path / f"out{ending}"
    target.write_bytes(b"old")
    with pytest.raises((type(error), InputError)):
        save_embeddings(target, failing(error), "f00d", 4)
    assert names(tmp_path) == [target.name]
    assert target.read_bytes() == b"old"


def test_a_full_disk_is_one_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match=r"out.npz: can't be written \(No space left on device\)"):
        save_embeddings(tmp_path / "out.npz", chunks(), "f00d", 4)
    assert names(tmp_path) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_old_file_is_replaced(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out{ending}"
    target.write_bytes(b"old")
    save_embeddings(target, chunks(), "f00d", 4)
    assert read(target)[0] == expected()[0]


@pytest.mark.parametrize("name", ["out", "out.csv", "out.npz.txt", "npz"])
def test_unknown_endings_are_refused_before_any_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.npz, \.parquet, \.jsonl"):
        check_target(tmp_path / name)


def test_a_missing_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        check_target(tmp_path / "nothing" / "out.npz")


def test_a_picture_by_that_name_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "photo.npz"
    Image.new("RGB", (9, 9)).save(target, "JPEG")
    before = target.read_bytes()
    with pytest.raises(InputError, match="a picture is there"):
        save_embeddings(target, chunks(), "f00d", 4)
    assert target.read_bytes() == before


def test_a_folder_as_target_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out.npz").mkdir()
    with pytest.raises(InputError, match="folder"):
        check_target(tmp_path / "out.npz")


def test_a_relative_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_embeddings(Path("out.npz"), chunks(), "f00d", 4)
    assert (tmp_path / "out.npz").exists()


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[parquet\]"):
        check_target(tmp_path / "out.parquet")
    check_target(tmp_path / "out.npz")
