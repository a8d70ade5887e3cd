"""Relations are remembered beside the library: what is told again is what was told first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.pipeline.bench.edits import jpeg, zoom
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.library import relations
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.relations import RELATIONS_FILE, KeptRelations
from twinpix.pipeline.relation import pairs
from twinpix.pipeline.relation.kinds import Box, Edits, Facts, Kind, Relation, Side
from twinpix.pipeline.relation.remembered import RELATIONS_VERSION, Way
from twinpix.pipeline.report import Report

Paint = Callable[..., Image.Image]

pytestmark = pytest.mark.usefixtures("fine_clock")


@pytest.fixture
def folder(tmp_path: Path, paint: Paint) -> Path:
    """Pictures and copies of them: the same file, the same pixels, a JPEG, a part, a mirror image."""
    place, dice = tmp_path / "pictures", np.random.default_rng(0)
    place.mkdir()
    picture = paint(0, 320, 240, 30)
    picture.save(place / "0.png")
    shutil.copy(place / "0.png", place / "copy.png")
    picture.save(place / "pixels.png", compress_level=1)
    jpeg(60)(picture, dice).save(place / "jpeg.png")
    zoom(1.25)(picture, dice).save(place / "zoomed.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(place / "mirrored.png")
    return place


@pytest.fixture
def related(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures whose relation is found out."""
    seen, real = list[str](), pairs.relation_of_looks

    def noting(query: Any, reference: Any, *rest: Any) -> Relation:
        seen.append(reference.name)
        return real(query, reference, *rest)

    monkeypatch.setattr(pairs, "relation_of_looks", noting)
    return seen


@pytest.fixture
def kept(folder: Path, tmp_path: Path, related: list[str]) -> tuple[Library, Report]:
    """A library that remembers the relations of a folder, and the report."""
    library = Library(tmp_path / "library")
    report = find_duplicates(folder, library=library)
    assert len(related) == 4
    related.clear()
    return library, report


def test_a_second_scan_finds_none_out_and_says_the_same(
    kept: tuple[Library, Report], folder: Path, related: list[str]
) -> None:
    library, report = kept
    assert find_duplicates(folder, library=library) == report == library.duplicates()
    assert not related
    assert find_duplicates(folder) == report and len(related) == 4
    kinds = [relation.kind for group in report.groups for relation in group.relations if relation]
    assert {Kind.IDENTICAL_FILE, Kind.IDENTICAL_PIXELS, Kind.EDITED} <= set(kinds) and len(kinds) == 5


def test_a_changed_picture_costs_its_own(kept: tuple[Library, Report], folder: Path, related: list[str]) -> None:
    library, _ = kept
    with Image.open(folder / "0.png") as picture:
        jpeg(30)(picture, np.random.default_rng(0)).save(folder / "jpeg.png")
    changed = find_duplicates(folder, library=library)
    assert related == ["jpeg.png"] and changed == find_duplicates(folder)


def test_a_flipped_bit_is_found_and_costs_a_relation(kept: tuple[Library, Report], folder: Path) -> None:
    library, report = kept
    path = library.path / RELATIONS_FILE.name
    data = path.read_bytes()
    size = RELATIONS_FILE.record.itemsize
    assert size == 512 and len(data) == 48 + 5 * size
    for byte in range(0, len(data), 7):
        path.write_bytes(data[:byte] + bytes([data[byte] ^ 16]) + data[byte + 1 :])
        found = RELATIONS_FILE.read(library.path)
        assert (bool(found.fault), found.damaged) == (byte < 48, byte >= 48), byte
    assert [problem.place for problem in library.check()] == ["relations"]
    assert find_duplicates(folder, library=library) == report
    aside = library.repair()
    assert aside is not None and aside.name.startswith("relations.damaged-") and not library.check()


def test_those_of_other_code_count_for_nothing(
    kept: tuple[Library, Report], folder: Path, related: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, report = kept
    with monkeypatch.context() as patched:
        patched.setattr(relations, "RELATIONS_VERSION", RELATIONS_VERSION + 1)
        relations.related_by.cache_clear()
        assert find_duplicates(folder, library=library) == report and len(related) == 4
    relations.related_by.cache_clear()
    assert len(RELATIONS_FILE.read(library.path).records) == 10
    library.compact()
    assert len(RELATIONS_FILE.read(library.path).records) == 5


BOX = Box(0.1, 1 / 3, 0.7, 0.9)
MANY = tuple(Box(i / 17, i / 13, (i + 1) / 17, (i + 1) / 13) for i in range(9))


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(
    ("edits", "fits"),
    [(Edits(), True), (Edits(crop=BOX, zoom=1.3, overlays=(BOX, BOX)), True), (Edits(overlays=MANY), False)],
)  # fmt: skip
def test_a_relation_is_kept_as_it_is(
    kept: tuple[Library, Report], folder: Path, way: Way, edits: Edits, fits: bool
) -> None:
    library, said = kept[0], list[str]()
    pair = folder / "zoomed.png", folder / "jpeg.png"
    relation = Relation(Kind.EDITED, Side.REFERENCE, edits, (Facts(320, 240, "PNG", 12345), Facts(300, 200, "PNG", 1)))
    with KeptRelations(library.path, pair, said.append) as keeping:
        assert keeping.known(pair, way) is None
        keeping.keep(pair, way, relation)
    again = KeptRelations(library.path, pair, said.append)
    assert again.known(pair, way) == (relation if fits else None)
    assert again.known(pair[::-1], way) is None and all(
        again.known(pair, other) is None for other in Way if other != way
    )
    assert not said
