"""Decompression bombs: each is refused within a second and 200 MB, as one row, through the doors of a scan.

A bomb in a part that nobody reads (a text, a colour profile) may also leave a picture of a few pixels.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rig.bombs import bombs
from rig.watched import REASONS, peak_mb

from twinpix.encoder.contained import Decoders
from twinpix.encoder.errors import ImageError
from twinpix.encoder.preprocess import Preprocess

SECONDS, MEMORY_MB = 1.0, 200.0
HARMLESS = ("zTXt", "iTXt", "iCCP", "ICC", "IDAT")


def outcome(decoders: Decoders, path: Path) -> str:
    """What becomes of one file: a reason, or "read"."""
    try:
        decoders.prepare(str(path), Preprocess())
    except ImageError as error:
        return error.reason
    return "read"


def explode(folder: Path, name: str, data: bytes) -> bool:
    """One bomb in a fresh process; prints a line, returns whether it kept the bar."""
    path, decoders = folder / name, Decoders()
    path.write_bytes(data)
    outcome(decoders, Path(__file__))  # the process has started
    begun = time.perf_counter()
    found = outcome(decoders, path)
    seconds = time.perf_counter() - begun
    peak = max((peak_mb(worker.pid) for worker in decoders.workers), default=float("nan"))
    decoders.close()
    refused = found in REASONS or (found == "read" and any(word in name for word in HARMLESS))
    kept = refused and seconds <= SECONDS and peak <= MEMORY_MB
    print(f"{name:30} {len(data) / 1e6:6.2f} MB  {found:14} {seconds:5.2f} s {peak:5.0f} MB {'' if kept else 'MISSED'}")
    return kept


def main() -> int:
    """All of them."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = [explode(Path(temporary), name, data) for name, data in bombs()]
    print(f"{sum(kept)} of {len(kept)} bombs refused within {SECONDS:.0f} s and {MEMORY_MB:.0f} MB")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
