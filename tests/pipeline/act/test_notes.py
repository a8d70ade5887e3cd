"""What a file tells of its picture beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from twinpix.pipeline.act.loss import extras_of, loss_of_extras
from twinpix.pipeline.act.notes import SOME_DATE, notes_of, untold

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:Rating="4"><dc:description><rdf:Alt>
<rdf:li xml:lang="x-default">Grandma &amp; Rome</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF>
</x:xmpmeta>"""
IPTC = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x0b" + b"\x1c\x02\x78\0\6ashore" + b"\0"


def exif(**tags: Any) -> Image.Exif:
    made = Image.Exif()
    made[0x010F], made[0x0110] = "Maker", "Model"
    made.get_ifd(0x8769)[0x9003] = tags.get("taken", "2001:02:03 04:05:06")
    made.get_ifd(0x8825).update({1: "N", 2: (41.0, 54.0, 0.0), 3: "E", 4: (12.0, 30.0, 0.0)})
    return made


def read(file: Path, **options: Any) -> set[tuple[str, str]]:
    Image.new("RGB", (32, 24), (90, 120, 30)).save(file, **options)
    with Image.open(file) as image:
        return set(notes_of(image))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_date_place_and_camera(tmp_path: Path, name: str) -> None:
    told = {("a date", "2001:02:03 04:05:06"), ("a place", "on the map"), ("a camera", "Maker Model")}
    assert read(tmp_path / name, exif=exif()) == told
    assert read(tmp_path / name) == set()
    assert read(tmp_path / name, exif=exif(taken="0000:00:00 00:00:00")) == told - {("a date", "2001:02:03 04:05:06")}


