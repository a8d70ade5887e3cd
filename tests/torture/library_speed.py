"""Issue 4, bar 5: `encode-images` of an unchanged folder, and of one that was renamed, beside the first time.

    python tests/torture/library_speed.py        IMAGES=20000 SIZE=1024 (px, the longer side; JPEG, the shipped encoder)

Each run is a process of its own, as people run it: start-up counts. The second must be 50 times as fast as the first;
after the folder is renamed nothing is encoded, and the output is the same but for the names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rig.pictures import COARSE, PER_FOLDER, setting

from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.load import load_embeddings

TIMES, COMMAND = 50, Path(sys.executable).with_name("encode-images")


def make_photos(folder: Path, first: int, count: int, size: int) -> None:
    """Different pictures that cost a decoder what a photo of their size costs: blobs, and noise upon them."""
    dice = np.random.default_rng(first)
    noise = dice.normal(0, 9, (size * 3 // 4, size, 3))
    for i in range(first, first + count):
        path = folder / f"{i // PER_FOLDER:03}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs = Image.fromarray(dice.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        smooth = np.asarray(blobs.resize((size, size * 3 // 4), Image.Resampling.BICUBIC))
        rolled = np.roll(noise, int(dice.integers(size)), axis=1)
        Image.fromarray(np.clip(smooth + rolled, 0, 255).astype(np.uint8)).save(path, quality=85)


def encode(folder: Path, output: Path) -> float:
    """Seconds of the command."""
    begun = time.perf_counter()
    subprocess.run([COMMAND, folder, "-o", output], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def encoded(library: Library) -> int:
    """How many pictures have ever been."""
    return sum(model.pictures for model in library.status().models)


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    images, size = setting("IMAGES", 20_000), setting("SIZE", 1024)
    with tempfile.TemporaryDirectory() as place:
        room = Path(place)
        os.environ["TWINPIX_DATA"] = str(room / "data")
        folder, moved = room / "photos", room / "moved"
        with ProcessPoolExecutor() as pool:
            for first in range(0, images, PER_FOLDER):
                pool.submit(make_photos, folder, first, min(PER_FOLDER, images - first), size)
        time.sleep(COARSE)
        first_time = encode(folder, room / "first.npz")
        again = min(encode(folder, room / "again.npz") for _ in range(3))
        library = Library(encoder=load_encoder())
        before = encoded(library)
        folder.rename(moved)
        renamed = encode(moved, room / "moved.npz")
        after = encoded(library)
        known, same, new = (load_embeddings(room / f"{name}.npz") for name in ("first", "again", "moved"))
        empty = encode(room / "data", room / "nothing.npz")
    equal = (
        known.paths == same.paths
        and [moved / path.relative_to(folder) for path in known.paths] == list(new.paths)
        and known.vectors.tobytes() == same.vectors.tobytes() == new.vectors.tobytes()
    )
    rate, times = images / first_time, first_time / again
    print(f"{images} JPEG of {size} px: first {first_time:.1f} s ({rate:.0f} images/s), again {again:.2f} s")
    print(f"that is {times:.0f} times as fast; the command takes {empty:.2f} s for an empty folder")
    print(f"renamed: {renamed:.1f} s, {after - before} pictures encoded; outputs {'equal' if equal else 'NOT equal'}")
    failed = times < TIMES or after != before or not equal
    print("MISSED" if failed else "met")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
