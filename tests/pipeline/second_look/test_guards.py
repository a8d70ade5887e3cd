"""Kinds of pictures that lie near one another whatever they show: pages, screens, blank ones, animations."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps
from skimage import data

import twinpix
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.second_look import look as look_module
from twinpix.pipeline.second_look.delicate import glance_at, have_same_bytes, need_a_look
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.look_again import look_again, one_thread_each
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import Examination, examine, verify

pytestmark = pytest.mark.usefixtures("one_thread")
C, R, A = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.ANIMATED


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """OpenCV's own threads cost more than they gain."""
    with one_thread_each():
        yield


def page(total: str = "1408.20", name: str = "M. Keller", width: int = 827) -> Image.Image:
    sheet = Image.new("RGB", (width, round(width * 1.414)), "white")
    draw, unit = ImageDraw.Draw(sheet), width / 827
    draw.rectangle([50 * unit, 50 * unit, 110 * unit, 110 * unit], fill=(30, 60, 120))
    draw.text((130 * unit, 60 * unit), "Northwind & Sons", fill="black", font=ImageFont.load_default(34 * unit))
    for line in range(24):
        text = " ".join(("deliver", "amount", "of", "goods", "item", "paid")[(line * k) % 6] for k in range(3, 9))
        draw.text((50 * unit, (190 + 36 * line) * unit), text, fill="black", font=ImageFont.load_default(17 * unit))
        amount = total if line == 20 else f"{line * 37 % 90 + 10}.{line * 13 % 100:02d}"
        draw.text((650 * unit, (190 + 36 * line) * unit), amount, fill="black", font=ImageFont.load_default(17 * unit))
    draw.text((50 * unit, 145 * unit), name, fill="black", font=ImageFont.load_default(20 * unit))
    return sheet


def screen(selected: int = 2, caret: int = 3) -> Image.Image:
    window = Image.new("RGB", (1000, 640), (245, 245, 247))
    draw = ImageDraw.Draw(window)
    draw.rectangle([0, 0, 1000, 30], fill=(52, 58, 70))
    for row in range(14):
        draw.rectangle([0, 40 + 42 * row, 320, 80 + 42 * row], fill=(205, 225, 250) if row == selected else "white")
        draw.text((12, 50 + 42 * row), f"Message {row * 7919 % 1000} from Olsen", fill="black")
        draw.text((360, 60 + 40 * row), f"line {row} of the text that is open, {row * 613 % 97} words", fill="black")
    draw.rectangle([360 + 18 * caret, 100, 361 + 18 * caret, 116], fill="black")
    return window


def as_jpeg(picture: Image.Image, quality: int = 85) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(picture: Image.Image, factor: float) -> Image.Image:
    return picture.resize([round(side * factor) for side in picture.size], Image.Resampling.LANCZOS)


@pytest.mark.parametrize("drawn", [page(), screen()], ids=["page", "screen"])
@pytest.mark.parametrize(
    "edit",
    [
        as_jpeg,
        lambda p: as_jpeg(p, 50),
        lambda p: resized(p, 0.4),
        lambda p: as_jpeg(resized(p, 0.5)),
        lambda p: as_jpeg(resized(p, 0.8)),
        lambda p: p.crop((8, 8, p.width - 8, p.height - 8)),
        lambda p: ImageEnhance.Brightness(p).enhance(0.85),
    ],
    ids=["jpeg", "strong jpeg", "small", "half", "smaller jpeg", "margin", "darker"],
)
def test_a_copy_of_a_page_is_one(drawn: Image.Image, edit: object) -> None:
    copy = edit(drawn)  # type: ignore[operator]
    assert verify(look(drawn), look(copy)) is C
    assert verify(look(copy), look(drawn)) is C


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (page(), page(total="1403.20")),
        (page(), page(total="1406.20")),
        (page(), as_jpeg(page(total="1406.20"))),
        (page(width=700), page(total="1608.20", width=700)),
        (page(total="1508.20", width=700), page(total="1608.20", width=700)),
        (page(), page(name="M. Kessler")),
        (page(), as_jpeg(resized(page(total="9214.75"), 0.8))),
        (page(), as_jpeg(page(total="2408.20"), 60)),
        (page(), resized(page(total="1493.20"), 0.4)),
        (page(), resized(page(total="1468.20"), 0.5)),
        (screen(), screen(selected=3)),
        (screen(), resized(screen(caret=20), 0.7)),
    ],
    ids=[
        "a digit",
        "an 8 and a 6",
        "an 8 and a 6, jpeg",
        "a 4 and a 6, small",
        "a 5 and a 6, small",
        "a name",
        "a number, smaller",
        "a digit, jpeg",
        "digits, tiny",
        "a digit, half",
        "another row",
        "the caret, smaller",
    ],
)
def test_another_page_is_none(one: Image.Image, other: Image.Image) -> None:
    assert verify(look(one), look(other)) is R
    assert verify(look(other), look(one)) is R


