"""The metadata filter: what it understands, what it says of what it doesn't, and what each field reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from twinpix.encoder import decode
from twinpix.encoder.errors import InputError
from twinpix.pipeline.explore.where import FIELDS, FORMATS, none_found, parse_where
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import encode_images, list_files

Paint = Callable[..., Image.Image]


@pytest.fixture
def photos(tmp_path: Path, paint: Paint) -> Path:
    """A phone's upright JPEG (2021, Canon), a PNG in a sub-folder (changed 2019), a corrupt JPEG and a text file."""
    folder = tmp_path / "photos"
    (folder / "Holiday").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "Canon", "Canon EOS 5D", 6
    exif.get_ifd(0x8769)[0x9003] = "2021:05:17 12:30:00"
    paint(0, 300, 200).save(folder / "phone.JPG", exif=exif)
    paint(1, 100, 50).save(folder / "Holiday" / "a b.png")
    os.utime(folder / "Holiday" / "a b.png", (datetime(2019, 3, 4).timestamp(),) * 2)
    (folder / "broken.jpg").write_bytes((folder / "phone.JPG").read_bytes()[:40])
    (folder / "notes.txt").write_text("no picture\n")
    return folder


def accepted(folder: Path, where: str) -> set[str]:
    return {path.name for path in list_files([folder], where)[0]}


PHONE, PNG = "phone.JPG", "a b.png"
UNREADABLE = {"broken.jpg", "notes.txt"}  # pass: whoever decodes them says why they are skipped


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", {PHONE, PNG}),
        ("format=jpeg", {PHONE}),
        ("format=JPG", {PHONE}),
        ("format!=jpeg", {PNG}),
        ("width>=200", {PHONE}),
        ("width=200", {PHONE}),  # upright: 200 x 300
        ("height=300", {PHONE}),
        ("width<200", {PNG}),
        ("megapixels>0.05", {PHONE}),
        ("megapixels<=.005", {PNG}),
        ("date=2021", {PHONE}),
        ("date=2021-05", {PHONE}),
        ("date=2021-05-17T12:30", {PHONE}),
        ("date<=2021-05-17", {PHONE, PNG}),
        ("date<2021-05-17", {PNG}),
        ("date>2019-03-04", {PHONE}),
        ("date!=2019-03-04", {PHONE}),
        ("camera~canon", {PHONE}),
        ("camera~'eos 5d'", {PHONE}),
        ('camera="Canon EOS 5D"', {PHONE}),
        ("camera!=canon", {PNG}),
        ("format~JP", {PHONE}),
        ("format=HEIC", set()),
        ("format=jpeg width>=1000", set()),
        ("width>=1,height>=1,format=png", {PNG}),
        ("width >= 200 , height = 300", {PHONE}),
        ("WIDTH>=200", {PHONE}),
    ],
)
def test_fields_of_the_header(photos: Path, where: str, expected: set[str]) -> None:
    assert accepted(photos, where) == expected | UNREADABLE


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("folder=holiday", {PNG}),
        ("folder~holi", {PNG}),
        ("folder!=holiday", {PHONE, *UNREADABLE}),
        ('name="A b.png"', {PNG}),
        ("name~.jp", {PHONE, "broken.jpg"}),
        ("size<1kb", {"broken.jpg", "notes.txt"}),
        ("size<0.04KiB", {"broken.jpg", "notes.txt"}),
        ("size<39", {"notes.txt"}),
        ("size>1MB", set()),
        ("size=40", {"broken.jpg"}),
    ],
)
def test_fields_of_the_file(photos: Path, where: str, expected: set[str]) -> None:
    assert accepted(photos, where) == expected


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("colour=red", "'colour=red': no field 'colour'; there are format, width"),
        ("width", "'width' is no condition"),
        ("format=png width>", "'width>' is no condition"),
        ("width==3", "'width==3' is no condition"),
        ("name=a=b", "'name=a=b' is no condition"),
        ("name='a", "is no condition"),
        ("width>=wide", "'width>=wide': 'wide' is no number"),
        ("width>=2MB", "'2MB' is no number"),
        ("size>2XB", "no number of bytes"),
        ("width~3", "width is compared by one of = != < <= > >="),
        ("camera>canon", "camera is compared by one of = != ~"),
        ("format<png", "format is compared by one of = != ~"),
        ("format=jepg", "'format=jepg': no format 'jepg'; there are jpeg, png, gif, webp, tiff, bmp, heif, avif"),
        ("format!=doc", "no format 'doc'"),
        ("format~x", "no format 'x'"),
        ("date=2020-13", "'2020-13' is no date like 2020"),
        ("date=2020-1-1", "is no date like"),
        ("date=soon", "is no date like"),
        ("date=2020-02-30", "is no date like"),
        ("date=2020-", "is no date like"),
    ],
)
def test_what_it_does_not_understand(where: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_where(where)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_every_field_is_documented() -> None:
    assert set(FIELDS) == {"format", "width", "height", "megapixels", "size", "date", "folder", "camera", "name"}
    assert parse_where(None).accepts(Path("anything")) and parse_where("  ").accepts(Path("anything"))


def test_a_damaged_date_falls_back_to_the_file(tmp_path: Path, paint: Paint) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    paint(0).save(tmp_path / "a.jpg", exif=exif)
    os.utime(tmp_path / "a.jpg", (datetime(2018, 1, 2, 3, 4, 5).timestamp(),) * 2)
    assert parse_where("date=2018-01-02T03:04:05").accepts(tmp_path / "a.jpg")


def test_a_date_beyond_the_calendar_is_its_end(tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(0).save(tmp_path / "a.png")
    for seconds, holds in ((1.8e12, "date>=9999-12-31"), (-1.8e12, "date<=0001-01-01")):
        monkeypatch.setattr(Path, "stat", lambda path, at=seconds, **_: type("", (), {"st_mtime": at}))
        assert parse_where(holds).accepts(tmp_path / "a.png")


def test_unreadable_files_are_skipped_not_dropped(photos: Path) -> None:
    embeddings = encode_images(photos, where="width>=200")
    assert [path.name for path in embeddings.paths] == [PHONE]
    assert {entry.path.name: entry.reason for entry in embeddings.skipped} == {
        "broken.jpg": "corrupt",
        "notes.txt": "not_an_image",
    }


def test_every_format_that_is_decoded_can_be_asked_for() -> None:
    decoded = {name.lower() for _, name in decode._MAGIC} | {"webp", "avif", "heif"}
    assert decoded == set(FORMATS)


def test_why_nothing_was_found(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert (
        str(none_found([tmp_path / "none"], "width>1", ())) == f"{tmp_path / 'none'}: no image there that can be read"
    )
    told = f"{photos}: --where 'width>999' accepts none of the images there (2)"
    assert str(none_found([photos], "width>999", (Skipped(photos / "notes.txt", "not_an_image", ""),))) == told
    told = f"{photos}: none of the images there (2) can be read"
    assert str(none_found([photos], "width>1", (Skipped(photos / "broken.jpg", "corrupt", ""),))) == told
