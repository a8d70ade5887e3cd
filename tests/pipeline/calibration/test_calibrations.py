"""Calibrations of one's own: stored, used, forgotten."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import twinpix
from twinpix.encoder.calibration import Calibration, SecondLook
from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.calibration.calibrations import (
    forget_calibration,
    in_force,
    is_calibrated,
    keep_calibration,
    own_path,
    read_own,
)
from twinpix.pipeline.duplicates import compare, find_duplicates
from twinpix.pipeline.limits import WIDER, limits

OWN = Calibration((0.1, 0.3, 0.6, 0.9), (1e-8, 1e-6, 1e-4, 1e-2), 1e-5, 500, "holiday", SecondLook(400, 0, 9),
                  (0.0, 1e-7, 1e-5, 1e-3), (1e-6, 1e-5, 1e-3, 2e-2),
                  (Calibration((0.2, 0.8), (1e-6, 1e-2), 1e-4, 210, "photo"),))  # fmt: skip


class Foreign:
    """An encoder that says nothing of its distances."""

    name, dim, fingerprint, max_distance, is_calibrated = "foreign", 4, "f/../0", 2.0, False

    @property
    def calibration(self) -> Calibration:
        raise ModelError("not calibrated")


def test_round_trip(encoder: OnnxEncoder) -> None:
    assert read_own(encoder.fingerprint) is None
    path = keep_calibration(encoder, OWN)
    assert path == own_path(encoder.fingerprint)
    assert read_own(encoder.fingerprint) == OWN
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    keep_calibration(encoder, replace(OWN, pictures=501))
    assert in_force(encoder).calibration.pictures == 501
    assert forget_calibration(encoder)
    assert not forget_calibration(encoder)
    assert in_force(encoder).calibration == encoder.calibration


def test_ones_own_says_so(encoder: OnnxEncoder) -> None:
    assert "the model's" in str(in_force(encoder))
    keep_calibration(encoder, OWN)
    assert str(in_force(encoder)) == "holiday (yours)"


def test_it_decides_from_then_on(encoder: OnnxEncoder, album: Path) -> None:
    before = find_duplicates(album)
    keep_calibration(encoder, OWN)
    report = find_duplicates(album)
    assert report.threshold == pytest.approx(WIDER * 0.9)
    assert report.unverified_threshold == pytest.approx(0.3)
    assert report.threshold != before.threshold
    assert report.calibrated_on == "holiday (yours)"
    assert report.expected_false_pairs == OWN.verified_false_pairs(0.9, 0.0, OWN.library_threshold(5), 5)
    assert compare(album / "a.png", album / "b.png").unverified_threshold == pytest.approx(0.3)
    given = find_duplicates(album, threshold=0.6)
    assert given.expected_false_pairs == pytest.approx(1e-4 * 10)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"schema": 1, "fingerprint": "%s"}', b'{"schema": 2}']
)
def test_a_damaged_file_is_named(encoder: OnnxEncoder, album: Path, content: bytes) -> None:
    path = keep_calibration(encoder, OWN)
    path.write_bytes(content.replace(b"%s", encoder.fingerprint.encode()))
    for call in (lambda: in_force(encoder), lambda: find_duplicates(album)):
        with pytest.raises(InputError, match="--forget") as caught:
            call()
        assert str(path) in str(caught.value)
    assert find_duplicates is twinpix.find_duplicates
    assert forget_calibration(encoder)
    assert find_duplicates(album).images == 5


def test_a_file_of_another_encoder_is_refused(encoder: OnnxEncoder) -> None:
    path = keep_calibration(encoder, OWN)
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"fingerprint": "0123456789abcdef"}))
    with pytest.raises(InputError, match="not a calibration of this encoder"):
        in_force(encoder)


def test_a_damaged_curve_is_refused(encoder: OnnxEncoder) -> None:
    path = keep_calibration(encoder, OWN)
    values = json.loads(path.read_text())
    values["calibration"]["high"] = [1.0]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="damaged"):
        in_force(encoder)


def test_a_folder_that_cannot_be_written(encoder: OnnxEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match="can't be written"):
        keep_calibration(encoder, OWN)


def test_an_encoder_without_calibration_gets_one() -> None:
    foreign: twinpix.Encoder = Foreign()  # type: ignore[assignment]
    assert not is_calibrated(foreign)
    with pytest.raises(ModelError):
        limits(foreign, 2, None, None)
    assert limits(foreign, 2, 0.5, None).candidate == 0.5
    path = keep_calibration(foreign, OWN)
    assert path.parent == own_path("0").parent, "no way out of the folder"
    assert is_calibrated(foreign)
    assert limits(foreign, 2, None, False).candidate == pytest.approx(0.3)


def test_the_users_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TWINPIX_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert own_path("0123").name == "0123.json"
    assert "twinpix" in own_path("0123").parts


# -- how many false pairs


def test_fewer_false_pairs_are_stricter(encoder: OnnxEncoder) -> None:
    keep_calibration(encoder, OWN)
    for images in (3000, 10_000):
        found = [limits(encoder, images, None, None, wanted) for wanted in (0.1, 1, 10)]
        assert found[0].unverified < found[1].unverified < found[2].unverified
        assert found[0].candidate <= found[1].candidate <= found[2].candidate
        assert limits(encoder, images, None, None) == found[1]
    assert limits(encoder, 5, None, None).unverified < limits(encoder, 5, None, None, 1).unverified


def test_about_as_many_as_asked_for(encoder: OnnxEncoder) -> None:
    for wanted in (0.1, 1.0, 10.0):
        assert OWN.false_pairs(OWN.library_threshold(3000, wanted), 3000) == pytest.approx(wanted, rel=1e-6)
    assert OWN.is_clamped(20_000, 0.1)
    assert not OWN.is_clamped(20_000, 10)
    assert OWN.library_threshold(20_000, 0.1) == 0.1


def test_the_report_expects_what_was_asked_for(album: Path) -> None:
    expected = [
        find_duplicates(album, false_pairs=wanted, verify=False).expected_false_pairs for wanted in (0.1, 1, 10)
    ]
    assert None not in expected
    assert expected == sorted(expected, key=float)  # type: ignore[arg-type]
    assert expected[2] is not None and 0 < expected[2] <= 10


@pytest.mark.parametrize("wanted", [0, -1, float("nan"), float("inf")])
def test_a_number_of_false_pairs_is_above_0(album: Path, wanted: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        find_duplicates(album, false_pairs=wanted)


def test_a_threshold_and_a_number_of_false_pairs_exclude_each_other(album: Path) -> None:
    with pytest.raises(InputError, match="one of the two"):
        find_duplicates(album, threshold=0.5, false_pairs=1)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may enter any folder")
def test_in_a_data_folder_of_somebody_else_there_is_none(
    encoder: OnnxEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir(mode=0)
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "theirs" / "data"))
    assert not in_force(encoder).is_own
