"""Training pictures: folders or .tar shards -> one uint8 block in memory that all workers share."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.find import find_files
from twinpix.encoder.preprocess import Preprocess

TWIN_CORRELATION = 0.9  # of high-passed 32x32 luma thumbnails; above it two pictures share one identity


@dataclass(frozen=True)
class Pictures:
    """Training pictures, squeezed to squares.

    Attributes:
        pixels: uint8 (n, 3, px, px), RGB, in shared memory.
        identity: int64 (n,); near twins share a number, so that they are never each other's negatives.
        names: n names: absolute paths, or names inside a shard.
        skipped: how many inputs were no readable images.
    """

    pixels: Tensor
    identity: Tensor
    names: tuple[str, ...]
    skipped: int

    @property
    def digest(self) -> str:
        """16 hex digits that tell one set of pictures from another."""
        facts = "\n".join((*self.names, str(self.pixels.shape), str(int(self.identity.sum()))))
        return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Batch:
    """One step's input.

    Attributes:
        first, second: uint8 (n, 3, px, px), two views of the same n pictures.
        identity: int64 (n,).
    """

    first: Tensor
    second: Tensor
    identity: Tensor


def load_pictures(sources: Iterable[Path], px: int, threads: int = 2) -> Pictures:
    """Decode every image in `sources` (folders, image files, .tar shards) to px x px squares.

    Raises:
        InputError: a source is not there, a shard is damaged, or no image could be read at all.
    """
    squeeze = Preprocess(size=px)

    def read(item: tuple[str, bytes | Path]) -> tuple[str, np.ndarray] | None:
        try:
            return item[0], squeeze(decode(item[1], at_least=px))
        except ImageError:
            return None

    items, read_all = _items(sources), list[tuple[str, np.ndarray] | None]()
    with ThreadPoolExecutor(threads) as pool:
        while block := list(islice(items, 256)):  # map() would take in whole shards at once
            read_all += pool.map(read, block)
    good = [row for row in read_all if row is not None]
    if not good:
        raise InputError("no readable image in the training data: pass folders of images or .tar shards of them")
    pixels = torch.empty((len(good), 3, px, px), dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    for i, (_, picture) in enumerate(good):
        pixels[i] = torch.from_numpy(picture)
    names = tuple(name for name, _ in good)
    return Pictures(pixels, identities(pixels), names, len(read_all) - len(good))


def _items(sources: Iterable[Path]) -> Iterator[tuple[str, bytes | Path]]:
    for source in sources:
        if source.suffix == ".tar" and source.is_file():
            yield from _tar_items(source)
        elif source.exists():
            yield from ((str(path), path) for path in find_files([source], _refuse))
        else:
            raise InputError(f"{source}: no such folder or .tar shard")


def _refuse(folder: Path, error: OSError) -> None:
    raise InputError(f"{folder}: can't be listed ({error.strerror})")


def _tar_items(shard: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, OSError) as error:
        raise InputError(f"{shard}: not a readable .tar shard ({error})") from None


def identities(pixels: Tensor, threshold: float = TWIN_CORRELATION) -> Tensor:
    """Group near twins (repeats, the closest bursts) by the correlation of their fine structure.

    The coarse layout is taken out first: by it, every hazy mountain would be a twin of every other, and
    the hardest negatives would be lost to training.

    Args:
        pixels: uint8 (n, 3, h, w).
        threshold: correlation 0..1 above which two pictures count as one.

    Returns:
        int64 (n,): the smallest index of the group each picture belongs to.
    """
    thumbs = _thumbs(pixels)
    identity = torch.arange(len(thumbs))
    for start in range(0, len(thumbs), 1024):
        rows, cols = torch.where(thumbs[start : start + 1024] @ thumbs.T > threshold)
        for i, j in zip((rows + start).tolist(), cols.tolist(), strict=True):
            if i < j:
                a, b = sorted((int(identity[i]), int(identity[j])))
                identity[identity == b] = a
    return identity


def twins_among(pixels: Tensor, known: Tensor, threshold: float = TWIN_CORRELATION) -> Tensor:
    """Which pictures are near twins of known ones: uint8 (n, 3, h, w), uint8 (m, 3, h, w) -> bool (n,)."""
    thumbs, others = _thumbs(pixels), _thumbs(known)
    return torch.cat([(block @ others.T > threshold).any(1) for block in torch.split(thumbs, 1024)])


def _thumbs(pixels: Tensor) -> Tensor:
    return torch.cat([_fine_structure(block) for block in torch.split(pixels, 1024)])


def _fine_structure(block: Tensor) -> Tensor:
    luma = block.float().mean(1, keepdim=True)
    small = torch.nn.functional.interpolate(luma, size=(32, 32), mode="area")
    coarse = torch.nn.functional.avg_pool2d(small, 5, 1, 2, count_include_pad=False)
    return torch.nn.functional.normalize((small - coarse).flatten(1), dim=1)
