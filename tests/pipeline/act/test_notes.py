"""What a file tells of its picture beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from twinpix.pipeline.act.loss import extras_of, loss_of_extras
from twinpix.pipeline.act.notes import notes_of

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
