"""What is known of a file beside its picture, and in what the files of a group differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.explore.where import Photo

FIELDS = ("pixels", "bytes", "format", "date", "camera", "folder", "name")


@dataclass(frozen=True)
class Facts:
    """Of one file; what can't be read is None.

    Attributes:
        pixels: (width, height), upright.
        bytes: how large the file is.
        format: by content.
        date: when it was taken, or else when the file was changed; ISO 8601.
        camera: make and model, from EXIF.
        folder, name: of its path.
    """

    pixels: tuple[int, int] | None
    bytes: int | None
    format: str | None
    date: str | None
    camera: str | None
    folder: str
    name: str


def facts_of(path: Path) -> Facts:
    """Read a file's header."""
    photo, place = Photo(path), (str(path.parent), path.name)
    try:
        width, height = photo.shape
        return Facts((width, height), photo.size, photo.formats[0].upper(), photo.date, photo.camera_name, *place)
    except (ImageError, OSError, OverflowError, ValueError):  # the latter from file times no calendar has
        return Facts(None, None, None, None, None, *place)


def differing(files: Sequence[Facts]) -> tuple[str, ...]:
    """In which of `FIELDS` these files are not all the same."""
    columns = [asdict(one) for one in files]
    return tuple(name for name in FIELDS if len({column[name] for column in columns}) > 1)
