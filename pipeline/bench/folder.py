"""The pictures of a folder as the bench uses them: which are originals, which become queries, which are pasted."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.pipeline.bench.method import Rows
from twinpix.pipeline.bench.split import Split, draw
from twinpix.pipeline.stream import list_files
from twinpix.pipeline.threads import cores
from twinpix.pipeline.twins import fine_structure, one_of_each, thumbnails, twin_groups

READ_BLOCK = 256  # files
PX = 512  # longer side, at most
PASTED = 16  # pictures that are set aside to be pasted
FEWEST = 12  # different pictures that a measurement needs
DISC_SHARE = 5  # of DISC-like queries, one in so many has a match


@dataclass(frozen=True)
class Pictures:
    """What edits are made of.

    Attributes:
        names: of the n originals, relative to the folder; they are all different pictures.
        originals: n RGB pictures.
        queries: int (q,), rows of the originals that are edited.
        matched, absent: int, rows for the DISC-like set: queries with a match among the references, and queries
            that are left out of the references.
        pasted: RGB pictures that are no originals.
        twins: how many near twins were left out.
    """

    names: tuple[str, ...]
    originals: tuple[Image.Image, ...]
    queries: Rows
    matched: Rows
    absent: Rows
    pasted: tuple[Image.Image, ...]
    twins: int

    @property
    def references(self) -> Rows:
        """int (r,): the originals that DISC-like queries are compared with."""
        return np.setdiff1d(np.arange(len(self.originals)), self.absent)


def choose_pictures(folder: Path, limit: int, queries: int, split: Split) -> Pictures:
    """Draw pictures of a folder by a hash of their names: the same ones every time.

    Args:
        folder: searched through and through.
        limit: most originals.
        queries: most of them that are edited; all of one split.

    Raises:
        InputError: too few different pictures.
    """
    loaded, pictures = load_folder(folder, limit + PASTED)
    kept = without_twins(pictures)
    pasted = kept[len(kept) - max(1, min(PASTED, len(kept) // 10)) :]
    rows = kept[: len(kept) - len(pasted)][:limit]
    mine = np.array([k for k, row in enumerate(rows) if split.holds(loaded[row])], np.intp)
    if len(rows) < FEWEST or len(mine) < 2:
        raise InputError(f"{folder}: too few different pictures to measure with ({len(kept)} of {len(loaded)} images)")
    matched = max(1, min(queries // 3, len(mine) // DISC_SHARE))
    return Pictures(
        names=tuple(loaded[row] for row in rows),
        originals=tuple(pictures[row] for row in rows),
        queries=mine[:queries],
        matched=mine[:matched],
        absent=mine[matched : DISC_SHARE * matched],
        pasted=tuple(pictures[row] for row in pasted),
        twins=len(pictures) - len(kept),
    )


def without_twins(pictures: Sequence[Image.Image]) -> list[int]:
    """Rows of one picture of each group of near twins, ascending."""
    if not pictures:
        return []
    rows = one_of_each(twin_groups(fine_structure(thumbnails(list(pictures)))))
    return [int(row) for row in rows]


def load_folder(folder: Path, limit: int | None = None, px: int = PX) -> tuple[list[str], list[Image.Image]]:
    """Names (relative) and RGB pictures (longer side at most `px`), in an order drawn by name.

    Unreadable files are left out; a large folder is read only as far as `limit` needs.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    base = folder.resolve()
    files = sorted(list_files([folder])[0], key=lambda path: draw(str(path.relative_to(base))))

    def read(path: Path) -> tuple[str, Image.Image] | None:
        try:
            picture = decode(path, at_least=px)
        except ImageError:
            return None
        picture.thumbnail((px, px), Image.Resampling.LANCZOS)
        return str(path.relative_to(base)), picture

    rows: list[tuple[str, Image.Image]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), READ_BLOCK):
            if limit is not None and len(rows) >= limit:
                break
            rows += [row for row in pool.map(read, files[start : start + READ_BLOCK]) if row is not None]
    return [name for name, _ in rows[:limit]], [picture for _, picture in rows[:limit]]
