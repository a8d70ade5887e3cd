"""What a file holds beside its picture and what is read of it elsewhere: a video, a sound, layers, a depth map."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

END = 0xD9
MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # of JPEG, not those within a scan
# what cameras and editors write into a JPEG as a matter of course, or `notes_of` and `Extras` read; not the extension
# of XMP, in which a depth map lies, nor FLIR, FlashPix (a sound) and JUMBF
USUAL = (b"JFIF\0", b"JFXX\0", b"Exif\0", b"http://ns.adobe.com/xap/", b"ICC_PROFILE\0", b"MPF\0", b"Photoshop 3.0\0",
         b"Adobe", b"Ducky")  # fmt: skip
BOXES = (b"ftyp", b"meta", b"mdat", b"free", b"skip")  # ISO/IEC 14496-12
CHUNKS = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT eXIf tIME tEXt zTXt iTXt "
    b"acTL fcTL fdAT iDOT".split()
)
RIFF = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
PRIVATE, PROFILES = 32768, (33723, 34377, 34675)  # tags of TIFF; IPTC, Photoshop's resources, a colour profile
IMAGE, EXTENSION = 0x2C, 0x21  # blocks of GIF


def beside(data: bytes, tags: Mapping[int, Any]) -> bytes:
    """The bytes of a file, whole, that are neither its picture nor usual; none where the format is another.

    Args:
        tags: of a TIFF.
    """
    if data[4:8] == b"ftyp":
        return b"".join(_boxes(data))
    known = (walk for begins, walk in FORMATS.items() if data.startswith(begins))
    rest = next(known, lambda data: iter(()))(data)
    return b"".join(rest) + b"".join(_layers(tags))


def _jpeg(data: bytes) -> Iterator[bytes]:
    place = 2
    while (found := MARKER.search(data, place)) is not None:
        kind, start = found.group(1)[0], found.end()
        if kind == END:
            yield data[start:]
            return
        place = start + int.from_bytes(data[start : start + 2], "big")
        if kind in range(0xE0, 0xF0) and not data.startswith(USUAL, start + 2):
            yield data[start + 2 : place]


def _boxes(data: bytes) -> Iterator[bytes]:
    # of HEIC and AVIF; a video behind it begins as the picture did, with a box of its own
    place = 0
    while place + 8 <= len(data):
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if place and kind == b"ftyp":
            break
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = place + size if size >= head else len(data)
        yield b"" if kind in BOXES else data[place:end]
        place = end
    yield data[place:]


def _png(data: bytes) -> Iterator[bytes]:
    place, kind = 8, b""
    while place + 8 <= len(data) and kind != b"IEND":
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        yield b"" if kind in CHUNKS else data[place : place + 12 + size]
        place += 12 + size
    yield data[place:]


def _webp(data: bytes) -> Iterator[bytes]:
    place, end = 12, 8 + int.from_bytes(data[4:8], "little")
    while place + 8 <= end:
        kind, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        yield b"" if kind in RIFF else data[place : place + 8 + size]
        place += 8 + size + size % 2
    yield data[max(place, end) :]


def _gif(data: bytes) -> Iterator[bytes]:
    place = 13 + _palette(data[10:11])
    while data[place : place + 1] in (bytes([IMAGE]), bytes([EXTENSION])):
        is_image = data[place] == IMAGE
        place += 11 + _palette(data[place + 9 : place + 10]) if is_image else 2
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
    yield data[place + 1 :]


def _palette(flags: bytes) -> int:
    # bytes of a colour table
    return 3 << (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0


def _layers(tags: Mapping[int, Any]) -> Iterator[bytes]:
    for tag, value in tags.items():
        if tag >= PRIVATE and tag not in PROFILES and isinstance(value, bytes):
            yield value


FORMATS: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
    b"\xff\xd8\xff": _jpeg, b"\x89PNG": _png, b"RIFF": _webp, b"GIF8": _gif,
}  # fmt: skip
