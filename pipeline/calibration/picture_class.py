"""What kind of picture: photo, document, screenshot or flat, by simple measures of its levels.

No more than that: a photo of a page may count as a document, a drawing with even areas as a screenshot, a
screenshot of a photo as a photo. It is good enough to say which kinds a folder holds, and no verdict depends on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.int16]

CLASSES = ("photo", "document", "screenshot", "flat")
SIDE = 256  # px, the longer side
EVEN = 1  # level; neighbours that differ by no more belong to one even area
FLAT_STEP = 1.0  # levels; mean step between neighbours below which there is nothing to see
PAPER_REACH, PAPER_SHARE, PAPER_LUMA = 24, 0.55, 140  # levels around the commonest one; of all pixels; levels
INK_BELOW, INK = 60, (0.01, 0.35)  # levels darker than the paper; share of pixels
GREY = 30  # levels; mean distance of a document's colours from grey
INKED, CROSSINGS = 0.3, 10  # share of rows that writing runs along; ends of strokes in such a row
EVEN_SHARE = 0.7  # of neighbours in a screenshot
EDGE_STEP, EDGE_REACH, EDGES = 8, 0.6, 2  # levels; share of a row or column along which a border runs; how many


def picture_class(picture: Image.Image) -> str:
    """One of `CLASSES`, for an RGB picture."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    colours = np.asarray(small.convert("RGB"), np.int16)
    luma = np.asarray(small.convert("L"), np.int16)
    steps = np.concatenate([np.abs(np.diff(luma, axis=axis)).ravel() for axis in (0, 1)])
    if steps.size == 0 or steps.mean() < FLAT_STEP:
        return "flat"
    if _is_document(luma, colours):
        return "document"
    is_screen = (steps <= EVEN).mean() >= EVEN_SHARE and _borders(luma) >= EDGES
    return "screenshot" if is_screen else "photo"


def _is_document(luma: Levels, colours: Levels) -> bool:
    # dark ink on paper of one light tone, hardly any colour
    paper = int(np.argmax(np.convolve(np.bincount(luma.ravel(), minlength=256), np.ones(9), "same")))
    is_paper = (np.abs(luma - paper) <= PAPER_REACH).mean() >= PAPER_SHARE and paper >= PAPER_LUMA
    ink = float((luma < paper - INK_BELOW).mean())
    tint = float((colours.max(2) - colours.min(2)).mean())
    return bool(is_paper and INK[0] <= ink <= INK[1] and tint <= GREY and _is_lines(luma, paper))


def _is_lines(luma: Levels, paper: int) -> bool:
    # writing goes from ink to paper and back many times along a row; a thing on a white ground does not
    dark = luma < paper - INK_BELOW
    crossings = (dark[:, 1:] != dark[:, :-1]).sum(1)
    return bool((crossings >= CROSSINGS).mean() >= INKED)


def _borders(luma: Levels) -> int:
    # rows and columns along which the tone changes: the edges of windows, bars and panels
    found = 0
    for axis in (0, 1):
        step = np.abs(np.diff(luma, axis=axis)) >= EDGE_STEP
        found += int((step.mean(1 - axis) >= EDGE_REACH).sum())
    return found
