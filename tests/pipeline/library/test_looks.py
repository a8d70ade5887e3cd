"""Second looks are remembered beside the library: never a wrong outcome, and no fault of it stops a scan."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline import duplicates
from twinpix.pipeline.bench.edits import jpeg, zoom
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.library import kept as kept_module
from twinpix.pipeline.library import looks, looks_file
from twinpix.pipeline.library.kept_file import KeptFile
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.library.place import LOOKS, RELATIONS
from twinpix.pipeline.library.soft import Cache
from twinpix.pipeline.limits import limits
from twinpix.pipeline.relation import pairs
from twinpix.pipeline.report import Report
from twinpix.pipeline.second_look import eye, look_again
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.remembered import LOOKS_VERSION
from twinpix.pipeline.second_look.verify import examine

Paint = Callable[..., Image.Image]

SIZE = LOOKS_FILE.record.itemsize

pytestmark = pytest.mark.usefixtures("fine_clock")


@pytest.fixture
def folder(tmp_path: Path, paint: Paint, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five different pictures, one of them zoomed, one as JPEG, one copied; every pair is a candidate."""
    place, dice = tmp_path / "pictures", np.random.default_rng(0)
    place.mkdir()
    pictures = [paint(seed, 160, 120, 30) for seed in range(5)]
    pictures += [zoom(1.25)(pictures[0], dice), jpeg(60)(pictures[1], dice)]
    for number, picture in enumerate(pictures):
        picture.save(place / f"{number}.png")
    shutil.copy(place / "2.png", place / "copy.png")
    wide = replace(limits(encoder, 8, None, None), candidate=2.0, far=1.3, unverified=0.6)
    monkeypatch.setattr(duplicates, "limits", lambda *_: wide)
    return place


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the pictures that are looked at."""
    seen = set[str]()

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def note(source: Path, *rest: Any, **more: Any) -> Any:
            seen.add(source.name)
            return real(source, *rest, **more)

        return note

    for name in ("look", "parts", "glance_at"):
        monkeypatch.setattr(eye, name, noting(getattr(eye, name)))
    return seen


def test_a_second_scan_looks_at_nothing_and_says_the_same(folder: Path, tmp_path: Path, looked: set[str]) -> None:
    plain, library = find_duplicates(folder), Library(tmp_path / "library")
    assert len(plain.matches) == 3 and plain.refuted > 10 and len(looked) == 8
    assert find_duplicates(folder, library=library) == plain
    looked.clear()
    for again in (find_duplicates(folder, library=library), library.duplicates(), library.duplicates(folder)):
        assert again == plain
    assert not looked
    assert library.status().looks == 28 and not library.check()


def test_relations_are_examined_the_way_round_that_was_looked_at(
    folder: Path, tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the representative, which is like both others, is the second of the pairs that were looked at
    middle, dice = zoom(1.25)(paint(0, 160, 120, 30), np.random.default_rng(0)), np.random.default_rng(0)
    middle.save(folder / "y.png")
    zoom(1.6)(middle, dice).save(folder / "1z.png")
    (folder / "5.png").unlink()
    library, ways, real = Library(tmp_path / "library"), list[tuple[str, str]](), examine

    def noting(query: Any, reference: Any) -> Any:
        ways.append((query.source.name, reference.source.name))
        return real(query, reference)

    monkeypatch.setattr(pairs, "examine", noting)
    first = find_duplicates(folder, library=library)
    assert ["y.png", "0.png", "1z.png"] in [[path.name for path in group.files] for group in first.groups]
    assert not ways, "what a look has found is handed on"
    (library.path / RELATIONS).unlink()
    assert find_duplicates(folder, library=library) == first
    assert sorted(ways) == [("0.png", "y.png"), ("1.png", "6.png"), ("1z.png", "y.png")]
    ways.clear()
    assert find_duplicates(folder, library=library) == first and not ways


def test_a_new_picture_costs_its_own_pairs_and_a_changed_one_too(
    folder: Path, tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, asked = Library(tmp_path / "library"), list[int]()
    find_duplicates(folder, library=library)
    real = looks.KeptLooks.keep

    def counting(self: looks.KeptLooks, rows: Any, codes: Any, tests: Any) -> None:
        asked.append(len(codes))
        real(self, rows, codes, tests)

    monkeypatch.setattr(looks.KeptLooks, "keep", counting)
    paint(9, 160, 120, 30).save(folder / "new.png")
    find_duplicates(folder, library=library)
    assert asked == [8]
    (folder / "new.png").rename(folder / "renamed.png")
    find_duplicates(folder, library=library)
    paint(4, 160, 120, 30).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "3.png")
    changed = find_duplicates(folder, library=library)
    assert sum(asked) <= 8 + 8 + 8 and changed == find_duplicates(folder)
    assert {"3.png", "4.png"} in [{path.name for path in group.files} for group in changed.groups]


def test_what_changes_while_it_is_looked_at_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path / "library")
    real = look

    def meddling(source: Any) -> Any:
        (folder / "4.png").write_bytes((folder / "3.png").read_bytes())
        return real(source)

    with monkeypatch.context() as patched:
        patched.setattr(eye, "look", meddling)
        find_duplicates(folder, library=library)
    assert library.status().looks == 21, "all pairs but those of 4"
    assert find_duplicates(folder, library=library) == find_duplicates(folder)


@pytest.fixture
def kept(folder: Path, tmp_path: Path) -> tuple[Library, Report]:
    """A library that remembers 28 looks, and the report."""
    library = Library(tmp_path / "library")
    return library, find_duplicates(folder, library=library)


def test_a_flipped_bit_is_found_and_costs_a_look(kept: tuple[Library, Report], folder: Path) -> None:
    (library, report), dice = kept, np.random.default_rng(0)
    path = library.path / LOOKS
    data = path.read_bytes()
    assert len(data) == 29 * SIZE
    outcomes = {record.tobytes() for record in LOOKS_FILE.read(library.path).ours}
    for byte in range(len(data)):
        path.write_bytes(data[:byte] + bytes([data[byte] ^ 1 << int(dice.integers(8))]) + data[byte + 1 :])
        found = LOOKS_FILE.read(library.path)
        in_header = byte < SIZE
        assert (bool(found.fault), found.damaged) == (in_header, not in_header), byte
        assert {record.tobytes() for record in found.ours} <= outcomes and len(found.ours) == 27 + in_header
    assert [problem.place for problem in library.check()] == ["looks"]
    assert find_duplicates(folder, library=library) == report
    assert [problem.place for problem in library.check()] == ["looks"], "what is damaged stays, until it is repaired"
    aside = library.repair()
    assert aside is not None and aside.name.startswith("looks.damaged-") and not library.check()
    assert library.status().looks == 28 and library.repair() is None


def test_a_file_that_was_cut_anywhere_is_read_as_far_as_it_goes_and_healed(
    kept: tuple[Library, Report], folder: Path
) -> None:
    library, report = kept
    path = library.path / LOOKS
    data = path.read_bytes()
    for length in (0, SIZE - 1, SIZE, 9 * SIZE + 47):
        path.write_bytes(data[:length])
        assert len(LOOKS_FILE.read(library.path).records) == max(0, length // SIZE - 1)
        assert len(library.check()) == (length % SIZE > 0)
        assert find_duplicates(folder, library=library) == report
        # of a byte copy, the record of its twin may do for a pair
        assert not library.check() and 21 <= library.status().looks <= 28
    path.write_bytes(bytes(len(data)))
    assert not len(LOOKS_FILE.read(library.path).records), "zeros, as after a power cut, are no records"


def test_those_of_other_code_count_for_nothing_until_they_are_dropped(
    kept: tuple[Library, Report], folder: Path, monkeypatch: pytest.MonkeyPatch, looked: set[str]
) -> None:
    library, report = kept
    with monkeypatch.context() as patched:
        patched.setattr(f"{looks_file.__name__}.LOOKS_VERSION", LOOKS_VERSION + 1)
        looks_file.looked_by.cache_clear()
        assert library.status().looks == 0
        assert find_duplicates(folder, library=library) == report and len(looked) == 8
        assert library.status().looks == 28
    looks_file.looked_by.cache_clear()
    assert len(LOOKS_FILE.read(library.path).records) == 56 and library.status().looks == 28
    (folder / "4.png").unlink()
    library.forget_missing(force=True)
    library.compact()
    assert len(LOOKS_FILE.read(library.path).records) == library.status().looks == 19, "21, two of them of the copy"
    assert not library.check() and find_duplicates(folder, library=library) == find_duplicates(folder)


def test_the_file_of_a_newer_twinpix_is_left_alone(kept: tuple[Library, Report], folder: Path) -> None:
    library, report = kept
    newer = LOOKS_FILE.header(2) + b"of another size"
    (library.path / LOOKS).write_bytes(newer)
    assert find_duplicates(folder, library=library) == report
    library.compact()
    assert library.repair() is None and not library.check() and library.status().looks == 0
    assert (library.path / LOOKS).read_bytes() == newer


def fails(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("where", "fault"), [(KeptFile, "append"), (KeptFile, "read"), (kept_module, "open_to_read")])
def test_no_fault_stops_a_scan(
    folder: Path,
    tmp_path: Path,
    where: object,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    library, plain = Library(tmp_path / "library"), find_duplicates(folder)
    with monkeypatch.context() as patched:
        patched.setattr(where, fault, fails)
        patched.setattr(kept_module, "EVERY", 0.0)
        assert find_duplicates(folder, library=library) == plain
    said = capsys.readouterr().err
    assert said.count("\n") == said.count("remembered: library") == said.count("make room") == 2
    assert "second looks are" in said and "relations are" in said
    assert find_duplicates(folder, library=library) == plain and not library.check()
    assert not capsys.readouterr().err


def test_a_library_that_is_busy_in_the_end_stops_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Library(tmp_path / "library")
    library.add(folder)
    with writer_lock(library.path):
        report = library.duplicates(folder)
    assert "not all second looks are remembered: library" in capsys.readouterr().err
    assert library.status().looks == 0
    assert library.duplicates(folder) == report and library.status().looks == 28


def test_a_cache_that_was_given_up_says_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "library").touch()
    said, plain = list[str](), find_duplicates(folder)
    assert find_duplicates(folder, library=Cache(Library(tmp_path / "library"), said.append)) == plain
    assert len(said) == 1


def test_looks_are_kept_on_the_way(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path / "library")
    monkeypatch.setattr(look_again, "BLOCK", 4)
    monkeypatch.setattr(kept_module, "EVERY", 0.0)
    on_disk = list[int]()

    def looking(done: int, of: int) -> None:
        on_disk.append(len(LOOKS_FILE.read(library.path).records))
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_duplicates(folder, library=library, looking=looking)
    assert on_disk == [4, 8, 12]
    monkeypatch.setattr(kept_module, "EVERY", 1e9)
    with pytest.raises(KeyboardInterrupt):
        find_duplicates(folder, library=library, looking=lambda done, of: looking(done - 8, of))
    assert on_disk[-1] == 12 and library.status().looks in (19, 20), "what was found before Ctrl-C is kept"
