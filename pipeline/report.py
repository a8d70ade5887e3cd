"""What the pipeline hands out: frozen values that say where every number comes from."""

from __future__ import annotations

import base64
import html
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import FingerprintError, ImageError
from twinpix.pipeline.index import EXACT, IndexUsed
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.second_look.outcome import Outcome


@dataclass(frozen=True)
class Skipped:
    """A file that gave no embedding.

    Attributes:
        path: absolute.
        reason: a short code; the README lists them.
        message: one line for people.
    """

    path: Path
    reason: str
    message: str


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embedded images, in the order they were found.

    Attributes:
        paths: n absolute paths.
        vectors: float32 (n, dim), L2 norm 1.
        fingerprint: of the encoder that made them.
        skipped: the files that gave none.
    """

    paths: tuple[Path, ...]
    vectors: NDArray[np.float32]
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()

    def check_same_encoder(self, fingerprint: str) -> None:
        """Raises FingerprintError unless `fingerprint` made these."""
        if fingerprint != self.fingerprint:
            raise FingerprintError(
                f"embeddings of encoder {self.fingerprint} can't be compared with those of {fingerprint}: encode again"
            )


@dataclass(frozen=True)
class Match:
    """Two images and how far apart they are.

    Attributes:
        query, reference: absolute paths, or a description of what was passed in memory.
        l2_distance: L2, 0 (same) .. 2.
        threshold: L2; pairs farther apart are no duplicates.
        is_duplicate: within the threshold, and not overruled by a second look.
        second_look: what that made of the pair; None where none was needed or wanted.
        unverified_threshold: L2; how near a pair must be that a second look can't settle.
    """

    query: Path | str
    reference: Path | str
    l2_distance: float
    threshold: float
    is_duplicate: bool
    second_look: Outcome | None = None
    unverified_threshold: float = 2.0


@dataclass(frozen=True)
class Link:
    """A pair of duplicates that a group leaves apart: the other is no duplicate of the group's representative.

    Attributes:
        member: absolute path of a file in the group.
        other: absolute path of one that is in another group, or in none.
        l2_distance: L2 of the two.
    """

    member: Path
    other: Path
    l2_distance: float


@dataclass(frozen=True)
class Group:
    """Images that show one picture.

    Attributes:
        files: absolute paths; the first is the representative, every other lies within the threshold of it.
        max_l2_distance: L2, the largest distance of a member to the representative.
        links: the pairs of duplicates of which just one is in this group, closest first. They are weaker evidence: the
            other resembles a member, not the representative.
        relations: what each of `files[1:]` is to the representative, which is their query; None where a file could no
            longer be read. Empty if no second look was wanted.
    """

    files: tuple[Path, ...]
    max_l2_distance: float
    links: tuple[Link, ...] = ()
    relations: tuple[Relation | None, ...] = ()

    def relation_of(self, file: Path) -> Relation | None:
        """What a file of the group is to the representative; None for itself, and where that is not known."""
        known = dict(zip(self.files[1:], self.relations, strict=False))
        return known.get(file)


@dataclass(frozen=True)
class Report:
    """The outcome of `find_duplicates`.

    Attributes:
        groups: largest first; no file is in two.
        matches: every pair of duplicates, closest first. Of more than 120 files with the same bytes, each only with
            the first of them by name, and with what that one is near to. Of more than 120 that lie within a threshold
            of your own of one file, only those with its eight nearest and with the first eight by name: `unlisted`.
        skipped: files without an embedding, with reasons; and those that could no longer be read when they were to be
            looked at again: they are in no match.
        threshold: L2; no match is farther apart.
        expected_false_pairs: how many wrong matches the calibration expects at this threshold among
            this many different images; None where the encoder is not calibrated.
        clamped: whether `unverified_threshold` is the smallest (surest) one that the calibration supports,
            because the library is too large for its curve.
        images: how many were embedded.
        fingerprint: of the encoder.
        unverified_threshold: L2; how near a pair must be that a second look can't settle.
        looked_at: candidate pairs that got a second look.
        refuted: of those, how many it overruled.
        unseen: candidate pairs that got none, because those nearer than them had long held no duplicate.
        calibrated_on: the pictures behind `expected_false_pairs`, and whether that calibration is the user's own.
        index: how pairs were looked for, and what share of them that finds where it is not exact.
        paths: of all images that were embedded, absolute.
        dismissed: pairs that would be matches, but a person called them different (`twinpix review`).
        alikeness: how many times as often as those pictures these lie near one another; above 1, the threshold
            of pairs that a second look can't settle is stricter by as much.
    """

    groups: tuple[Group, ...]
    matches: tuple[Match, ...]
    skipped: tuple[Skipped, ...]
    threshold: float
    expected_false_pairs: float | None
    clamped: bool
    images: int
    fingerprint: str
    unverified_threshold: float = 2.0
    looked_at: int = 0
    refuted: int = 0
    unseen: int = 0
    calibrated_on: str = ""
    index: IndexUsed = EXACT
    dismissed: int = 0
    paths: tuple[Path, ...] = ()
    alikeness: float = 1.0

    @property
    def links(self) -> int:
        """How many matches have their two files in no group together."""
        return len({frozenset((link.member, link.other)) for group in self.groups for link in group.links})

    @property
    def unlisted(self) -> int:
        """How many pairs within a threshold of your own are not among the matches: those of crowds; 0 without one."""
        return self.index.unlisted

    @property
    def duplicates(self) -> int:
        """How many files are in groups, beyond one of each."""
        return sum(len(group.files) - 1 for group in self.groups)

    def to_pandas(self) -> Any:
        """A pandas DataFrame, a row for each file of a group: see `twinpix.pipeline.export.rows.Row`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        from twinpix.pipeline.export.rows import data_frame

        return data_frame(cast(Any, self))

    def to_imagededup(self) -> dict[str, list[str]]:
        """What imagededup's `find_duplicates` gives, with absolute paths: every image -> its duplicates, or []."""
        from twinpix.pipeline.export.rows import by_file

        return by_file(cast(Any, self))

    def save(self, target: str | os.PathLike[str]) -> None:
        """Write a `.html` page with small pictures, or the files of all groups as `.csv`, `.jsonl` or `.parquet`.

        Raises:
            InputError: an unknown ending, or the file can't be written.
            MissingPackageError: Parquet needs the extra `parquet`.
        """
        from twinpix.pipeline.export.files import write_report

        write_report(cast(Any, self), target)

    def __repr__(self) -> str:
        return (
            f"Report({self.images} images, {len(self.groups)} groups, {self.duplicates} duplicates, "
            f"{len(self.skipped)} skipped, threshold {self.threshold:.3f})"
        )

    def _repr_html_(self) -> str:
        shown = self.groups[:20]
        rest = f"<p>and {len(self.groups) - len(shown)} more groups in <code>.groups</code></p>"
        rows = "".join(_group_html(i, group) for i, group in enumerate(shown, 1))
        return f"<p><b>{html.escape(repr(self))}</b></p>{rows}" + (rest if len(self.groups) > len(shown) else "")


