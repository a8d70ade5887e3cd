"""The metadata filter: `format=jpeg width>=1000 date>=2020 folder=holiday camera~canon size<2MB`.

Conditions stand apart by spaces or commas, and all must hold. Values with spaces are quoted: `camera="Canon EOS 5D"`.
Text is compared whole (`=`, `!=`) or in part (`~`), capitals or not; numbers and dates also by `<` `<=` `>` `>=`.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from twinpix.encoder.decode import open_image
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.find import find_files
from twinpix.encoder.header import is_lossless, upright_size
from twinpix.pipeline.report import Skipped

CONDITION = re.compile(r"""(?P<field>\w+)\s*(?P<sign><=|>=|!=|=|<|>|~)\s*(?P<value>"[^"]*"|'[^']*'|[^\s,"'<>=~!]+)""")
BREAK = re.compile(r"[\s,]+|$")
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TEXTUAL: dict[str, Callable[[list[str], str], bool]] = {
    "=": lambda texts, value: value in texts,
    "!=": lambda texts, value: value not in texts,
    "~": lambda texts, value: any(value in text for text in texts),
}
BYTES = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
FORMATS = ["jpeg", "png", "gif", "webp", "tiff", "bmp", "heif", "avif"]  # all that are decoded
SPELLINGS = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "heic": "heif"}
DATE, LAST_DATE = "0001-01-01 00:00:00", "9999-12-31 23:59:59"
EXIF_IFD, MAKE, MODEL, DATE_TAKEN = 0x8769, 0x010F, 0x0110, 0x9003


class Photo:
    """What is known about a file without decoding it. Reading the header raises ImageError where there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _header(self) -> tuple[str, tuple[int, int], bool, Image.Exif, dict[int, Any]]:
        try:
            with open(self.path, "rb") as file, open_image(file) as image:
                exif = image.getexif()
                known = str(image.format), upright_size(image)
                return *known, is_lossless(image), exif, dict(exif.get_ifd(EXIF_IFD))
        except Exception as error:  # Pillow's plugins raise whatever a broken file makes them stumble on
            raise ImageError("corrupt", f"{self.path}: no readable header ({error})") from None

    @property
    def formats(self) -> list[str]:
        """Its format, by content."""
        name = self._header[0].lower()
        return ["jpeg" if name == "mpo" else name]

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height, px, once it is upright."""
        return self._header[1]

    @property
    def is_lossless(self) -> bool:
        """Whether it is stored without loss, as far as its header says."""
        return self._header[2]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @property
    def date(self) -> str:
        """When it was taken (EXIF DateTimeOriginal), else when the file was last changed (local time); ISO 8601."""
        taken = str(self._header[4].get(DATE_TAKEN, "")).strip("\0 ")
        try:
            return datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").isoformat(" ")
        except ValueError:
            return _iso(self.path.stat().st_mtime)

    @property
    def camera(self) -> list[str]:
        """Make and model (EXIF): together, and each alone."""
        make, model = (name.casefold() for name in self._maker)
        return [f"{make} {model}".strip(), make, model]

    @property
    def camera_name(self) -> str | None:
        """The camera for people, without its maker twice; None if it is not told."""
        make, model = self._maker
        return (model if model.casefold().startswith(make.casefold()) else f"{make} {model}").strip() or None

    @property
    def _maker(self) -> tuple[str, str]:
        make, model = (str(self._header[3].get(tag, "")).strip("\0 ") for tag in (MAKE, MODEL))
        return make, model


def _iso(seconds: float) -> str:
    # what lies beyond the calendar is its end
    try:
        return datetime.fromtimestamp(seconds).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return DATE if seconds < 0 else LAST_DATE


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        text: as it was written.
        holds: whether a photo fulfils it.
    """

    text: str
    holds: Callable[[Photo], bool]


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold; without any, every file is accepted."""

    conditions: tuple[Condition, ...] = ()

    def accepts(self, path: Path) -> bool:
        """Whether the file fulfils all conditions; reads its header at most.

        A file whose header can't be read passes the conditions on it: it is skipped, with the reason, by whoever
        decodes it.
        """
        if not self.conditions:
            return True
        photo = Photo(path)
        return all(_holds_or_unreadable(condition, photo) for condition in self.conditions)


def _holds_or_unreadable(condition: Condition, photo: Photo) -> bool:
    try:
        return condition.holds(photo)
    except (ImageError, OSError):
        return True