def test_what_somebody_wrote(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jpg", comment=b"Grandma, Rome") == {("words", "Grandma, Rome")}
    assert read(tmp_path / "a.jpg", comment=b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62)") == set()
    assert read(tmp_path / "a.jpg", xmp=XMP) == {("words", "Grandma & Rome"), ("a rating", "4")}
    described = Image.Exif()
    described[0x010E], described[0x9C9C] = "at sea", "my comment".encode("utf-16-le")
    described.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0by me   \0"
    assert read(tmp_path / "a.jpg", exif=described) == {("words", text) for text in ("at sea", "my comment", "by me")}
    Image.new("RGB", (32, 24)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xed" + (len(IPTC) + 2).to_bytes(2, "big") + IPTC + data[2:])
    with Image.open(tmp_path / "a.jpg") as image:
        assert notes_of(image) == {("words", "ashore")}


def test_damage_tells_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", xmp=b"\xff<dc:title") == set()


def test_a_date_that_only_the_one_that_goes_tells(tmp_path: Path, paint: Callable[..., Image.Image]) -> None:
    picture = paint(0, 80, 60, 20)
    picture.save(tmp_path / "with.jpg", exif=exif())
    picture.save(tmp_path / "other.jpg", exif=exif(taken="2011:02:03 04:05:06"))
    picture.save(tmp_path / "without.png")
    told, other, bare = (extras_of(tmp_path / name) for name in ("with.jpg", "other.jpg", "without.png"))
    assert loss_of_extras(told, bare) == "it tells a date, a place, a camera, and what stays does not, or others"
    assert "it tells a date, and" in loss_of_extras(told, other)
    assert loss_of_extras(bare, told) == loss_of_extras(told, told) == ""


def packet(inner: str, attributes: str = "") -> bytes:
    spaces = "xmlns:x='adobe:ns:meta/' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
    about = f"<rdf:Description rdf:about='' {attributes}>{inner}</rdf:Description>"
    return f"<x:xmpmeta {spaces}><rdf:RDF>{about}</rdf:RDF></x:xmpmeta>".encode()


@pytest.mark.parametrize(
    ("xmp", "told"),
    [
        (packet("<xap:Rating>5</xap:Rating>"), ("a rating", "5")),
        (packet("", "MicrosoftPhoto:Rating='75'"), ("a rating", "4")),
        (packet("<d:subject xmlns:d='x'><rdf:Bag><rdf:li>Berta</rdf:li></rdf:Bag></d:subject>"), ("words", "Berta")),
        (packet("<dc:subject><rdf:li><![CDATA[Berta]]></rdf:li></dc:subject>"), ("words", "Berta")),
        (packet("<dc:subject><rdf:li>Berta</rdf:li></dc:subject>").decode().encode("utf-16"), ("words", "Berta")),
        (packet("<lr:hierarchicalSubject><rdf:li>All|Berta</rdf:li></lr:hierarchicalSubject>"), ("words", "All|Berta")),
        (packet("<digiKam:TagsList><rdf:li>All/Berta</rdf:li></digiKam:TagsList>"), ("words", "All/Berta")),
        (packet("", "photoshop:Headline='The wedding'"), ("words", "The wedding")),
        (packet("", "photoshop:City='Rome'"), ("a place", "Rome")),
        (packet("", "exif:GPSLatitude='41,54N' exif:GPSLongitude='12,30E'"), ("a place", "on the map")),
        (packet("", "photoshop:DateCreated='1972-07-04'"), ("a date", "1972-07-04")),
        (packet("", "xmp:CreateDate='1972-07-04'"), ("a date", SOME_DATE)),
        (packet("<R:RegionList><rdf:li><a R:Name='Berta'/></rdf:li></R:RegionList>"), ("faces", "Berta")),
        (packet("<dc:creator><rdf:Seq><rdf:li>Fred</rdf:li></rdf:Seq></dc:creator>"), ("an author", "Fred")),
        (packet("", "crs:HasSettings='True' crs:Exposure2012='1.5'"), ("edits", "to be applied")),
        (packet("", "GPano:ProjectionType='equirectangular'"), ("a panorama", "equirectangular")),
    ],
)
def test_what_xmp_tells(tmp_path: Path, xmp: bytes, told: tuple[str, str]) -> None:
    assert read(tmp_path / "a.jpg", xmp=xmp) == {told}


def test_what_programs_write_tells_nothing(tmp_path: Path) -> None:
    exported = (
        "crs:HasSettings='True' crs:AlreadyApplied='True' xmp:CreatorTool='editor' xmp:Rating='0' xmp:CreateDate='1'"
    )
    for xmp in (packet("", exported), b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + packet("<dc:title>&a;</dc:title>")):
        assert read(tmp_path / "a.jpg", xmp=xmp) == set()
    nowhere = Image.Exif()
    nowhere[0x0131], nowhere[0x0132] = "editor", "2001:02:03 04:05:06"
    nowhere.get_ifd(0x8825).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    assert read(tmp_path / "a.jpg", exif=nowhere) == set()
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "editor")
    info.add_text("Comment", "Created with GIMP")
    assert read(tmp_path / "a.png", pnginfo=info) == set()


def test_what_exif_and_the_texts_of_png_and_gif_tell(tmp_path: Path) -> None:
    told = Image.Exif()
    told[0x4746], told[0x8298], told[0x0132] = 4, "(c) Fred", "1972:07:04 12:00:00"
    expected = {("a rating", "4"), ("an author", "(c) Fred"), ("a date", SOME_DATE)}
    assert read(tmp_path / "a.jpg", exif=told) == expected
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Wedding", zip=True)
    info.add_itxt("Description", "Oma", "de", "Beschreibung")
    info.add_text("Creation Time", "1952")
    words = {("words", "Wedding"), ("words", "Oma")}
    assert read(tmp_path / "a.png", pnginfo=info) == {*words, ("a date", SOME_DATE)}
    assert read(tmp_path / "a.gif", comment=b"Grandma") == {("words", "Grandma")}


def test_a_date_may_be_told_in_several_ways() -> None:
    exact, day, other = (("a date", text) for text in ("2001:02:03 04:05:06", "20010203", "2011-02-03T04:05:06Z"))
    scanned = ("a date", SOME_DATE)
    assert untold({exact}, {("a date", "2001-02-03T04:05:06+02:00")}) == untold({exact, day}, {exact}) == []
    assert untold({exact}, {day}) == untold({exact}, {other}) == untold({exact}, {scanned}) == ["a date"]
    assert untold({scanned}, {exact}) == untold({exact, scanned}, {exact}) == [] != untold({scanned}, set())
