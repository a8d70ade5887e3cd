"""Relations of drawn pictures whose edits are known; `tests/bench/relations.py` has them all."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.relation.facts import facts_of
from twinpix.pipeline.relation.kinds import Box, Edits, Kind, Relation, Side
from twinpix.pipeline.relation.pairs import relation_of, with_relations
from twinpix.pipeline.relation.relate import relate
from twinpix.pipeline.relation.words import sentence, short
from twinpix.pipeline.report import Group
from twinpix.pipeline.second_look.agreement import Agreement
from twinpix.pipeline.second_look.align import Alignment
from twinpix.pipeline.second_look.delicate import have_same_bytes
from twinpix.pipeline.second_look.judge import Finding
from twinpix.pipeline.second_look.look import features_only, look
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import Examination


def _bench() -> ModuleType:
    file = Path(__file__).parents[2] / "bench" / "relations.py"
    spec = importlib.util.spec_from_file_location("relations_bench", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = _bench()
SINGLE = ("as JPEG", "as WebP", "resize", "crop", "zoom", "90, 180, 270", "free angle", "mirror", "border",
          "brightness", "contrast", "saturation", "grayscale", "salt and pepper", "text", "sticker")  # fmt: skip
TWO = ("crop + brightness", "zoom + grayscale", "mirror + sticker", "crop + mirror", "crop + 90, 180, 270")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [bench.draw(seed) for seed in (100, 101)]


@pytest.fixture(scope="module")
def scores(pictures: list[Image.Image]) -> dict[str, list[object]]:
    return dict(bench.measure(pictures, (*SINGLE, *TWO)))


@pytest.mark.parametrize("quality", [20, 30, 50])
def test_what_jpeg_adds_is_no_noise(pictures: list[Image.Image], quality: int) -> None:
    for picture in pictures:
        original, copy = _file(picture, "PNG"), _file(picture, "JPEG", quality=quality)
        for pair, side in (((original, copy), Side.QUERY), ((copy, original), Side.REFERENCE)):
            relation = relation_of(*pair)
            assert (relation.kind, relation.original) == (Kind.RE_ENCODED, side)


@pytest.mark.parametrize(("sigma", "quality"), [(16, 95), (20, 95), (20, 60)])
def test_noise_is_told_from_sharpness_and_from_jpeg(pictures: list[Image.Image], sigma: float, quality: int) -> None:
    picture = pictures[0]
    relation = relation_of(_file(picture, "PNG"), _file(_noisy(picture, sigma), "JPEG", quality=quality))
    assert (relation.kind, relation.original, relation.edits.blur) == (Kind.EDITED, Side.QUERY, 0)
    assert relation.edits.noise


def _file(picture: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_bar_holds_on_drawn_pictures(scores: dict[str, list[object]]) -> None:
    assert scores.keys() == {*SINGLE, *TWO}
    figures = bench.figures([one for each in scores.values() for one in each])
    assert figures["right kind"] >= 0.95
    assert figures["every edit named"] >= 0.9
    assert figures["crop box IoU, median"] >= 0.95
    assert figures["rotation within 1 degree"] == figures["zoom within 3 %"] == figures["mirror right"] == 1


def test_unedited_copies_are_said_to_be_so(scores: dict[str, list[object]]) -> None:
    for name in ("as JPEG", "as WebP", "resize"):
        assert [one.said for one in scores[name]] == ["", ""], name  # type: ignore[attr-defined]


def test_same_bytes_and_same_pixels(pictures: list[Image.Image], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "copy.png", "b.png", "a.jpg")]
    pictures[0].save(paths[0])
    paths[1].write_bytes(paths[0].read_bytes())
    pictures[0].save(paths[2], compress_level=1)
    pictures[0].save(paths[3], quality=95)
    kinds = [relation_of(paths[0], path).kind for path in paths]
    assert kinds == [Kind.IDENTICAL_FILE, Kind.IDENTICAL_FILE, Kind.IDENTICAL_PIXELS, Kind.RE_ENCODED]


def test_pictures_in_memory(pictures: list[Image.Image]) -> None:
    levels = np.asarray(pictures[0])
    assert relation_of(pictures[0], levels).kind is Kind.IDENTICAL_PIXELS
    assert relation_of(levels, pictures[0].convert("L")).edits.grayscale


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16", "F"])
def test_odd_modes(pictures: list[Image.Image], mode: str) -> None:
    other = pictures[0].convert("L").convert("I").convert(mode) if mode in ("I;16", "F") else pictures[0].convert(mode)
    assert relation_of(pictures[0], other).kind in Kind


def test_other_pictures_are_different(pictures: list[Image.Image]) -> None:
    assert relation_of(*pictures).kind is Kind.DIFFERENT


def test_flat_pictures_hold_too_little_unless_their_pixels_agree() -> None:
    flat = [Image.new("RGB", (300, 200), colour) for colour in ("white", "#fefefe", "white")]
    assert relation_of(flat[0], flat[1]).kind is Kind.TOO_LITTLE
    assert relation_of(flat[0], flat[2]).kind is Kind.IDENTICAL_PIXELS
    assert relation_of(flat[0], Image.new("RGB", (150, 100), "white")).kind is Kind.TOO_LITTLE


# a flag; a strip so narrow that it has no local features
@pytest.mark.parametrize(
    ("blocks", "size", "way"),
    [((1, 3, 3), (600, 400), Image.Resampling.NEAREST), ((8, 160, 3), (3200, 150), Image.Resampling.BICUBIC)],
)
def test_confirmed_copies_of_plain_and_of_narrow_pictures_are_called_so(
    blocks: tuple[int, int, int], size: tuple[int, int], way: Image.Resampling
) -> None:
    levels = np.random.default_rng(2).integers(0, 256, blocks, dtype=np.uint8)
    picture = Image.fromarray(levels).resize(size, way)
    half = picture.resize((size[0] // 2, size[1] // 2), Image.Resampling.BOX)
    original = _file(picture, "PNG")
    assert relation_of(original, _file(picture, "JPEG", quality=90)).kind is Kind.RE_ENCODED
    assert relation_of(original, _file(half, "PNG")).kind is Kind.RESIZED


def test_things_that_moved_make_it_the_same_scene(pictures: list[Image.Image]) -> None:
    ground, thing = pictures[0], pictures[1].resize((150, 150))
    one, other = ground.copy(), ground.copy()
    one.paste(thing, (60, 80))
    other.paste(thing, (130, 140))
    assert relation_of(one, other).kind in (Kind.SAME_SCENE, Kind.EDITED)
    assert not relation_of(one, other).is_unedited


@pytest.mark.parametrize(("motion", "said"), [(0.0, "nearly the same, but differ in places"), (1.0, "two shots")])
def test_of_what_is_refuted_without_any_motion_nothing_is_said_to_lie_elsewhere(
    pictures: list[Image.Image], motion: float, said: str
) -> None:
    page, agreement = look(pictures[0]), Agreement(tiles=20, agreeing=1.0, contradicting=0.0, median=0.99, tone=0)
    finding = Finding(Outcome.REFUTED, agreement, Alignment(np.eye(3), False, 0, 0), motion)
    facts = facts_of(pictures[0])
    relation = relate(page, page, Examination(Outcome.REFUTED, finding), (facts, facts))
    assert relation.kind is Kind.SAME_SCENE and said in sentence(relation, "a", "b")
    assert Relation.from_json(relation.to_json()) == relation


def test_which_one_is_the_original_does_not_depend_on_the_order(pictures: list[Image.Image]) -> None:
    part = pictures[0].crop((50, 40, 400, 330))
    there, back = relation_of(pictures[0], part), relation_of(part, pictures[0])
    assert (there.original, back.original) == (Side.QUERY, Side.REFERENCE)
    assert there.edits.crop is not None and back.edits.crop is not None
    assert there.edits.crop.overlap(back.edits.crop) > 0.98


def test_neither_sepia_nor_256_colours_are_the_original_of_a_jpeg(pictures: list[Image.Image]) -> None:
    colours, to_sepia = np.asarray(pictures[0]), ((0.39, 0.77, 0.19), (0.35, 0.69, 0.17), (0.27, 0.53, 0.13))
    sepia = Image.fromarray((0.7 * colours @ np.array(to_sepia).T).clip(0, 255).astype(np.uint8))
    copies = _file(sepia, "PNG"), _file(pictures[0].convert("P", palette=Image.Palette.ADAPTIVE), "GIF")
    original = _file(pictures[0], "JPEG", quality=80)
    for copy in copies:
        assert (relation_of(copy, original).original, relation_of(original, copy).original) == tuple(Side)[::-1]
    drawn = outlined((245, 224, 220)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert relation_of(_file(drawn.convert("RGB"), "JPEG", quality=80), _file(drawn, "GIF")).original is Side.REFERENCE


def test_which_one_comes_first_changes_nothing(pictures: list[Image.Image]) -> None:
    picture = pictures[1]
    across, down = (np.linspace(-1, 1, side) ** 2 for side in picture.size)
    vignette = (np.asarray(picture) * (1 - 0.22 * (across + down[:, None]))[..., None]).astype(np.uint8)
    small = picture.resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    copies = (_noisy(picture, 12), Image.fromarray(vignette), small.resize(picture.size, Image.Resampling.NEAREST))
    original = _file(picture, "JPEG", quality=90)
    for copy in (*(_file(copy, "PNG") for copy in copies), _file(picture.rotate(180), "JPEG", quality=75)):
        assert relation_of(original, copy) == relation_of(copy, original).swapped


def test_noise_on_the_even_ground_of_a_drawn_picture_is_seen() -> None:
    page = outlined((245, 224, 220))
    noisy = _file(_noisy(page, 12), "PNG")
    for pair, side in (((_file(page, "PNG"), noisy), Side.QUERY), ((noisy, _file(page, "PNG")), Side.REFERENCE)):
        relation = relation_of(*pair)
        assert (relation.kind, relation.original, relation.edits.noise) == (Kind.EDITED, side, "grain")


def _noisy(picture: Image.Image, sigma: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, sigma, (*picture.size[::-1], 3))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def test_a_plain_margin_that_goes_on_inside_is_a_crop_not_a_border() -> None:
    wide = Image.new("RGB", (700, 500), "white")
    wide.paste(bench.draw(102).resize((300, 250)), (200, 130))
    narrow = wide.crop((120, 80, 580, 450))
    relation = relation_of(wide, narrow)
    assert relation.original is Side.QUERY and relation.edits.crop is not None and relation.edits.border is None


@pytest.mark.parametrize("seed", range(4))
def test_a_small_but_visible_change_is_never_called_unedited(pictures: list[Image.Image], seed: int) -> None:
    dice = np.random.default_rng(seed)
    edited = pictures[seed % 2].copy()
    left, top = (int(dice.integers(20, side - 90)) for side in edited.size)
    edited.paste(edited.crop((left, top, left + 60, top + 40)).transpose(Image.Transpose.ROTATE_180).point(
        lambda level: 255 - level), (left, top))  # fmt: skip
    assert not relation_of(pictures[seed % 2], edited).is_unedited


def test_another_colour_of_a_small_thing_is_an_edit_and_compression_is_none() -> None:
    white, copies = outlined((245, 224, 220)), []
    for quality in (90, 75, 30):
        buffer = io.BytesIO()
        white.save(buffer, "JPEG", quality=quality)
        copies.append(buffer.getvalue())
    assert {relation_of(white, copy).kind for copy in copies} == {Kind.RE_ENCODED}
    golden = outlined((250, 220, 190))
    for side in (0, 1):
        relation = relation_of(*(white, golden)[:: 1 - 2 * side])
        assert relation.kind is Kind.EDITED and not relation.is_unedited


def outlined(colour: tuple[int, int, int]) -> Image.Image:
    sheet = Image.new("RGB", (480, 270), (24, 20, 35))
    draw = ImageDraw.Draw(sheet)
    for k, word in enumerate(("/l,", "(o. 7", "l  ~ V", "U_f_,)J", "nordic")):
        draw.text((190 + 3 * k, 60 + 30 * k), word, fill=colour, font=ImageFont.load_default(26))
    return sheet


def test_groups_get_relations(pictures: list[Image.Image], tmp_path: Path) -> None:
    names = ("a.png", "b.jpg", "c.png", "gone.png")
    files = tuple(tmp_path / name for name in names)
    pictures[0].save(files[0])
    pictures[0].save(files[1], quality=80)
    pictures[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(files[2])
    (group,) = with_relations([Group(files, 0.1)], workers=1)
    said = [None if relation is None else short(relation) for relation in group.relations]
    assert said == ["re-encoded", "edited: mirrored", None]
    assert group.relation_of(files[0]) is None and group.relation_of(files[1]) is group.relations[0]
    assert with_relations([]) == ()


def test_a_relation_rests_on_what_the_second_look_found(
    pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "a.png", tmp_path / "b.jpg"
    pictures[0].save(files[0])
    pictures[0].crop((40, 30, 360, 280)).save(files[1], quality=85)
    group = Group(files, 0.1)
    found: dict[tuple[int, int], Examination] = {}
    expected = with_relations([group], workers=1)[0].relations[0]
    i, j = np.array([0]), np.array([1])
    for rows in ((i, j), (j, i)):
        found.clear()
        outcomes = look_again(files, (*rows, np.array([0.3])), 1, examined=found.__setitem__)
        assert outcomes == (Outcome.CONFIRMED,) and list(found) == [(int(rows[0][0]), int(rows[1][0]))]
        known = {(files[a], files[b]): seen for (a, b), seen in found.items()}
        with monkeypatch.context() as patch:
            patch.setattr("twinpix.pipeline.relation.pairs.examine", None)
            got = with_relations([group], 1, known)[0].relations[0]
        assert got is not None and expected is not None
        assert (got.kind, got.original, got.edits.mirror) == (expected.kind, expected.original, expected.edits.mirror)
        assert got.edits.crop is not None and expected.edits.crop is not None
        assert got.edits.crop.overlap(expected.edits.crop) > 0.98


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"a\.png"):
        relation_of(tmp_path / "a.png", Image.new("RGB", (9, 9)))
    with pytest.raises(ImageError, match="no readable header"):
        facts_of(tmp_path / "a.png")
    assert not have_same_bytes(tmp_path / "a.png", tmp_path / "gone")


def test_looks_that_are_only_features_have_no_colours(pictures: list[Image.Image]) -> None:
    whole = look(pictures[0])
    assert whole.small_colours.shape[0] == whole.tones.shape[0] // 4
    assert features_only(whole).colours.size == 0


def test_words() -> None:
    edits = Edits(crop=Box(0, 0, 0.7, 0.7), zoom=1.43, brightness=18.2)
    one = sentence(Relation(Kind.EDITED, Side.QUERY, edits), "a.jpg", "b.jpg")
    assert one == "b.jpg is a.jpg, zoomed 1.43x into the upper left, brightened by 18 %"
    other = sentence(Relation(Kind.EDITED, Side.REFERENCE, Edits(rotation=-90)), "a", "b")
    assert other == "a is b, rotated 90° counter-clockwise"
    assert short(Relation(Kind.EDITED, Side.REFERENCE, Edits(mirror="left-right"))) == (
        "edited: the first is this one, mirrored"
    )
    assert "one picture" not in sentence(Relation(Kind.TOO_LITTLE), "a", "b"), "they may be duplicates, or not"
    for kind in Kind:
        assert "a" in sentence(Relation(kind), "a", "b") and short(Relation(kind)).startswith(str(kind))
    assert Relation(Kind.EDITED, edits=edits).to_dict()["edits"].keys() == {"crop", "zoom", "brightness"}
