"""Threads of a scan, and the processes that decode for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from twinpix import find_duplicates
from twinpix.encoder.contained import Decoders, Worker
from twinpix.encoder.door import elsewhere
from twinpix.pipeline.threads import decoding_threads, sharing_decoders


def decoders_of_a_scan(fails: bool = False) -> Decoders:
    with decoding_threads(1) as pool:
        found = pool.submit(elsewhere).result()
        if fails:
            raise KeyboardInterrupt
    assert isinstance(found, Decoders)
    return found


def test_scans_share_their_decoders_where_they_are_told_to() -> None:
    alone = decoders_of_a_scan()
    assert alone.is_closed and decoders_of_a_scan() is not alone
    with sharing_decoders():
        first = decoders_of_a_scan()
        assert not first.is_closed and decoders_of_a_scan() is first
    assert first.is_closed and decoders_of_a_scan() is not first


def test_an_interrupted_scan_ends_its_decoders_and_the_next_one_has_others() -> None:
    with sharing_decoders():
        shared = decoders_of_a_scan()
        with pytest.raises(KeyboardInterrupt):
            decoders_of_a_scan(fails=True)
        assert shared.is_closed and decoders_of_a_scan() is not shared


def test_a_whole_run_starts_each_decoding_process_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, real = list[Worker](), Worker.__init__

    def noting(self: Worker) -> None:
        started.append(self)
        real(self)

    monkeypatch.setattr(Worker, "__init__", noting)
    picture = Image.effect_mandelbrot((300, 200), (-2.0, -1.5, 1.0, 1.5), 90)
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.jpg")
    assert len(find_duplicates(tmp_path, workers=1).groups) == 1
    assert len(started) == 1, "for embeddings, looks and relations"
    assert not started[0].is_alive()
