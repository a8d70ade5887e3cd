"""The split: stable for ever, disjoint, about half and half."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from twinpix.pipeline.bench.split import Split, draw

NAMES = [f"photos/{i}.jpg" for i in range(2000)]

FROZEN = [True, True, True, False, True, True, False, True]


def test_halves_are_disjoint_and_complete() -> None:
    report = {name for name in NAMES if Split.REPORT.holds(name)}
    develop = {name for name in NAMES if Split.DEVELOP.holds(name)}
    assert not report & develop
    assert report | develop == set(NAMES)
    assert 900 < len(report) < 1100
    assert all(Split.ALL.holds(name) for name in NAMES)


def test_the_draw_depends_on_nothing_but_the_name() -> None:
    code = "from twinpix.pipeline.bench.split import draw; print(draw('photos/7.jpg'))"
    for seed in ("1", "2"):  # Python's own hash() differs between these two
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        assert int(done.stdout) == draw("photos/7.jpg")
    # frozen: a split that moves between versions would turn development numbers into reported ones
    assert draw("davis_frames/blackswan") == int(
        hashlib.sha256(b"davis_frames/blackswan").hexdigest()[:16], 16
    ) // 2  # fmt: skip
    assert [Split.REPORT.holds(name) for name in "abcdefgh"] == FROZEN


def test_names_that_are_no_text() -> None:
    assert draw("\udcff.jpg") != draw("\udcfe.jpg")
