"""`twinpix speed`: how fast encoding is beside plain decoding, and whether memory stays flat."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.onnx import OnnxEncoder, load_encoder
from twinpix.pipeline.bench.profile import profile
from twinpix.pipeline.stream import CHUNK, list_files, stream
from twinpix.pipeline.threads import cores

ROUNDS = 3
SMALL_PX, SMALL_QUALITY = 500, 90  # longer side, and quality, of the small pictures that are made of the large ones
MORE = 20  # as many of the small ones, so that a round takes as long
PROFILED = 48  # files
# a command, and then the peak memory of its process
WATCHED = """
from twinpix.pipeline.cli import app
from twinpix.pipeline.peak_memory import peak_mb
try:
    app()
finally:
    print(peak_mb() or "nan")
"""


def speed(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Photos, best of 12 megapixels.")],
    images: Annotated[int, typer.Option(help="Files a round; those of DIR are used again and again.")] = 400,
    memory: Annotated[bool, typer.Option("--memory", help="Also the peak memory for 1,000 and 20,000 images.")] = False,
    model: Annotated[Path | None, typer.Option(help="A .onnx encoder.", show_default="the shipped one")] = None,
) -> int:
    """Encode files, and decode the same files with Pillow alone at reduced scale, in turns on all cores.

    Then the same with the photos made 500 px small. For both, where the time goes.
    """
    encoder = load_encoder(model)
    readable = [path for path in list_files([folder])[0] if _is_readable(path)]
    if not readable:
        raise InputError(f"{folder}: no readable image")
    _compare(encoder, "as they are", readable, images)
    with tempfile.TemporaryDirectory() as temporary:
        small = [_write_small(path, Path(temporary) / f"{i:05}.jpg") for i, path in enumerate(readable[:images])]
        _compare(encoder, f"at {SMALL_PX} px", small, MORE * images)
    if memory:
        _print_memory()
    return 0


def _compare(encoder: OnnxEncoder, what: str, readable: Sequence[Path], images: int) -> None:
    files = [readable[i % len(readable)] for i in range(images)]
    size = encoder.preprocess.size
    list(stream(encoder, files[:CHUNK]))  # warm-up
    ours, plain = [], []
    for _ in range(ROUNDS):
        plain.append(_seconds(lambda: _decode_all(files, size)))
        ours.append(_seconds(lambda: list(stream(encoder, files))))
    ratio = min(plain) / min(ours)
    print(f"{what}: best of {ROUNDS} rounds of {images} files on {cores()} cores")
    print(f"  Pillow alone, reduced-scale decode: {images / min(plain):.1f} images/s")
    print(f"  encode: {images / min(ours):.1f} images/s, {ratio:.0%} of the rate of decoding alone")
    stages = profile(encoder, files[:PROFILED])
    print(f"  CPU ms an image: {', '.join(f'{name} {ms:.2f}' for name, ms in stages.items())}")


def _write_small(path: Path, target: Path) -> Path:
    picture = decode(path, at_least=SMALL_PX)
    picture.thumbnail((SMALL_PX, SMALL_PX), Image.Resampling.LANCZOS)
    picture.save(target, quality=SMALL_QUALITY)
    return target


def _is_readable(path: Path) -> bool:
    try:
        decode(path, at_least=64)
    except ImageError:
        return False
    return True


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _decode_all(files: Sequence[Path], size: int) -> None:
    def decode_plainly(path: Path) -> None:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size, 2 * size))
            image.load()

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(decode_plainly, files))


def _print_memory() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder, written = Path(temporary) / "images", 0
        folder.mkdir()
        for target in (1_000, 20_000):
            _write_pictures(folder, written, target)
            written = target
            print(f"encode-images of {target} images: peak {_peak_mb(folder, Path(temporary) / 'out.npz'):.0f} MB")


def _write_pictures(folder: Path, first: int, last: int) -> None:
    for i in range(first, last):
        levels = np.random.default_rng(i).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(levels).resize((240, 180), Image.Resampling.BICUBIC).save(folder / f"{i:06}.jpg")


def _peak_mb(folder: Path, output: Path) -> float:
    command = [sys.executable, "-c", WATCHED, "encode-images", str(folder), "-o", str(output)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"encode-images failed with status {done.returncode}")
    return float(done.stdout.splitlines()[-1])
