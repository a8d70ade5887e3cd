"""The commands as people and scripts run them: exit codes, what goes to stdout, what to stderr."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.limits import WIDER

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]
Command = Callable[..., subprocess.CompletedProcess[str]]
BIN = Path(sys.executable).parent
COMMANDS = ("encode-images", "is-duplicate", "find-duplicates")


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that failed as it should."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def on_terminal(*args: str | Path, env: Mapping[str, str] | None = None) -> str:
    """What a command shows on a terminal (stdout and stderr together)."""
    leader, follower = pty.openpty()
    surroundings = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    surroundings |= {"TERM": "xterm-256color", "COLUMNS": "120", **(env or {})}
    process = subprocess.Popen(args, stdout=follower, stderr=follower, stdin=follower, env=surroundings)
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:
            break
        if not block:
            break
        shown += block
    os.close(leader)
    assert process.wait(60) == 0
    return shown.decode("utf-8", "replace")


# -- every command


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(command: Command, name: str, flag: str) -> None:
    alone, joined = command(name, flag), command("twinpix", name, flag)
    assert alone.returncode == joined.returncode == 0
    assert "Exit codes" in alone.stdout
    assert "Exit codes" in joined.stdout


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("args", [(), ("--nonsense", "x", "y")])
def test_wrong_usage_is_an_error(command: Command, name: str, args: tuple[str, ...]) -> None:
    done = command(name, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage" in done.stderr


def test_version(command: Command) -> None:
    from importlib.metadata import version

    done = command("twinpix", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"twinpix {version('twinpix')}\n", "")


@pytest.mark.parametrize("prefix", [(), ("twinpix",)])
def test_missing_inputs(command: Command, prefix: tuple[str, ...], album: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert "gone: no such folder" in error_line(command(*prefix, "find-duplicates", gone))
    assert "gone: no such folder" in error_line(command(*prefix, "find-duplicates", album, gone, "--json"))
    assert "gone: no such folder" in error_line(command(*prefix, "encode-images", gone, "-o", tmp_path / "o.npz"))
    assert "gone: no such file" in error_line(command(*prefix, "is-duplicate", album / "a.png", gone, "--json"))
    assert not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize("threshold", ["-1", "2.5", "nan", "inf", "much"])
def test_bad_thresholds(command: Command, album: Path, threshold: str) -> None:
    for args in (("find-duplicates", album), ("is-duplicate", album / "a.png", album / "b.png")):
        done = command(*args, f"--threshold={threshold}")
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


def test_a_model_that_is_none(command: Command, album: Path) -> None:
    assert "gone.onnx" in error_line(command("find-duplicates", album, "--model", album / "gone.onnx"))
    assert "a.png" in error_line(command("is-duplicate", album / "a.png", album / "b.png", "--model", album / "a.png"))


def test_a_model_of_ones_own(command: Command, album: Path, encoder: OnnxEncoder) -> None:
    other = album / "mine.onnx"
    other.write_bytes(encoder.path.read_bytes())
    assert command("is-duplicate", album / "a.png", album / "a.webp", "--model", other).returncode == 0


def test_names_that_start_with_a_dash(command: Command, album: Path, tmp_path: Path) -> None:
    (album / "-a.png").write_bytes((album / "a.png").read_bytes())
    assert command("is-duplicate", "--", "-a.png", "a.png", cwd=album).returncode == 0
    assert command("twinpix", "is-duplicate", "--", "-a.png", "a.png", cwd=album).returncode == 0
    album.rename(tmp_path / "-rf")
    done = command("find-duplicates", "--json", "--", "-rf", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["images"]) == (0, 6)


def test_a_full_disk_behind_stderr_changes_no_exit_code(album: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    (album / "broken.png").write_bytes((album / "a.png").read_bytes()[:200])
    for name, args, code in (
        ("is-duplicate", ["none.jpg", "none.png"], 2), ("find-duplicates", [album, "--no-library"], 3)
    ):  # fmt: skip
        with open("/dev/full", "w") as full:
            done = subprocess.run([BIN / name, *args], stdout=subprocess.DEVNULL, stderr=full, check=False)
        assert done.returncode == code


def test_a_full_disk_behind_stdout_is_no_verdict(album: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    pair = (album / "a.png", album / "a.webp")
    for name, *args in (("is-duplicate", *pair), ("find-duplicates", album, "--json")):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BIN / name, *args], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "error: " in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_a_closed_stream_stops_nothing(command: Command, album: Path, tmp_path: Path, closed: str) -> None:
    page = tmp_path / "page.html"
    words = [BIN / "find-duplicates", album, "--no-library", "-o", page]
    line = f"{' '.join(shlex.quote(str(word)) for word in words)} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == command("find-duplicates", album, "--no-library").returncode
    assert ("error" in done.stderr, "1 group" in done.stdout) == (False, not closed.startswith(">"))
    assert page.read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_a_reader_that_has_gone(album: Path, tmp_path: Path, json_flag: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    words, page = [str(BIN / "find-duplicates"), str(album), *json_flag], tmp_path / "report.html"
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run([*words, "-o", page], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert page.read_text().rstrip().endswith("</html>"), "what was asked for is written all the same"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# -- is-duplicate


@pytest.mark.parametrize("prefix", [(), ("twinpix",)])
def test_is_duplicate(command: Command, prefix: tuple[str, ...], album: Path) -> None:
    same = command(*prefix, "is-duplicate", album / "a.png", album / "a.webp")
    other = command(*prefix, "is-duplicate", album / "a.png", album / "b.png")
    assert (same.returncode, other.returncode) == (0, 1)
    assert same.stdout.startswith("duplicate: L2 distance 0.0000 <= threshold ")
    assert other.stdout.startswith("not a duplicate: L2 distance ")
    assert (same.stderr, other.stderr) == ("", "")
    assert same.stdout.count("\n") == other.stdout.count("\n") == 1


def test_is_duplicate_json(command: Command, album: Path, encoder: OnnxEncoder) -> None:
    done = command("is-duplicate", album / "a.png", album / "sub" / "a copy.png", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "schema": 1, "l2_distance": 0.0, "duplicate": True,
        "threshold": WIDER * encoder.calibration.candidate_threshold(2),
        "second_look": None, "unverified_threshold": encoder.calibration.pair_threshold,
    }  # fmt: skip
    other = json.loads(command("is-duplicate", album / "a.png", album / "b.png", "--json").stdout)
    assert not other["duplicate"]
    assert other["l2_distance"] > other["threshold"] or other["second_look"] == "refuted"


def test_is_duplicate_with_a_threshold(command: Command, album: Path) -> None:
    pair = (album / "a.png", album / "b.png")
    assert command("is-duplicate", *pair, "--threshold", "2").returncode == 0
    assert command("is-duplicate", *pair, "--threshold", "0").returncode == 1


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0 broken"])
def test_is_duplicate_with_a_bad_file_is_an_error_not_a_verdict(command: Command, album: Path, content: bytes) -> None:
    (album / "bad.jpg").write_bytes(content)
    assert "bad.jpg: " in error_line(command("is-duplicate", album / "a.png", album / "bad.jpg"))
    assert "bad.jpg: " in error_line(command("is-duplicate", album / "bad.jpg", album / "bad.jpg", "--json"))


def test_is_duplicate_with_a_folder_or_pipe(command: Command, album: Path) -> None:
    os.mkfifo(album / "pipe")
    assert "folder" in error_line(command("is-duplicate", album / "a.png", album))
    assert "regular file" in error_line(command("is-duplicate", album / "a.png", album / "pipe"))


# -- find-duplicates


@pytest.mark.parametrize("prefix", [(), ("twinpix",)])
def test_find_duplicates(command: Command, prefix: tuple[str, ...], album: Path) -> None:
    done = command(*prefix, "find-duplicates", album)
    assert done.returncode == 0
    assert "Group 1: 3 files" in done.stdout
    assert "5 images, 1 group, 2 duplicates, 1 files skipped" in done.stdout
    assert "false pairs to expect" in done.stdout
    assert done.stderr == "skipped: 1 not_an_image\n"
    assert "\x1b" not in done.stdout


def check_schema(values: dict[str, Any]) -> None:
    assert values["schema"] == 1
    assert {"schema", "threshold", "fingerprint", "matches", "groups", "skipped", "images"} <= set(values)
    for match in values["matches"]:
        assert {"query", "reference", "l2_distance"} <= set(match)
        assert Path(match["query"]).is_absolute()
        assert Path(match["reference"]).is_absolute()
        assert match["l2_distance"] <= values["threshold"]
    for group in values["groups"]:
        assert {"files", "max_l2_distance"} <= set(group)
        assert len(group["files"]) >= 2
        assert all(Path(name).is_absolute() for name in group["files"])
    for entry in values["skipped"]:
        assert {"path", "reason"} <= set(entry)
        assert Path(entry["path"]).is_absolute()


def test_find_duplicates_json(command: Command, album: Path, encoder: OnnxEncoder) -> None:
    done = command("find-duplicates", "album", "--json", cwd=album.parent)
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    check_schema(values)
    folder = str(album.resolve())
    assert values["images"] == 5
    assert values["fingerprint"] == encoder.fingerprint
    assert [(s["path"], s["reason"]) for s in values["skipped"]] == [(f"{folder}/notes.txt", "not_an_image")]
    (group,) = values["groups"]
    assert sorted(group["files"]) == [f"{folder}/a.png", f"{folder}/a.webp", f"{folder}/sub/a copy.png"]
    assert len(values["matches"]) == 3
    assert min(match["l2_distance"] for match in values["matches"]) == 0


def test_every_file_is_counted(command: Command, album: Path) -> None:
    data = (album / "b.png").read_bytes()
    for raw, content in {
        b"\xff.png": data,
        b"new\nline.png": data,
        b".hidden": data,
        b"cut.png": data[:-500],
        b"e": b"",
    }.items():
        Path(os.fsdecode(os.fsencode(album) + b"/" + raw)).write_bytes(content)
    (album / "link.png").symlink_to(album / "a.png")
    (album / "loop").symlink_to(album)
    os.mkfifo(album / "pipe.png")
    done = command("find-duplicates", album, "--json")
    assert done.returncode == 3
    values = json.loads(done.stdout)
    check_schema(values)
    regular = {os.fsencode(p.resolve()) for p in album.rglob("*") if p.is_file() and not p.is_symlink()}
    assert values["images"] + len(values["skipped"]) == len(regular) == 11
    listed = {os.fsencode(name) for group in values["groups"] for name in group["files"]}
    assert len(listed) == 7
    assert listed < regular
    assert os.fsencode(album.resolve()) + b"/\xff.png" in listed
    done.stdout.encode("ascii")
    for line in (text := command("find-duplicates", album)).stdout.splitlines():
        assert line.isprintable()
    assert text.returncode == 3
    assert "cut.png" in text.stderr


def test_exit_codes_of_a_scan(command: Command, album: Path) -> None:
    assert command("find-duplicates", album, "--fail-on-duplicates").returncode == 1
    assert command("find-duplicates", album / "b.png", "--fail-on-duplicates").returncode == 0
    (album / "cut.png").write_bytes((album / "a.png").read_bytes()[:-500])
    assert command("find-duplicates", album).returncode == 3
    assert command("find-duplicates", album, "--fail-on-duplicates", "--json").returncode == 1


def test_an_empty_folder(command: Command, tmp_path: Path) -> None:
    done = command("find-duplicates", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 images, no duplicates, 0 files skipped" in done.stdout
    assert json.loads(command("find-duplicates", tmp_path, "--json").stdout)["groups"] == []


def test_a_threshold_is_used_and_shown(command: Command, album: Path) -> None:
    values = json.loads(command("find-duplicates", album, "--threshold", "2", "--json").stdout)
    assert (values["threshold"], len(values["matches"])) == (2.0, 10)


def test_one_worker_or_many_give_the_same(command: Command, album: Path) -> None:
    one, many = (command("find-duplicates", album, "--json", "--workers", n) for n in ("1", "7"))
    assert one.stdout == many.stdout


def test_pillows_remarks_are_not_shown(command: Command, album: Path, paint: Paint, pack: Pack) -> None:
    tiff = pack(paint(1), "TIFF", compression="tiff_lzw")
    (album / "cut.tif").write_bytes(tiff[: len(tiff) // 2])
    (album / "exif.jpg").write_bytes(pack(paint(1), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage"))
    dice = np.random.default_rng(0)
    for i in range(20):
        broken = bytearray(tiff)
        for place in dice.integers(0, len(tiff), 20):
            broken[place] = dice.integers(256)
        (album / f"{i}.tif").write_bytes(broken)
    done = command("find-duplicates", album)
    assert done.returncode in (0, 3)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("skipped: ")
    assert all(line.startswith("  ") for line in lines[1:]), done.stderr


def test_a_terminal_without_unicode(command: Command, album: Path) -> None:
    (album / "é.png").write_bytes((album / "a.png").read_bytes())
    done = command("find-duplicates", album, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert r"\xe9.png" in done.stdout


def test_progress_and_colours_on_a_terminal(album: Path) -> None:
    for i in range(100):
        os.link(album / "a.png", album / f"{i}.png")
    shown = on_terminal(BIN / "find-duplicates", album)
    assert "images/s" in shown
    assert "1 skipped" in shown
    assert "ETA" in shown
    assert "\x1b[1;36m" in shown
    assert "Group 1" in shown


def test_no_color(album: Path) -> None:
    shown = on_terminal(BIN / "find-duplicates", album, env={"NO_COLOR": "1"})
    assert "Group 1" in shown
    assert "36m" not in shown


def test_a_working_folder_that_has_been_deleted(album: Path, tmp_path: Path) -> None:
    def run_nowhere(*words: str) -> subprocess.CompletedProcess[str]:
        gone = tmp_path / "gone"
        gone.mkdir()
        command = f"rmdir {shlex.quote(str(gone))} && exec {shlex.join([str(BIN / 'twinpix'), *words])}"
        return subprocess.run(["sh", "-c", command], cwd=gone, capture_output=True, text=True, check=False)

    done = run_nowhere("find-duplicates", str(album), "--no-library")
    assert (done.returncode, str(album / "a.png") in done.stdout) == (0, True)
    assert "the working folder has been deleted" in error_line(run_nowhere("library", "status", "--library", "mine"))


def test_json_on_a_terminal_is_still_json(album: Path) -> None:
    shown = on_terminal(BIN / "find-duplicates", album / "a.png", "--json")
    line = next(line for line in shown.splitlines() if '"schema"' in line)
    assert json.loads(line[line.index("{") : line.rindex("}") + 1])["images"] == 1


INTERRUPT = """
import os, signal
from twinpix.pipeline import cli, stream
real = stream.list_files
def interrupted(*roots):
    os.kill(os.getpid(), signal.SIGINT)
    return real(*roots)
