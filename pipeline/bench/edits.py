"""The edits of the protocol: which rows there are, and which of them each mean is taken over.

Written apart from the training views (albumentations) on purpose: a measurement that reuses the training
code would share its mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from twinpix.pipeline.bench.edit import HELD_OUT, Apply, Dice, Edit, chain
from twinpix.pipeline.bench.geometry import (
    crop,
    flip,
    half_turn,
    mirror,
    pad,
    perspective,
    quarter_turn,
    rotate,
    shrink,
    square,
    translate,
    zoom,
)
from twinpix.pipeline.bench.levels import blur, gamma, grey, jitter, jpeg, noise, pixelate, posterize, salt_and_pepper
from twinpix.pipeline.bench.pasting import collage, emoji, onto, screenshot, sticker, text

CHAINED = "all three"  # the card's edits in a row: no single edit
ALONE = "crop 30 % of area"  # is in the mean of the single edits, and also stands alone


def single_edits(others: Sequence[Image.Image]) -> tuple[Edit, ...]:
    """Every single edit of the protocol, one row each.

    Args:
        others: RGB pictures to paste, at least one, that are no original of the measurement.
    """
    return (
        *(Edit("zoom", f"{f:g}", zoom(f)) for f in (1.1, 1.25, 1.5)),
        *(Edit("jitter", f"{s:g}", jitter(s)) for s in (0.15, 0.3, 0.6)),
        *(Edit("salt-and-pepper", f"{p} %", salt_and_pepper(p / 100)) for p in (1, 3, 10)),
        *(Edit("gaussian noise", f"sigma {s}", noise(s)) for s in (8, 16, 32)),
        Edit("flip", "horizontal", mirror),
        Edit("flip", "vertical", flip),
        *(Edit("rotate", f"{d}°", rotate(d)) for d in (4, 25)),
        Edit("rotate", "90°", quarter_turn),
        Edit("rotate", "180°", half_turn),
        *(Edit("blur", f"sigma {s} px", blur(s)) for s in (1, 2, 4)),
        *(Edit("translate", f"{p} %", translate(p / 100)) for p in (5, 10, 20)),
        *(Edit("crop", f"{p} % of area", crop(p / 100)) for p in (80, 50, 30)),
        *(Edit("jpeg", f"q {q}", jpeg(q)) for q in (50, 20, 8)),
        Edit("grayscale", "", grey),
        *(Edit("gamma", f"{p:g}", gamma(p)) for p in (1.5, 2)),
        Edit("pad", "20 %", pad(0.2)),
        Edit("text", "2 lines", text),
        Edit("emoji", "1/3 wide", emoji),
        Edit("screenshot", "frame", screenshot),
        Edit("overlay", "of another, 15 %", sticker(others, 0.15)),
        Edit("overlay", "onto another, 60 %", onto(others, 0.6)),
        Edit("collage", "2x2", collage(others)),
        Edit("down-scale", "1/4", shrink(4)),
        Edit("perspective", "15 %", perspective(0.15)),
        Edit("pixelate", "32 blocks", pixelate(32)),
        Edit("posterize", "3 bits", posterize(3)),
    )


def chained_edits() -> tuple[Edit, ...]:
    """The card's three edits in a row."""
    return (
        Edit(CHAINED, "1.25, 0.3, 3 %", chain(zoom(1.25), jitter(0.3), salt_and_pepper(0.03))),
        Edit(CHAINED, "1.5, 0.6, 10 %", chain(zoom(1.5), jitter(0.6), salt_and_pepper(0.1))),
    )


def extra_edits() -> tuple[Edit, ...]:
    """Rows that only the Copydays-like and imagededup-like sets have."""
    return (
        *(Edit("jpeg", f"q {q}", jpeg(q)) for q in (75, 3)),
        *(Edit("crop", f"{p} % of area", crop(p / 100)) for p in (90, 20)),
        Edit("resize", "1:1", square),
    )


