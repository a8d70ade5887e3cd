"""Training pictures: folders or .tar shards -> one uint8 block in memory that all workers share."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.find import find_files
from twinpix.encoder.preprocess import Preprocess

TWIN_CORRELATION = 0.95  # of 12x12 luma thumbnails; above it two pictures share one identity


@dataclass(frozen=True)
class Pictures:
    """Training pictures, squeezed to squares.

    Attributes:
        pixels: uint8 (n, 3, px, px), RGB, in shared memory.
        identity: int64 (n,); near twins share a number, so that they are never each other's negatives.
        names: n names, `FOLDER/FILE`.
        skipped: how many inputs were no readable images.
    """

    pixels: Tensor
    identity: Tensor
    names: tuple[str, ...]
    skipped: int

    def __len__(self) -> int:
        return len(self.names)


def load_pictures(sources: Iterable[Path], px: int, threads: int = 2) -> Pictures:
    """Decode every image in `sources` (folders, image files, .tar shards) to px x px squares.

    Raises:
        InputError: a source is not there, or no image could be read at all.
    """
    squeeze = Preprocess(size=px)

    def read(item: tuple[str, bytes | Path]) -> tuple[str, np.ndarray] | None:
        try:
            return item[0], squeeze(decode(item[1], at_least=px))
        except ImageError:
            return None

    with ThreadPoolExecutor(threads) as pool:
        read_all = list(pool.map(read, _items(sources)))
    good = [row for row in read_all if row is not None]
    if not good:
        raise InputError("no readable image in the training data: pass folders of images or .tar shards of them")
    pixels = torch.empty((len(good), 3, px, px), dtype=torch.uint8).share_memory_()
    for i, (_, picture) in enumerate(good):
        pixels[i] = torch.from_numpy(picture)
    names = tuple(name for name, _ in good)
    return Pictures(pixels, identities(pixels), names, len(read_all) - len(good))


def _items(sources: Iterable[Path]) -> Iterator[tuple[str, bytes | Path]]:
    for source in sources:
        if source.suffix == ".tar" and source.is_file():
            yield from _tar_items(source)
        elif source.exists():
            yield from ((str(path), path) for path in find_files([source]))
        else:
            raise InputError(f"{source}: no such folder or .tar shard")


def _tar_items(shard: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(shard) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()


def identities(pixels: Tensor, threshold: float = TWIN_CORRELATION) -> Tensor:
    """Group near twins (bursts, repeats) by the correlation of 12x12 luma thumbnails.

    Args:
        pixels: uint8 (n, 3, h, w).
        threshold: correlation 0..1 above which two pictures count as one.

    Returns:
        int64 (n,): the smallest index of the group each picture belongs to.
    """
    thumbs = torch.cat([_thumbs(block) for block in pixels.split(1024)])
    identity = torch.arange(len(thumbs))
    for start in range(0, len(thumbs), 1024):
        rows, cols = torch.where(thumbs[start : start + 1024] @ thumbs.T > threshold)
        for i, j in zip((rows + start).tolist(), cols.tolist(), strict=True):
            if i < j:
                a, b = sorted((int(identity[i]), int(identity[j])))
                identity[identity == b] = a
    return identity


def _thumbs(block: Tensor) -> Tensor:
    luma = block.float().mean(1, keepdim=True)
    small = torch.nn.functional.interpolate(luma, size=(12, 12), mode="area").flatten(1)
    return torch.nn.functional.normalize(small - small.mean(1, keepdim=True), dim=1)
