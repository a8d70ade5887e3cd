"""Parts of pictures, half of them with words on them, and where those are: what the word model learns from.

The letters come from OpenCV's fonts (its Hershey strokes, and from version 5 outlines with Chinese), from Pillow's, and
from those that matplotlib brings; the words are random, so that nothing but their looks can be learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from twinpix.encoder.words import CELL
from twinpix.train.data import Pictures
from twinpix.train.rendered import Picture, Random, gradient_field, landscape, leaves, paint, shape, shapes, texture

PX = 128
UNKNOWN = 255
SMALLEST, LARGEST = 9, 62  # px; height of a line
LATIN, CYRILLIC = "etaoinshrdlucmfwypvbgkjqxz", "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэф"
DIGITS = "0123456789.,:-!?/()$%&"
CHINESE = [chr(code) for code in (*range(0x4E00, 0x9000), *range(0x3041, 0x30FF))]
WORDS, THINGS, DRAWN = 0.55, 0.3, 0.2  # shares: of crops with words, with other things on them, drawn

Luma = NDArray[np.uint8]  # (h, w)
Layer = NDArray[np.uint8]  # (PX, PX), 0..255


class Written(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless crops: luma, uint8 (128, 128), and labels, uint8 (16, 16): 1 words, 0 none, 255 nobody knows."""

    def __init__(self, pictures: Pictures, seed: int) -> None:
        self.pictures, self.seed = pictures, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        cv2.setNumThreads(0)  # the workers are the parallelism
        worker = get_worker_info()
        dice = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            luma, labels = draw_crop(dice, self.pictures)
            yield torch.from_numpy(luma), torch.from_numpy(labels)


def draw_crop(dice: Random, pictures: Pictures) -> tuple[Luma, Luma]:
    """One crop, uint8 (128, 128), and its labels, uint8 (16, 16)."""
    crop, zone, near = _ground(dice, pictures), np.zeros((PX, PX), np.uint8), np.zeros((PX, PX), np.uint8)
    if dice.random() < THINGS:
        _put_things(dice, crop, pictures)
    while dice.random() < WORDS:
        layer, size = _text(dice)
        crop = _write(dice, crop, layer, size)
        one, around = _zone(layer, size)
        zone, near = np.maximum(zone, one), np.maximum(near, around)
        if dice.random() < 0.9:
            break
    share, reach = _cells(zone), _cells(near)
    labels = np.where(share > 0.5, 1, np.where(reach < 0.05, 0, UNKNOWN)).astype(np.uint8)
    return _worn(dice, crop), labels


# What lies below


def _ground(dice: Random, pictures: Pictures) -> Picture:
    if dice.random() < DRAWN:
        kind = (texture, leaves, shapes, landscape, _gradient)[dice.integers(5)]
        return kind(dice, PX)
    picture = _one_of(dice, pictures)
    side = round(max(PX, len(picture) * (dice.uniform(0.75, 1) if dice.random() < 0.5 else dice.uniform(1, 1.6))))
    picture = _resized(picture, side, round(max(PX, side * dice.uniform(0.7, 1.4))))
    top, left = (int(dice.integers(0, length - PX + 1)) for length in picture.shape[:2])
    crop = picture[top : top + PX, left : left + PX]
    return np.ascontiguousarray(crop[:, ::-1] if dice.random() < 0.5 else crop)


def _gradient(dice: Random, px: int) -> Picture:
    return paint(dice, gradient_field(dice, px))


def _one_of(dice: Random, pictures: Pictures) -> Picture:
    return np.ascontiguousarray(pictures.pixels[int(dice.integers(len(pictures)))].permute(1, 2, 0).numpy())


def _resized(picture: Picture, high: int, wide: int) -> Picture:
    way = cv2.INTER_AREA if high < len(picture) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (wide, high), interpolation=way), np.uint8)