SHOP = ("Northwind & Sons Ltd", "12 Harbour Lane, 47500 Subang", "Tel 03-5542 3228", "TAX INVOICE", "")
THANKS = ("", "Goods sold are not returnable", "Thank you, please come again", "www.northwind.example", "CUSTOMER COPY")
GOODS = ("bread", "milk", "oranges", "rice", "coffee beans", "soap", "eggs", "flour", "noodles", "tea")


def receipt(seed: int, width: int) -> Image.Image:
    sheet, dice = Image.new("RGB", (384, 560), "white"), np.random.default_rng(seed)
    sold = [
        f"{name:16}{dice.integers(1, 9)} x {dice.integers(100, 999) / 100:6.2f}{dice.integers(100, 9999) / 100:8.2f}"
        for name in dice.permutation(GOODS)[:7].tolist()
    ]
    for line, text in enumerate((*SHOP, *sold, "", f"TOTAL  {dice.integers(1000, 9999) / 100:.2f}", *THANKS)):
        draw = ImageDraw.Draw(sheet)
        draw.text((40, 14 + 28 * line), text, fill="black", font=ImageFont.load_default(19))
    return resized(sheet, width / 384)


@pytest.mark.parametrize("width", [128, 192, 240])
def test_receipts_of_one_shop_are_told_apart_though_nobody_can_read_them(width: int) -> None:
    looks = [look(receipt(seed, width)) for seed in range(4)]
    assert all(one.is_written for one in looks)
    assert {examine(a, b) for a, b in permutations(looks, 2)} == {Examination(R)}, "other pictures, not another shot"


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: as_jpeg(p, 40),
        lambda p: p.crop((6, 6, p.width - 6, p.height - 6)),
        lambda p: p.crop((20, 60, 170, 220)),
        lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda p: p.rotate(3, Image.Resampling.BICUBIC, fillcolor="white"),
        lambda p: resized(p, 0.6),
        lambda p: resized(p, 1.3),
        lambda p: resized(p, 2),
        lambda p: ImageEnhance.Brightness(p).enhance(0.8),
    ],
    ids=["jpeg", "margin", "part", "mirrored", "askew", "smaller", "larger", "legible", "darker"],
)
def test_a_copy_of_a_small_receipt_is_one(edit: object) -> None:
    small = receipt(0, 192)
    copy = edit(small)  # type: ignore[operator]
    assert verify(look(small), look(copy)) is C
    assert verify(look(copy), look(small)) is C


def test_a_thumbnail_is_of_its_own_page() -> None:
    whole, thumb = page(width=1240), look(resized(page(width=1240), 192 / 1240))
    other = page(name="Jo Bloggs", width=1240)
    assert verify(look(whole), thumb) is C and verify(thumb, look(whole)) is C
    assert verify(look(whole), look(as_jpeg(resized(whole, 192 / 1240), 75))) is C
    assert verify(look(other), thumb) is R and verify(thumb, look(other)) is R
    assert verify(look(receipt(0, 250)), look(receipt(1, 260))) is R


def test_a_thing_on_white_is_not_written() -> None:
    picture = Image.new("RGB", (200, 240), "white")
    ImageDraw.Draw(picture).ellipse((60, 40, 150, 200), fill=(120, 60, 30))
    ImageDraw.Draw(picture).text((5, 220), "Fig. 7", fill="black")
    seen = look(picture)
    assert seen.is_on_ground and not seen.is_written


def gradient(start: int, end: int, across: bool = True) -> Image.Image:
    ramp = np.linspace(start, end, 400).round().astype(np.uint8)
    plane = np.tile(ramp, (400, 1))
    return Image.fromarray(plane if across else plane.T).convert("RGB")


