"""Training pictures: folders or .tar shards -> one uint8 block in memory that all workers share."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Sequence
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
from twinpix.pipeline.twins import THUMB, TWIN_CORRELATION, fine_structure, twin_groups


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


def load_pictures(sources: Sequence[Path], px: int, threads: int = 2, limit: int | None = None) -> Pictures:
    """Decode every image in `sources` (folders, image files, .tar shards) to px x px squares.

    Args:
        limit: take no more files than this, evenly from all of them.

    Raises:
        InputError: a source is not there, a shard is damaged, or no image could be read at all.
    """
    squeeze = Preprocess(size=px, despeckle=True)

    def read(item: tuple[str, bytes | Path]) -> tuple[str, np.ndarray] | None:
        try:
            return item[0], squeeze(decode(item[1], at_least=px))
        except ImageError:
            return None

    items, read_all = _thinned(sources, limit), list[tuple[str, np.ndarray] | None]()
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


def _thinned(sources: Sequence[Path], limit: int | None) -> Iterator[tuple[str, bytes | Path]]:
    total = 0 if limit is None else sum(1 for _ in _items(sources))
    if limit is None or total <= limit:
        return _items(sources)
    return (item for i, item in enumerate(_items(sources)) if (i + 1) * limit // total > i * limit // total)


def _items(sources: Iterable[Path]) -> Iterator[tuple[str, bytes | Path]]:
    for source in sources:
        if source.suffix == ".tar" and source.is_file():
            yield from _tar_items(source)
        elif source.exists():
            yield from ((str(path), path) for path in find_files([source], _refuse))
        else:
            raise InputError(f"{source}: no such folder or .tar shard")


def _refuse(path: Path, error: OSError) -> None:
    raise InputError(f"{path}: can't be read ({error.strerror})")


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
    """Group near twins: uint8 (n, 3, h, w) -> int64 (n,), the smallest index of the group each belongs to.

    Args:
        threshold: correlation 0..1 of the fine structure above which two pictures count as one.
    """
    return torch.from_numpy(twin_groups(_structures(pixels).numpy(), threshold))


def twins_among(pixels: Tensor, known: Tensor, threshold: float = TWIN_CORRELATION) -> Tensor:
    """Which pictures are near twins of known ones: uint8 (n, 3, h, w), uint8 (m, 3, h, w) -> bool (n,)."""
    structures, others = _structures(pixels), _structures(known)
    return torch.cat([(block @ others.T > threshold).any(1) for block in torch.split(structures, 1024)])


def _structures(pixels: Tensor) -> Tensor:
    return torch.cat([_structure(block) for block in torch.split(pixels, 1024)])


def _structure(block: Tensor) -> Tensor:
    luma = block.float().mean(1, keepdim=True)
    small = torch.nn.functional.interpolate(luma, size=(THUMB, THUMB), mode="area")
    return torch.from_numpy(fine_structure(small[:, 0].numpy()))
