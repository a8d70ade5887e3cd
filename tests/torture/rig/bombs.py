"""Small files that would decode to gigabytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from PIL import Image


def bombs() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each; made without ever holding what they decode to."""
    yield "png 178 MP", png(13350, 13350)
    yield "png rgba 40000x40000", png(40000, 40000, colour=6)
    yield "png 1xN", png(1, (1 << 31) - 1)
    yield "png 1x50M", png(1, 49_999_999)
    yield "png Nx1", png(49_999_999, 1)
    yield "png zTXt", png(64, 64, chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 30)))
    yield "png many zTXt", png(64, 64, b"".join(chunk(b"zTXt", b"Comment\0\0" + zeros(16 << 20)) for _ in range(64)))
    yield "png iTXt", png(64, 64, chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(1 << 30)))
    yield "png iCCP", png(64, 64, chunk(b"iCCP", b"ICC\0\0" + zeros(1 << 30)))
    yield "png IDAT beyond its size", png(64, 64, pixels=1 << 30)
    yield "apng", apng(20000, 20000)
    yield "gif 65535x65535", gif(65535, 65535)
    yield "webp 16383x16383", resized("WEBP", 16383, lossless=True)
    yield "webp animated", webp_canvas(1 << 24, 200)
    yield "tiff 100000x100000", tiff(100_000, 100_000)
    yield "tiff deflate of zeros", tiff(65_000, 65_000, zeros(1 << 30))
    yield "tiff with samples", tiff(7000, 7000, samples=60_000)
    yield "jpeg 65500x65500", jpeg(65500, 65500, progressive=False)
    yield "jpeg progressive 65500x65500", jpeg(65500, 65500, progressive=True)
    yield "jpeg progressive 13 kP", jpeg(13000, 13000, progressive=True)
    yield "jpeg ICC in 255 parts", jpeg_with_icc()
    yield "bmp 60000x60000", bmp(60_000, 60_000)
    yield "bmp RLE", bmp(30_000, 30_000, rle=True)
    yield "avif 30000x30000", patched_avif(30_000, 30_000)


@cache
def zeros(size: int) -> bytes:
    """`size` zeros, deflated."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def chunk(name: bytes, data: bytes) -> bytes:
    """Of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, extra: bytes = b"", colour: int = 0, pixels: int | None = None) -> bytes:
    """As many zeros as it announces, but 64 MB at most, or `pixels` bytes of them."""
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    size = max(1 << 20, min(width * height, 64 << 20)) if pixels is None else pixels
    body = chunk(b"IDAT", zeros(size)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + body


def apng(width: int, height: int) -> bytes:
    """Ten thousand frames of it."""
    control = chunk(b"acTL", struct.pack(">II", 10_000, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0))
    return png(width, height, control + frame)


def gif(width: int, height: int) -> bytes:
    """One frame as large as the screen, of next to no data."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


def resized(kind: str, side: int, **options: Any) -> bytes:
    """A blank square, made with a palette of one byte a pixel."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, kind, method=0, **options)
    return buffer.getvalue()


def webp_canvas(side: int, frames: int) -> bytes:
    """An animation on a canvas of 2^24 by 2^24 pixels."""
    size = (side - 1).to_bytes(3, "little") * 2
    parts = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    frame = bytes(6) + b"\x0f\0\0\x0f\0\0" + bytes(4) + b"VP8L" + struct.pack("<I", 12) + b"\x2f\x0f\xc0\x03" + bytes(8)
    parts += (b"ANMF" + struct.pack("<I", len(frame)) + frame) * frames
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def tiff(width: int, height: int, strip: bytes = b"", samples: int = 1) -> bytes:
    """One strip, deflated."""
    strip = strip or zeros(64 << 20)
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (273, 200), (277, samples), (278, height),
            (279, len(strip))]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + strip


def jpeg(width: int, height: int, progressive: bool) -> bytes:
    """A small one that says it is large."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 199)).save(buffer, "JPEG", progressive=progressive, subsampling=0)
    data = bytearray(buffer.getvalue())
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_with_icc() -> bytes:
    """16 MB of profile."""
    data = jpeg(64, 64, progressive=False)
    part = bytes(65_000)
    marks = (b"\xff\xe2" + struct.pack(">H", len(part) + 16) + b"ICC_PROFILE\0" + bytes([i, 255]) + part
             for i in range(1, 256))  # fmt: skip
    return data[:2] + b"".join(marks) + data[2:]


def bmp(width: int, height: int, rle: bool = False) -> bytes:
    """A header, and a few bytes."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1 if rle else 0, 64, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 2_000, 0, 0, 14 + 40 + 1024) + info + bytes(1024) + b"\xff\0" * 32


def patched_avif(width: int, height: int) -> bytes:
    """A small one whose container says that it is large."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "AVIF", speed=10)
    data = bytearray(buffer.getvalue())
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", width, height)
    return bytes(data)
