"""The library as a cache: the same outcome as without it, and no fault of it stops a command."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twinpix
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.library import add, scan
from twinpix.pipeline.library.errors import LibraryBusyError, LibraryDamagedError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.soft import Cache
from twinpix.pipeline.library.store import open_to_write, put, transaction
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.stream import encode_images

Command = Callable[..., subprocess.CompletedProcess[str]]
Shelf = Callable[..., Library]


def same(one: Embeddings, other: Embeddings) -> bool:
    bits = (one.vectors.view(np.uint32), other.vectors.view(np.uint32))
    return (one.paths, one.skipped) == (other.paths, other.skipped) and np.array_equal(*bits)


def data_folder() -> Path:
    return Path(os.environ["TWINPIX_DATA"])


@pytest.fixture
def copies(photos: Path) -> Path:
    """Copies all over the folders: of which of them a vector comes is a matter of timing."""
    for i in range(60):
        source = photos / "old" / f"{i % 6:02}.png"
        (photos / "new" / f"copy {i % 7} {i}.png").write_bytes(source.read_bytes())
        (photos / f"cut {i}.png").write_bytes((photos / "cut.png").read_bytes())
    return photos


@pytest.mark.parametrize("workers", [1, 5])
def test_the_outcome_is_that_of_a_plain_scan(
    shelf: Shelf, copies: Path, workers: int, monkeypatch: pytest.MonkeyPatch, fine_clock: None
) -> None:
    monkeypatch.setattr(scan, "CHUNK", 4)
    monkeypatch.setattr(add, "BATCH_IMAGES", 10)
    library = shelf()
    plain = encode_images(copies, encoder=library.encoder)
    for _ in range(2):
        assert same(encode_images(copies, library=library, workers=workers), plain)
    encoded = library.encoder.encoded  # type: ignore[attr-defined]
    (copies / "one more.png").write_bytes((copies / "old" / "00.png").read_bytes() + b"\0")
    more = encode_images(copies, library=library, workers=workers)
    assert library.encoder.encoded == encoded + 1  # type: ignore[attr-defined]
    assert same(more, encode_images(copies, encoder=library.encoder))


def test_what_this_decoder_can_not_read_is_skipped_although_another_one_could(
    shelf: Shelf, photos: Path, fine_clock: None
) -> None:
    library, path = shelf(), photos / "old" / "00.png"
    library.add(photos / "old")
    content = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    with closing(open_to_write(library.path)) as connection, transaction(connection):
        put(connection, "failures", [(content, add.decoder(), b"corrupt", b"can't be read")])
    for root in (photos / "old", path):
        found = encode_images(root, library=library)
        assert [(skipped.path, skipped.reason) for skipped in found.skipped] == [(path, "corrupt")]
        assert path not in found.paths


def test_every_command_remembers_by_default_and_says_the_same(
    command: Command, album: Path, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    (album / "cut.png").write_bytes((album / "b.png").read_bytes()[:-500])
    npz = [tmp_path / name for name in ("plain.npz", "first.npz", "again.npz")]
    assert command("encode-images", album, "-o", npz[0], "--no-library").returncode == 3
    assert list(data_folder().iterdir()) == []
    for target in npz[1:]:
        assert command("encode-images", album, "-o", target).returncode == 3
        assert target.read_bytes()[:2000] == npz[0].read_bytes()[:2000]
        assert same(twinpix.load_embeddings(target), twinpix.load_embeddings(npz[0]))
    assert Library(encoder=encoder).status().contents == 5
    commands: tuple[tuple[str, *tuple[str | Path, ...]], ...] = (
        ("find-duplicates", album, "--json"),
        ("twinpix", "search", album / "a.png", album, "--json"),
        ("twinpix", "explore", album, "--json"),
    )
    for words in commands:
        plain, through = command(*words, "--no-library"), command(*words)
        assert (through.returncode, through.stdout, through.stderr) == (3, plain.stdout, plain.stderr)
        assert json.loads(plain.stdout)["images"] > 0


def damage(library: Path) -> None:
    (library / "library.sqlite").write_bytes(b"garbage" * 1000)


def make_newer(library: Path) -> None:
    with closing(sqlite3.connect(library / "library.sqlite")) as file:
        file.execute(f"PRAGMA user_version = {9 * 0x01010101}")


def damage_a_vector(library: Path) -> None:
    with closing(sqlite3.connect(library / "library.sqlite", isolation_level=None)) as file:
        file.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE rowid = 2")


@pytest.mark.parametrize("spoil", [damage, make_newer, damage_a_vector])
def test_a_default_library_that_cant_be_used_stops_nothing_and_a_named_one_does(
    command: Command, album: Path, spoil: Callable[[Path], None]
) -> None:
    library = data_folder() / "library"
    plain = command("find-duplicates", album, "--json", "--no-library")
    command("find-duplicates", album, "--json")
    spoil(library)
    spoilt = (library / "library.sqlite").read_bytes()
    done = command("find-duplicates", album, "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, plain.stdout, 1)
    assert done.stderr.startswith(f"going on without the library: library {library}: ")
    named = command("find-duplicates", album, "--json", "--library", library)
    assert (named.returncode, named.stdout, named.stderr.count("\n")) == (2, "", 1)
    assert (library / "library.sqlite").read_bytes() == spoilt


def test_a_busy_default_library_is_done_without_and_one_that_cant_be_made(
    command: Command, album: Path, tmp_path: Path
) -> None:
    plain = command("find-duplicates", album, "--json", "--no-library")
    (data_folder() / "library").mkdir()
    with writer_lock(data_folder() / "library"):
        done = command("find-duplicates", album, "--json")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert f"(process {os.getpid()}) is writing to it" in done.stderr
    shutil.rmtree(data_folder() / "library")
    (data_folder() / "library").touch()  # a file
    done = command("find-duplicates", album, "--json")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert "going on without the library" in done.stderr
    both = command("find-duplicates", album, "--library", tmp_path, "--no-library")
    assert (both.returncode, both.stderr) == (2, "error: --library or --no-library: give one of the two\n")


def test_a_disk_that_fills_up_in_the_middle_costs_no_file(
    shelf: Shelf, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK", 4)
    monkeypatch.setattr(add, "BATCH_IMAGES", 10)
    plain, real = encode_images(copies, encoder=shelf().encoder), add.put  # type: ignore[attr-defined]
    for failing in range(1, 200, 5):
        calls, said = [0], list[str]()

        def put(*args: Any, calls: list[int] = calls, failing: int = failing) -> None:
            calls[0] += 1
            if calls[0] >= failing:
                raise sqlite3.OperationalError("database or disk is full")
            real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(add, "put", put)
            found = encode_images(copies, library=Cache(shelf(f"at {failing}"), said.append), workers=3)
        assert same(found, plain), failing
        assert len(said) == (calls[0] >= failing), failing
        assert all("make room" in line for line in said)
        assert shelf(f"at {failing}").check() == ()
        if not said:
            break
    assert failing > 30
    assert not said, "the whole scan was put to the test"


def test_a_call_from_python_remembers_only_where_it_is_told_to(
    encoder: OnnxEncoder, album: Path, tmp_path: Path
) -> None:
    plain = twinpix.find_duplicates(album, encoder=encoder)
    assert list(data_folder().iterdir()) == []
    library = Library(tmp_path / "shelf", encoder)
    assert twinpix.find_duplicates(album, library=library) == plain
    assert twinpix.search(album / "b.png", album, library=library).nearest[0].path.is_relative_to(album)
    assert library.status().files == 5
    with writer_lock(library.path), pytest.raises(LibraryBusyError):
        twinpix.find_duplicates(album, library=library)
    damage(library.path)
    with pytest.raises(LibraryDamagedError):
        twinpix.encode_images(album, library=library)


def test_a_model_that_was_tried_out_does_not_become_the_current_one(shelf: Shelf, photos: Path, tiny: Any) -> None:
    shelf().add(photos)
    tried = Library(shelf().path, tiny("tried"))
    assert len(encode_images(photos, library=tried).paths) == 13
    assert {m.fingerprint: m.state.name for m in tried.status().models} == {"tiny": "CURRENT", "tried": "BEING_ENCODED"}
    encode_images(photos, encoder=tiny("other"), library=Library(shelf().path))
    assert {m.fingerprint: m.state.name for m in tried.status().models}["other"] == "BEING_ENCODED"


def test_thousands_of_single_files_are_named_at_once(shelf: Shelf, tmp_path: Path, photos: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    files = [many / f"{i}.png" for i in range(1500)]
    for path in files:
        os.link(photos / "old" / "00.png", path)
    library = shelf()
    assert len(encode_images(*files, library=library).paths) == 1500
    assert len(library.embeddings(*files).paths) == 1500
    assert library.remove(*files) == 1500


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        folder.chmod(0o755)


def test_a_data_folder_that_can_only_be_read(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    if not hasattr(os, "seteuid") or os.geteuid() != 0:
        pytest.skip("needs to become another user")
    for folder in tmp_path.parents:
        if not folder.stat().st_mode & 0o005:
            pytest.skip("another user can't reach the folder")
    said: list[str] = []
    plain = encode_images(photos, encoder=shelf().encoder)
    with read_only(tmp_path):
        found = encode_images(photos, library=Cache(shelf("new"), said.append))
    assert same(found, plain)
    assert len(said) == 1