def grainy(seed: int, level: int = 236) -> Image.Image:
    noise = np.random.default_rng(seed).normal(level, 6, (300, 400))
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Image.new("RGB", (400, 300), (90, 120, 200)), Image.new("RGB", (400, 300), (96, 120, 200))),
        (Image.new("RGB", (400, 300), (200, 90, 120)), Image.new("RGB", (400, 300), (120, 90, 200))),
        (gradient(0, 200), gradient(20, 200)),
        (gradient(0, 200), gradient(0, 200, across=False)),
        (grainy(1), grainy(2)),
        (Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "orange")),
    ],
    ids=["colour", "swapped colours", "gradient", "direction", "grain", "tiny"],
)
def test_plain_pictures_are_different_unless_their_pixels_agree(one: Image.Image, other: Image.Image) -> None:
    assert verify(look(one), look(other)) is R


@pytest.mark.parametrize(
    "picture",
    [Image.new("RGB", (400, 300), "teal"), gradient(0, 200), grainy(1)],
    ids=["flat", "ramp", "grain"],
)
def test_a_copy_of_a_plain_picture_is_one(picture: Image.Image) -> None:
    for copy in (as_jpeg(picture), resized(picture, 0.5), as_jpeg(resized(picture, 0.7))):
        assert verify(look(picture), look(copy)) is C


def clip(path: Path, step: int, size: int = 160, first: int = 0) -> Path:
    frames = []
    for k in range(first, 10):
        frame = Image.fromarray(np.random.default_rng(3).integers(0, 255, (16, 16, 3), np.uint8))
        frame = frame.resize((size, size), Image.Resampling.NEAREST)
        where = size * (20 + step * k) / 160
        ImageDraw.Draw(frame).ellipse([where, 60 * size / 160, where + size / 4, size * 0.6], fill="yellow")
        frames.append(frame)
    if first == 9:
        frames[0].save(path)
    else:
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=80)
    return path


@pytest.mark.parametrize("shade", [0.15, 0.45])
def test_pages_in_shade_are_read_like_others(shade: float) -> None:
    """The shadow of a scanner, a photo of a page: the ground is no one tone."""
    one, other = (in_shade(form(seed), shade) for seed in (1, 2))
    assert look(one).is_lit_unevenly and look(one).is_written
    assert verify(look(one), look(other)) is verify(look(other), look(one)) is R
    for copy in (one.resize((500, 700)), reencoded(one, 60)):
        assert verify(look(one), look(copy)) is C


def form(seed: int) -> Image.Image:
    """A page on which all but the first three fields are those of any other one."""
    words = ["account", "amount", "annual", "balance", "basis", "board", "budget", "capital"]
    page, common, own = Image.new("RGB", (1000, 1400), "white"), np.random.default_rng(0), np.random.default_rng(seed)
    draw = ImageDraw.Draw(page)
    for row in range(16):
        top = 140 + 74 * row
        draw.text((60, top), " ".join(common.choice(words, 2)), fill="black", font_size=26)
        draw.rectangle([420, top - 8, 940, top + 44], outline="black", width=2)
        same, others = (" ".join(dice.choice(words, 3)) for dice in (common, own))
        draw.text((435, top), others if row < 3 else same, fill=(20, 20, 120), font_size=28)
    return page


def in_shade(page: Image.Image, shade: float) -> Image.Image:
    y, x = np.mgrid[0 : page.height, 0 : page.width]
    light = 1 - shade * np.hypot(x / page.width - 0.2, y / page.height - 0.1)
    return Image.fromarray((np.asarray(page) * light[..., None]).clip(0, 255).astype(np.uint8))


