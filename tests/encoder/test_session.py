"""Opening ONNX Runtime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from twinpix.encoder import onnx
from twinpix.encoder.onnx import INSIDE, MODELS, OnnxEncoder, load_encoder
from twinpix.encoder.session import open_session, told_aside

LEVELS = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def test_nothing_is_gathered_about_the_user(tmp_path: Path) -> None:
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "TMPDIR")}
    given = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    program = "import numpy, twinpix; twinpix.load_encoder()(numpy.zeros((64, 64, 3), numpy.uint8))"
    subprocess.run([sys.executable, "-c", program], env=given | home, check=True)
    assert list(tmp_path.rglob("*")) == []  # ONNX Runtime left to itself leaves a device id and a queue of events there


def copied(folder: Path) -> Path:
    """The shipped model, with its JSON."""
    for name in ("twinpix.onnx", "twinpix.json"):
        shutil.copy(MODELS / name, folder / name)
    return folder / "twinpix.onnx"


def test_what_json_tells_of_a_model_is_what_is_inside(tmp_path: Path) -> None:
    path = copied(tmp_path)
    told = told_aside(path, INSIDE)
    assert told == open_session(path).get_modelmeta().custom_metadata_map["twinpix"]
    path.with_suffix(".json").unlink()
    assert told_aside(path, INSIDE) is None


def test_json_that_says_another_thing_than_the_file_counts_for_nothing(tmp_path: Path) -> None:
    path = copied(tmp_path)
    beside = path.with_suffix(".json")
    facts = json.loads(beside.read_text())
    usual = load_encoder()
    for other in ({"dim": 8}, {"calibration": None}, {"sha256": "0" * 64}, {"sha256": ""}, {"sha256": None}):
        beside.write_text(json.dumps(facts | other))
        assert told_aside(path, INSIDE) is None, other
    for text in ("", "[]", "{", "null"):
        beside.write_text(text)
        assert told_aside(path, INSIDE) is None, text
        assert load_encoder(path).calibration == usual.calibration
    beside.write_text(json.dumps(facts | {"calibration": None}))
    assert load_encoder(path).calibration == usual.calibration


def test_without_a_picture_no_runtime_is_loaded() -> None:
    program = """
import sys, numpy, twinpix
encoder = twinpix.load_encoder()
assert encoder.dim == 256 and encoder.calibration.pictures and encoder.preprocess.size
assert "onnxruntime" not in sys.modules
assert encoder.encode(numpy.empty((0, 3, 96, 96), numpy.uint8)).shape == (0, 256)
assert "onnxruntime" not in sys.modules
encoder(numpy.zeros((64, 64, 3), numpy.uint8))
assert "onnxruntime" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_session_opened_late_computes_the_same(tmp_path: Path) -> None:
    late, path = load_encoder(), copied(tmp_path)
    path.with_suffix(".json").unlink()
    assert np.array_equal(late(LEVELS), OnnxEncoder(path)(LEVELS))


def test_threads_that_come_at_once_open_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, together = list[Path](), threading.Barrier(8)

    def counted(path: Path, threads: int = 1) -> object:
        opened.append(path)
        return open_session(path, threads)

    monkeypatch.setattr(onnx, "open_session", counted)
    encoder = load_encoder()
    assert opened == []

    def embed(_: int) -> bytes:
        together.wait()
        return bytes(encoder(LEVELS).tobytes())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(embed, range(8)))) == 1
    assert len(opened) == 1
