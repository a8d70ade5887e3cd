"""What a file tells of its picture beside it: when, where and with what it was taken, and what somebody wrote of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from PIL import Image, IptcImagePlugin

from twinpix.pipeline.explore.where import DATE_TAKEN, EXIF_IFD, MAKE, MODEL

KINDS = ("a date", "a place", "a camera", "words", "a rating")  # that a note can be of
GPS_IFD, USER_COMMENT = 0x8825, 0x9286  # EXIF
LATITUDE, LONGITUDE = 2, 4
DESCRIPTION, WINDOWS_WORDS = 0x010E, (0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F)  # title, comment, keywords, subject: UTF-16
HEADLINE, KEYWORD, CAPTION = (2, 105), (2, 25), (2, 120)  # IPTC-IIM
ENCODINGS = (b"ASCII", b"UNICODE", b"JIS")  # what a user comment begins with, up to 8 bytes
# of XMP: what was written, and how many stars it got
WRITTEN = re.compile(rb"<dc:(?:title|description|subject)\b.*?</dc:", re.S)
ITEM = re.compile(rb"<rdf:li\b[^>]*>([^<]+)</rdf:li>")
RATING = re.compile(rb"xmp:Rating(?:=[\"']|>)\s*(-?\d+)")
PROGRAMS = ("creator: ", "lavc", "lead technologies", "intel(r) jpeg", "file source", "file written by", "optimized by")


def notes_of(image: Image.Image) -> frozenset[tuple[str, str]]:
    """What an image that was opened tells: pairs of one of `KINDS` and what it says.

    EXIF, IPTC, XMP and the comment of a JPEG are read; what can't be read tells nothing.
    """
    found = set[tuple[str, str]]()
    for read in (_exif, _iptc, _xmp, _comment):
        try:
            found.update((kind, text) for kind, text in read(image) if text)
        except Exception:  # damaged: Pillow raises whatever that makes it stumble on
            continue
    return frozenset(found)


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    exif = image.getexif()
    more, place = exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)
    yield "a date", _text(more.get(DATE_TAKEN)).strip("0: ")
    yield "a camera", " ".join(_text(exif.get(tag)) for tag in (MAKE, MODEL)).strip()
    if LATITUDE in place and LONGITUDE in place:
        yield "a place", "on the map"
    yield "words", _text(exif.get(DESCRIPTION))
    comment = more.get(USER_COMMENT)
    yield "words", _text(comment[8:] if isinstance(comment, bytes) and comment.startswith(ENCODINGS) else comment)
    for tag in WINDOWS_WORDS:
        value = exif.get(tag)
        yield "words", _text(value.decode("utf-16-le", "replace") if isinstance(value, bytes) else value)


def _iptc(image: Image.Image) -> Iterator[tuple[str, str]]:
    told: dict[Any, Any] = dict(IptcImagePlugin.getiptcinfo(image) or {})  # type: ignore[arg-type]
    for tag in (HEADLINE, KEYWORD, CAPTION):
        values = told.get(tag, [])
        for value in values if isinstance(values, list) else [values]:
            yield "words", _text(value)


def _xmp(image: Image.Image) -> Iterator[tuple[str, str]]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    for part in WRITTEN.findall(packet):
        yield from (("words", unescape(_text(item))) for item in ITEM.findall(part))
    for stars in RATING.findall(packet):
        yield "a rating", _text(stars).strip("0")


def _comment(image: Image.Image) -> Iterator[tuple[str, str]]:
    text = _text(image.info.get("comment")) if image.format in ("JPEG", "MPO") else ""
    if not text.casefold().startswith(PROGRAMS):
        yield "words", text


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return " ".join(text.replace("\0", " ").split())