stream.list_files = interrupted
cli.app()
"""


def test_ctrl_c_while_searching(album: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT, "find-duplicates", album],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_while_encoding(tmp_path: Path, paint: Paint) -> None:
    import signal

    (tmp_path / "many").mkdir()
    paint(1, 1200, 900).save(tmp_path / "many" / "0.png")
    for i in range(1, 1500):
        os.link(tmp_path / "many" / "0.png", tmp_path / "many" / f"{i}.png")
    (tmp_path / "out.npz").write_bytes(b"old")
    process = subprocess.Popen(
        [BIN / "encode-images", tmp_path / "many", "-o", tmp_path / "out.npz"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(names(tmp_path)) == 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert names(tmp_path) == ["many", "out.npz"]
    assert (tmp_path / "out.npz").read_bytes() == b"old"


# -- encode-images


@pytest.mark.parametrize("prefix", [(), ("twinpix",)])
def test_encode_images(
    command: Command, prefix: tuple[str, ...], album: Path, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    done = command(*prefix, "encode-images", album, "-o", tmp_path / "out.npz")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "skipped: 1 not_an_image", f"5 images embedded, 1 skipped -> {tmp_path / 'out.npz'}"
    ]  # fmt: skip
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        assert stored["embeddings"].dtype == np.float32
        assert np.linalg.norm(stored["embeddings"], axis=1) == pytest.approx(1, abs=1e-5)
        assert str(stored["fingerprint"]) == encoder.fingerprint
        assert np.array_equal(stored["embeddings"], encoder(stored["paths"].tolist()))


@pytest.mark.parametrize("ending", [".parquet", ".jsonl"])
def test_encode_images_into_other_formats(command: Command, album: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    assert command("encode-images", album, "--output", tmp_path / f"out{ending}").returncode == 0
    assert (tmp_path / f"out{ending}").stat().st_size > 1000


def test_encode_images_says_what_was_unreadable(command: Command, album: Path, tmp_path: Path) -> None:
    (album / "cut.png").write_bytes((album / "a.png").read_bytes()[:-500])
    done = command("encode-images", album, "-o", tmp_path / "out.npz")
    assert done.returncode == 3
    assert "cut.png: damaged" in done.stderr


@pytest.mark.parametrize("name", ["out", "out.csv", "gone/out.npz"])
def test_encode_images_refuses_a_bad_target_at_once(command: Command, album: Path, tmp_path: Path, name: str) -> None:
    assert name in error_line(command("encode-images", album, "-o", tmp_path / name))


def test_encode_images_needs_a_target(command: Command, album: Path) -> None:
    done = command("encode-images", album)
    assert done.returncode == 2
    assert "--output" in done.stderr
