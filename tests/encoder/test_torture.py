"""The tortures of decoding, in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinpix.encoder import contained

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts stand in one folder."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "torture")


def test_malformed_files(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NASTY", raising=False)
    import decode_files

    assert decode_files.main(each=1) == 0, capsys.readouterr().out
    assert "no folder of bad files given" in capsys.readouterr().out


def test_crashes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(contained, "SECONDS", 2.0)
    import decode_crashes

    assert decode_crashes.main(images=24, looked=10) == 0, capsys.readouterr().out


def test_a_missed_bar_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import decode_files

    monkeypatch.setattr(decode_files, "SECONDS", 0.0)
    assert decode_files.main(each=0) == 1
    assert ": takes " in capsys.readouterr().out


def test_fifty_megapixels_fit_in_a_worker() -> None:
    from rig.bombs import png
    from rig.watched import peak_mb

    decoders = contained.Decoders()
    picture = decoders.decode(png(10_000, 5_000, colour=6, pixels=200 << 20), 96)
    (worker,) = decoders.workers
    assert picture.size == (1250, 625)
    assert picture.getpixel((9, 9)) == (128, 128, 128)  # transparent
    assert peak_mb(worker.pid) <= 512
    decoders.close()
