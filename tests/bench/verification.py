"""What the second look costs: candidate pairs a second, and how much longer a scan takes with it than without.

    python tests/bench/verification.py DIR [DIR...]

Encodes the pictures, and groups them without a second look, with it, and with --thorough.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.duplicates import group_duplicates
from twinpix.pipeline.report import Embeddings, Report
from twinpix.pipeline.stream import encode_images

ALLOWED = 0.15  # of the time of the scan


def main(folders: list[str]) -> int:
    """Print the figures; 1 where the second look takes more than it may."""
    encoder = load_encoder()
    encoding, found = timed(lambda: encode_images(*folders, encoder=encoder))
    assert isinstance(found, Embeddings)
    plain, _ = timed(lambda: group_duplicates(found, encoder, verify=False))
    scan = encoding + plain
    print(f"{len(found.paths)} images, scanned without a second look in {scan:.1f} s")
    slower = []
    for thorough in (False, True):
        seconds, report = timed(lambda: group_duplicates(found, encoder, thorough=thorough))  # noqa: B023
        assert isinstance(report, Report)
        slower.append((seconds - plain) / scan)
        print(f"{'--thorough' if thorough else 'by default'}: {report.looked_at} pairs looked at, {report.unseen} not; "
              f"{report.looked_at / seconds:.0f} pairs/s; {len(report.matches)} matches; the scan takes "
              f"{slower[-1]:.0%} longer")  # fmt: skip
    print(f"at most {ALLOWED:.0%} is wanted")
    return int(slower[0] > ALLOWED)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came of it."""
    begun = time.perf_counter()
    done = work()
    return time.perf_counter() - begun, done


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python tests/bench/verification.py DIR [DIR...]")
    sys.exit(main(sys.argv[1:]))
