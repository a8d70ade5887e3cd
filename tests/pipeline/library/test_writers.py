"""Two at a time, and writers that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.pipeline.library.errors import LibraryBusyError, LibraryError
from twinpix.pipeline.library.library import Library

Shelf = Callable[..., Library]
WRITER = """
import runpy, sys, time
from pathlib import Path
from twinpix.pipeline.library import add, scan
from twinpix.pipeline.library.library import Library
Tiny = runpy.run_path(sys.argv[3])["TinyEncoder"]
add.BATCH_IMAGES, scan.CHUNK = 12, 3
print("ready", flush=True)
Library(sys.argv[1], Tiny(hook=lambda: time.sleep(0.004))).add(sys.argv[2], workers=2)
"""
FORKER = """
import os, signal, sys, time
from pathlib import Path
from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.library.lock import writer_lock
folder, case = Path(sys.argv[1]), sys.argv[2]
with writer_lock(folder):
    child = os.fork()
    if child == 0 and case == "leaves":
        sys.exit()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    if case == "leaves":
        os.waitpid(child, 0)
        try:
            with writer_lock(folder):
                pass
        except LibraryBusyError:
            print("busy", flush=True)
        sys.exit()
    if case == "is killed":
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
with writer_lock(folder):
    print(child, flush=True)
"""


def start_writer(library: Path, photos: Path) -> subprocess.Popen[str]:
    conftest = Path(__file__).with_name("conftest.py")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, library, photos, conftest], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_again_and_again_equals_an_uninterrupted_run(shelf: Shelf, tmp_path: Path) -> None:
    photos, dice = tmp_path / "many", np.random.default_rng(0)
    photos.mkdir()
    for i in range(150):
        Image.fromarray(dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    library, kills, kept = shelf(), 0, [0]
    for _ in range(15):
        with start_writer(library.path, photos) as process:
            time.sleep(float(dice.uniform(0, 0.12)))
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
        if (library.path / "library.sqlite").exists() and library.path.joinpath("library.sqlite").stat().st_size:
            assert library.check() == ()
            kept.append(library.status().files)
    assert kills >= 5
    assert kept == sorted(kept), "nothing is lost again"
    library.add(photos)
    whole = shelf("whole")
    whole.add(photos)
    killed, plain = library.embeddings(), whole.embeddings()
    assert killed.paths == plain.paths
    assert np.array_equal(killed.vectors, plain.vectors)
    with closing(sqlite3.connect(library.path / "library.sqlite")) as file:
        assert file.execute("SELECT count(*), count(DISTINCT content) FROM vectors").fetchone() == (150, 150)


def test_a_second_writer_is_refused_at_once_and_a_dead_ones_lock_clears(
    shelf: Shelf, photos: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for i in range(300):
        Image.fromarray(np.full((9, 9, 3), i % 256, np.uint8)).save(many / f"{i}.png", pnginfo=None)
        with open(many / f"{i}.png", "ab") as file:
            file.write(b"%d" % i)
    library = shelf()
    library.add(photos)
    with start_writer(library.path, many) as process:
        deadline = time.monotonic() + 10
        while (library.path / "lock").read_text() != str(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        begun = time.monotonic()
        for attempt in (lambda: library.add(photos), library.compact, library.repair, library.forget_missing):
            with pytest.raises(LibraryBusyError, match=rf"process {process.pid}\) is writing"):
                attempt()
        assert time.monotonic() - begun < 5
        assert len(library.embeddings(photos).paths) == 13
        process.send_signal(signal.SIGKILL)
    assert library.add(photos).encoded == 0


def test_a_call_within_another_is_told_whose_it_is(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    with library.writing(), pytest.raises(LibraryBusyError, match=r"this process is .* writing to it"):
        library.add(photos)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_what_is_written_to_a_library_that_is_gone_is_not_said_to_be_kept(
    shelf: Shelf, photos: Path, is_replaced: bool
) -> None:
    library, other = shelf(), shelf("other")
    other.add(photos / "old")

    def lose(*_: object) -> None:
        if library.path.exists():
            shutil.rmtree(library.path)
        if is_replaced:
            shutil.copytree(other.path, library.path)

    with pytest.raises(LibraryError, match="removed or replaced meanwhile, and what was written is lost: run it again"):
        library.add(photos, progress=lose)
    assert library.add(photos).images == 13


def test_readers_beside_a_writer_see_one_moment(shelf: Shelf, photos: Path) -> None:
    library, writer, go_on = shelf(), shelf(), threading.Event()
    library.add(photos / "old")
    inside = threading.Event()

    def hook() -> None:
        inside.set()
        assert go_on.wait(20)

    writer.encoder.hook = hook  # type: ignore[attr-defined]
    adding = threading.Thread(target=writer.add, args=(photos,))
    adding.start()
    try:
        assert inside.wait(20)
        assert len(library.embeddings().paths) == 6
        assert library.check() == ()
        assert library.status().files == 6
    finally:
        go_on.set()
        adding.join()
    assert len(library.embeddings().paths) == 13


def test_the_lock_names_its_owner(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    assert (library.path / "lock").read_text() == str(os.getpid())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
@pytest.mark.parametrize("case", ["goes on", "is killed"])
def test_a_forked_child_does_not_keep_the_lock_of_its_parent(shelf: Shelf, photos: Path, case: str) -> None:
    library = shelf()
    library.add(photos / "old")
    with subprocess.Popen(
        [sys.executable, "-c", FORKER, library.path, case], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = process.stdout.readline()
        try:
            assert child, "the parent could not take it again"
            process.wait(20)
            assert library.add(photos).images == 13
        finally:
            if child:
                os.kill(int(child), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_forked_child_that_leaves_does_not_give_the_lock_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKER, str(tmp_path), "leaves"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "busy\n"
