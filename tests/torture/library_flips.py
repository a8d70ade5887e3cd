"""RELIABILITY bars 7 and 16: a flipped bit in any file that is kept is found, or changes nothing that is read.

    python tests/torture/library_flips.py        FLIPS=600 in each kind of file; SEED=0

The library, its log, its second looks and its relations: `check` finds the flip, or every row is as it was (room that
nothing uses), and nothing is read that was not kept; `repair` and `add` of the folders then equal a library made anew.
A library of three files: every bit in use. Calibrations (every bit), exports and models: reading them fails by a named
error, or gives what was written. And no file is unpickled.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rig.pictures import PixelEncoder, make_files, setting

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import TwinpixError
from twinpix.encoder.onnx import MODELS, load_encoder
from twinpix.pipeline.calibration.calibrations import keep_calibration, read_own
from twinpix.pipeline.library.forget import stored_contents
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.library.place import LOOKS, NAME, RELATIONS
from twinpix.pipeline.library.relations import KEPT_FILES, RELATIONS_FILE
from twinpix.pipeline.library.schema import TABLES
from twinpix.pipeline.library.store import open_to_read
from twinpix.pipeline.load import load_embeddings
from twinpix.pipeline.second_look.remembered import OUTCOMES

ALL_BITS = 40  # times `FLIPS` are all bits of a small library, about

Rows = dict[str, list[tuple[object, ...]]]


@dataclass
class Figures:
    """What is counted, of one kind of file."""

    name: str
    flips: int = 0
    found: int = 0
    repaired: int = 0
    missed: int = 0
    unlike: int = 0

    def __str__(self) -> str:
        rest = self.flips - self.found - self.missed
        repaired = f"; {self.repaired} repaired, {self.unlike} of them unlike a rebuild" if self.repaired else ""
        return (
            f"{self.name}: {self.flips} flips, {self.found} found, {rest} changed nothing that is read, "
            f"{self.missed} MISSED{repaired}"
        )


def rows_of(library: Path) -> Rows:
    """All that can be read of a library."""
    with closing(open_to_read(library)) as file:
        rows: Rows = {table: sorted(file.execute(f"SELECT * FROM {table}")) for table in TABLES}
    kept: Rows = {file.name: sorted((one.tobytes(),) for one in file.read(library).ours) for file in KEPT_FILES}
    return {**rows, **kept}


def stored(library: Path) -> Rows:
    """The same without what the folders say nothing of."""
    return {**rows_of(library), "roots": [], LOOKS: [], RELATIONS: []}


def add_kept(library: Path) -> None:
    """Outcomes of second looks at some pairs of its files, and their relations."""
    with closing(open_to_read(library)) as file:
        contents = stored_contents(file)[:20]
    query, reference = np.triu_indices(len(contents), 1)
    ends, numbers = {"query": contents[query], "reference": contents[reference]}, np.arange(len(query))
    LOOKS_FILE.append(library, LOOKS_FILE.made(**ends, outcome=numbers % len(OUTCOMES), tests=numbers % 4))
    said = np.array([b'{"kind":"edited","number":%d}' % number for number in numbers], "S467")
    RELATIONS_FILE.append(library, RELATIONS_FILE.made(**ends, way=numbers % 3, said=said))


def flipped(data: bytes, bit: int) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def bits(data: bytes, flips: int, dice: np.random.Generator) -> Iterator[int]:
    """The first 100 bytes (headers), and then anywhere."""
    yield from (8 * place + int(dice.integers(8)) for place in range(min(100, len(data))))
    yield from dice.integers(8 * len(data), size=flips).tolist()


def in_library(name: str, part: str, start: Path, files: Path, flips: int, dice: np.random.Generator) -> Figures:
    """Flips in a file of a library; every tenth that is found is repaired."""
    figures, place, rows = (
        Figures(name),
        start.with_name("flipped"),
        rows_of(copied(start, start.with_name("as it is"))),
    )
    data, kept = (start / part).read_bytes(), {record for file in KEPT_FILES for (record,) in rows[file.name]}
    rebuilt = Library(start.with_name("anew"), PixelEncoder())
    rebuilt.add(files)
    anew = stored(rebuilt.path)
    for bit in bits(data, flips, dice):
        (copied(start, place) / part).write_bytes(flipped(data, bit))
        figures.flips += 1
        library = Library(place, PixelEncoder())
        if not {record.tobytes() for file in KEPT_FILES for record in file.read(place).ours} <= kept:
            figures.missed += 1
        elif library.check():
            figures.found += 1
            if figures.found % 10 == 1:
                library.repair()
                library.add(files)
                figures.repaired += 1
                figures.unlike += bool(library.check()) or stored(place) != anew
        elif rows_of(place) != rows:
            figures.missed += 1
    shutil.rmtree(rebuilt.path)
    return figures


def in_small_library(room: Path, flips: int) -> Figures:
    """Each bit in use of a library of three files, if so many are wanted: found, and refused by those who read."""
    figures, place = Figures("library of three files"), room / "small"
    make_files(room / "three", 3)
    library = Library(place, PixelEncoder())
    library.add(room / "three")
    library.compact()
    file, rows = place / NAME, rows_of(place)
    data = file.read_bytes()
    in_use = [8 * at + bit for at in np.flatnonzero(np.frombuffer(data, np.uint8)).tolist() for bit in range(8)]
    for bit in in_use[:: -(-len(in_use) // (ALL_BITS * flips))]:
        for left in place.glob(f"{NAME}-*"):
            left.unlink()
        file.write_bytes(flipped(data, bit))
        figures.flips += 1
        if library.check():
            figures.found += 1
        elif rows_of(place) != rows:
            figures.missed += 1
        for read in (library.embeddings, library.duplicates, library.status):
            with suppress(TwinpixError):  # any other error ends the torture
                read()
    return figures


def copied(start: Path, place: Path) -> Path:
    """A library somewhere else, without what SQLite makes anew."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(start, place, ignore=shutil.ignore_patterns("*-shm"))
    return place