# the design card's edits: those three, and all three in a row
CARD = (
    *(Edit("zoom", f"{f:g}", zoom(f)) for f in (1.25, 1.5)),
    *(Edit("jitter", f"{s:g}", jitter(s)) for s in (0.3, 0.6)),
    *(Edit("salt-and-pepper", f"{p} %", salt_and_pepper(p / 100)) for p in (3, 10)),
    *chained_edits(),
)
# Copydays (Douze et al. 2009): JPEG, and crops that take 10 to 80 % of the area away
COPYDAYS = (*(f"jpeg q {q}" for q in (75, 50, 20, 8, 3)), *(f"crop {p} % of area" for p in (90, 80, 50, 30, 20)))
# what imagededup transformed UKBench by, for its own comparison
IMAGEDEDUP = ("crop 80 % of area", "flip horizontal", "flip vertical", "rotate 25°", "resize 1:1")


# on which the autoencoder with k-means was shown
BASELINE = (*(f"blur sigma {s} px" for s in (1, 2, 4)), *(f"translate {p} %" for p in (5, 10, 20)), "rotate 180°",
            "flip horizontal", "flip vertical")  # fmt: skip


@dataclass(frozen=True)
class Mean:
    """A number that sums up several rows.

    Attributes:
        name: for tables.
        rows: names of the edits it is the plain mean of.
    """

    name: str
    rows: tuple[str, ...]


def means(edits: Sequence[Edit]) -> tuple[Mean, ...]:
    """The means that are reported, over those of their rows that `edits` has: first the two that matter most."""
    extra, names = {edit.name for edit in extra_edits()}, {edit.name for edit in edits}
    single = [edit for edit in edits if edit.family != CHAINED and edit.name not in extra]
    every = (
        Mean("card edits", tuple(edit.name for edit in CARD)),
        Mean("all single edits", tuple(edit.name for edit in single)),
        Mean("crop to 30 % of area", (ALONE,)),
        Mean("held-out families", tuple(edit.name for edit in single if edit.is_held_out)),
        Mean("Copydays-like", COPYDAYS),
        Mean("imagededup-like", IMAGEDEDUP),
        Mean("the baseline's edits", BASELINE),
    )
    return tuple(mean for mean in every if mean.rows and set(mean.rows) <= names)


def protocol(others: Sequence[Image.Image]) -> tuple[Edit, ...]:
    """All rows, each once."""
    return (*single_edits(others), *chained_edits(), *extra_edits())


def random_chain(edits: Sequence[Edit]) -> Apply:
    """One to four edits of different families, drawn anew for each picture (as in DISC21).

    They come in the order of `edits`: a crop after a collage could leave nothing of the picture.
    """
    families = list(dict.fromkeys(edit.family for edit in edits))

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        for drawn in sorted(dice.choice(len(families), int(dice.integers(1, 5)), replace=False).tolist()):
            members = [edit for edit in edits if edit.family == families[drawn]]
            picture = members[int(dice.integers(len(members)))].apply(picture, dice)
        return picture

    return apply


def edit_one(picture: Image.Image, apply: Apply, key: int, seed: int = 0) -> Image.Image:
    """An edited copy. Each picture has random numbers of its own: another edit or picture moves no other result."""
    return apply(picture, np.random.default_rng([seed, key]))


__all__ = ["CARD", "CHAINED", "COPYDAYS", "HELD_OUT", "IMAGEDEDUP", "Apply", "Dice", "Edit", "Mean", "blur", "chain",
           "chained_edits", "collage", "crop", "edit_one", "emoji", "extra_edits", "flip", "gamma", "grey", "half_turn",
           "jitter", "jpeg", "means", "mirror", "noise", "onto", "pad", "perspective", "pixelate", "posterize",
           "protocol", "quarter_turn", "random_chain", "rotate", "salt_and_pepper", "screenshot", "shrink",
           "single_edits", "square", "sticker", "text", "translate", "zoom"]  # fmt: skip
