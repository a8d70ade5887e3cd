"""Malformed files: every one has exactly one outcome with a reason, none takes over 10 s or 512 MB, nothing dies.

NASTY=folder python tests/torture/decode_files.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rig.malformed import write_malformed
from rig.watched import outcome_problems, watched

import twinpix
from twinpix.pipeline.stream import list_files

SECONDS, MEMORY_MB = 10.0, 512


def torture(folder: Path, what: str) -> list[str]:
    """Scan a folder; returns what misses a bar."""
    files, unlisted = list_files([folder])
    with watched() as seen:
        found = twinpix.encode_images(folder)
    reasons = Counter(row.reason for row in found.skipped)
    print(f"{what}: {len(files)} files, {len(found.paths)} read, {len(found.skipped)} skipped {dict(reasons)}")
    seen.print()
    print("uncaught errors 0, and this process lives")  # or it would have ended above
    missed = outcome_problems([*files, *(row.path for row in unlisted)], found.paths, found.skipped)
    name, seconds = seen.slowest
    if seconds > SECONDS:
        missed.append(f"{name}: takes {seconds:.1f} s")
    if seen.peak_mb > MEMORY_MB:
        missed.append(f"a decoding process took {seen.peak_mb:.0f} MB")
    return missed


def main(each: int = 24) -> int:
    """Torture with made files, and those of the folder in NASTY; `each`: how many of a kind and a way."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "made"
        write_malformed(made, each)
        missed = torture(made, "made")
    if os.environ.get("NASTY"):
        missed += torture(Path(os.environ["NASTY"]), os.environ["NASTY"])
    else:
        print("no folder of bad files given: make torture NASTY=DIR")
    print("\n".join(missed[:20]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
