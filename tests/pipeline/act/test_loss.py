"""What would be gone with a file although its picture stays."""

from __future__ import annotations

import io
import zlib
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from twinpix.encoder.header import _pictures, read_header
from twinpix.pipeline.act.loss import APPENDED, _behind, extras_of, loss_of_extras, loss_of_levels
from twinpix.pipeline.explore.where import Photo
from twinpix.pipeline.relation.facts import facts_of

Paint = Callable[..., Image.Image]
# an AVIF of 64 x 48 px, grey, 10 bits a channel (libavif)
TEN_BITS = (
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAA"
    "AAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAHAAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2"
    "xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAQAAAADAAAAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAAAAAAE2NvbHJuY2x"
    "4AAIAAgAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAJG1kYXQSAAoJOBV/vbwICBpAMg0SAkNKgADyAAAQl8X6"
)


@pytest.fixture
def lost(tmp_path: Path, paint: Paint) -> Callable[..., str]:
    """`lost(goes, stays)`: what is lost, of files that two functions write."""

    def of(*writers: Callable[[Image.Image, Path], object], names: tuple[str, str] = ("goes", "stays")) -> str:
        files = [tmp_path / name for name in names]
        for write, file in zip(writers, files, strict=True):
            write(paint(0, 400, 300, 40), file)
        goes, stays = files
        return loss_of_levels(goes, facts_of(goes), facts_of(stays)) or loss_of_extras(*map(extras_of, files))

    return of


def jpeg(quality: int = 90, **more: Any) -> Callable[[Image.Image, Path], None]:
    return lambda picture, file: picture.save(file, "JPEG", quality=quality, **more)


def png(picture: Image.Image, file: Path) -> None:
    picture.save(file, "PNG")


def test_nothing_is_lost_with_a_plain_copy(lost: Any) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert lost(jpeg(80), jpeg(90)) == lost(png, png) == lost(jpeg(), png) == "" == lost(jpeg(icc_profile=srgb), png)
    assert lost(jpeg(90), lambda picture, file: picture.resize((800, 600)).save(file, "JPEG", quality=60)) == ""


def test_raw_transparency_print_profile_pixels_and_coarseness(lost: Any) -> None:
    def cut_out(picture: Image.Image, file: Path) -> None:
        alpha = np.zeros((300, 400), np.uint8)
        alpha[:150] = 255
        picture.putalpha(Image.fromarray(alpha))
        picture.save(file, "PNG")

    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert "RAW" in lost(png, jpeg(), names=("a.DNG", "a.jpg"))
    assert "transparent" in lost(cut_out, png) and lost(cut_out, cut_out) == ""
    assert lost(lambda picture, file: png(picture.convert("RGBA"), file), png) == "", "nothing of it is"
    assert "CMYK" in lost(jpeg(), lambda picture, file: picture.convert("CMYK").save(file, "JPEG", quality=90))
    assert "colour profile" in lost(jpeg(icc_profile=wide), jpeg()) and lost(jpeg(), jpeg(icc_profile=wide)) == ""
    assert "200x150" in lost(png, lambda picture, file: picture.resize((200, 150)).save(file, "PNG"))
    assert "coarsely" in lost(jpeg(95), jpeg(20)) and "coarsely" in lost(png, jpeg(50)), "of a PNG nothing was lost"
    assert "coarsely" in lost(png, webp(80)) and "coarsely" in lost(jpeg(98, subsampling=0), webp(1))
    assert lost(png, lambda picture, file: picture.resize((800, 600)).save(file, "JPEG", quality=50)) == ""
    assert "CMYK" in lost(lambda picture, file: picture.convert("CMYK").save(file, "JPEG", quality=90), jpeg())
    assert "transparent" in lost(with_a_selection, png)


def test_colours_are_told_by_what_a_profile_does(lost: Any) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {
        srgb[at : at + 4]: int.from_bytes(srgb[at + 4 : at + 8], "big") for at in range(132, 132 + 12 * srgb[131], 12)
    }
    red, blue = (slice(tags[name] + 8, tags[name] + 20) for name in (b"rXYZ", b"bXYZ"))
    swapped = bytearray(srgb)
    swapped[red], swapped[blue] = srgb[blue], srgb[red]
    assert "colour profile" in lost(jpeg(icc_profile=bytes(swapped)), jpeg()), "though its name is that of sRGB"
    other = srgb.replace("sRGB".encode("utf-16-be"), "Mine".encode("utf-16-be")).replace(b"sRGB", b"Mine")
    assert lost(jpeg(icc_profile=other), jpeg()) == "" == lost(jpeg(icc_profile=srgb), jpeg())


