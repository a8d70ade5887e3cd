"""The pictures of a folder as the bench uses them: which are originals, which become queries, which are pasted."""

from __future__ import annotations

from collections import Counter
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
        InputError: too few different pictures, or a limit that leaves too few.
    """
    if limit < FEWEST:
        raise InputError(f"--limit {limit}: a measurement needs at least {FEWEST} different pictures")
    loaded = load_folder(folder, limit + PASTED)
    names, pictures = loaded.names, loaded.pictures
    kept = without_twins(pictures)
    pasted = kept[len(kept) - max(1, min(PASTED, len(kept) // 10)) :]
    rows = kept[: len(kept) - len(pasted)][:limit]
    mine = np.array([k for k, row in enumerate(rows) if split.holds(names[row])], np.intp)
    if len(rows) < FEWEST or len(mine) < 2:
        at_limit = f"; --limit {limit} ends there" if len(names) == limit + PASTED else ""
        raise InputError(
            f"{folder}: too few different pictures to measure with ({len(kept)} of {loaded}{at_limit}): {FEWEST} and "
            f"one to paste are needed, 2 of them in the half that is measured"
        )
    matched = max(1, min(queries // 3, len(mine) // DISC_SHARE))
    return Pictures(
        names=tuple(names[row] for row in rows),
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


@dataclass(frozen=True)
class Loaded:
    """What a folder's files gave, in an order drawn by name.

    Attributes:
        names: of n pictures, relative to the folder.
        pictures: n, RGB.
        skipped: the reason of each file that gave none.
    """

    names: list[str]
    pictures: list[Image.Image]
    skipped: list[str]

    def __str__(self) -> str:
        """How many images there are, and why files gave none: one line."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(self.skipped).items()))
        files = "file" if len(self.skipped) == 1 else "files"
        skipped = f"; {len(self.skipped)} {files} skipped: {reasons}" if reasons else ""
        return f"{len(self.names)} images{skipped}"


def load_folder(folder: Path, limit: int | None = None, px: int = PX) -> Loaded:
    """The pictures of a folder, longer side at most `px`; a large folder is read only as far as `limit` needs.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    base = folder.resolve()
    files = sorted(list_files([folder])[0], key=lambda path: draw(str(path.relative_to(base))))

    def read(path: Path) -> tuple[str, Image.Image] | str:
        try:
            picture = decode(path, at_least=px)
        except ImageError as error:
            return error.reason
        picture.thumbnail((px, px), Image.Resampling.LANCZOS)
        return str(path.relative_to(base)), picture

    rows: list[tuple[str, Image.Image]] = []
    skipped: list[str] = []
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), READ_BLOCK):
            if limit is not None and len(rows) >= limit:
                break
            found = list(pool.map(read, files[start : start + READ_BLOCK]))
            rows += [row for row in found if not isinstance(row, str)]
            skipped += [row for row in found if isinstance(row, str)]
    return Loaded([name for name, _ in rows[:limit]], [picture for _, picture in rows[:limit]], skipped)
