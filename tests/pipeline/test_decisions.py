"""Decisions about pairs: kept by content, whatever happens to names, lines and processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.pipeline.decisions import (
    Content,
    Decisions,
    Verdict,
    content_of,
    decide,
    decisions_path,
    pair_of,
    read_decisions,
)
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.group import star_groups

Paint = Callable[..., Image.Image]
Command = Callable[..., subprocess.CompletedProcess[str]]
A, B, C = (Content(letter * 32, size) for letter, size in (("a", 1), ("b", 2), ("c", 3)))


def test_the_last_word_on_a_pair_counts() -> None:
    assert read_decisions() == Decisions({})
    decide([(A, B), (C, B)], Verdict.DIFFERENT)
    decide([(B, A)], Verdict.SAME)
    decide([(C, A)], Verdict.DIFFERENT)
    decide([(A, C)], Verdict.OPEN)
    assert read_decisions().verdicts == {(A, B): Verdict.SAME, (B, C): Verdict.DIFFERENT}


def test_equal_bytes_are_nothing_to_decide_about() -> None:
    with pytest.raises(InputError, match="same bytes"):
        decide([(A, A)], Verdict.DIFFERENT)


def test_every_flipped_bit_and_every_torn_end_costs_one_line_at_most() -> None:
    decide([(A, B)], Verdict.DIFFERENT)
    decide([(A, C)], Verdict.DIFFERENT)
    path = decisions_path()
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for at in range(first):
        for bit in range(8):
            flipped = bytes([whole[at] ^ (1 << bit)])
            path.write_bytes(whole[:at] + flipped + whole[at + 1 :])
            found = read_decisions()
            assert found.damaged >= 1 and found.verdicts == {(A, C): Verdict.DIFFERENT}, (at, bit)
    for end in range(first + 1, len(whole)):
        path.write_bytes(whole[:end])
        decide([(B, C)], Verdict.SAME)
        kept = read_decisions().verdicts
        assert kept[(A, B)] is Verdict.DIFFERENT and kept[(B, C)] is Verdict.SAME


DECIDE_MANY = """
import sys
from twinpix.pipeline.decisions import Content, Verdict, decide
for i in range(50):
    decide([(Content(f"{int(sys.argv[1]) + i:032x}", 1), Content("f" * 32, 2))], Verdict.DIFFERENT)
"""


def test_processes_that_write_at_once_lose_nothing() -> None:
    writers = [subprocess.Popen([sys.executable, "-c", DECIDE_MANY, str(1000 * k)]) for k in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    found = read_decisions()
    assert (len(found.verdicts), found.damaged) == (200, 0)


def test_a_file_that_can_not_be_read_is_an_error() -> None:
    decisions_path().mkdir(parents=True)
    with pytest.raises(InputError, match=r"decisions\.jsonl: your decisions can't be read"):
        read_decisions()
    with pytest.raises(InputError, match="can't be written"):
        decide([(A, B)], Verdict.SAME)


def test_where_the_data_folder_is_a_file_none_was_ever_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "file"))
    assert not read_decisions().verdicts
    with pytest.raises(InputError, match="can't be written"):
        decide([(A, B)], Verdict.SAME)


# -- what follows from them


def test_a_pair_called_different_never_comes_back(album: Path, paint: Paint) -> None:
    before = find_duplicates(album)
    assert len(before.matches) == 3 and before.dismissed == 0
    decide([(content_of(album / "a.png"), content_of(album / "a.webp"))], Verdict.DIFFERENT)
    (album / "a.webp").rename(album / "sub" / "moved.webp")  # content counts, not the name
    after = find_duplicates(album)
    # a.png and its byte copy are one content: the WebP is apart from both
    assert [[path.name for path in group.files] for group in after.groups] == [["a.png", "a copy.png"]]
    assert (len(after.matches), after.dismissed) == (1, 2)
    (album / "sub" / "moved.webp").write_bytes(b"")
    paint(0).save(album / "sub" / "moved.webp", lossless=True, exif=b"Exif\0\0other bytes")
    assert find_duplicates(album).dismissed == 0


def test_commands_say_how_many_pairs_they_leave_out(album: Path, tmp_path: Path, command: Command) -> None:
    decide([pair_of(content_of(album / "a.png"), content_of(album / "a.webp"))], Verdict.DIFFERENT)
    said = "2 pairs left out: you called them no duplicates"
    assert said in command("find-duplicates", album).stdout
    assert said in command("twinpix", "plan", album, "-o", tmp_path / "plan.jsonl").stderr
    pytest.importorskip("imagehash")
    assert said in command("find-duplicates", album, "--metric", "dhash").stdout


def test_apart_files_are_never_in_one_group() -> None:
    paths = [Path(name) for name in "abcd"]
    i, j = np.array([0, 0, 0]), np.array([1, 2, 3])
    distance = np.array([0.3, 0.1, 0.2], np.float32)
    (group,) = star_groups(paths, i, j, distance, {(1, 2)})
    assert [path.name for path in group.files] == ["a", "c", "d"]
