"""Seconds and peak memory of a method, each in a fresh process, so that no method pays for another."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twinpix.encoder.decode import decode
from twinpix.pipeline.bench.contestants import Choice, load_method
from twinpix.pipeline.bench.folder import PX
from twinpix.pipeline.peak_memory import peak_mb

IMAGES = 100
BATCH = 32


@dataclass(frozen=True)
class Cost:
    """What encoding costs, on one core.

    Attributes:
        images: how many were decoded (longer side at least 512 px where they have that) and encoded.
        decode, encode: seconds for all of them.
        peak_mb: the most memory of the whole process, MB; None where the system does not say.
    """

    images: int
    decode: float
    encode: float
    peak_mb: float | None

    @property
    def ratio(self) -> float:
        """Decoding and encoding, as a multiple of decoding alone."""
        return (self.decode + self.encode) / self.decode


def cost(key: str, choice: Choice, files: Sequence[Path]) -> Cost | None:
    """Run one method over files in a fresh Python; None if that fails."""
    asked = {
        "key": key,
        "baseline": None if choice.baseline is None else str(choice.baseline),
        "weights": None if choice.weights is None else str(choice.weights),
        "files": [str(path) for path in files],
    }
    command = [sys.executable, "-m", "twinpix.pipeline.bench.cost"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    return Cost(**json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None


def _measure(asked: dict[str, Any]) -> Cost:
    baseline, weights = (None if asked[name] is None else Path(asked[name]) for name in ("baseline", "weights"))
    files = [Path(file) for file in asked["files"]]
    method = load_method(asked["key"], Choice(baseline=baseline, weights=weights), len(files))
    method.encode([decode(files[0], at_least=PX)])  # what is loaded at first use is not the method's speed
    decoding = encoding = 0.0
    for start in range(0, len(files), BATCH):
        begun = time.perf_counter()
        pictures = [decode(file, at_least=PX) for file in files[start : start + BATCH]]
        decoded = time.perf_counter()
        method.encode(pictures)
        decoding, encoding = decoding + decoded - begun, encoding + time.perf_counter() - decoded
    return Cost(len(files), decoding, encoding, peak_mb())


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(json.load(sys.stdin)))))
