"""Which pictures of a folder are measured with."""

from __future__ import annotations

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
    names, pictures = load_folder(album, px=100)
    assert names == sorted(["a.png", "a.webp", "b.png", "sub/a copy.png", "sub/c.png"], key=draw)
    assert all(max(picture.size) <= 100 and picture.mode == "RGB" for picture in pictures)
    assert load_folder(album, limit=2)[0] == names[:2]


def test_load_folder_reads_no_further_than_its_limit(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def noted(path: Path, at_least: int) -> Image.Image:
        read.append(path)
        return decode(path, at_least)

    monkeypatch.setattr(room, "decode", noted)
    monkeypatch.setattr(room, "READ_BLOCK", 1)
    names, _ = load_folder(album, limit=2)
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


def test_too_few_pictures(album: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few different pictures"):
        choose_pictures(album, 100, 10, Split.ALL)
    with pytest.raises(InputError, match="no such folder"):
        choose_pictures(tmp_path / "none", 100, 10, Split.ALL)
