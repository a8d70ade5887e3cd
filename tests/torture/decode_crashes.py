"""A decoder that segfaults, hangs or eats memory on some files of many: the scan goes on, and those files alone fail.

The files go through every door: `encode_images`, `Library.add` and `find_duplicates` with its second look.
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rig.watched import outcome_problems, watched

import twinpix
from twinpix.encoder import contained
from twinpix.pipeline.report import Skipped

FAILING = Path(__file__).resolve().parents[1] / "encoder" / "failing_worker.py"
MEMORY_MB = 512
Door = Callable[[Path], tuple[Sequence[Path], Sequence[Skipped]]]


def encode(folder: Path) -> tuple[Sequence[Path], Sequence[Skipped]]:
    """`encode_images`."""
    found = twinpix.encode_images(folder)
    return found.paths, found.skipped


def add(folder: Path) -> tuple[Sequence[Path], Sequence[Skipped]]:
    """`Library.add`."""
    with tempfile.TemporaryDirectory() as place, twinpix.Library(Path(place)) as library:
        skipped = library.add(folder).skipped
    missing = {row.path for row in skipped}
    return [path for path in folder.iterdir() if path not in missing], skipped


def find(folder: Path) -> tuple[Sequence[Path], Sequence[Skipped]]:
    """`find_duplicates`."""
    report = twinpix.find_duplicates(folder)
    missing = {row.path for row in report.skipped}
    return [path for path in folder.iterdir() if path not in missing], report.skipped


DOORS: dict[str, Door] = {"encode_images": encode, "Library.add": add, "find_duplicates": find}


def write(folder: Path, images: int) -> dict[Path, str]:
    """Small pictures, and among them one for each way to fail; returns the reason expected of each of those."""
    tools = runpy.run_path(str(FAILING))
    ways = {i * images // len(tools["FAILURES"]): name for i, name in enumerate(tools["FAILURES"])}
    expected = {}
    for i in range(images):
        path = folder / f"{i:05}.png"
        levels = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(levels).resize((96, 72), Image.Resampling.BICUBIC).save(path)
        if i in ways:
            path.write_bytes(path.read_bytes() + tools["ASK"] + ways[i].encode())
            expected[path] = tools["FAILURES"][ways[i]][1]
    return expected


def torture(name: str, folder: Path, expected: dict[Path, str]) -> list[str]:
    """One door; returns what misses a bar."""
    files, begun = sorted(folder.iterdir()), time.perf_counter()
    with watched() as seen:
        read, skipped = DOORS[name](folder)
    print(f"{name}: {len(files)} files in {time.perf_counter() - begun:.0f} s, {len(skipped)} skipped")
    seen.print()
    reasons = {row.path: row.reason for row in skipped}
    missed = outcome_problems(files, read, skipped)
    missed += [f"{path.name}: {reasons.get(path)} instead of {wanted}"
               for path, wanted in expected.items() if reasons.get(path) != wanted]  # fmt: skip
    missed += [f"{path.name}: fails too" for path in reasons.keys() - expected.keys()]
    if seen.peak_mb > MEMORY_MB:
        missed.append(f"{name}: a decoding process took {seen.peak_mb:.0f} MB")
    if seen.slowest[1] > 10:
        missed.append(f"{seen.slowest[0]}: takes {seen.slowest[1]:.1f} s")
    return missed


def through(door: str, images: int) -> list[str]:
    """Write the files, and send them through one door."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.path.realpath(temporary))
        return torture(door, folder, write(folder, images))


def main(images: int = 1000, looked: int = 48) -> int:
    """All doors, one after the other; `looked`: how many for the second look, which compares all with all."""
    real, contained.WORKER = contained.WORKER, FAILING
    try:
        missed = [line for door in DOORS for line in through(door, looked if door == "find_duplicates" else images)]
    finally:
        contained.WORKER = real
    print("\n".join(missed[:20]) or "every failure cost its file alone, through every door")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
