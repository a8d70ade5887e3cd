"""What would be gone with a file although its picture stays."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from twinpix.encoder.header import read_header
from twinpix.pipeline.act.loss import APPENDED, extras_of, loss_of_extras, loss_of_levels
from twinpix.pipeline.explore.where import Photo
from twinpix.pipeline.relation.facts import facts_of

Paint = Callable[..., Image.Image]


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
    assert "coarsely" in lost(jpeg(95), jpeg(20))


def test_what_lies_behind_a_jpeg(lost: Any, tmp_path: Path, paint: Paint) -> None:
    def with_video(picture: Image.Image, file: Path) -> None:
        picture.save(file, "JPEG", quality=90, progressive=True, restart_marker_blocks=4)
        file.write_bytes(file.read_bytes() + b"\0" * (APPENDED + 1))

    assert "lie behind its picture" in lost(with_video, png)
    assert lost(with_video, with_video) == ""
    whole = io.BytesIO()
    paint(0, 400, 300, 40).save(whole, "JPEG", restart_marker_blocks=4)
    for data, behind in ((whole.getvalue(), 0), (whole.getvalue() + b"1234", 4), (whole.getvalue()[:-40], 0)):
        (tmp_path / "a").write_bytes(data)
        assert extras_of(tmp_path / "a").appended == behind


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