def _put_things(dice: Random, crop: Picture, pictures: Pictures) -> None:
    # stickers, shapes, lines: what lies on pictures, and is no word
    for _ in range(int(dice.integers(1, 5))):
        choice, (left, top, right, bottom) = dice.random(), dice.integers(0, PX, 4).tolist()
        one, other = (left, top), (right, bottom)
        if choice < 0.4:
            _put_sticker(dice, crop, _one_of(dice, pictures))
        elif choice < 0.6:
            cv2.line(crop, one, other, _ink(dice), int(dice.integers(1, 9)), cv2.LINE_AA)
        elif choice < 0.7:
            cv2.arrowedLine(crop, one, other, _ink(dice), int(dice.integers(2, 7)), cv2.LINE_AA)
        elif choice < 0.8:
            cv2.circle(crop, one, int(dice.integers(4, 40)), _ink(dice), int(dice.choice([-1, 2, 4])), cv2.LINE_AA)
        elif choice < 0.9:
            cv2.rectangle(crop, one, other, _ink(dice), int(dice.choice([-1, 1, 2, 4])))
        else:
            shape(dice, crop, None)


def _put_sticker(dice: Random, crop: Picture, picture: Picture) -> None:
    side = int(dice.integers(16, 90))
    top, left = (int(at) for at in dice.integers(0, PX - side, 2))
    mask = np.full((side, side), 255, np.uint8)
    if dice.random() < 0.6:
        mask = cv2.circle(np.zeros_like(mask), (side // 2, side // 2), side // 2 - 1, 255, -1)  # type: ignore[assignment]
    cv2.copyTo(_resized(picture, side, side), mask, crop[top : top + side, left : left + side])


# Words


def _text(dice: Random) -> tuple[Layer, int]:
    # a line of words or a few, uint8 (128, 128), and how high a line is, px
    size = round(np.exp(dice.uniform(np.log(SMALLEST), np.log(LARGEST))))
    lines = 1 if size > 40 or dice.random() < 0.55 else int(dice.integers(2, 6))
    top = int(dice.integers(-size // 3, PX - size // 2) if lines == 1 else dice.integers(-size, PX // 2))
    left, layer = int(dice.integers(-PX // 2, PX * 2 // 3)), np.zeros((PX, PX), np.uint8)
    for _ in range(lines):
        line = _line(dice, size)
        shift = int(dice.integers(-10, 11))
        # of a short line that would lie beyond the left edge nothing were to be seen
        _put_line(layer, line, top, max(left + shift, 20 - line.shape[1]))
        top += round(size * dice.uniform(1.15, 1.6))
    return (_turned(dice, layer) if dice.random() < 0.3 else layer), size


def _put_line(layer: Layer, line: Luma, top: int, left: int) -> None:
    rows, columns = (slice(max(0, at), max(0, at + length)) for at, length in zip((top, left), line.shape, strict=True))
    there = layer[rows, columns]
    down, across = max(0, -top), max(0, -left)
    np.maximum(there, line[down : down + there.shape[0], across : across + there.shape[1]], out=there)


def _turned(dice: Random, layer: Layer) -> Layer:
    turn = dice.uniform(-12, 12) if dice.random() < 0.7 else dice.uniform(-90, 90)
    matrix = cv2.getRotationMatrix2D((PX / 2, PX / 2), turn, 1)
    matrix[0, 1] += dice.uniform(-0.2, 0.2)  # slanted
    return np.asarray(cv2.warpAffine(layer, matrix, (PX, PX)), np.uint8)


def _line(dice: Random, size: int) -> Luma:
    # what a line of words covers, cut to it
    while True:
        words, writers = _words(dice)
        drawn = writers[dice.integers(len(writers))](dice, words, size)
        if dice.random() < 0.35:  # narrow, or wide
            drawn = _resized(drawn, len(drawn), max(1, round(drawn.shape[1] * dice.uniform(0.55, 1.3))))
        rows, columns = np.nonzero(drawn > 40)
        if len(rows):
            return drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


Writer = Callable[[Random, str, int], Luma]


def _words(dice: Random) -> tuple[str, list[Writer]]:
    # a few words, and who can write them
    choice = dice.random()
    if choice < 0.15 and _outlines():
        return "".join(dice.choice(CHINESE, int(dice.integers(2, 17)))), [_by_opencv]
    letters = list(CYRILLIC if choice < 0.22 else DIGITS if choice < 0.3 else LATIN)
    text = " ".join("".join(dice.choice(letters, int(dice.integers(1, 10)))) for _ in range(int(dice.integers(1, 7))))
    case = (str.upper, str.upper, str.lower, str.title)[dice.integers(4)]
    if letters[0] in CYRILLIC:
        return case(text), [_by_opencv] if _outlines() else [_by_truetype] if _files() else [_by_pillow]
    writers = [_by_opencv, _by_opencv] if _outlines() else []
    return case(text), [*writers, _by_strokes, _by_pillow, *([_by_truetype] * 3 if _files() else [])]


def _canvas(text: str, size: int) -> Luma:
    return np.zeros((round(size * 2.2) + 20, round(size * 1.3 * len(text)) + 40), np.uint8)


def _by_opencv(dice: Random, text: str, size: int) -> Luma:
    canvas = cv2.merge([_canvas(text, size)] * 3)
    face, weight = _outlines()[dice.integers(3)], int(dice.choice([0, 300, 400, 600, 800, 900]))
    cv2.putText(canvas, text, (10, round(size * 1.5) + 10), (255, 255, 255), face, size, weight=weight)
    return np.ascontiguousarray(canvas[..., 0])


def _by_strokes(dice: Random, text: str, size: int) -> Luma:
    canvas, face = _canvas(text, size), int(dice.integers(8)) | int(dice.choice([0, 0, 0, 16]))  # 16: slanted
    wide = max(1, round(size / dice.uniform(7, 22)))
    cv2.putText(canvas, text, (10, round(size * 1.5) + 10), face, size / 23, 255, wide, cv2.LINE_AA)
    return canvas


def _by_pillow(dice: Random, text: str, size: int) -> Luma:
    return _printed(dice, text, size, ImageFont.load_default(size))


def _by_truetype(dice: Random, text: str, size: int) -> Luma:
    files = _files()
    return _printed(dice, text, size, ImageFont.truetype(files[dice.integers(len(files))], size))


def _printed(dice: Random, text: str, size: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Luma:
    page = Image.fromarray(_canvas(text, size))
    bold = int(dice.choice([0, 0, 0, 1, 1, 2])) if size > 16 else 0
    ImageDraw.Draw(page).text((10, 5), text, 255, font=font, stroke_width=bold)
    return np.asarray(page)


@cache
def _outlines() -> list[cv2.FontFace]:
    # OpenCV has them from version 5 on
    return [cv2.FontFace(name) for name in ("sans", "italic", "uni")] if hasattr(cv2, "FontFace") else []


@cache
def _files() -> list[str]:
    # of matplotlib, where it is installed: sans, serif, monospaced
    try:
        import matplotlib
    except ImportError:
        return []
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = ("DejaVuSans*", "DejaVuSerif*", "STIXGeneral*", "cmb10*", "cmr10*", "cmss10*", "cmtt10*")
    return sorted(str(path) for name in names for path in folder.glob(name) if "Display" not in path.name)


def _ink(dice: Random) -> tuple[int, int, int]:
    # mostly white, often black or yellow, else any colour
    choice, any_one = dice.random(), [int(level) for level in dice.integers(0, 256, 3)]
    if choice < 0.5:
        return (255, 255, 255) if choice < 0.4 else (0, 0, 0)
    return (255, 200 + any_one[1] // 5, any_one[2] // 2) if choice < 0.62 else (any_one[0], any_one[1], any_one[2])


def _write(dice: Random, crop: Picture, layer: Layer, size: int) -> Picture:
    # the words on the crop, in some ink: as they are, in a box, with an outline, or with a shadow
    ink, out, choice = np.array(_ink(dice), np.float32), crop.astype(np.float32), dice.random()
    behind = np.float32(255 if ink.mean() < 128 else 0)
    if choice < 0.25:
        out = _laid(out, _box(dice, layer, size), 255 - ink if dice.random() < 0.5 else behind)
    elif choice < 0.65:
        reach = 2 * max(1, round(size / dice.uniform(8, 22))) + 1
        out = _laid(out, cv2.dilate(layer, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))), behind)
    elif choice < 0.8:
        shift = max(1, size // 14)
        shadow = cv2.GaussianBlur(np.roll(layer, (shift, shift), (0, 1)), (0, 0), max(0.5, shift / 1.5))
        out = _laid(out, shadow * dice.uniform(0.5, 1), behind)
    below = out[layer > 128].mean() if (layer > 128).any() else 0.0
    if abs(below - ink.mean()) < 45:  # nobody could read it
        ink[:] = 255 if below < 128 else 0
    return _laid(out, layer * (dice.uniform(0.75, 1) if dice.random() < 0.3 else 1.0), ink).astype(np.uint8)


def _laid(
    below: NDArray[np.float32], layer: NDArray[np.number], ink: NDArray[np.float32] | np.float32
) -> NDArray[np.float32]:
    share = layer[..., None].astype(np.float32) / 255
    return np.asarray(below * (1 - share) + ink * share, np.float32)


def _box(dice: Random, layer: Layer, size: int) -> NDArray[np.float32]:
    rows, columns = np.nonzero(layer > 60)
    box, beside = np.zeros((PX, PX), np.float32), int(dice.integers(1, max(3, size // 2)))
    if len(rows):
        end = PX if dice.random() < 0.5 else columns.max() + beside
        box[max(0, rows.min() - beside) : rows.max() + beside, max(0, columns.min() - beside) : end] = 1
    return box * np.float32(dice.uniform(128, 255))


def _zone(layer: Layer, size: int) -> tuple[Layer, Layer]:
    # where words are, the gaps between letters included; and a little around that
    reach = max(3, round(size * 0.28)) | 1
    wide = max(reach, round(size * 0.6) | 1)
    zone = cv2.morphologyEx((layer > 90).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((reach, wide), np.uint8))
    return np.asarray(zone, np.uint8), np.asarray(cv2.dilate(zone, np.ones((reach, reach), np.uint8)), np.uint8)


def _cells(layer: Layer) -> NDArray[np.float32]:
    size = (PX // CELL, PX // CELL)
    return np.asarray(cv2.resize(layer.astype(np.float32), size, interpolation=cv2.INTER_AREA))


# What copies go through


def _worn(dice: Random, crop: Picture) -> Luma:
    if dice.random() < 0.35:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), dice.uniform(0.4, 1.3)), np.uint8)
    if dice.random() < 0.35:
        side = round(PX * dice.uniform(0.45, 0.95))
        crop = _resized(_resized(crop, side, side), PX, PX)
    if dice.random() < 0.6:
        quality = int(dice.integers(20, 96))
        crop = np.asarray(cv2.imdecode(cv2.imencode(".jpg", crop, (cv2.IMWRITE_JPEG_QUALITY, quality))[1], 1), np.uint8)
    luma = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.float32)
    if dice.random() < 0.25:
        luma += dice.standard_normal(luma.shape, dtype=np.float32) * np.float32(dice.uniform(1, 8))
    if dice.random() < 0.5:
        luma = (luma - 128) * np.float32(dice.uniform(0.5, 1.4)) + np.float32(128 + dice.uniform(-40, 40))
    luma = np.clip(luma, 0, 255, out=luma)
    return np.asarray(255 - luma if dice.random() < 0.3 else luma, np.uint8)
