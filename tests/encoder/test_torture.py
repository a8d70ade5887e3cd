"""The tortures of decoding, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinpix.encoder import contained

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts import one another from the root of the checkout."""
    monkeypatch.syspath_prepend(ROOT)


def test_malformed_files(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NASTY", raising=False)
    from tests.torture import decode_files

    assert decode_files.main(each=1) == 0, capsys.readouterr().out
    assert "no folder of bad files given" in capsys.readouterr().out


def test_crashes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(contained, "SECONDS", 2.0)
    from tests.torture import decode_crashes

    assert decode_crashes.main(images=40, looked=10) == 0, capsys.readouterr().out


def test_a_missed_bar_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.torture import decode_files

    monkeypatch.setattr(decode_files, "SECONDS", 0.0)
    assert decode_files.main(each=0) == 1
    assert "takes 0." in capsys.readouterr().out
