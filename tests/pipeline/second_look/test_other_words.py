"""Words on pictures: a caption is something on a copy, and other words on both sides are another picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import twinpix
from twinpix.pipeline.relation.explain import OTHER_WORDS
from twinpix.pipeline.second_look import other_words
from twinpix.pipeline.second_look.align import Aligned, superpose
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.look_again import one_thread_each
from twinpix.pipeline.second_look.other_words import hold_other_words
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import examine

pytestmark = pytest.mark.usefixtures("one_thread")
PHOTOS = {"astronaut": data.astronaut, "coffee": data.coffee, "chelsea": data.chelsea, "rocket": data.rocket}


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """OpenCV's own threads cost more than they gain."""
    with one_thread_each():
        yield


def photo(name: str) -> Image.Image:
    picture = Image.fromarray(PHOTOS[name]())  # type: ignore[no-untyped-call]
    return picture.resize((900, round(900 * picture.height / picture.width)))


def captioned(picture: Image.Image, top: str, bottom: str, part: int = 10, fill: str = "white") -> Image.Image:
    made, size = picture.copy(), picture.height // part
    draw = ImageDraw.Draw(made)
    for text, share in ((top, 0.1), (bottom, 0.9)):
        where, font = (made.width / 2, made.height * share), ImageFont.load_default(size)
        draw.text(where, text, fill, font, "mm", stroke_width=max(2, size // 16), stroke_fill="black")
    return made


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def outcome(a: Image.Image, b: Image.Image) -> Outcome:
    return examine(look(jpeg(a)), look(jpeg(b, 80))).outcome


@pytest.mark.parametrize("name", PHOTOS)
def test_two_memes_on_one_photo_are_two_pictures(name: str) -> None:
    one = captioned(photo(name), "ONE DOES NOT SIMPLY", "DEPLOY ON FRIDAY")
    assert outcome(one, captioned(photo(name), "WHEN THE BUILD", "IS GREEN AGAIN")) is Outcome.REFUTED
    assert outcome(one, captioned(photo(name), "ONE DOES NOT SIMPLY", "SLEEP UNTIL NOON")) is Outcome.REFUTED


@pytest.mark.parametrize("fill", ["white", "yellow"])
def test_two_subtitles_are_two_pictures(fill: str) -> None:
    one = captioned(photo("coffee"), "", "I have never been here before", 16, fill)
    assert outcome(one, captioned(photo("coffee"), "", "Then who told them the way?", 16, fill)) is Outcome.REFUTED


@pytest.mark.parametrize("name", PHOTOS)
def test_a_caption_is_something_on_a_copy(name: str) -> None:
    plain, meme = photo(name), captioned(photo(name), "ONE DOES NOT SIMPLY", "DEPLOY ON FRIDAY")
    assert outcome(plain, meme) is Outcome.CONFIRMED
    assert outcome(plain.resize((450, plain.height // 2)), meme) is Outcome.CONFIRMED


@pytest.mark.parametrize("name", PHOTOS)
def test_the_same_words_stay_the_same(name: str) -> None:
    meme = captioned(photo(name), "ONE DOES NOT SIMPLY", "DEPLOY ON FRIDAY")
    small = meme.resize((meme.width * 5 // 9, meme.height * 5 // 9))
    cropped = meme.crop((meme.width // 20, 0, meme.width, meme.height))
    sticker = meme.copy()
    sticker.paste(photo("coffee").resize((140, 140)), (60, meme.height // 2 - 70))
    for copy in (small, cropped, sticker):
        assert outcome(meme, copy) is Outcome.CONFIRMED


def test_a_mark_in_a_corner_is_no_caption() -> None:
    marks = []
    for text in ("(c) A. Keller", "www.olsen.net"):
        marks.append(photo("rocket"))
        ImageDraw.Draw(marks[-1]).text((12, 10), text, "white", ImageFont.load_default(20))
    assert outcome(*marks) is Outcome.CONFIRMED


def test_no_model_is_asked_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (look(jpeg(photo("chelsea"), quality)) for quality in (95, 60))
    found = examine(one, other)
    assert found.finding is not None
    aligned = superpose(one, other, found.finding.alignment)
    monkeypatch.setattr(other_words, "shipped_words", lambda: pytest.fail("asked"))
    assert not hold_other_words(aligned)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, aligned.query.shape).astype(np.uint8)
    nowhere = replace(aligned, query=noise, inside=np.zeros_like(aligned.inside))
    assert not hold_other_words(nowhere)


def test_a_picture_smaller_than_a_cell_holds_no_words() -> None:
    tiny = np.zeros((5, 300, 3), np.uint8)
    assert not hold_other_words(Aligned(tiny, tiny, np.ones((5, 300), bool)))


def test_it_is_explained() -> None:
    one = captioned(photo("astronaut"), "ONE DOES NOT SIMPLY", "DEPLOY ON FRIDAY")
    other = captioned(photo("astronaut"), "WHEN THE BUILD", "IS GREEN AGAIN")
    why = twinpix.explain(jpeg(one), jpeg(other))
    assert not why.match.is_duplicate and str(why.relation.kind) == "different"
    assert any(OTHER_WORDS in reason for reason in why.reasons)
