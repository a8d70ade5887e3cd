"""A service that runs: `twinpix serve` in a process of its own, on loopback, with small pictures to ask it about."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TWINPIX = Path(sys.executable).with_name("twinpix")


@dataclass(frozen=True)
class Served:
    """A running service.

    Attributes:
        process: its process.
        port: on 127.0.0.1.
    """

    process: subprocess.Popen[str]
    port: int

    @property
    def memory(self) -> float:
        """Resident memory of the process, MB; of its decoding processes not."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def files(self) -> int:
        """Open file descriptors."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


@contextmanager
def serving(library: Path, *options: str, data: Path | None = None) -> Iterator[Served]:
    """Start a service, and end it as an operator would.

    Args:
        data: the data folder.
    """
    heard = dict[str, str](os.environ, TWINPIX_DATA=str(data or library.parent / "data"))
    words = [str(TWINPIX), "serve", "--library", str(library), "--port", "0", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=heard) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://" in line, f"it does not start: {line}"
            yield Served(process, int(line.split("http://")[1].split(":")[-1].split()[0]))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()


def drawn(seed: int, width: int = 96, height: int = 72, cells: int = 9) -> Image.Image:
    """A picture of random blobs; other seeds are unrelated pictures."""
    levels = np.random.default_rng(seed).integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)


def packed(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
