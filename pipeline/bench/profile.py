"""Where the time of a folder goes: CPU time of every stage, one thread, so that a busy machine changes little."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from twinpix.encoder.contained import Decoders
from twinpix.encoder.decode import decode
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.save import save_embeddings
from twinpix.pipeline.stream import CHUNK, Chunk

TRIPS = 50

T = TypeVar("T")


def profile(encoder: OnnxEncoder, files: Sequence[Path]) -> dict[str, float]:
    """Milliseconds an image by stage: read, decode, resize, transfer, inference, write.

    Args:
        files: readable images.
    """
    spent: dict[str, float] = {}
    size, of_jpeg = encoder.preprocess.size, encoder.preprocess.jpeg_at_least

    def stage(name: str, work: Callable[[], T]) -> T:
        begun = time.thread_time()
        outcome = work()
        spent[name] = (time.thread_time() - begun) * 1000 / len(files)
        return outcome

    data = stage("read", lambda: [path.read_bytes() for path in files])
    pictures = stage("decode", lambda: [decode(content, size, jpeg_at_least=of_jpeg) for content in data])
    prepared = stage("resize", lambda: np.stack([encoder.preprocess(picture) for picture in pictures]))
    spent["transfer"] = transfer_ms(encoder)
    encoder.encode(prepared[:CHUNK])  # what is loaded at first use is no image's
    blocks = [prepared[i : i + CHUNK] for i in range(0, len(prepared), CHUNK)]
    vectors = stage("inference", lambda: np.concatenate([encoder.encode(block) for block in blocks]))
    with tempfile.TemporaryDirectory() as folder:
        found, target = Chunk(tuple(files), vectors, ()), Path(folder) / "embeddings.npz"
        stage("write", lambda: save_embeddings(target, [found], encoder.fingerprint, encoder.dim))
    return spent


def transfer_ms(encoder: OnnxEncoder) -> float:
    """What the way to a decoding process and back takes: a picture of one pixel there, less the same here."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    pixel, decoders = buffer.getvalue(), Decoders()
    try:
        decoders.prepare(pixel, encoder.preprocess)  # the process has started
        there = min(_ms(lambda: decoders.prepare(pixel, encoder.preprocess)) for _ in range(TRIPS))
        here = min(_ms(lambda: encoder.prepare(pixel)) for _ in range(TRIPS))
    finally:
        decoders.close()
    return max(0.0, there - here)


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000
