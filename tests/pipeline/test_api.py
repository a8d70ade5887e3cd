"""`import twinpix`: what it gives, what it costs, what it works without."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import twinpix

HEAVY = (
    "torch",
    "torchvision",
    "faiss",
    "onnxruntime",
    "onnx",
    "albumentations",
    "cv2",
    "typer",
    "rich",
    "scipy",
    "skimage",
)
TRAINING = ("torch", "torchvision", "albumentations", "onnx", "onnxscript", "safetensors")
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Blocker())
"""


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=120, check=False)


def without(tmp_path: Path, *blocked: str) -> dict[str, str]:
    """An environment in which Python can't import these packages."""
    folder = tmp_path / "blocker"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(BLOCK.format(blocked=set(blocked)))
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(env: dict[str, str], name: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / name, *args], capture_output=True, text=True, env=env, timeout=120, check=False
    )


def test_all_is_sorted_and_complete() -> None:
    stub = ast.parse(Path(twinpix.__file__).with_suffix(".pyi").read_text())
    assert twinpix.__all__ == sorted(twinpix.__all__) == dir(twinpix) == ast.literal_eval(stub.body[-1].value)  # type: ignore[attr-defined]
    values = {name: getattr(twinpix, name) for name in twinpix.__all__}
    given = {n for n, v in vars(twinpix).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert given == set(twinpix.__all__)
    assert all(value.__doc__ for name, value in values.items() if name != "ImageLike")


def test_the_shape_that_stays(album: Path) -> None:
    encoder = twinpix.load_encoder()
    assert encoder(str(album / "a.png")).shape == (encoder.dim,)
    match = twinpix.compare(str(album / "a.png"), str(album / "a.webp"))
    assert (match.is_duplicate, match.l2_distance <= match.threshold) == (True, True)
    report = twinpix.find_duplicates(str(album))
    assert (len(report.groups), len(report.matches), len(report.skipped)) == (1, 3, 1)
    assert "Report" in repr(report)
    assert "<p>" in report._repr_html_()


def test_errors_have_one_root() -> None:
    errors = [getattr(twinpix, name) for name in twinpix.__all__ if name.endswith("Error")]
    assert len(errors) >= 6
    assert all(issubclass(error, twinpix.TwinpixError) for error in errors)


def test_importing_loads_nothing_heavy() -> None:
    done = python(f"import sys; from twinpix import *; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_importing_is_cheap() -> None:
    # CPU of one process, before and after: other tests run beside this one
    code = "import time, numpy; alone = time.process_time(); import twinpix; print(time.process_time() / alone)"
    ratios = [float(python(code).stdout) for _ in range(7)]
    assert min(ratios) < 1.25, ratios


def test_importing_writes_nothing_and_configures_no_logging() -> None:
    done = python("import logging; from twinpix import *; print(logging.root.handlers)")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_user_command_works_without_the_training_packages(tmp_path: Path, album: Path) -> None:
    env = without(tmp_path, *TRAINING)
    assert run(env, "python", "-c", "import torch").returncode == 1
    assert run(env, "find-duplicates", album).returncode == 0
    assert run(env, "is-duplicate", album / "a.png", album / "a.webp").returncode == 0
    assert run(env, "encode-images", album, "-o", tmp_path / "out.npz").returncode == 0
    assert run(env, "twinpix", "--help").returncode == 0
    for name in ("find-duplicates", "is-duplicate", "encode-images", "bench", "demo", "train"):
        assert run(env, "twinpix", name, "--help").returncode == 0, name


def test_the_demo_works_without_the_training_packages(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    done = run(without(tmp_path, *TRAINING), "twinpix", "demo")
    assert done.returncode in (0, 1), done.stderr  # 1: the encoder missed a group
    assert "planted groups" in done.stderr


@pytest.mark.parametrize(
    ("missing", "args", "extra"),
    [
        ("torch", ("twinpix", "train"), "twinpix[train]"),
        ("albumentations", ("twinpix", "train"), "twinpix[train]"),
        ("faiss", ("find-duplicates", "DIR"), "twinpix[cpu]"),
        ("onnxruntime", ("find-duplicates", "DIR"), "twinpix[cpu]"),
        ("onnxruntime", ("is-duplicate", "DIR/a.png", "DIR/b.png"), "twinpix[cpu]"),
        ("onnxruntime", ("encode-images", "DIR", "-o", "DIR/out.npz"), "twinpix[cpu]"),
        ("pyarrow", ("encode-images", "DIR", "-o", "DIR/out.parquet"), "twinpix[parquet]"),
        ("skimage", ("twinpix", "demo"), "demo"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(
    tmp_path: Path, album: Path, missing: str, args: tuple[str, ...], extra: str
) -> None:
    name, *rest = (arg.replace("DIR", str(album)) for arg in args)
    done = run(without(tmp_path, missing), name, *rest)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert extra in done.stderr


def test_comparing_two_images_needs_no_faiss(tmp_path: Path, album: Path) -> None:
    assert run(without(tmp_path, "faiss"), "is-duplicate", album / "a.png", album / "a.webp").returncode == 0
    assert run(without(tmp_path, "faiss"), "encode-images", album, "-o", tmp_path / "o.npz").returncode == 0


def test_heic_without_its_plugin_is_skipped_with_advice(tmp_path: Path, album: Path) -> None:
    (album / "a.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1" + bytes(100))
    env = without(tmp_path, "pillow_heif")
    # a decoding process knows no sitecustomize, but looks where its owner looks
    (tmp_path / "blocker" / "pillow_heif.py").write_text("raise ImportError('blocked')")
    done = run(env, "find-duplicates", album)
    assert done.returncode == 3
    assert "twinpix[heif]" in done.stderr