def none_found(roots: Sequence[str | os.PathLike[str]], where: str | None, skipped: Sequence[Skipped]) -> InputError:
    """Why a command was left without a single image of these folders: none there, none accepted, or none readable.

    Args:
        skipped: the files that were tried.
    """
    under = ", ".join(os.fspath(root) for root in roots)
    images = sum(_is_image(path) for path in find_files(roots, lambda folder, error: None))
    if not images:
        return InputError(f"{under}: no image there that can be read")
    if where and all(entry.reason == "not_an_image" for entry in skipped):
        return InputError(f"{under}: --where {where!r} accepts none of the images there ({images})")
    return InputError(f"{under}: none of the images there ({images}) can be read")


def _is_image(path: Path) -> bool:
    try:
        return bool(Photo(path).formats)
    except ImageError:
        return False


def parse_where(text: str | None) -> Filter:
    """Read a filter; None and blank text accept every file.

    Raises:
        InputError: names the part that can't be understood.
    """
    text, conditions, position = (text or "").strip(), [], 0
    while position < len(text):
        found = CONDITION.match(text, position)
        stop = BREAK.match(text, found.end()) if found else None
        if found is None or stop is None:
            part = text[position:].split()[0]
            raise InputError(f"filter: {part!r} is no condition; one looks like width>=1000 or camera~canon")
        conditions.append(_condition(found))
        position = stop.end()
    return Filter(tuple(conditions))


def _condition(found: re.Match[str]) -> Condition:
    field, value = found["field"].lower(), found["value"]
    value = value[1:-1] if value[0] in "\"'" else value
    if field not in FIELDS:
        raise InputError(f"filter: {found[0]!r}: no field {field!r}; there are {', '.join(FIELDS)}")
    kind, read = FIELDS[field]
    try:
        return Condition(found[0], kind(read, found["sign"], value))
    except KeyError:
        signs = " ".join(TEXTUAL if kind is _text or kind is _format else ORDERED)
        raise InputError(f"filter: {found[0]!r}: {field} is compared by one of {signs}") from None
    except ValueError as error:
        raise InputError(f"filter: {found[0]!r}: {error}") from None


def _number(read: Callable[[Photo], float], sign: str, value: str) -> Callable[[Photo], bool]:
    compare, limit = ORDERED[sign], _parse_number(value, "")
    return lambda photo: compare(read(photo), limit)


def _bytes(read: Callable[[Photo], float], sign: str, value: str) -> Callable[[Photo], bool]:
    compare, limit = ORDERED[sign], _parse_number(value, "[a-z]*")
    return lambda photo: compare(read(photo), limit)


def _parse_number(text: str, unit: str) -> float:
    found = re.fullmatch(rf"(\d+(?:\.\d*)?|\.\d+)({unit})", text.lower())
    if found is None or found[2] not in BYTES:
        raise ValueError(f"{text!r} is no number" + (" of bytes (2MB, 500KiB)" if unit else ""))
    return float(found[1]) * BYTES[found[2]]


def _date(read: Callable[[Photo], str], sign: str, value: str) -> Callable[[Photo], bool]:
    # 2020-05 stands for all of that month: only as much of the photo's date is compared as was written
    compare, limit = ORDERED[sign], value.upper().replace("T", " ")
    try:
        datetime.fromisoformat(limit + DATE[len(limit) :])
        if len(limit) not in (4, 7, 10, 13, 16, 19):
            raise ValueError
    except ValueError:
        raise ValueError(f"{value!r} is no date like 2020, 2020-05, 2020-05-17 or 2020-05-17T12:30") from None
    return lambda photo: compare(read(photo)[: len(limit)], limit)


def _text(read: Callable[[Photo], list[str]], sign: str, value: str) -> Callable[[Photo], bool]:
    compare, wanted = TEXTUAL[sign], value.casefold()
    return lambda photo: compare(read(photo), wanted)


def _format(read: Callable[[Photo], list[str]], sign: str, value: str) -> Callable[[Photo], bool]:
    wanted = SPELLINGS.get(value.casefold(), value.casefold())
    holds = _text(read, sign, wanted)
    if not TEXTUAL["~" if sign == "~" else "="](FORMATS, wanted):
        raise ValueError(f"no format {value!r}; there are {', '.join(FORMATS)}")
    return holds


FIELDS: dict[str, tuple[Callable[[Any, str, str], Callable[[Photo], bool]], Callable[[Photo], Any]]] = {
    "format": (_format, lambda photo: photo.formats),
    "width": (_number, lambda photo: photo.shape[0]),
    "height": (_number, lambda photo: photo.shape[1]),
    "megapixels": (_number, lambda photo: photo.shape[0] * photo.shape[1] / 1e6),
    "size": (_bytes, lambda photo: photo.size),
    "date": (_date, lambda photo: photo.date),
    "folder": (_text, lambda photo: [part.casefold() for part in photo.path.parent.parts]),
    "camera": (_text, lambda photo: photo.camera),
    "name": (_text, lambda photo: [photo.path.name.casefold()]),
}
