"""What a file tells of its picture beside it: when, where and with what it was taken, and what somebody wrote of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from PIL import Image, IptcImagePlugin

from twinpix.pipeline.act.xmp import fields_of
from twinpix.pipeline.explore.where import DATE_TAKEN, EXIF_IFD, MAKE, MODEL

Notes = Collection[tuple[str, str]]

# that a note can be of
KINDS = ("a date", "a place", "a camera", "words", "a rating", "faces", "an author", "edits", "a panorama")
# a date that editors set anew, too: of a scan, of the file. It counts where no other is told
SOME_DATE, ON_THE_MAP = "some day", "on the map"
GPS_IFD, DIGITIZED, USER_COMMENT = 0x8825, 0x9004, 0x9286  # EXIF
SOFTWARE, MODIFIED, RATING = 0x0131, 0x0132, 0x4746
LATITUDE, LONGITUDE = 2, 4
ENCODINGS = (b"ASCII", b"UNICODE", b"JIS")  # what a user comment begins with, up to 8 bytes
# the description; title, comment, keywords and subject of Windows; artist, copyright, and author of Windows
EXIF_TAGS = {
    0x010E: "words", 0x9C9B: "words", 0x9C9C: "words", 0x9C9E: "words", 0x9C9F: "words",
    0x013B: "an author", 0x8298: "an author", 0x9C9D: "an author",
}  # fmt: skip
WINDOWS = range(0x9C9B, 0x9CA0)  # in UTF-16
# of IPTC-IIM: title, keyword, headline, caption; place, region, country; author, copyright; date
IPTC_FIELDS = {
    5: "words", 25: "words", 105: "words", 120: "words", 90: "a place", 92: "a place", 95: "a place", 101: "a place",
    80: "an author", 116: "an author", 55: "a date",
}  # fmt: skip
XMP_FIELDS = {
    "title": "words", "description": "words", "subject": "words", "hierarchicalSubject": "words", "TagsList": "words",
    "Headline": "words", "UserComment": "words", "Rating": "a rating", "Label": "a rating", "City": "a place",
    "State": "a place", "Country": "a place", "Location": "a place", "Sublocation": "a place",
    "DateTimeOriginal": "a date", "DateCreated": "a date", "PersonInImage": "faces", "PersonDisplayName": "faces",
    "creator": "an author", "rights": "an author", "ProjectionType": "a panorama",
}  # fmt: skip
PNG_FIELDS = {
    "title": "words", "description": "words", "comment": "words", "parameters": "words", "prompt": "words",
    "author": "an author", "copyright": "an author",
}  # fmt: skip
STARS = {"25": "2", "50": "3", "75": "4", "99": "5"}  # of Windows, percent
PROGRAMS = ("creator: ", "created with", "lavc", "lead technologies", "intel(r) jpeg", "file source",
            "file written by", "optimized by")  # fmt: skip


def notes_of(image: Image.Image) -> frozenset[tuple[str, str]]:
    """What an image that was opened tells: pairs of one of `KINDS` and what it says.

    EXIF, IPTC, XMP, the texts of a PNG, and the comment of a JPEG or GIF are read; what can't be read tells nothing.
    Nor does what programs write of themselves, or of the file: software, time of the last change, history.
    """
    found = set[tuple[str, str]]()
    for read in (_exif, _iptc, _xmp, _texts, _comment):
        with suppress(Exception):  # damaged: Pillow raises whatever that makes it stumble on
            found.update((kind, text) for kind, text in read(image) if text)
    return frozenset(found)


def untold(goes: Notes, stays: Notes) -> list[str]:
    """Of which kinds the one file tells what the other does not, in the order of `KINDS`.

    One date may be written in several ways; of what stays it may be the more exact one.
    """
    dates = [text for kind, text in stays if kind == "a date"]

    def is_told(kind: str, text: str) -> bool:
        if kind != "a date" or (kind, text) in stays:
            return (kind, text) in stays
        return bool(dates) if text == SOME_DATE else any(_digits(date).startswith(_digits(text)) for date in dates)

    missing = {kind for kind, text in goes if not is_told(kind, text)}
    return [kind for kind in KINDS if kind in missing]


def _digits(date: str) -> str:
    return re.sub(r"\D", "", date)[:14]  # to the second, of whatever time zone


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    exif = image.getexif()
    more = exif.get_ifd(EXIF_IFD)
    yield "a date", _date(more.get(DATE_TAKEN))
    changed = "" if exif.get(SOFTWARE) else exif.get(MODIFIED)  # an editor sets it to the time of its own work
    if _date(more.get(DIGITIZED)) or _date(changed):
        yield "a date", SOME_DATE
    yield "a camera", " ".join(_text(exif.get(tag)) for tag in (MAKE, MODEL)).strip()
    for tag, kind in EXIF_TAGS.items():
        value: Any = exif.get(tag)
        is_wide = tag in WINDOWS and isinstance(value, bytes)
        yield kind, _text(value.decode("utf-16-le", "replace") if is_wide else value)
    yield "a rating", _stars(exif.get(RATING))
    comment = more.get(USER_COMMENT)
    yield "words", _text(comment[8:] if isinstance(comment, bytes) and comment.startswith(ENCODINGS) else comment)
    place = exif.get_ifd(GPS_IFD)
    if any(float(part) > 0 for tag in (LATITUDE, LONGITUDE) for part in place.get(tag, ())):
        yield "a place", ON_THE_MAP


def _iptc(image: Image.Image) -> Iterator[tuple[str, str]]:
    told: dict[Any, Any] = dict(IptcImagePlugin.getiptcinfo(image) or {})  # type: ignore[arg-type]
    for number, kind in IPTC_FIELDS.items():
        values = told.get((2, number), [])
        for value in values if isinstance(values, list) else [values]:
            yield kind, _date(value) if kind == "a date" else _text(value)


def _xmp(image: Image.Image) -> Iterator[tuple[str, str]]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    fields = list(fields_of(packet.encode() if isinstance(packet, str) else bytes(packet)))
    for names, text in fields:
        field = next((name for name in reversed(names) if name in XMP_FIELDS), "")
        kind = XMP_FIELDS.get(field, "faces" if names[-1] == "Name" and "RegionList" in names else "")
        clean = {"a date": _date, "a rating": _stars}.get(kind, _text)
        yield kind, clean(text) if kind else ""
    plain = {names[-1]: text.strip() for names, text in fields}
    if plain.get("HasSettings") == "True" and plain.get("AlreadyApplied") != "True":
        yield "edits", "to be applied"  # of Camera Raw; what it exports tells them, too, applied
    if "GPSLatitude" in plain and re.search("[1-9]", plain["GPSLatitude"] + plain.get("GPSLongitude", "")):
        yield "a place", ON_THE_MAP
    if "DateTimeDigitized" in plain or ("CreateDate" in plain and "CreatorTool" not in plain):
        yield "a date", SOME_DATE


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    for name, text in texts.items():
        yield PNG_FIELDS.get(name.casefold(), "words"), _said(text) if name.casefold() in PNG_FIELDS else ""
        if name.casefold() == "creation time":
            yield "a date", SOME_DATE


def _comment(image: Image.Image) -> Iterator[tuple[str, str]]:
    yield "words", _said(image.info.get("comment")) if image.format in ("JPEG", "MPO", "GIF") else ""


def _said(value: Any) -> str:
    # by a person
    text = _text(value)
    return "" if text.casefold().startswith(PROGRAMS) else text


def _date(value: Any) -> str:
    return _text(value) if _text(value).strip("0:- TZ") else ""


def _stars(value: Any) -> str:
    # 0: none; a label is a word
    text = _text(value).removesuffix(".0")
    return STARS.get(text, text).strip("0")


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return " ".join(text.replace("\0", " ").split())
