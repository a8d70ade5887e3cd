"""Augmented views on the CPU (albumentations): what "the same picture, edited" means to the encoder.

Presets:
    card: exactly the three edits of the design card: zoom up to 150 % with random crop, colour jitter,
        salt-and-pepper noise.
    hard: the card's edits and those people and platforms make: heavy crops, other aspect ratios, mirror,
        rotation, borders and shifts, gamma, greyscale, blur, noise, captions, pasted pictures, stickers,
        recompression. The default. Each time, both views are of a fresh variation of the picture: a part of it,
        mirrored or turned, so that the encoder sees more pictures than there are photos.

Kept out of both on purpose, so that the bench can report edits never trained on: `HELD_OUT`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it must not ask the network

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
View = Callable[[Picture], Picture]
HELD_OUT = ("perspective", "pixelate", "collage", "posterize")
PRESETS = ("hard", "card")
ZOOM = 1.5  # the card: up to 150 %
FIRST = {"mild": 0.75, "card": 0.25}  # the hard preset: kind of view -> share of the first views
SECOND = {"hard": 0.5, "card": 0.4, "mild": 0.1}


def card_edits(px: int) -> list[Any]:
    """The card's three edits, in order, ending at px x px."""
    return [
        A.RandomResizedCrop((px, px), scale=(1 / ZOOM**2, 1.0), ratio=(1.0, 1.0), interpolation=cv2.INTER_AREA),
        A.ColorJitter(0.6, 0.6, 0.6, 0.3, p=0.9),
        A.SaltAndPepper(amount=(0.005, 0.12), p=0.4),
    ]


def hard_edits(px: int, others: Picture) -> list[Any]:
    """The harder preset: at most one heavy edit of each kind a view.

    Args:
        px: side of the view.
        others: uint8 (n, h, w, 3), pictures to paste from.
    """
    area = cv2.INTER_AREA
    return [
        A.HorizontalFlip(p=0.2),
        A.OneOf([A.D4(), A.Affine(rotate=(-180, 180), p=0.5), A.Affine(rotate=(-30, 30), shear=(-8, 8))], p=0.25),
        A.OneOf(
            [
                A.RandomResizedCrop((px, px), (1 / ZOOM**2, 1.0), (0.85, 1.18), interpolation=area, p=0.5),
                A.RandomResizedCrop((px, px), (0.15, 0.8), (0.4, 2.5), interpolation=area, p=0.5),
                A.Resize(px, px, interpolation=area, p=0.25),
            ],
            p=1.0,
        ),
        A.OneOf([_shrink_and_shift(fill) for fill in (0, 128, 255)], p=0.25),
        A.ColorJitter(0.6, 0.6, 0.6, 0.3, p=0.6),
        A.RandomGamma((45, 220), p=0.2),
        A.ToGray(p=0.2),
        A.OneOf([PasteOnto(others), PasteInto(others), Caption(), _erase()], p=0.2),
        A.OneOf([A.GaussianBlur(sigma_limit=(0.4, 2.2)), A.MotionBlur((3, 7), p=0.4)], p=0.18),
        A.OneOf([A.SaltAndPepper(amount=(0.005, 0.12), p=0.7), A.GaussNoise(std_range=(0.02, 0.16), p=0.4)], p=0.25),
        A.OneOf([A.ImageCompression("jpeg", (8, 90)), A.ImageCompression("webp", (10, 80), p=0.3)], p=0.3),
    ]


def mild_edits(px: int) -> list[Any]:
    """What the other side of a pair gets: nearly the original."""
    return [
        A.HorizontalFlip(p=0.1),
        A.RandomResizedCrop((px, px), scale=(0.7, 1.0), ratio=(0.85, 1.18), interpolation=cv2.INTER_AREA, p=0.5),
        A.Resize(px, px, interpolation=cv2.INTER_AREA),
        A.ColorJitter(0.2, 0.2, 0.2, 0.05, p=0.25),
        A.ImageCompression("jpeg", (40, 95), p=0.2),
    ]


def varying_edits(px: int) -> list[Any]:
    """What a picture becomes before both views are made of it.

    Args:
        px: side of the picture.
    """
    part = A.RandomResizedCrop((px, px), scale=(0.35, 1.0), ratio=(0.75, 1.33), interpolation=cv2.INTER_AREA, p=0.5)
    return [A.HorizontalFlip(p=0.5), A.RandomRotate90(p=0.25), part]


def make_variation(preset: str, px: int, seed: int) -> View:
    """What makes a variation of a picture of side `px`, uint8 (px, px, 3) -> the same shape; `card` makes none."""
    if preset == "card":
        return lambda picture: picture
    return _apply(compose(varying_edits(px), np.random.default_rng((seed, 1))))