def reencoded(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_a_photo_is_no_page_in_shade() -> None:
    for name in ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry", "retina"):
        assert not look(Image.fromarray(getattr(data, name)())).is_lit_unevenly


def test_animations_are_the_same_only_if_all_of_their_frames_are(tmp_path: Path) -> None:
    one = look(clip(tmp_path / "one.gif", 8))
    assert verify(one, look(clip(tmp_path / "copy.webp", 8, 110))) in (C, Outcome.LIKELY)
    assert verify(one, look(clip(tmp_path / "other.png", 2))) is R, "only the first frames are equal"


def test_part_of_an_animation_is_the_same_in_either_order(tmp_path: Path) -> None:
    def moving(step: int, box: tuple[int, int, int, int]) -> list[Image.Image]:
        scene = Image.fromarray(data.astronaut()).resize((320, 240))  # type: ignore[no-untyped-call]
        frames = []
        for k in range(12):
            frame = scene.copy()
            ImageDraw.Draw(frame).ellipse([30 + step * k, 100, 80 + step * k, 150], fill="yellow", outline="black")
            frames.append(frame.crop(box))
        return frames

    whole, part = (0, 0, 320, 240), (20, 15, 300, 225)
    for name, frames in (("a", moving(15, whole)), ("b", moving(15, part)), ("c", moving(-2, part))):
        frames[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=frames[1:], duration=100)
    a, b, c = (look(tmp_path / f"{name}.gif") for name in "abc")
    assert verify(a, b) is verify(b, a) is C
    assert verify(a, c) is verify(c, a) is R


def test_an_animation_that_takes_too_long_settles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(source: object) -> None:
        raise ImageError("timed_out", f"{source}: takes longer than 8 seconds to decode")

    path, still = clip(tmp_path / "one.gif", 8), clip(tmp_path / "still.png", 8, first=9)
    monkeypatch.setattr(look_module, "read_film", read)
    assert verify(look(path), look(path)) is Outcome.UNCLEAR
    assert glance_at(path).is_delicate and glance_at(still).is_delicate


def test_an_animation_is_no_still_picture_unless_wanted(tmp_path: Path) -> None:
    moving, still = clip(tmp_path / "moving.gif", 8), tmp_path / "still.png"
    with Image.open(moving) as image:
        image.convert("RGB").save(still)
    match = twinpix.compare(moving, still)
    assert not match.is_duplicate and match.second_look is A
    assert twinpix.compare(moving, still, animated_with_stills=True).is_duplicate
    assert not twinpix.find_duplicates(tmp_path).matches
    assert len(twinpix.find_duplicates(tmp_path, animated_with_stills=True).matches) == 1


def test_either_of_two_may_be_the_animated_one(tmp_path: Path, paint: Callable[..., Image.Image]) -> None:
    frames = [paint(seed, 200, 150, cells=20) for seed in range(3)]
    for still, moving in (("a", "b"), ("d", "c")):  # whichever comes first by name
        frames[0].save(tmp_path / f"{still}.gif")
        frames[0].save(tmp_path / f"{moving}.gif", save_all=True, append_images=frames[1:])
    report = twinpix.find_duplicates(tmp_path)
    assert [[path.name for path in group.files] for group in report.groups] == [["a.gif", "d.gif"], ["b.gif", "c.gif"]]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_files_of_several_pages_are_the_same_only_if_all_of_their_pages_are(
    tmp_path: Path, paint: Callable[..., Image.Image], compression: str
) -> None:
    pages = [paint(seed, 200, 150, cells=20) for seed in range(5)]
    whole, other, copy, first = (tmp_path / f"{name}.tif" for name in ("whole", "other", "copy", "first"))
    pages[0].save(whole, save_all=True, append_images=pages[1:3])
    pages[0].save(other, save_all=True, append_images=pages[3:])
    pages[0].save(copy, save_all=True, append_images=pages[1:3], compression=compression)
    pages[0].save(first)
    report = twinpix.find_duplicates(tmp_path)
    assert [{path.name for path in group.files} for group in report.groups] == [{"whole.tif", "copy.tif"}]
    assert twinpix.compare(first, whole).second_look is A
    told = twinpix.explain(whole, first)
    assert told.sentence.startswith("first.tif is whole.tif, a single frame or page of it")
    assert not told.match.is_duplicate


@pytest.mark.parametrize("border", range(48, 64, 3))
def test_a_border_of_any_width_does_not_show_in_dark_tiles_beside_it(
    paint: Callable[..., Image.Image], border: int
) -> None:
    dark = Image.new("RGB", (600, 440), (12, 12, 14))
    dark.paste(paint(4, 360, 260, cells=40), (120, 90))
    assert verify(look(dark), look(ImageOps.expand(dark, border, "white"))) is C


def test_accepting_animated_with_stills_has_the_limit_of_unsettled_pairs() -> None:
    strict, wide = Limits(0.4, 0.2, 0.04), Limits(0.4, 0.2, 0.04, animated_with_stills=True)
    assert [strict.accept(d, A) for d in (0.0, 0.1, 0.3)] == [False] * 3
    assert [wide.accept(d, A) for d in (0.0, 0.1, 0.3)] == [True, True, False]


def test_the_surest_pairs_are_looked_at_where_their_kind_calls_for_it(tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)).resize((400, 320))
    pictures = [page(), page(total="1403.20"), as_jpeg(page()), photo, as_jpeg(photo), page()]
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    rows = [(0, 1), (0, 2), (0, 5), (3, 4)]
    pairs = np.array([i for i, _ in rows]), np.array([j for _, j in rows]), np.full(4, 0.01, np.float32)
    assert look_again(paths, pairs, sure=0.04) == (R, C, None, None)
    assert look_again(paths, pairs, sure=0.001)[3] is C
    assert [glance_at(path).is_delicate for path in (paths[0], paths[3])] == [True, False]
    assert have_same_bytes(paths[0], paths[5]) and not have_same_bytes(paths[0], tmp_path / "gone.png")


