"""The progress line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from twinpix.pipeline.progress import progress_meter
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import Chunk

CHUNK = Chunk((Path("/a"), Path("/b")), np.zeros((2, 4), np.float32), (Skipped(Path("/c"), "corrupt", "damaged"),))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_meter() as meter:
        meter(CHUNK, 6)
    assert capsys.readouterr() == ("", "")


def test_counts_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress_meter() as meter:
        meter(CHUNK, 6)
        meter(CHUNK, 6)
    shown = terminal.getvalue()
    assert "6/6" in shown
    assert "2 skipped" in shown
    assert "ETA" in shown
    assert capsys.readouterr().out == ""
