"""What people install: sdist -> wheel -> somewhere else, with the model inside."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
USED = (
    "encoder",
    "pipeline",
    "train",
    "models",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "MANIFEST.in",
)


# what the checkout holds at its top, beside dotfiles
TOP = {"encoder", "pipeline", "train", "tests", "models", "pyproject.toml", "README.md", "Makefile", "LICENSE",
       "CHANGELOG.md", "SECURITY.md", "constraints.txt"}  # fmt: skip


def run(*args: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        args, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=200, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dist/ of a clean copy, built with the setuptools at hand; only an old one makes `build` fetch its own."""
    pytest.importorskip("build")
    copy = tmp_path_factory.mktemp("checkout")
    for name in USED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    at_hand = importlib.util.find_spec("setuptools") and int(version("setuptools").split(".")[0]) >= 77
    done = run(sys.executable, "-m", "build", *(["--no-isolation"] if at_hand else []), cwd=copy)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return copy / "dist"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a folder of its own; its dependencies come from this environment."""
    target = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    done = run(*pip, cwd=target)
    assert done.returncode == 0, done.stderr
    return target


def test_wheel_holds_every_package_and_the_model(built: Path) -> None:
    (wheel,) = built.glob("twinpix-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, prefix in (
        ("encoder", "twinpix/encoder"),
        ("pipeline", "twinpix/pipeline"),
        ("train", "twinpix/train"),
    ):
        expected = {f"{prefix}/{path.name}" for path in (ROOT / folder).glob("*.py")}
        assert expected <= names, folder
    assert {"twinpix/__init__.py", "twinpix/__init__.pyi", "twinpix/py.typed"} <= names
    assert {"twinpix/models/__init__.py", "twinpix/models/twinpix.onnx", "twinpix/models/twinpix.json"} <= names
    assert {f"twinpix/models/{name}.{end}" for name in ("parts", "pairs") for end in ("onnx", "json")} <= names
    for package, endings in (("review/page", (".html", ".js", ".css", ".svg")), ("export", (".html",))):
        pages = {path.name for path in (ROOT / "pipeline" / package).iterdir() if path.suffix in endings}
        assert pages and {f"twinpix/pipeline/{package}/{name}" for name in pages} <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "encoder", "pipeline", "train", "models"))]
    assert not [name for name in names if "__pycache__" in name or name.endswith((".safetensors", ".jpg"))]
    assert not [name for name in names if name.startswith("twinpix/pipeline/api")]


def test_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("twinpix-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "pyproject.toml",
        "LICENSE",
        "models/twinpix.onnx",
        "pipeline/api/__init__.py",
        "pipeline/api/__init__.pyi",
        "pipeline/api/py.typed",
    } <= names


def test_metadata(built: Path) -> None:
    (wheel,) = built.glob("twinpix-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        text = archive.read(name).decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Python: >=3.11" in text
    needed = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert not [line for line in needed if any(word in line for word in ("torch", "faiss", "onnx", "opencv"))]


def test_the_installed_wheel_works_elsewhere(installed: Path, album: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    where = run(sys.executable, "-c", "import twinpix; print(twinpix.__file__)", cwd=tmp_path, env=env)
    assert where.stdout.strip() == str(installed / "twinpix" / "__init__.py"), where.stderr
    for name, *args in (
        ("find-duplicates", album), ("is-duplicate", album / "a.png", album / "a.webp"),
        ("encode-images", album, "-o", tmp_path / "out.npz"), ("twinpix", "find-duplicates", album, "--json"),
    ):  # fmt: skip
        done = run(sys.executable, installed / "bin" / name, *args, cwd=tmp_path, env=env)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="no checkout")
def test_nothing_else_lies_at_the_top() -> None:
    """Pictures that somebody looked at while working, say."""
    kept = run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")
    assert {name.split("/")[0] for name in kept if name and not name.startswith(".")} == TOP
