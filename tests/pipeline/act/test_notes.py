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
    told = {("a date", "2001:02:03 04:05:06"), ("a place", "41.9000 12.5000"), ("a camera", "Maker Model")}
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
        (packet("", "exif:GPSLatitude='41,54N' exif:GPSLongitude='12,30E'"), ("a place", "41.9000 12.5000")),
        (packet("", "photoshop:DateCreated='1972-07-04'"), ("a date", "1972-07-04")),
        (packet("", "xmp:CreateDate='1972-07-04'"), ("a date", SOME_DATE)),
        (packet("<R:RegionList><rdf:li><a R:Name='Berta'/></rdf:li></R:RegionList>"), ("faces", "Berta")),
        (packet("<dc:creator><rdf:Seq><rdf:li>Fred</rdf:li></rdf:Seq></dc:creator>"), ("an author", "Fred")),
        (packet("", "crs:HasSettings='True' crs:Exposure2012='1.5'"), ("edits", "to be applied")),
        (packet("", "GPano:ProjectionType='equirectangular'"), ("a panorama", "equirectangular")),
        (packet("<acdsee:caption>Oma, 80</acdsee:caption>"), ("words", "Oma, 80")),
        (packet("", "acdsee:rating='5'"), ("a rating", "5")),
        (packet("", "digiKam:PickLabel='3' digiKam:ColorLabel='0'"), ("a rating", "3")),
        (packet("<I:AltTextAccessibility><rdf:li>a bridge</rdf:li></I:AltTextAccessibility>"), ("words", "a bridge")),
        (packet("<E:Event><rdf:li>Wedding</rdf:li></E:Event>"), ("words", "Wedding")),
        (packet("<E:LocationShown><rdf:li E:LocationName='Hofburg'/></E:LocationShown>"), ("words", "Hofburg")),
        (packet("<R:RegionList><rdf:li R:Type='Face' R:Description='Bob'/></R:RegionList>"), ("words", "Bob")),
        (packet("<xmpRights:UsageTerms><rdf:li>CC-BY</rdf:li></xmpRights:UsageTerms>"), ("words", "CC-BY")),
        (packet("", "photoshop:Instructions='never publish'"), ("words", "never publish")),
        (packet("", "exif:GPSLatitude='33,51,30S' exif:GPSLongitude='151,12.6E'"), ("a place", "-33.8583 151.2100")),
    ],
)
def test_what_xmp_tells(tmp_path: Path, xmp: bytes, told: tuple[str, str]) -> None:
    assert read(tmp_path / "a.jpg", xmp=xmp) == {told}


def test_what_programs_write_tells_nothing(tmp_path: Path) -> None:
    exported = (
        "crs:HasSettings='True' crs:AlreadyApplied='True' xmp:CreatorTool='editor' xmp:Rating='0' xmp:CreateDate='1' "
        "xmpMM:DocumentID='xmp.did:1' tiff:Model='M' aux:Lens='L' dc:format='image/jpeg' photoshop:ColorMode='3' "
        "digiKam:PickLabel='0' xmpRights:Marked='False' stEvt:action='saved' photoshop:ICCProfile='sRGB'"
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
    info.add_text("date:create", "2020-01-01T00:00:00+00:00")
    info.add_text("exif:Model", "M")
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


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)


def record(number: int, text: bytes) -> bytes:
    return bytes((0x1C, 2, number)) + len(text).to_bytes(2, "big") + text


def segments(file: Path, *some: tuple[int, bytes]) -> set[tuple[str, str]]:
    Image.new("RGB", (32, 24)).save(file)
    data = file.read_bytes()
    more = b"".join(bytes((0xFF, kind)) + (len(payload) + 2).to_bytes(2, "big") + payload for kind, payload in some)
    file.write_bytes(data[:2] + more + data[2:])
    with Image.open(file) as image:
        return set(notes_of(image))


def test_all_of_iptc_but_what_programs_keep_there(tmp_path: Path) -> None:
    some = (
        (0, b"\0\4"),
        (40, b"embargo"),
        (110, b"Jane / Agency"),
        (20, b"weddings"),
        (122, b"J. Writer"),
        (65, b"editor"),
    )
    programs = ((65, b"editor"), (40, b"FBMD0a000a"), (103, b"qz12"))
    iptc = b"".join(record(*one) for one in (*some, *programs))
    words = {("words", text) for text in ("embargo", "Jane / Agency", "weddings", "J. Writer")}
    assert segments(tmp_path / "a.jpg", (0xED, b"Photoshop 3.0\0" + resource(0x0404, iptc))) == words
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type iptc", f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n")
    assert read(tmp_path / "a.png", pnginfo=info) == words


def test_each_comment_and_a_clipping_path(tmp_path: Path) -> None:
    assert segments(tmp_path / "a.jpg", (0xFE, b"Grandma"), (0xFE, b"Created with GIMP")) == {("words", "Grandma")}
    paths = (resource(2000, b"path" * 26), resource(2999, b"\6Path 1"))
    ((kind, _),) = segments(tmp_path / "a.jpg", (0xED, b"Photoshop 3.0\0" + b"".join(paths)))
    assert kind == "a clipping path"


def test_names_of_documents_owners_areas_and_texts_of_any_name(tmp_path: Path) -> None:
    told = Image.Exif()
    told[0x010D], told[0x011D] = "birth certificate", "p. 12"
    told.get_ifd(0x8769)[0xA430] = "Jane Doe"
    told.get_ifd(0x8825)[28] = b"ASCII\0\0\0Rocky Valley"
    assert read(tmp_path / "a.jpg", exif=told) == {
        ("words", "birth certificate"), ("words", "p. 12"), ("an author", "Jane Doe"), ("a place", "Rocky Valley"),
    }  # fmt: skip
    info = PngImagePlugin.PngInfo()
    info.add_text("Person", "Aunt May")
    assert read(tmp_path / "a.png", pnginfo=info) == {("words", "Aunt May")}


def test_another_place_is_told_from_the_same_one() -> None:
    vienna, rounded, sydney = (
        ("a place", text) for text in ("48.2087 16.3675", "48.2090 16.3680", "-33.0000 151.0000")
    )
    assert untold({vienna}, {sydney}) == untold({vienna}, {("a place", "Vienna")}) == ["a place"]
    assert untold({vienna}, {rounded}) == untold({vienna}, {vienna, sydney}) == []
