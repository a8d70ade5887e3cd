"""Decoding: every format and mode to the right pixels, and every bad file to an ImageError with a reason."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from twinpix.encoder import decode as decode_module
from twinpix.encoder.decode import BACKDROP, decode, sniff, to_rgb, upright
from twinpix.encoder.errors import ImageError

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]
Turn = Image.Transpose
# how a camera stored a picture that carries this EXIF orientation
STORED = {
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_90,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_270,
}
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {}}
LOSSY: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}, "WEBP": {"quality": 95}}


def levels(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture).astype(np.int16)


def gap(a: Image.Image, b: Image.Image) -> float:
    """Mean difference in levels."""
    assert a.size == b.size
    return float(np.abs(levels(a) - levels(b)).mean())


def reason(source: bytes | Path, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_exact_pixels(kind: str, paint: Paint, pack: Pack) -> None:
    picture = paint(1)
    decoded = decode(pack(picture, kind, **LOSSLESS[kind]))
    assert decoded.mode == "RGB"
    assert np.array_equal(levels(decoded), levels(picture))


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_come_close(kind: str, paint: Paint, pack: Pack) -> None:
    assert gap(decode(pack(paint(1), kind, **LOSSY[kind])), paint(1)) < 6


def test_gif_comes_close(paint: Paint, pack: Pack) -> None:
    picture = paint(1, cells=3).quantize(64)
    assert gap(decode(pack(picture, "GIF")), picture.convert("RGB")) < 1


def test_heic(paint: Paint, pack: Pack) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = pack(paint(1), "HEIF", quality=95)
    assert sniff(data[:64]) == "HEIF"
    assert gap(decode(data), paint(1)) < 6


def test_heic_without_its_plugin_says_what_to_install(
    paint: Paint, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = pack(paint(1), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"twinpix\[heif\]") as caught:
        decode(data)
    assert caught.value.reason == "needs_heif"


def test_multi_picture_jpeg_gives_the_first(paint: Paint, pack: Pack) -> None:
    data = pack(paint(1), "MPO", save_all=True, append_images=[paint(2)], quality=95)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "MPO"
    assert gap(decode(data), paint(1)) < 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_animations_give_the_first_frame(kind: str, paint: Paint, pack: Pack) -> None:
    first, second = paint(1, cells=3), paint(2, cells=3)
    assert gap(decode(pack(first, kind, save_all=True, append_images=[second])), first) < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("at_least", [None, 40])
def test_exif_orientation(kind: str, orientation: int, at_least: int | None, paint: Paint, pack: Pack) -> None:
    picture = paint(1)
    turn = STORED.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pack(picture if turn is None else picture.transpose(turn), kind, exif=exif)
    decoded = decode(data, at_least=at_least)
    assert gap(decoded, picture if at_least is None else picture.reduce(2)) < 8
    with Image.open(io.BytesIO(data)) as opened:  # the same picture when somebody else has opened it
        assert gap(upright(opened, at_least), decoded) < 3


def test_a_jpeg_may_be_decoded_smaller_than_others(paint: Paint, pack: Pack) -> None:
    picture = paint(1, 500, 375)
    for kind, size in (("JPEG", (250, 188)), ("PNG", (500, 375)), ("WEBP", (500, 375))):
        small = decode(pack(picture, kind, quality=95), 96, jpeg_at_least=68)
        assert small.size == size and gap(small, picture.resize(size, Image.Resampling.BOX)) < 8
    assert decode(pack(picture, "JPEG"), 96).size == (500, 375)
    assert decode(pack(picture, "JPEG"), jpeg_at_least=68).size == (250, 188)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_nonsense_orientation_is_ignored(orientation: int, paint: Paint, pack: Pack) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert gap(decode(pack(paint(1), "JPEG", quality=95, exif=exif)), paint(1)) < 6


def test_damaged_exif_is_ignored(paint: Paint, pack: Pack) -> None:
    data = pack(paint(1), "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    assert gap(decode(data), paint(1)) < 6


def _see_through(mode: str) -> Image.Image:
    """Left half black and opaque, right half red and invisible."""
    rgba = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    rgba.paste((0, 0, 0, 255), (0, 0, 20, 20))
    return rgba if mode == "RGBA" else rgba.convert("LA") if mode == "LA" else rgba.quantize(4)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_on_the_backdrop(mode: str, kind: str, pack: Pack) -> None:
    picture = _see_through("RGBA" if kind == "TIFF" else mode)
    decoded = decode(pack(picture, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert decoded.getpixel((5, 10)) == (0, 0, 0)
    assert decoded.getpixel((35, 10)) == BACKDROP


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_transparent_palette_index(kind: str, pack: Pack) -> None:
    picture = Image.new("P", (40, 20), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.paste(0, (0, 0, 20, 20))
    decoded = decode(pack(picture, kind, transparency=1))
    assert decoded.getpixel((5, 10)) == (0, 0, 0)
    assert decoded.getpixel((35, 10)) == BACKDROP


@pytest.mark.parametrize(("mode", "key"), [("RGB", (255, 0, 0)), ("L", 76)])
def test_transparent_colour_of_a_png(mode: str, key: Any, pack: Pack) -> None:
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 0), (0, 0, 20, 20))
    decoded = decode(pack(picture.convert(mode), "PNG", transparency=key))
    assert decoded.getpixel((5, 10)) == (0, 0, 0)
    assert decoded.getpixel((35, 10)) == BACKDROP


def test_half_transparent_pixels_are_mixed(pack: Pack) -> None:
    (level, *_) = np.asarray(decode(pack(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")))[0, 0]
    assert abs(int(level) - 64) <= 1


@pytest.mark.parametrize("mode", ["La", "RGBa", "LA", "RGBA", "PA"])
def test_alpha_modes_in_memory(mode: str) -> None:
    picture = Image.new(mode, (8, 8)) if mode == "PA" else Image.new("LA" if mode == "La" else "RGBA", (8, 8))
    assert to_rgb(picture.convert(mode)).getpixel((4, 4)) == BACKDROP  # all transparent


def _ramp() -> NDArray[np.float64]:
    return np.tile(np.linspace(0, 1, 256), (64, 1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(kind: str, pack: Pack) -> None:
    picture = Image.fromarray(np.rint(_ramp() * 65535).astype(np.uint16))
    decoded = levels(decode(pack(picture, kind)))
    assert np.abs(decoded - (_ramp() * 255)[..., None]).max() <= 1
    dark = Image.fromarray(np.full((20, 20), 257 * 20, np.uint16))
    assert decode(pack(dark, kind)).getpixel((5, 5)) == (20, 20, 20), "levels must not be stretched"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_fewer_bits_in_16_are_not_black(kind: str, bits: int, pack: Pack) -> None:
    picture = Image.fromarray(np.rint(_ramp() * (2**bits - 1)).astype(np.uint16))
    assert np.abs(levels(decode(pack(picture, kind))) - (_ramp() * 255)[..., None]).max() <= 1


@pytest.mark.parametrize(
    "magic", [b"P6\n4 4\n255\n", b"icns", b"%!PS-Adobe-3.0", b"\n\x05\x01\x08", b"\x01\xda\x01\x01"]
)
def test_other_formats_are_told_from_what_is_no_image(magic: bytes) -> None:
    assert reason(magic + bytes(100)) == "unsupported_format"


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e9])
def test_float_tiff_is_scaled(top: float, pack: Pack) -> None:
    decoded = levels(decode(pack(Image.fromarray((_ramp() * top).astype(np.float32)), "TIFF")))
    assert np.abs(decoded - (_ramp() * 255)[..., None]).max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1e38])
def test_float_tiff_of_one_odd_value(value: float, pack: Pack) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode(pack(Image.fromarray(np.full((20, 20), value, np.float32)), "TIFF"))
    assert decoded.mode == "RGB"


def test_32_bit_integers(pack: Pack) -> None:
    decoded = levels(decode(pack(Image.fromarray((_ramp() * 2e9).astype(np.int32)), "TIFF")))
    assert np.abs(decoded - (_ramp() * 255)[..., None]).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str, paint: Paint, pack: Pack) -> None:
    picture = paint(1).convert("CMYK")
    assert gap(decode(pack(picture, kind, **({"quality": 95} if kind == "JPEG" else {}))), picture.convert("RGB")) < 8


def test_lab_tiff_has_the_right_colours(paint: Paint, pack: Pack) -> None:
    convert = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(paint(1), convert)
    assert lab is not None
    assert gap(decode(pack(lab, "TIFF")), paint(1)) < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit(kind: str, paint: Paint, pack: Pack) -> None:
    picture = paint(1).convert("1")
    assert gap(decode(pack(picture, kind)), picture.convert("RGB")) < 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_palette(kind: str, paint: Paint, pack: Pack) -> None:
    picture = paint(1).quantize(32)
    assert gap(decode(pack(picture, kind)), picture.convert("RGB")) < 1


def test_a_path_and_its_bytes_are_the_same(tmp_path: Path, paint: Paint, pack: Pack) -> None:
    data = pack(paint(1), "JPEG")
    (tmp_path / "a").write_bytes(data)
    by_path, by_name, by_bytes = decode(tmp_path / "a"), decode(str(tmp_path / "a")), decode(data)
    assert np.array_equal(levels(by_path), levels(by_bytes))
    assert np.array_equal(levels(by_name), levels(by_bytes))


@pytest.mark.parametrize("ending", ["png", "JPG", "txt", "heic", ""])
def test_a_wrong_extension_does_not_matter(tmp_path: Path, ending: str, paint: Paint, pack: Pack) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(pack(paint(1), "GIF"))
    assert decode(path).size == (320, 240)


# -- reduced scale


@pytest.mark.parametrize("size", [(1999, 1501), (1000, 900), (403, 401), (3001, 450)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_reduced_scale_keeps_twice_what_is_asked(size: tuple[int, int], kind: str, paint: Paint, pack: Pack) -> None:
    decoded = decode(pack(paint(1, *size), kind), at_least=100)
    assert min(decoded.size) >= 200
    assert decoded.size == decode(pack(paint(1, *size), "BMP"), at_least=100).size
    assert gap(decoded.resize((100, 100)), paint(1, *size).resize((100, 100))) < 3


def test_small_pictures_are_not_reduced(paint: Paint, pack: Pack) -> None:
    assert decode(pack(paint(1, 390, 390), "JPEG"), at_least=100).size == (390, 390)


# -- bad files


def test_no_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "nothing.jpg") == "vanished"


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    assert reason(tmp_path / "a.jpg") == reason(b"") == "empty_file"


@pytest.mark.parametrize(
    "data",
    [b"hello", b"BM: minutes of the meeting of Monday", b"\x00" * 200, b"<svg/>", b"%PDF-1.7", b"PK\x03\x04",
     b"RIFF1234WAVEfmt ",
     b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", b"\xff\xd8", b"G"],
)  # fmt: skip
def test_not_an_image(data: bytes) -> None:
    assert reason(data) == "not_an_image"


@pytest.mark.parametrize(
    "data", [b"8BPS\x00\x01", b"\x00\x00\x01\x00\x01\x00", b"qoif" + bytes(10), b"\xff\x0a" + bytes(9)]
)
def test_unsupported_formats_are_named(data: bytes) -> None:
    assert reason(data) == "unsupported_format"


@pytest.mark.parametrize("pillow_reads", ["PPM", "TGA", "PCX", "ICO", "JPEG2000", "DDS", "SGI", "EPS"])
def test_formats_outside_the_allow_list_are_refused(pillow_reads: str, paint: Paint, pack: Pack) -> None:
    assert reason(pack(paint(1, 64, 64), pillow_reads)) in ("unsupported_format", "not_an_image")


ALL: dict[str, dict[str, Any]] = {**LOSSLESS, **LOSSY, "GIF": {}}


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated(kind: str, share: float, paint: Paint, pack: Pack) -> None:
    data = pack(paint(1), kind, **ALL[kind])
    assert reason(data[: int(len(data) * share)]) in ("corrupt", "not_an_image")


@pytest.mark.parametrize("kind", ALL)
def test_mutated_bytes_end_in_a_picture_or_an_image_error(kind: str, paint: Paint, pack: Pack) -> None:
    data = pack(paint(1, 64, 48), kind, **ALL[kind])
    dice = np.random.default_rng(zlib.crc32(kind.encode()))
    for _ in range(60):
        broken = bytearray(data)
        for place in dice.integers(0, min(len(data), 2000), 5):
            broken[place] = dice.integers(256)
        try:
            assert decode(bytes(broken), at_least=32).mode == "RGB"
        except ImageError as error:
            assert error.reason in ("corrupt", "too_large", "not_an_image", "unsupported_format")


@pytest.mark.parametrize(
    "magic",
    [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\x00", b"MM\x00*", b"RIFF\x00\x00\x00\x00WEBPVP8 ",
     b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1"]
)  # fmt: skip
def test_garbage_after_the_right_magic(magic: bytes) -> None:
    assert reason(magic + np.random.default_rng(0).bytes(5000)) == "corrupt"


def _png_header(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _resized_jpeg(data: bytes, width: int, height: int) -> bytes:
    start = next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    return data[: start + 5] + struct.pack(">HH", height, width) + data[start + 9 :]


def _bombs(paint: Paint, pack: Pack) -> dict[str, bytes]:
    small = paint(1, 64, 64)
    gif = bytearray(pack(small, "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    bmp = bytearray(pack(small, "BMP"))
    bmp[18:26] = struct.pack("<ii", 100_000, 100_000)
    tiff = pack(small, "TIFF").replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 2**31))
    return {
        "png 178 MP": _png_header(13_300, 13_400),
        "png 51 MP": _png_header(51_000, 1000),
        "png 1xN": _png_header(1, 2**31 - 1),
        "jpeg": _resized_jpeg(pack(small, "JPEG"), 65_000, 65_000),
        "jpeg 201 MP": _resized_jpeg(pack(small, "JPEG"), 20_100, 10_000),
        "progressive": _resized_jpeg(pack(small, "JPEG", progressive=True), 10_000, 6_000),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "tiff": tiff,
        "webp": pack(Image.new("L", (16_000, 3_200)), "WEBP", lossless=True, method=0),
    }


def test_bombs_are_refused_quickly(paint: Paint, pack: Pack) -> None:
    for name, data in _bombs(paint, pack).items():
        start = time.perf_counter()
        assert reason(data, at_least=112) in ("too_large", "corrupt"), name
        assert time.perf_counter() - start < 1, name


def test_most_bombs_are_called_too_large(paint: Paint, pack: Pack) -> None:
    bombs = _bombs(paint, pack)
    for name in ("png 178 MP", "png 51 MP", "jpeg", "progressive", "gif", "bmp", "webp"):
        assert reason(bombs[name], at_least=112) == "too_large", name


def test_compressed_text_bomb() -> None:
    text = b"Comment\x00\x00" + zlib.compress(bytes(50_000_000), 9)
    start = time.perf_counter()
    assert reason(_png_header(10, 10, (b"zTXt", text))) in ("corrupt", "too_large")
    assert time.perf_counter() - start < 1


def test_the_cap_is_an_argument(paint: Paint, pack: Pack) -> None:
    data = pack(paint(1, 100, 100), "PNG")
    assert decode(data, max_pixels=10_000).size == (100, 100)
    assert reason(data, max_pixels=9_999) == "too_large"


def test_a_large_jpeg_at_reduced_scale_is_welcome(pack: Pack) -> None:
    data = pack(Image.new("L", (10_000, 8_000), 90), "JPEG")
    assert decode(data, at_least=112).size == (1250, 1000)
    assert reason(data) == "too_large"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")

    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(decode_module, "open", refuse, raising=False)
    assert reason(tmp_path / "a.jpg") == "permission_denied"


def test_out_of_memory(paint: Paint, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decode_module, "to_rgb", refuse)
    assert reason(pack(paint(1), "PNG")) == "out_of_memory"


def test_a_folder_and_a_pipe_are_no_images(tmp_path: Path) -> None:
    assert reason(tmp_path) == "not_an_image"
    os.mkfifo(tmp_path / "pipe")
    assert reason(tmp_path / "pipe") == "not_an_image"  # and does not wait for a writer


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300])
def test_impossible_names(name: str) -> None:
    assert reason(Path(name) if name else Path("nothing there")) in ("corrupt", "vanished")


def test_messages_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with pytest.raises(ImageError, match=r"a\.jpg: damaged or truncated"):
        decode(tmp_path / "a.jpg")


def test_an_opened_image_that_turns_out_truncated(paint: Paint, pack: Pack) -> None:
    data = pack(paint(1), "PNG")
    with Image.open(io.BytesIO(data[: len(data) // 2])) as opened, pytest.raises(ImageError) as caught:
        upright(opened)
    assert caught.value.reason == "corrupt"


def test_an_image_without_pixels() -> None:
    with pytest.raises(ImageError):
        upright(Image.new("RGB", (0, 5)))


def test_upright_leaves_its_argument_alone() -> None:
    picture = Image.new("RGBA", (300, 200), (9, 9, 9, 9))
    upright(picture, 10)
    assert (picture.mode, picture.size, picture.getpixel((0, 0))) == ("RGBA", (300, 200), (9, 9, 9, 9))


def test_threads_leave_the_warning_filters_alone(tmp_path: Path, paint: Paint) -> None:
    paint(1, 64, 64).save(tmp_path / "a.webp")
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda: [decode(tmp_path / "a.webp") for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert list(warnings.filters) == before