def make_views(preset: str, px: int, others: Picture, seed: int) -> tuple[View, View]:
    """The two view makers of a training pair.

    Args:
        preset: `hard` or `card`.
        px: side of the views.
        others: uint8 (n, h, w, 3), pictures the hard preset pastes from.
        seed: makes the stream of random edits repeatable.

    Returns:
        (first, second): each maps uint8 (h, w, 3) to uint8 (px, px, 3). With `hard`, they are mixtures of
        kinds of view: `FIRST` and `SECOND`.
    """
    dice = np.random.default_rng(seed)
    card = compose(card_edits(px), dice)
    if preset == "card":
        return _apply(card), _apply(compose(card_edits(px), dice))
    mild, hard = compose(mild_edits(px), dice), compose(hard_edits(px, others), dice)
    kinds = {"card": card, "mild": mild, "hard": hard}
    first, second = ([(share, kinds[kind]) for kind, share in mixture.items()] for mixture in (FIRST, SECOND))
    return _mixture(dice, first), _mixture(dice, second)


def compose(edits: list[Any], dice: np.random.Generator) -> A.Compose:
    """The edits in a row, each with random numbers of its own.

    `A.Compose(seed=...)` hands one seed to every edit: then mirror, noise and captions fire together or not at all.
    """
    row = A.Compose(edits)
    _seed_apart(row, dice)
    return row


def _seed_apart(edits: A.BaseCompose, dice: np.random.Generator) -> None:
    for edit in edits.transforms:
        edit.set_random_seed(int(dice.integers(2**31)))
        if isinstance(edit, A.BaseCompose):
            _seed_apart(edit, dice)


def _apply(edits: A.Compose) -> View:
    return lambda picture: edits(image=picture)["image"]


def _mixture(dice: np.random.Generator, parts: list[tuple[float, A.Compose]]) -> View:
    shares = [share for share, _ in parts]

    def view(picture: Picture) -> Picture:
        chosen = parts[dice.choice(len(parts), p=shares)][1]
        return chosen(image=picture)["image"]  # type: ignore[no-any-return]

    return view


def _shrink_and_shift(fill: int) -> A.Affine:
    return A.Affine(scale=(0.55, 1.0), translate_percent=(-0.22, 0.22), fill=fill, interpolation=cv2.INTER_LINEAR)


def _erase() -> A.CoarseDropout:
    return A.CoarseDropout(num_holes_range=(1, 3), hole_height_range=(0.1, 0.3), hole_width_range=(0.1, 0.3))


class Caption(A.ImageOnlyTransform):  # type: ignore[misc]  # untyped package
    """One to three lines of random letters, as on memes and watermarks."""

    def apply(self, img: Picture, **params: Any) -> Picture:
        """uint8 (h, w, 3) -> the same shape."""
        out, dice = img.copy(), self.py_random
        height, width = out.shape[:2]
        for _ in range(dice.randint(1, 3)):
            text = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=dice.randint(3, 16)))
            where = (int(dice.uniform(-0.1, 0.6) * width), int(dice.uniform(0.1, 1.0) * height))
            colour = tuple(dice.choice((0, 255, dice.randint(0, 255))) for _ in range(3))
            scale = dice.uniform(0.3, 1.1) * width / 96
            cv2.putText(out, text, where, dice.randint(0, 7), scale, colour, dice.randint(1, 2), cv2.LINE_AA)
        return out


class PasteOnto(A.ImageOnlyTransform):  # type: ignore[misc]
    """The picture becomes a smaller part of another one (screenshot, social-media frame)."""

    def __init__(self, others: Picture, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.others = others

    def apply(self, img: Picture, **params: Any) -> Picture:
        """uint8 (h, w, 3) -> the same shape."""
        return _paste(self, back=_other(self, img.shape), front=img, share=(0.6, 0.95))


class PasteInto(PasteOnto):
    """A small other picture is stuck onto this one."""

    def apply(self, img: Picture, **params: Any) -> Picture:
        """uint8 (h, w, 3) -> the same shape."""
        return _paste(self, back=img.copy(), front=_other(self, img.shape), share=(0.15, 0.45))


def _other(transform: PasteOnto, shape: tuple[int, ...]) -> Picture:
    picture = transform.others[transform.py_random.randrange(len(transform.others))]
    small = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _paste(transform: PasteOnto, back: Picture, front: Picture, share: tuple[float, float]) -> Picture:
    dice = transform.py_random
    height, width = (max(4, int(side * dice.uniform(*share))) for side in back.shape[:2])
    top, left = dice.randint(0, back.shape[0] - height), dice.randint(0, back.shape[1] - width)
    back[top : top + height, left : left + width] = cv2.resize(front, (width, height), interpolation=cv2.INTER_AREA)
    return back
