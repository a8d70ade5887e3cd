"""Every command and every Python line of the README runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.train.rendered import draw

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
SETTLED = " ".join(f"-o {sys.prefix}/.{name}" for name in ("run", "dev", "train", "bench"))  # nothing to install
# what a command of the README needs to be run in a test: nothing, or a smaller job
QUICKER = {
    "make test": 'ARGS="--collect-only -q tests/pipeline"',
    'make train DATA="photos/ more.tar"': (
        'ARGS="--epochs 0.1 --size 32 --batch 8 --width 0.25 --depth 0.25 --models made --work made"'
    ),
    "make train": 'ARGS="--epochs 0.02 --size 32 --limit 400 --width 0.25 --depth 0.25 --models made --work made2"',
    "make bench DIR=./photos": 'ARGS="--limit 40 --queries 2 --methods twinpix,euclidean"',
    "twinpix train --data photos/ --init twinpix.safetensors --name tuned": (
        "--epochs 0.02 --batch 8 --size 64 --models made --work made3"
    ),
    "twinpix train --data photos/ --baseline autoencoder --name autoencoder": "--epochs 1 --models made --work made4",
    "twinpix ablate --data photos/ -o ablation.md": "--rows base --epochs 0.1 --limit 400 --size 32",
    "twinpix train-pairs --data photos/ --init twinpix.safetensors": (
        "--minutes 0.02 --batch 4 --models made --work made5 --device cpu"
    ),
    "twinpix train-words --data photos/": (
        "--minutes 0.02 --batch 4 --models made --work made6 --device cpu --workers 0"
    ),
    "twinpix calibrate ./photos -o calibration.html": "--limit 250",
    # 460 drawn pictures are rather alike to the encoder: a second look at 15,000 pairs takes half a minute
    "find-duplicates ./photos": "--no-verify",
    "find-duplicates ./photos --false-pairs 0.1": "--no-verify",
    "find-duplicates ./photos -o report.html": "--no-verify",
    'find-duplicates ./photos --where "format=jpeg width>=100"': "--no-verify",
    "find-duplicates ./photos --library ./library": "--no-verify",
    "twinpix scan ./photos": "--no-verify",
    "twinpix plan ./photos -o plan.jsonl": "--no-verify",
    'pip install ".[cpu,review]"': "--no-deps --dry-run --quiet",
}
# what has to come first
BEFORE = {
    "twinpix library push vectors.db --library ./shelf": "twinpix library add ./known --library ./shelf",
    "twinpix library search a.jpg --library ./shelf --store vectors.db": (
        "twinpix library add ./known --library ./shelf && twinpix library push vectors.db --library ./shelf"
    ),
    "twinpix apply plan.jsonl --yes": "twinpix plan ./known -o plan.jsonl",
    "twinpix undo --yes": (
        "cp a.jpg known/again.jpg && twinpix plan a.jpg known -o plan.jsonl && twinpix apply plan.jsonl --yes"
    ),
}


# they end when they are told to
SERVING = {"twinpix review ./photos": "--no-browser --no-verify", "twinpix serve --library ./library": "--port 0"}


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands() -> list[str]:
    """Every line of the shell blocks, without its comment."""
    lines = [line.split("  #")[0].split(" # ")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README talks about: photos, a.jpg, b.jpg, known groups, a shard."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("photos", "known"):
        (folder / name).mkdir()
    for i in range(460):
        Image.fromarray(draw(np.random.default_rng(i), 128)).save(folder / "photos" / f"{i}.jpg")
    for i in range(3):
        paint(i).save(folder / "known" / f"{i}.png")
        paint(i).resize((80, 60)).save(folder / "known" / f"{i}-small.png")
    groups = {"same": {f"known/{i}": [f"{i}.png", f"{i}-small.png"] for i in range(3)}, "view": {}}
    (folder / "known" / "groups.json").write_text(str(groups).replace("'", '"'))
    for name in ("a.jpg", "b.jpg"):
        paint(0).save(folder / name)
    (folder / "twinpix.safetensors").symlink_to(ROOT / "models" / "twinpix.safetensors")
    subprocess.run(["tar", "cf", "more.tar", "known"], cwd=folder, check=True)
    return folder


def paint(seed: int) -> Image.Image:
    """A picture of random blobs."""
    levels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize((160, 120), Image.Resampling.BICUBIC)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the README in `folder`, make with this environment instead of one of its own."""
    line = f"{BEFORE.get(command, 'true')} && {command} {QUICKER.get(command, '')}"
    if command.startswith("make"):
        line = line.replace("make", f"make -f {shlex.quote(str(ROOT / 'Makefile'))} VENV={sys.prefix} {SETTLED}", 1)
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for ours in ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES"):  # of a `make test ARGS=...` that this may run in
        environment.pop(ours, None)
    return subprocess.run(
        line, cwd=folder, env=environment, shell=True, capture_output=True, text=True, timeout=300, check=False
    )


def test_first_two_commands_are_run_and_test() -> None:
    assert commands()[:2] == ["make run", "make test"]


REQUESTS = [command for command in commands() if command.startswith("curl")]  # of the service


@pytest.mark.parametrize("command", sorted({*commands()} - {*SERVING, *REQUESTS}))
def test_command_runs(command: str, desk: Path) -> None:
    done = run(command, ROOT if command.startswith(("pip", "make test")) else desk)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", SERVING)
def test_command_serves_until_it_is_interrupted(command: str, desk: Path, hearing: list[str]) -> None:
    assert command in commands()
    words = shlex.split(f"{command} {SERVING[command]}")
    program = [*hearing, str(BIN / words[0]), *words[1:]]
    with subprocess.Popen(program, cwd=desk, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert "http://127.0.0.1:" in line and process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("b2sum")), reason="needs curl and b2sum")
def test_requests_are_answered(desk: Path) -> None:
    words = [str(BIN / "twinpix"), "serve", "--library", "./asked", "--port", "0"]
    with subprocess.Popen(words, cwd=desk, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().split("http://127.0.0.1:")[1].split()[0]
            for command in REQUESTS:
                done = run(command.replace(":8750", f":{port}").replace("curl", "curl --fail-with-body"), desk)
                assert done.returncode == 0 and '"schema":1' in done.stdout, command + done.stdout + done.stderr
            assert len(REQUESTS) == 4
        finally:
            process.kill()


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(30):
        paint(i).save(tmp_path / "photos" / f"{i}.jpg")
    for name in ("a.jpg", "b.jpg"):
        paint(0).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("python")
    names: dict[str, object] = {}
    exec(block, names)
    assert names["match"].is_duplicate  # type: ignore[attr-defined]