def in_file(
    name: str, path: Path, read: Callable[[], object], flips: int, dice: np.random.Generator, all_bits: bool = False
) -> Figures:
    """Flips in a file of its own: it is refused by a named error, or what is read is what was written."""
    figures, data, expected = Figures(name), path.read_bytes(), read()
    for bit in range(8 * len(data)) if all_bits else bits(data, flips, dice):
        path.write_bytes(flipped(data, bit))
        figures.flips += 1
        try:
            figures.missed += read() != expected
        except TwinpixError:
            figures.found += 1
    path.write_bytes(data)
    return figures


class Trap:
    """Unpickled, it leaves a trace."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("trapped",)


def unpickled(room: Path) -> bool:
    """Whether a file of embeddings can make us run code of its own."""
    os.chdir(room)
    np.savez(room / "trap.npz", paths=np.array([Trap()], object), embeddings=np.ones((1, 4)), fingerprint="x")
    (room / "bare.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.npz", "bare.npz"):
        try:
            load_embeddings(room / name)
        except TwinpixError:
            continue
        return True
    return (room / "trapped").exists()


def all_figures(room: Path, flips: int, dice: np.random.Generator) -> Iterator[Figures]:
    """Every kind of file."""
    files, whole, logged = room / "files", room / "whole", room / "logged"
    make_files(files, 200)
    Library(whole, PixelEncoder()).add(files)
    Library(whole).compact()
    add_kept(whole)
    yield in_library("library", NAME, whole, files, flips, dice)
    yield in_small_library(room, flips)
    yield in_library("second looks", LOOKS, whole, files, flips, dice)
    yield in_library("relations", RELATIONS, whole, files, flips, dice)
    made = Library(room / "made", PixelEncoder())
    made.add(files / "000" / "000000.png")
    with closing(sqlite3.connect(made.path / NAME)) as reader:  # keeps the log
        reader.execute("SELECT count(*) FROM files").fetchone()
        made.add(files)
        copied(made.path, logged)
    yield in_library("its log, left over", f"{NAME}-wal", logged, files, flips, dice)
    kept = keep_calibration(PixelEncoder(), Calibration((0.1, 1.0, 2.0), (1e-6, 1e-3, 1.0), 1e-5, 300, "pictures"))
    yield in_file("calibration", kept, lambda: read_own("pixels"), 0, dice, all_bits=True)
    export = room / "out.npz"
    made.export(export)

    def embeddings() -> object:
        found = load_embeddings(export)
        return found.paths, found.vectors.tobytes(), found.fingerprint

    yield in_file("export .npz", export, embeddings, flips, dice)
    for name in ("twinpix.onnx", "twinpix.json"):
        shutil.copy(MODELS / name, room / name)
    model = room / "twinpix.onnx"

    def loaded() -> object:
        return load_encoder(model).fingerprint

    yield in_file("model", model, loaded, min(flips, 50), dice)


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    flips, dice, missed = setting("FLIPS", 600), np.random.default_rng(setting("SEED", 0)), False
    with tempfile.TemporaryDirectory() as place:
        os.environ["TWINPIX_DATA"] = str(Path(place) / "data")
        begun = time.monotonic()
        for figures in all_figures(Path(place), flips, dice):
            print(f"{figures} ({time.monotonic() - begun:.0f} s)", flush=True)
            missed |= bool(figures.missed or figures.unlike or not figures.found)
            begun = time.monotonic()
        ran = unpickled(Path(place))
        print("a pickle in an export: " + ("UNPICKLED" if ran else "refused"))
        os.chdir("/")
    print("MISSED" if missed or ran else "met")
    return int(missed or ran)


if __name__ == "__main__":
    sys.exit(main())
