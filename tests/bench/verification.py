"""What the second look costs: candidate pairs a second, and its share of the time of a scan.

    python tests/bench/verification.py DIR [IMAGES]        # IMAGES: of a library, 20,000 by default

Encodes the pictures under DIR, looks at their candidate pairs as `find-duplicates` does, and tells what the same looks
would be of a scan of IMAGES such pictures: a library of that size gets about 10,000 of them, or one for every 20.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from twinpix.encoder.calibration import CANDIDATE_SHARE, CANDIDATES
from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.duplicates import find_candidates, limits
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.verify import Outcome
from twinpix.pipeline.stream import encode_images

ALLOWED = 0.15  # of the time of the scan


def main(folder: Path, images: int) -> int:
    """Print the figures; 1 where the second look takes more than it may."""
    encoder = load_encoder()
    begun = time.perf_counter()
    found = encode_images(folder, encoder=encoder)
    scan = time.perf_counter() - begun
    limit = limits(encoder, len(found.paths), None, None)
    pairs, _ = find_candidates(found, limit)
    near = int((pairs[2] <= limit.far).sum())
    begun = time.perf_counter()
    outcomes = look_again(found.paths, pairs, far=limit.far, sure=limit.sure)
    seconds = time.perf_counter() - begun
    kinds = ", ".join(f"{sum(o is kind for o in outcomes)} {kind.value}" for kind in Outcome)
    print(f"{len(found.paths)} images encoded in {scan:.1f} s; {len(outcomes)} candidate pairs ({near} near, the "
          f"others first at a glimpse) in {seconds:.1f} s: {len(outcomes) / seconds:.0f} pairs/s; {kinds}")  # fmt: skip
    wanted = max(CANDIDATES, CANDIDATE_SHARE * images)
    share = seconds * wanted / max(1, near) / (scan * images / max(1, len(found.paths)))
    print(f"second look beside the scan: {seconds / scan:.0%} here; of {images} such images {share:.0%} "
          f"({wanted:.0f} near pairs; at most {ALLOWED:.0%} is wanted)")  # fmt: skip
    return int(not np.isfinite(share) or share > ALLOWED)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python tests/bench/verification.py DIR [IMAGES]")
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000))
