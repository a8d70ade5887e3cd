"""What a file tells of its picture beside it: when, where and with what it was taken, and what somebody wrote of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any

from PIL import Image

from twinpix.pipeline.act.xmp import fields_of
from twinpix.pipeline.explore.where import DATE_TAKEN, EXIF_IFD, MAKE, MODEL

Notes = Collection[tuple[str, str]]

# that a note can be of
KINDS = ("a date", "a place", "a camera", "words", "a rating", "faces", "an author", "edits", "a panorama",
         "a clipping path")  # fmt: skip
# a date that editors set anew, too: of a scan, of the file. It counts where no other is told
SOME_DATE = "some day"
GPS_IFD, DIGITIZED, USER_COMMENT = 0x8825, 0x9004, 0x9286  # EXIF
SOFTWARE, MODIFIED, RATING = 0x0131, 0x0132, 0x4746
LATITUDE, LONGITUDE, SIDES = 2, 4, "NSEW"
AREA = 28
NEAR = 0.002  # degrees, some 200 m: programs round
ENCODINGS = (b"ASCII", b"UNICODE", b"JIS")  # what a user comment begins with, up to 8 bytes
# the description, names of a scanned document and of its page; title, comment, keywords and subject of Windows; artist,
# copyright, and author of Windows
EXIF_TAGS = {
    0x010E: "words", 0x010D: "words", 0x011D: "words",
    0x9C9B: "words", 0x9C9C: "words", 0x9C9E: "words", 0x9C9F: "words",
    0x013B: "an author", 0x8298: "an author", 0x9C9D: "an author",
}  # fmt: skip
WINDOWS = range(0x9C9B, 0x9CA0)  # in UTF-16
MORE_TAGS = {
    0xA430: "an author",
    0xA436: "words",
    0xA437: "an author",
}  # of EXIF 2.3 and 3.0: owner, title, photographer
# of IPTC-IIM: place, region, country; author, copyright; date. All else are words, but for what programs keep there:
# versions, kinds, states, times, charsets, previews, settings
IPTC_FIELDS = {
    90: "a place", 92: "a place", 95: "a place", 101: "a place", 80: "an author", 116: "an author", 55: "a date",
    **dict.fromkeys((0, 3, 4, 7, 8, 10, 30, 35, 37, 38, 47, 60, 62, 63, 65, 70, 75, 103, 130, 131, 135, 200, 201), ""),
    **dict.fromkeys(range(202, 256), ""),
}  # fmt: skip
IPTC, IPTC_TAG, PATHS = 0x0404, 33723, range(2000, 2999)  # among Photoshop's resources; of TIFF; clipping paths
DATASET = re.compile(rb"\x1c\x02(.)([\0-\x7f].)", re.S)
XMP_FIELDS = {
    "title": "words", "description": "words", "subject": "words", "hierarchicalSubject": "words", "TagsList": "words",
    "Headline": "words", "UserComment": "words", "Rating": "a rating", "Label": "a rating", "City": "a place",
    "State": "a place", "Country": "a place", "Location": "a place", "Sublocation": "a place",
    "DateTimeOriginal": "a date", "DateCreated": "a date", "PersonInImage": "faces", "PersonDisplayName": "faces",
    "creator": "an author", "rights": "an author", "ProjectionType": "a panorama", "rating": "a rating",
    "PickLabel": "a rating", "ColorLabel": "a rating",
}  # fmt: skip
# all other fields of XMP are words, but for what programs tell of themselves, of the file and of the exposure
SILENT_XMP = re.compile(
    r"(xmp|xap|xmpMM|xapMM|st[A-Z]\w*|crs|crd|crss|tiff|exif|exifEX|aux|pdf\w*|xmpTPg|xmpG|xmpDM|illustrator|x|xml\w*"
    r"|GPano|GCamera|GDepth|GImage|GContainer|Container|Item|Device|Profile|Camera|hdrgm|HDRGainMap|apdi|apple-fi|aas"
    r"|drone-dji|FLIR|darktable|lrmc|c2pa|dcterms|dam|xmpNote):.*"
    r"|photoshop:(ColorMode|ICCProfile|LegacyIPTCDigest|EmbeddedXMPDigest|SidecarForExtension|DocumentAncestors|History)"
    r"|dc:(format|identifier|language|type)|.*:(Type|Rectangle|ImageHistory|LastKeyword\w+|version|datetime|editor|dpp|tagged"
    r"|CaptionsDateTimeStamps|LensCorrectionSettings|DateAcquired|UsePanoramaViewer)"
)
NOTHING = re.compile(r"[0.+-]*|true|false|none", re.I)
PNG_FIELDS = {"author": "an author", "copyright": "an author"}
SILENT_PNG = re.compile(
    r"software|creation time|source|xml:com\.adobe\.xmp|raw profile type .*|signature"
    r"|(date|exif|png|jpeg|tiff|icc|thumb|dc|xmp|pdf|svg|unknown|rdf)[:.].*",
    re.I,
)
RAW_IPTC = "Raw profile type iptc"
STARS = {"25": "2", "50": "3", "75": "4", "99": "5"}  # of Windows, percent
PROGRAMS = ("creator: ", "created with", "lavc", "lead technologies", "intel(r) jpeg", "file source", "file written by",
            "optimized by", "compressed by", "processed by", "fbmd", "applemark")  # fmt: skip


def notes_of(image: Image.Image) -> frozenset[tuple[str, str]]:
    """What an image that was opened tells: pairs of one of `KINDS` and what it says.

    EXIF, IPTC, XMP, the texts of a PNG, and the comments of a JPEG or GIF are read; what can't be read tells nothing.
    Nor does what programs write of themselves, or of the file: software, time of the last change, history.
    """
    found = set[tuple[str, str]]()
    for read in (_exif, _iptc, _xmp, _texts, _comments, _paths):
        with suppress(Exception):  # damaged: Pillow raises whatever that makes it stumble on
            found.update((kind, text) for kind, text in read(image) if text)
    return frozenset(found)


def untold(goes: Notes, stays: Notes) -> list[str]:
    """Of which kinds the one file tells what the other does not, in the order of `KINDS`.

    One date may be written in several ways; of what stays it may be the more exact one. So may a place on the map.
    """
    dates, places = ([text for kind, text in stays if kind == wanted] for wanted in ("a date", "a place"))

    def is_told(kind: str, text: str) -> bool:
        if kind == "a place":
            return any(_is_near(text, place) for place in places)
        if kind != "a date" or (kind, text) in stays:
            return (kind, text) in stays
        return bool(dates) if text == SOME_DATE else any(_digits(date).startswith(_digits(text)) for date in dates)

    missing = {kind for kind, text in goes if not is_told(kind, text)}
    return [kind for kind in KINDS if kind in missing]


def _is_near(place: str, other: str) -> bool:
    if place == other:
        return True
    try:
        apart = [abs(float(a) - float(b)) for a, b in zip(place.split(" "), other.split(" "), strict=True)]
    except ValueError:  # a name
        return False
    return max(apart) <= NEAR


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
    for tag, kind in MORE_TAGS.items():
        yield kind, _text(more.get(tag))
    place: dict[int, Any] = exif.get_ifd(GPS_IFD)
    yield "a place", _spot(*(_degrees(place.get(tag, ()), place.get(tag - 1, "")) for tag in (LATITUDE, LONGITUDE)))
    yield "a place", _text(place.get(AREA)).removeprefix("ASCII").strip()


def _degrees(parts: Collection[Any], side: Any) -> float:
    # degrees, minutes, seconds
    known = sum(float(part) / scale for part, scale in zip(parts, (1, 60, 3600), strict=False))
    return -known if _text(side).upper() in ("S", "W") else known


def _spot(latitude: float, longitude: float) -> str:
    # nowhere is off Africa
    return f"{latitude:.4f} {longitude:.4f}" if latitude or longitude else ""


def _iptc(image: Image.Image) -> Iterator[tuple[str, str]]:
    for data in _iptc_records(image):
        place = 0
        while (found := DATASET.search(data, place)) is not None:
            place = found.end() + int.from_bytes(found[2], "big")
            kind, value = IPTC_FIELDS.get(found[1][0], "words"), data[found.end() : place]
            yield kind, (_date(value) if kind == "a date" else _said(value)) if kind else ""


def _iptc_records(image: Image.Image) -> Iterator[bytes]:
    yield image.info.get("photoshop", {}).get(IPTC, b"")
    tag = getattr(image, "tag_v2", {}).get(IPTC_TAG, b"")
    yield tag if isinstance(tag, bytes) else b""
    raw = (getattr(image, "text", {}) if image.format == "PNG" else {}).get(RAW_IPTC, "")
    yield bytes.fromhex("".join(raw.split()[2:]))  # after its name and its length


def _paths(image: Image.Image) -> Iterator[tuple[str, str]]:
    for number, data in image.info.get("photoshop", {}).items():
        yield "a clipping path", hashlib.blake2b(data, digest_size=16).hexdigest() if number in PATHS else ""


def _xmp(image: Image.Image) -> Iterator[tuple[str, str]]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    fields = list(fields_of(packet.encode() if isinstance(packet, str) else bytes(packet)))
    for names, text in fields:
        kind = _kind(names)
        clean: Callable[[str], str] = CLEAN.get(kind, _text)
        yield kind, clean(text) if kind else ""
    plain = {_local(names[-1]): text.strip() for names, text in fields}
    if plain.get("HasSettings") == "True" and plain.get("AlreadyApplied") != "True":
        yield "edits", "to be applied"  # of Camera Raw; what it exports tells them, too, applied
    if "GPSLatitude" in plain:
        yield "a place", _spot(*(_read_degrees(plain.get(name, "")) for name in ("GPSLatitude", "GPSLongitude")))
    if "DateTimeDigitized" in plain or ("CreateDate" in plain and "CreatorTool" not in plain):
        yield "a date", SOME_DATE


def _kind(names: tuple[str, ...]) -> str:
    field = next((_local(name) for name in reversed(names) if _local(name) in XMP_FIELDS), "")
    if field or ("RegionList" in map(_local, names) and _local(names[-1]) == "Name"):
        return XMP_FIELDS.get(field, "faces")
    return "" if any(SILENT_XMP.fullmatch(name) for name in names[1:]) else "words"  # the first is the packet itself


def _local(name: str) -> str:
    # prefixes are a program's own choice (xmp:Rating, xap:Rating), and no two names that matter here are alike
    return name.rpartition(":")[2]


def _worded(text: str) -> str:
    clean = _said(text)
    return "" if NOTHING.fullmatch(clean) else clean


def _read_degrees(text: str) -> float:
    # 41,54.5N or 41,54,30N or 41.9
    numbers, side = re.findall(r"[\d.]+", text), text.strip()[-1:].upper()
    return _degrees(numbers, side if side in tuple(SIDES) else "S" if text.strip().startswith("-") else "")


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    for name, text in texts.items():
        yield PNG_FIELDS.get(name.casefold(), "words"), "" if SILENT_PNG.fullmatch(name) else _said(text)
        if name.casefold() == "creation time":
            yield "a date", SOME_DATE


def _comments(image: Image.Image) -> Iterator[tuple[str, str]]:
    if image.format not in ("JPEG", "MPO", "GIF"):
        return
    yield "words", _said(image.info.get("comment"))
    for marker, data in getattr(image, "applist", ()):  # of a JPEG; Pillow tells the last one
        yield "words", _said(data) if marker == "COM" else ""


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


CLEAN: dict[str, Callable[[str], str]] = {"a date": _date, "a rating": _stars, "words": _worded}  # of XMP
