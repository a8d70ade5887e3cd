"""Flipped bits, torn files, another program's file: found, never served, repaired."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from twinpix.pipeline.library import schema
from twinpix.pipeline.library.errors import LibraryDamagedError, LibraryError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.schema import TABLES
from twinpix.pipeline.library.store import open_to_write, put, transaction

Shelf = Callable[..., Library]
Dump = dict[str, list[tuple[object, ...]]]


def dump(library: Library) -> Dump:
    with closing(sqlite3.connect(library.path / "library.sqlite")) as file:
        return {table: sorted(file.execute(f"SELECT * FROM {table}")) for table in TABLES}


@pytest.fixture
def library(shelf: Shelf, photos: Path, fine_clock: None) -> Library:
    """Everything added, in one file without a log."""
    made = shelf()
    made.add(photos)
    made.compact()
    return made


def file_of(library: Library) -> Path:
    for ending in ("-wal", "-shm"):
        library.path.joinpath(f"library.sqlite{ending}").unlink(missing_ok=True)
    return library.path / "library.sqlite"


def places(data: bytes, value: bytes) -> list[int]:
    found, start = [], data.find(value)
    while start >= 0:
        found.append(start)
        start = data.find(value, start + 1)
    return found


def test_a_sound_library_has_no_problems(library: Library) -> None:
    assert library.check() == ()
    assert library.repair() is None


def test_a_flipped_bit_in_any_value_of_any_row_is_found(library: Library) -> None:
    rows, file = dump(library), file_of(library)
    data, tried = file.read_bytes(), 0
    values = {v for table in TABLES for row in rows[table] for v in row if isinstance(v, bytes) and len(v) >= 4}
    for value in values:
        for place in places(data, value):
            offset = place + tried % len(value)
            flipped = bytearray(data)
            flipped[offset] ^= 1 << tried % 8
            file_of(library).write_bytes(flipped)
            assert library.check(), (value, offset)
            tried += 1
    assert tried > 60


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing_that_is_read(library: Library) -> None:
    rows, data = dump(library), file_of(library).read_bytes()
    dice = np.random.default_rng(0)
    found = 0
    for offset in [*range(100), *dice.integers(100, len(data), 400).tolist()]:
        flipped = bytearray(data)
        flipped[offset] ^= 1 << int(dice.integers(8))
        file_of(library).write_bytes(flipped)
        problems = library.check()
        found += bool(problems)
        if not problems:
            assert dump(library) == rows, offset
    assert found > 100


def test_a_flipped_bit_that_makes_a_number_a_fraction_is_found(library: Library, photos: Path) -> None:
    """In the head of a record 6 is a number of 8 bytes, and 7 a floating-point one; names follow heads."""
    before, data = dump(library), file_of(library).read_bytes()
    fractions = 0
    for name in (row[0] for row in before["files"]):
        assert isinstance(name, bytes)
        head = data.find(name) - 6
        for place in (head, head + 1, head + 2):
            if data[place] != 6:
                continue
            file_of(library).write_bytes(data[:place] + b"\x07" + data[place + 1 :])
            fractions += any(isinstance(value, float) for row in dump(library)["files"] for value in row)
            assert library.check()
            with pytest.raises(LibraryDamagedError, match="a damaged row in files: run"):
                library.add(photos)
    assert fractions >= 12
    assert library.repair() is not None
    library.add(photos)
    assert dump(library) == before


@pytest.mark.parametrize("table", ["files", "vectors"])
def test_a_text_that_is_spelled_out_is_that_of_any_table(library: Library, table: str) -> None:
    for row in dump(library)[table]:
        assert schema._TEXTS[table](table, row[:-1]) == schema._text(table, row[:-1])
        assert schema.is_sound(table, row)
        for place in range(len(row)):
            for other in (None, 1.5, 7, b"x", "x"):
                assert not schema.is_sound(table, (*row[:place], other, *row[place + 1 :])) or row[place] == other


@pytest.mark.parametrize("table", sorted(TABLES))
def test_repairing_and_adding_equals_a_rebuild(library: Library, photos: Path, table: str) -> None:
    before = dump(library)
    value = next(v for v in reversed(before[table][-1][:-1]) if isinstance(v, bytes))
    flipped = bytearray(file_of(library).read_bytes())
    for place in places(bytes(flipped), value):
        flipped[place + 1] ^= 4
    file_of(library).write_bytes(flipped)
    assert library.check()
    aside = library.repair()
    assert aside is not None
    assert aside.read_bytes() == flipped
    assert library.check() == ()
    library.add(photos)
    assert dump(library) == before


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + bytes(5000), b"garbage" * 1000])
def test_a_file_that_is_no_library_is_set_aside(library: Library, photos: Path, content: bytes) -> None:
    before = dump(library)
    file_of(library).write_bytes(content)
    for reading in (library.embeddings, library.status):
        with pytest.raises(LibraryDamagedError, match="twinpix library repair"):
            reading()
    assert library.check()
    aside = library.repair()
    assert aside is not None
    assert aside.read_bytes() == content
    assert library.add(photos).encoded == 12
    assert dump(library) == before


def test_a_file_that_is_empty_or_gone_is_not_begun_anew_over_its_log(library: Library, photos: Path) -> None:
    path = file_of(library)
    log = path.with_name("library.sqlite-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA user_version = 1")
        written = log.read_bytes()
    assert written
    log.write_bytes(written)
    gone = "is gone, and its log is there: put it back"
    for make, message in ((lambda: path.write_bytes(b""), "is empty: run"), (lambda: path.unlink(), gone)):
        make()
        with pytest.raises(LibraryDamagedError, match=message):
            library.add(photos)
        assert log.read_bytes() == written
    log.unlink()
    assert library.add(photos).encoded == 12


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file(library: Library, photos: Path, share: float) -> None:
    before, data = dump(library), file_of(library).read_bytes()
    file_of(library).write_bytes(data[: int(len(data) * share)])
    assert library.check()
    assert library.repair() is not None
    library.add(photos)
    assert dump(library) == before


def test_a_damaged_vector_is_not_served(library: Library) -> None:
    with closing(sqlite3.connect(library.path / "library.sqlite", isolation_level=None)) as file:
        file.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE rowid = 3")
    with pytest.raises(LibraryDamagedError, match=r"library .*: a damaged row in vectors: run"):
        library.embeddings()
    assert [problem.place for problem in library.check()] == ["vectors"]


def test_another_programs_file_and_a_newer_twinpixs_stay_as_they_are(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.path.mkdir()
    path = library.path / "library.sqlite"
    for mark, error, message in (
        ("application_id = 77", LibraryDamagedError, "not a twinpix library"),
        (f"application_id = {0x74777078}; PRAGMA user_version = {9 * 0x01010101}", LibraryError, "newer twinpix"),
    ):
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as file:
            file.executescript(f"PRAGMA {mark}; CREATE TABLE mine (a)")
        before = path.read_bytes()
        for attempt in (lambda: library.add(photos), library.embeddings):
            with pytest.raises(error, match=message):
                attempt()
        assert path.read_bytes() == before


def test_rows_behind_a_page_that_cant_be_read_are_kept(library: Library, photos: Path) -> None:
    contents = [bytes([number % 256, number // 256]) * 16 for number in range(400)]
    with closing(open_to_write(library.path)) as connection, transaction(connection):
        put(connection, "vectors", [(b"tiny", content, b"\0" * 768) for content in contents])
    file = file_of(library)
    data = bytearray(file.read_bytes())
    page = places(bytes(data), contents[200] + bytes(9))[0] // 4096 * 4096  # the row, not the index
    data[page : page + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    assert library.repair() is not None
    kept = {row[1] for row in dump(library)["vectors"]}
    assert contents[200] not in kept and {contents[0], contents[-1]} <= kept
    assert len(kept) >= 380  # a page holds five of them


def test_a_repaired_library_is_written_beside_a_reader(library: Library, photos: Path) -> None:
    file = file_of(library)
    file.write_bytes(file.read_bytes().replace(b"corrupt", b"corrupT"))
    (library.path / "library.sqlite-journal").write_bytes(
        bytes(512)
    )  # of a writer that was killed; SQLite passes it by
    aside = library.repair()
    assert aside is not None and Path(f"{aside}-journal").read_bytes() == bytes(512)
    assert not (library.path / "library.sqlite-journal").exists()
    with library.reading() as connection:
        assert len(connection.execute("SELECT * FROM files").fetchall()) == 14
        library.remove(photos / "old")
    assert library.add(photos).encoded == 0


def test_a_library_that_was_repaired_before_gets_its_log_back(library: Library, photos: Path) -> None:
    with closing(sqlite3.connect(file_of(library))) as file:
        assert file.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    library.add(photos)
    with closing(sqlite3.connect(file_of(library))) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_takes_back_what_a_killed_writer_left_half_done(library: Library, shelf: Shelf) -> None:
    before = dump(library)
    with closing(sqlite3.connect(file_of(library), isolation_level=None)) as file:
        for setting in ("journal_mode = DELETE", "cache_size = 1"):  # pages go to the disk before the end
            file.execute(f"PRAGMA {setting}")
        file.execute("BEGIN IMMEDIATE")
        file.execute("UPDATE vectors SET vector = zeroblob(length(vector))")
        shutil.copytree(library.path, library.path.with_name("killed"))
    killed = shelf("killed")
    assert (killed.path / "library.sqlite-journal").stat().st_size > 512
    assert len(killed.embeddings().paths) == 13
    assert (killed.check(), dump(killed)) == ((), before)