def test_two_pages_of_one_template_are_no_duplicates(tmp_path: Path) -> None:
    for name, total in (("a", "1408.20"), ("b", "1403.20"), ("c", "7713.05")):
        page(total).save(tmp_path / f"{name}.png")
    as_jpeg(page()).save(tmp_path / "copy.jpg")
    matches = twinpix.find_duplicates(tmp_path).matches
    assert [{Path(m.query).name, Path(m.reference).name} for m in matches] == [{"a.png", "copy.jpg"}]
    match = twinpix.compare(tmp_path / "a.png", tmp_path / "b.png")
    assert not match.is_duplicate and match.second_look is R


def test_a_word_on_a_photo_is_a_reason_to_look(tmp_path: Path) -> None:
    one, other, copy = tmp_path / "one.png", tmp_path / "other.png", tmp_path / "copy.jpg"
    for path, word in ((one, "never"), (other, "always")):
        meme = Image.fromarray(data.chelsea()).convert("RGB")  # type: ignore[no-untyped-call]
        ImageDraw.Draw(meme).text((20, 250), f"I {word} sleep", fill="white", font=ImageFont.load_default(34))
        meme.save(path)
    Image.open(one).save(copy, quality=80)
    assert need_a_look(glance_at(one), glance_at(other))
    assert not need_a_look(glance_at(one), glance_at(copy))


def numbered(number: int) -> Image.Image:
    sheet = Image.new("RGB", (1240, 1754), "white")
    draw = ImageDraw.Draw(sheet)
    for line in range(50):
        text = " ".join(f"word{(line * 7 + k) * 7919 % 1000}" for k in range(9))
        draw.text((100, 120 + 30 * line), text, fill="black", font=ImageFont.load_default(22))
    draw.text((610, 1690), str(number), fill="black", font=ImageFont.load_default(20))
    return sheet


def test_a_page_number_is_enough(tmp_path: Path) -> None:
    assert verify(look(numbered(8)), look(numbered(9))) is R
    assert verify(look(numbered(8)), look(as_jpeg(numbered(8), 60))) is C


def test_a_last_frame_is_enough(tmp_path: Path) -> None:
    frames = [screen(selected=k % 14).resize((400, 256)) for k in range(20)]
    for name, last in (("a", frames[-1]), ("b", Image.new("RGB", (400, 256), "black"))):
        frames[0].save(tmp_path / f"{name}.webp", save_all=True, append_images=[*frames[1:-1], last], lossless=True)
    assert verify(look(tmp_path / "a.webp"), look(tmp_path / "b.webp")) is R
    (tmp_path / "c.webp").write_bytes((tmp_path / "a.webp").read_bytes())
    assert verify(look(tmp_path / "a.webp"), look(tmp_path / "c.webp")) is C