def chunk(name: bytes, *numbers: int, size: int = 4) -> Callable[[Image.Image, Path], None]:
    def write(picture: Image.Image, file: Path) -> None:
        png(picture, file)
        payload, data = b"".join(number.to_bytes(size, "big") for number in numbers), file.read_bytes()
        whole = len(payload).to_bytes(4, "big") + name + payload + zlib.crc32(name + payload).to_bytes(4, "big")
        file.write_bytes(data[:33] + whole + data[33:])

    return write


def test_colours_that_a_png_tells_without_a_profile(lost: Any) -> None:
    wide = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    for other in (chunk(b"cICP", 9, 16, 0, 1, size=1), chunk(b"gAMA", 100000), chunk(b"cHRM", *wide)):
        assert "colour profile" in lost(other, png) and lost(other, other) == "" == lost(png, other)
    plain = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for usual in (chunk(b"cICP", 1, 13, 0, 1, size=1), chunk(b"gAMA", 45455), chunk(b"cHRM", *plain)):
        assert lost(usual, png) == ""


def with_a_selection(picture: Image.Image, file: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[338] = (0,)  # a fourth channel of no stated meaning
    picture.convert("RGBX").save(file, "TIFF", tiffinfo=tags)


def test_what_transparent_parts_hide(lost: Any) -> None:
    def cut_out(hidden: int | None, kind: str = "PNG", **more: Any) -> Callable[[Image.Image, Path], None]:
        def write(picture: Image.Image, file: Path) -> None:
            alpha = Image.new("L", picture.size, 255)
            alpha.paste(0, (80, 60, 280, 240))
            if hidden is not None:
                picture.paste((hidden, hidden, hidden), (80, 60, 280, 240))
            picture.putalpha(alpha)
            picture.save(file, kind, **more)

        return write

    assert "transparent parts hide" in lost(cut_out(None), cut_out(128))
    assert lost(cut_out(128), cut_out(None)) == lost(cut_out(None), cut_out(None)) == ""
    assert lost(cut_out(None, "WEBP", quality=90), cut_out(128)) == "", "its encoder fills them"
    assert lost(cut_out(None, "WEBP", lossless=True), cut_out(128)) == ""


def webp(quality: int) -> Callable[[Image.Image, Path], None]:
    return lambda picture, file: picture.save(file, "WEBP", quality=quality)


def test_the_video_in_a_heic(tmp_path: Path) -> None:
    boxes = [b"\0\0\0\x10ftypheic\0\0\0\0", b"\0\0\0\x0cmeta1234", b"\0\0\0\x0cmdat5678"]
    assert _behind(b"".join(boxes))[0] == 0
    assert _behind(b"".join([*boxes, b"\0\0\x10\x08mpvd" + bytes(4096)]))[0] == 4104
    assert _behind(b"".join([*boxes, b"\0\0\0\0mpvd" + bytes(50)]))[0] == 58, "to the end of the file"
    large = b"\0\0\0\x01mpvd" + (4112).to_bytes(8, "big") + bytes(4096)
    assert _behind(b"".join([*boxes, large, b"\0\0\0\x08free"]))[0] == 4112


def test_a_video_behind_a_heic() -> None:
    picture = b"".join([b"\0\0\0\x10ftypheic\0\0\0\0", b"\0\0\0\x0cmeta1234", b"\0\0\0\x0cmdat5678"])
    video = b"".join([b"\0\0\0\x10ftypmp42\0\0\0\0", b"\0\0\0\x0cmoov1234", b"\0\0\0\x0cmdat5678"])
    assert _behind(picture + video)[0] == len(video)
    assert _behind(picture + b"\0\0\0\x0cmoov1234")[0] == 12


SEGMENTS = (b"http://ns.adobe.com/xmp/extension/\0", b"FLIR\0\1", b"FPXR\0", b"JP\0\1")


@pytest.mark.parametrize("begins", SEGMENTS)
def test_what_lies_in_a_segment_of_a_jpeg(lost: Any, begins: bytes) -> None:
    def with_more(picture: Image.Image, file: Path) -> None:
        jpeg()(picture, file)
        payload, data = begins + b"\xff\xd9" * APPENDED, file.read_bytes()
        segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
        file.write_bytes(data[:2] + segment + data[2:])

    assert "or beside it" in lost(with_more, png) and lost(with_more, with_more) == ""
    exif = Image.Exif()
    exif[0x0131] = "an editor" * APPENDED  # which is usual
    assert lost(jpeg(exif=exif, icc_profile=b"", xmp=b" " * 2 * APPENDED), png) == ""


@pytest.mark.parametrize("name", ["PNG", "GIF", "WEBP", "TIFF"])
def test_what_lies_in_or_behind_other_formats(tmp_path: Path, paint: Paint, name: str) -> None:
    file, more = tmp_path / "a", bytes(APPENDED + 9)
    options: dict[str, Any] = {"WEBP": {"exif": b"Exif\0\0" + more}, "PNG": {"exif": b"Exif\0\0" + more}}
    paint(0, 401, 300, 40).save(file, name, **options.get(name, {}))
    assert extras_of(file).appended[0] == 0
    if name == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[37724], tags.tagtype[37724] = more, 7  # layers of Photoshop
        paint(0, 400, 300, 40).save(file, name, tiffinfo=tags)
    else:
        file.write_bytes(file.read_bytes() + more)
    assert extras_of(file).appended[0] == len(more)


def test_what_lies_in_a_chunk_of_a_png(tmp_path: Path, paint: Paint) -> None:
    paint(0, 80, 60, 20).save(tmp_path / "a", "PNG")
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[:-12] + b"\0\0\1\0mkBF" + bytes(260) + data[-12:])
    assert extras_of(tmp_path / "a").appended[0] == 268


