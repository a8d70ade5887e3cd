"""`twinpix library …` and `--library`, as people and scripts run them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.show import print_status
from twinpix.pipeline.load import load_embeddings

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_commands_in_turn(command: Command, album: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"

    def library(name: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return command("twinpix", "library", name, *args, "--library", shelf)

    assert library("status").returncode == 2
    first = library("add", album)
    assert (first.returncode, first.stdout) == (0, "5 images: 4 encoded, 1 reused; 1 skipped\n")
    assert json.loads(library("add", album, "--json").stdout)["encoded"] == 0
    assert json.loads(library("status", "--json").stdout)["files"] == 5
    assert "5 files" in library("status").stdout
    found = json.loads(library("duplicates", "--json").stdout)
    assert [len(group["files"]) for group in found["groups"]] == [3]
    nearest = json.loads(library("search", album / "a.png", "-k", "2", "--json").stdout)["nearest"]
    assert [near["l2_distance"] for near in nearest] == [0, 0]
    assert library("check").returncode == 0
    assert library("repair").stdout == "all is well\n"
    assert library("compact").returncode == 0
    (album / "b.png").unlink()
    assert library("forget-missing").stdout == "1 files forgotten\n"
    assert library("remove", album / "sub").stdout == "2 files forgotten\n"
    again = library("remove", album / "sub")
    assert (again.stdout, again.stderr) == ("0 files forgotten\n", f"not in the library: {album / 'sub'}\n")
    assert library("export", "-o", tmp_path / "out.npz").returncode == 0
    assert library("forget-model", "nothing").returncode == 2
    assert [path.name for path in load_embeddings(tmp_path / "out.npz").paths] == ["a.png", "a.webp"]


def test_damage_is_exit_code_1_of_check_and_2_of_the_others(command: Command, album: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    command("twinpix", "library", "add", album, "--library", shelf)
    data = bytearray((shelf / "library.sqlite").read_bytes())
    data[-3000:] = bytes(3000)
    (shelf / "library.sqlite").write_bytes(data)
    check = command("twinpix", "library", "check", "--library", shelf)
    assert (check.returncode, "twinpix library repair" in check.stderr) == (1, True)
    done = command("twinpix", "library", "duplicates", "--library", shelf)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "set" not in command("twinpix", "library", "repair", "--library", shelf).stderr
    assert len(list(shelf.glob("*.damaged-*"))) == 1
    assert command("twinpix", "library", "check", "--library", shelf).returncode == 0


def test_a_busy_library_is_exit_code_11(command: Command, album: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    command("twinpix", "library", "add", album, "--library", shelf)
    with writer_lock(shelf):
        for args in (
            ("twinpix", "library", "add", album), ("encode-images", album, "-o", tmp_path / "out.npz"),
            ("find-duplicates", album),
        ):  # fmt: skip
            done = command(*args, "--library", shelf)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (11, "", 1)
            assert done.stderr.startswith("error: library ")
        assert command("twinpix", "library", "status", "--library", shelf).returncode == 0
    assert not (tmp_path / "out.npz").exists()


def test_other_commands_with_a_library_say_the_same(
    command: Command, album: Path, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    shelf = tmp_path / "shelf"
    (album / "cut.png").write_bytes((album / "b.png").read_bytes()[:-500])
    for _ in range(2):
        plain = command("find-duplicates", album, "--json")
        through = command("find-duplicates", album, "--json", "--library", shelf)
        ours, theirs = json.loads(through.stdout), json.loads(plain.stdout)
        assert sorted(map(str, ours.pop("skipped"))) == sorted(map(str, theirs.pop("skipped")))
        assert ours == theirs
        assert (through.returncode, plain.returncode) == (3, 3)
    done = command("encode-images", album, "-o", tmp_path / "out.npz", "--library", shelf)
    assert done.returncode == 3
    stored, known = load_embeddings(tmp_path / "out.npz"), Library(shelf, encoder).embeddings()
    assert stored.paths == known.paths
    assert np.array_equal(stored.vectors, known.vectors)


def test_export_says_what_it_leaves_out(command: Command, album: Path, tmp_path: Path) -> None:
    shelf, out = tmp_path / "shelf", tmp_path / "out.jsonl"
    command("twinpix", "library", "add", album, "--library", shelf)
    (album / "b.png").write_bytes((album / "a.png").read_bytes() + b"more")
    done = command("twinpix", "library", "export", "-o", out, "--library", shelf)
    assert (done.returncode, len(out.read_text().splitlines())) == (3, 4)
    assert f"changed: {album / 'b.png'}: changed since" in done.stderr
    assert done.stderr.endswith(f"4 embeddings, 1 skipped -> {out}\n")


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".jsonl"])
def test_export(encoder: OnnxEncoder, album: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    library = Library(tmp_path / "shelf", encoder)
    library.add(album)
    target = tmp_path / f"out{ending}"
    assert library.export(target) == 5
    stored = library.embeddings()
    if ending == ".npz":
        again = load_embeddings(target)
        assert again.paths == stored.paths
        assert again.fingerprint == stored.fingerprint
        assert np.array_equal(again.vectors, stored.vectors)
    elif ending == ".jsonl":
        rows = [json.loads(line) for line in target.read_text().splitlines()]
        assert [row["path"] for row in rows] == [str(path) for path in stored.paths]
        assert np.array_equal(np.array([row["embedding"] for row in rows], np.float32), stored.vectors)
    else:
        import pyarrow.parquet as parquet

        table = parquet.read_table(target)
        assert table["path"].to_pylist() == [str(path) for path in stored.paths]
        assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), stored.vectors)


def test_search_and_duplicates(encoder: OnnxEncoder, album: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "shelf", encoder)
    library.add(album)
    report = library.duplicates(album / "sub", album / "a.png")
    assert [[path.name for path in group.files] for group in report.groups] == [["a.png", "a copy.png"]]
    (album / "a.webp").unlink()
    gone = library.duplicates()
    assert [(entry.path.name, entry.reason) for entry in gone.skipped] == [("a.webp", "vanished")]
    nearest = library.search(album / "a.png", k=2)
    assert "a.webp" not in {near.path.name for near in nearest.nearest} and len(nearest.nearest) == 2
    assert [(entry.path.name, entry.reason) for entry in nearest.skipped] == [("a.webp", "vanished")]
    (tmp_path / "empty").mkdir()
    for slip in (album / "nope", tmp_path / "empty"):
        with pytest.raises(InputError, match="knows nothing there"):
            library.duplicates(album, slip)
    assert library.duplicates(tmp_path).images == library.duplicates().images


def test_an_index_file_that_is_not_there_is_not_made_by_asking_it(
    command: Command, album: Path, tmp_path: Path
) -> None:
    shelf, typo = tmp_path / "shelf", tmp_path / "typo.db"
    command("twinpix", "library", "add", album, "--library", shelf)
    done = command("twinpix", "library", "search", album / "a.png", "--library", shelf, "--store", typo)
    assert (done.returncode, done.stdout, typo.exists()) == (2, "", False)
    assert "twinpix library push" in done.stderr and done.stderr.count("\n") == 1


def test_status_is_written_at_once_for_a_reader_of_its_first_line(
    encoder: OnnxEncoder, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, written = Library(tmp_path / "shelf", encoder), list[str]()
    library.add(album)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=written.append))
    print_status(library.status())
    assert [len(text.splitlines()) for text in written if text] == [5]