def bottle(
    cap: str = "#283c50", body: str = "#3c783c", label: str = "#dcc896", name: str = "Adler", ground: str = "white"
) -> Image.Image:
    sheet = Image.new("RGB", (640, 640), ground)
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle([280, 60, 360, 130], 8, fill=cap)
    draw.polygon([(288, 130), (352, 130), (420, 240), (220, 240)], fill=body)
    draw.rounded_rectangle([220, 230, 420, 600], 20, fill=body)
    draw.rectangle([220, 320, 420, 500], fill=label)
    draw.text((240, 340), name, fill="black", font=ImageFont.load_default(44))
    for at in range(6):
        draw.ellipse([245 + 26 * at, 430, 263 + 26 * at, 448], fill="#b02020")
    grain = np.random.default_rng(1).normal(0, 1.5, (640, 640, 3))
    return Image.fromarray((np.asarray(sheet) + grain).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("ground", ["white", "#cdc8c4"])
def test_a_thing_on_an_even_ground_may_be_brightened(ground: str) -> None:
    plain = bottle(ground=ground)
    copies = [ImageEnhance.Brightness(plain).enhance(1.2), ImageEnhance.Contrast(plain).enhance(1.4), turned(plain, 18)]
    copies += [ImageEnhance.Color(plain).enhance(1.6), plain.convert("L"), ImageOps.mirror(plain)]
    assert [of(plain, copy) for copy in copies] == [C] * len(copies)
    for other in (bottle(name="Castro", ground=ground), bottle(label="#96c8e6", ground=ground)):
        assert of(plain, ImageEnhance.Brightness(other).enhance(1.2)) is R


@pytest.mark.parametrize(
    "part",
    [
        {"body": "#963232"},
        {"body": "#324696"},
        {"cap": "#961e1e"},
        {"label": "#96c8e6"},
        {"cap": "#1e1e22", "body": "#1e1e22", "label": "#f0f0f0"},
    ],
)
def test_the_same_thing_in_another_colour_is_another_thing(part: dict[str, str]) -> None:
    assert of(bottle(), bottle(**part)) is R
    assert of(bottle(ground="#cdc8c4"), bottle(**part, ground="#cdc8c4")) is R


def test_hues_turned_far_are_another_thing_on_an_even_ground_only() -> None:
    assert of(bottle(), turned(bottle(), 120)) is R
    photo = Image.fromarray(data.coffee())  # type: ignore[no-untyped-call]
    assert of(photo, turned(photo, 120)) is C


def dots(ground: str) -> Image.Image:
    sheet = Image.new("RGB", (600, 600), ground)
    for number in range(144):
        left, top = 50 * (number % 12) + 4 * (number % 7), 50 * (number // 12) + 3 * (number % 5)
        ImageDraw.Draw(sheet).ellipse([left, top, left + 22 + number % 9, top + 22 + number % 9], fill=(40, 60, 190))
    return sheet


def test_the_same_things_on_a_ground_of_another_colour_are_others() -> None:
    lit = Image.fromarray((np.asarray(dots("#fff8e0")) * [1.0, 0.95, 0.7]).clip(0, 255).astype(np.uint8))
    assert of(dots("#fff8e0"), dots("#a0d8a0")) is R
    assert of(dots("#fff8e0"), lit) is C


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    hsv = np.asarray(picture.convert("HSV")).copy()
    hsv[..., 0] += np.uint8(round(degrees / 360 * 256))
    return Image.fromarray(hsv, "HSV").convert("RGB")


def of(query: Image.Image, reference: Image.Image) -> Outcome:
    looks = []
    for picture in (query, reference):
        file = io.BytesIO()
        picture.convert("RGB").save(file, "JPEG", quality=90)
        looks.append(look(file.getvalue()))
    outcome = verify(looks[0], looks[1])
    assert verify(looks[1], looks[0]) is outcome
    return outcome


def calendar(month: int = 3) -> Image.Image:
    sheet = Image.new("RGB", (900, 640), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((40, 20), f"Month {month}", fill="#203060", font=ImageFont.load_default(48))
    for day in range(31):
        x, y = 40 + 118 * ((day + month) % 7), 110 + 84 * ((day + month) // 7)
        draw.rectangle([x, y, x + 108, y + 76], outline="#a0a0a0", width=2)
        draw.text((x + 8, y + 6), str(day + 1), fill="black", font=ImageFont.load_default(28))
    return sheet


def test_parts_of_what_repeats_itself_are_found() -> None:
    page = calendar()
    assert of(page, page.crop((45, 32, 855, 608))) is C
    assert of(page, calendar(5)) is R and of(page, calendar(5).crop((45, 32, 855, 608))) is R


def test_pages_that_are_symmetrical_but_for_what_they_say_may_be_mirrored() -> None:
    page = calendar()
    square = page.crop((0, 0, 640, 640))
    turns = [ImageOps.mirror(page), ImageOps.flip(page), page.rotate(180)]
    assert [of(page, turn) for turn in turns] == [C] * 3
    assert of(square, square.rotate(90)) is C
    assert of(page, ImageOps.mirror(calendar(5))) is R