def test_sixteen_bits_and_previews(tmp_path: Path) -> None:
    levels = (np.arange(48 * 64 * 3) * 7 % 65536).astype(np.uint16).reshape(48, 64, 3)
    cv2.imwrite(str(tmp_path / "deep.png"), levels)
    assert read_header(str(tmp_path / "deep.png")).bits == 16
    assert read_header(b64decode(TEN_BITS)).bits == 10
    for tag in (254, 330):  # a preview, and pictures below this one
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[tag] = 1 if tag == 254 else (8,)
        Image.new("RGB", (64, 48)).save(tmp_path / "a.tif", tiffinfo=tags)
        assert read_header(str(tmp_path / "a.tif")).pictures == 2


def test_the_maps_in_a_heic() -> None:
    image = Image.new("RGB", (64, 48))
    image.format = "HEIF"
    assert _pictures(image) == 1
    image.info = {"aux": {"urn:com:apple:photo:2020:aux:hdrgainmap": [52]}, "depth_images": [object()]}
    assert _pictures(image) == 3


def test_what_lies_behind_a_jpeg(lost: Any, tmp_path: Path, paint: Paint) -> None:
    def with_video(picture: Image.Image, file: Path) -> None:
        picture.save(file, "JPEG", quality=90, progressive=True, restart_marker_blocks=4)
        file.write_bytes(file.read_bytes() + b"\0" * (APPENDED + 1))

    def with_more(picture: Image.Image, file: Path) -> None:
        picture.save(file, "JPEG", quality=90)
        file.write_bytes(file.read_bytes() + b"\1" * (APPENDED + 9))

    assert "lie behind its picture" in lost(with_video, png)
    assert "lie behind its picture" in lost(with_video, with_more), "other bytes"
    assert lost(with_video, with_video) == ""
    whole = io.BytesIO()
    paint(0, 400, 300, 40).save(whole, "JPEG", restart_marker_blocks=4)
    for data, behind in ((whole.getvalue(), 0), (whole.getvalue() + b"1234", 4), (whole.getvalue()[:-40], 0)):
        (tmp_path / "a").write_bytes(data)
        assert extras_of(tmp_path / "a").appended[0] == behind


def test_lossless_is_told_by_how_it_is_stored(tmp_path: Path, paint: Paint) -> None:
    picture = paint(0, 80, 60, 20)
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for name, options, is_lossless in (
        ("WEBP", {"lossless": True}, True), ("WEBP", {"lossless": True, "exif": exif}, True), ("WEBP", {}, False),
        ("WEBP", {"exif": exif}, False), ("TIFF", {"compression": "jpeg"}, False), ("TIFF", {}, True),
        ("PNG", {}, True), ("JPEG", {}, False),
    ):  # fmt: skip
        picture.save(tmp_path / "a", name, **options)
        assert Photo(tmp_path / "a").is_lossless == is_lossless, (name, options)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG"])
def test_the_size_of_a_turned_picture(kind: str, tmp_path: Path, paint: Paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    paint(0, 80, 60, 20).save(tmp_path / "a", kind, exif=exif)
    header = read_header(str(tmp_path / "a"))
    assert (header.width, header.height) == Photo(tmp_path / "a").shape == (60, 80)