def _group_html(number: int, group: Group) -> str:
    files = "".join(_file_html(path) for path in group.files[:12])
    more = f"<p>and {len(group.files) - 12} more files</p>" if len(group.files) > 12 else ""
    title = f"Group {number}: {len(group.files)} files, L2 distance up to {group.max_l2_distance:.3f}"
    return f"<div><p>{title}</p><div style='display:flex;flex-wrap:wrap;gap:8px'>{files}</div>{more}</div>"


def _file_html(path: Path) -> str:
    from twinpix.pipeline.show import safe

    name = html.escape(safe(path.name))
    style = "margin:0;width:132px;overflow-wrap:anywhere"
    try:
        shown = f"<img alt='' src='{thumbnail(path)}'>"
    except ImageError:
        shown = "<div>(no longer readable)</div>"
    return f"<figure style='{style}'>{shown}<figcaption>{name}</figcaption></figure>"


def thumbnail(path: Path, px: int = 132, quality: int = 80) -> str:
    """A small JPEG of an image file, its longer side `px`, as a data URI.

    Raises:
        ImageError: it can't be read.
    """
    picture = read_picture(path, at_least=px // 2)
    picture.thumbnail((px, px))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def label(image: ImageLike) -> Path | str:
    """What to call an image: its absolute path, or what kind of thing in memory it is."""
    if isinstance(image, (str, os.PathLike)):
        return Path(os.path.abspath(image))
    if isinstance(image, Image.Image):
        return f"<image {image.width}x{image.height}>"
    return f"<array {image.shape}>" if isinstance(image, np.ndarray) else f"<{len(image)} bytes>"
