"""Bad image files, made on the spot: good ones of every format, cut, patched, spliced and mutated."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Dice = np.random.Generator
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg-progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "jpeg-cmyk": ("JPEG", "CMYK", {}),
    "jpeg-grey": ("JPEG", "L", {"restart_marker_rows": 1}),
    "png": ("PNG", "RGB", {}),
    "png-alpha": ("PNG", "RGBA", {}),
    "png-palette": ("PNG", "P", {"transparency": 3}),
    "png-16": ("PNG", "I;16", {}),
    "png-bit": ("PNG", "1", {}),
    "apng": ("PNG", "RGBA", {"save_all": True, "append_images": 3}),
    "gif": ("GIF", "P", {}),
    "gif-animated": ("GIF", "P", {"save_all": True, "append_images": 3}),
    "bmp": ("BMP", "RGB", {}),
    "bmp-palette": ("BMP", "P", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff-lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", "LAB", {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": ("TIFF", "YCbCr", {"compression": "jpeg"}),
    "tiff-fax": ("TIFF", "1", {"compression": "group4"}),
    "tiff-float": ("TIFF", "F", {}),
    "tiff-pages": ("TIFF", "RGB", {"save_all": True, "append_images": 3}),
    "webp": ("WEBP", "RGB", {}),
    "webp-lossless": ("WEBP", "RGBA", {"lossless": True}),
    "webp-animated": ("WEBP", "RGB", {"save_all": True, "append_images": 3}),
    "avif": ("AVIF", "RGB", {"speed": 10}),
    "heif": ("HEIF", "RGB", {}),
}


def good_files() -> dict[str, bytes]:
    """One of each kind that this Pillow can write; HEIC only beside pillow-heif."""
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        print("no pillow-heif: HEIC is left out")
    made = {}
    for name, (kind, mode, options) in KINDS.items():
        if kind != "HEIF" or kind in Image.SAVE:
            made[name] = _save(kind, mode, dict(options))
    return made


def _save(kind: str, mode: str, options: dict[str, Any]) -> bytes:
    if "append_images" in options:
        options["append_images"] = [_picture(mode, seed) for seed in range(1, options["append_images"])]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    buffer = io.BytesIO()
    extra = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF") else {}
    _picture(mode, 0).save(buffer, kind, **options, **extra)
    return buffer.getvalue()


def _picture(mode: str, seed: int) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(blobs).resize((150, 110), Image.Resampling.BICUBIC)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        return Image.merge("LAB", picture.split())
    return picture.convert("L").convert(mode) if mode == "1" else picture.convert(mode)


def cut(data: bytes, other: bytes, dice: Dice) -> bytes:
    """The end is missing."""
    return data[: int(dice.integers(1, len(data)))]


def flip(data: bytes, other: bytes, dice: Dice) -> bytes:
    """1 to 50 bytes are others."""
    bad = bytearray(data)
    for place in dice.integers(0, len(bad), int(dice.integers(1, 50))).tolist():
        bad[place] = int(dice.integers(256))
    return bytes(bad)


def flip_head(data: bytes, other: bytes, dice: Dice) -> bytes:
    """The same among the first 200, where sizes and tables stand."""
    return flip(data[:200], b"", dice) + data[200:]


def huge_number(data: bytes, other: bytes, dice: Dice) -> bytes:
    """A field of the header holds an extreme value."""
    place = int(dice.integers(4, min(200, len(data) - 4)))
    extremes = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\1\0\0", b"\x80\0\0\0")
    return data[:place] + extremes[int(dice.integers(len(extremes)))] + data[place + 4 :]


def blank(data: bytes, other: bytes, dice: Dice) -> bytes:
    """A stretch of zeros, as a lost block of a disk leaves it."""
    start, stop = sorted(dice.integers(0, len(data), 2).tolist())
    return data[:start] + bytes(stop - start) + data[stop:]


def doubled(data: bytes, other: bytes, dice: Dice) -> bytes:
    """A stretch comes twice."""
    start, stop = sorted(dice.integers(0, len(data), 2).tolist())
    return data[:stop] + data[start:]


def spliced(data: bytes, other: bytes, dice: Dice) -> bytes:
    """Begins as one format, and goes on as another."""
    return data[: int(dice.integers(8, len(data)))] + other[int(dice.integers(0, len(other))) :]


WAYS: tuple[Callable[[bytes, bytes, Dice], bytes], ...] = (
    cut, flip, flip_head, huge_number, blank, doubled, spliced,
)  # fmt: skip


def write_malformed(folder: Path, each: int, seed: int = 0) -> None:
    """`each` bad files of every kind made in every way, and the good ones."""
    folder.mkdir(parents=True)
    good = good_files()
    for name, data in _malformed(good, each, np.random.default_rng(seed)):
        (folder / name).write_bytes(data)
    for name, data in good.items():
        (folder / f"{name} good").write_bytes(data)


def _malformed(good: dict[str, bytes], each: int, dice: Dice) -> Iterator[tuple[str, bytes]]:
    names = list(good)
    for name, data in good.items():
        for way in WAYS:
            for i in range(each):
                other = good[names[int(dice.integers(len(names)))]]
                yield f"{name} {way.__name__} {i}", way(data, other, dice)
