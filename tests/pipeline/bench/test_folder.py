"""Which pictures of a folder are measured with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench import folder as room
from twinpix.pipeline.bench.folder import choose_pictures, load_folder
from twinpix.pipeline.bench.split import Split, draw

Paint = Callable[..., Image.Image]


def test_load_folder(album: Path) -> None:
    loaded = load_folder(album, px=100)
    names, pictures = loaded.names, loaded.pictures
    assert str(loaded) == "5 images; 1 file skipped: 1 not_an_image"
    assert names == sorted(["a.png", "a.webp", "b.png", "sub/a copy.png", "sub/c.png"], key=draw)
    assert all(max(picture.size) <= 100 and picture.mode == "RGB" for picture in pictures)
    assert load_folder(album, limit=2).names == names[:2]


def test_load_folder_reads_no_further_than_its_limit(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def noted(path: Path, at_least: int) -> Image.Image:
        read.append(path)
        return decode(path, at_least)

    monkeypatch.setattr(room, "decode", noted)
    monkeypatch.setattr(room, "READ_BLOCK", 1)
    names = load_folder(album, limit=2).names
    assert [str(path.relative_to(album)) for path in read] == [name for name in names if name != "notes.txt"]


def test_originals_queries_references_and_pasted_pictures(rows: Path) -> None:
    chosen = choose_pictures(rows, 25, 6, Split.REPORT)
    n = len(chosen.originals)
    assert n == 25
    assert len(chosen.pasted) == 3
    assert all(picture not in chosen.originals for picture in chosen.pasted)
    assert len(chosen.queries) == 6
    assert all(Split.REPORT.holds(chosen.names[row]) for row in [*chosen.queries, *chosen.matched, *chosen.absent])
    assert len(chosen.absent) == 4 * len(chosen.matched)  # a fifth of the queries has a match
    assert not set(chosen.absent.tolist()) & set(chosen.references.tolist())
    assert set(chosen.matched.tolist()) <= set(chosen.references.tolist())
    other = choose_pictures(rows, 25, 6, Split.DEVELOP)
    assert other.names == chosen.names  # the false-match rate is read from both halves
    assert not {other.names[row] for row in other.queries} & {chosen.names[row] for row in chosen.queries}


def test_near_twins_are_left_out(rows: Path, paint: Paint) -> None:
    paint(3, 96, 72).resize((60, 45)).save(rows / "again.png")
    chosen = choose_pictures(rows, 100, 6, Split.ALL)
    assert chosen.twins == 1
    assert len(chosen.originals) + len(chosen.pasted) == 30


def test_why_files_gave_no_picture_is_said(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.jpg").write_bytes(b"no image" if k else b"")
    with pytest.raises(InputError, match=r"0 of 0 images; 3 files skipped: 1 empty_file, 2 not_an_image"):
        choose_pictures(tmp_path, 100, 10, Split.ALL)


def test_a_limit_that_leaves_too_few_is_named(rows: Path) -> None:
    for k in range(200):
        shutil.copy(rows / "03.png", rows / f"again {k}.png")
    with pytest.raises(InputError, match="--limit 12 ends there"):
        choose_pictures(rows, 12, 10, Split.ALL)


def test_too_few_pictures(album: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few different pictures"):
        choose_pictures(album, 100, 10, Split.ALL)
    with pytest.raises(InputError, match="--limit 11: a measurement needs at least 12"):
        choose_pictures(album, 11, 10, Split.ALL)
    with pytest.raises(InputError, match="no such folder"):
        choose_pictures(tmp_path / "none", 100, 10, Split.ALL)
