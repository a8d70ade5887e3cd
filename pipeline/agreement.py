"""How two aligned pictures compare: tile by tile, in detail, and in what has moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.align import Aligned
from twinpix.pipeline.look import Levels, import_cv2

TILE = 16  # px
SMOOTHING = 1.0  # px; sigma that both sides get before they are compared: single pixels survive no edit
TEXTURE, STRONG_TEXTURE = 4.0, 8.0  # levels of deviation; tiles flatter than the first say nothing
NOISE = 2.0  # levels; keeps the correlation of nearly flat tiles low
CLIPPED = (4, 251)  # levels beyond which an edit may have wiped structure out
AGREEING, CONTRADICTING = 0.7, 0.4  # correlation of two tiles from which, and below which, they show the same or not
DETAIL_MARGIN = 16  # px

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """How two aligned pictures compare, tile by tile.

    Attributes:
        tiles: how many tiles have any structure.
        agreeing: of those, the share that shows the same, 0..1.
        contradicting: of the strongly structured tiles, the share that shows something else, 0..1.
        median: correlation of the tiles, -1..1.
        tone: which of the tones (see `Look`) agrees best on the whole.
    """

    tiles: int
    agreeing: float
    contradicting: float
    median: float
    tone: int = 0


NOTHING = Agreement(0, 0.0, 1.0, 0.0)


def agree(aligned: Aligned, sigma: float = SMOOTHING) -> Agreement:
    """Correlate tiles, each in the tone that correlates best, after blurring both sides by `sigma` px."""
    if min(aligned.inside.shape) < TILE:
        return NOTHING
    a, b = (_blurred(tones, sigma) for tones in (aligned.query, aligned.reference))
    means, squares = (tile_means(a), tile_means(b)), (tile_means(a * a), tile_means(b * b))
    deviation = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in zip(squares, means, strict=True)]
    covariance = tile_means(a * b) - means[0] * means[1]
    by_tone = covariance / (deviation[0] * deviation[1] + NOISE)
    correlation = by_tone.max(2)
    shown = _share(aligned.inside) > 1 - 1e-6
    for plane in (a, b):  # mostly black or white
        shown &= _share((plane[..., 0] < CLIPPED[0]) | (plane[..., 0] > CLIPPED[1])) <= 0.5
    structure = np.maximum(*deviation)[..., 0]
    textured = shown & (structure > TEXTURE)
    counted = correlation[textured]
    strong = correlation[shown & (structure > STRONG_TEXTURE)]
    if len(counted) == 0:
        return NOTHING
    contradicting = float((strong < CONTRADICTING).mean()) if len(strong) else 0.0
    agreeing, tone = float((counted >= AGREEING).mean()), int(by_tone[textured].mean(0).argmax())
    return Agreement(len(counted), agreeing, contradicting, float(np.median(counted)), tone)


def detail_lost(aligned: Aligned) -> float:
    """How much more fine detail one picture has than the other, in doublings."""
    reach = np.ones((2 * DETAIL_MARGIN + 1,) * 2, np.uint8)  # what lies outside must not leak in
    inside = import_cv2().erode(aligned.inside.astype(np.uint8), reach, borderValue=1).astype(bool)
    if not inside.any():
        return 0.0
    a, b = (_detail(tones[..., :1], inside) for tones in (aligned.query, aligned.reference))
    return float(abs(np.log2(a / b)))


def _detail(luma: Levels, inside: NDArray[np.bool_]) -> float:
    # energy of the finest band over that of a coarser one, so that contrast does not matter
    fine, middle, coarse = (_blurred(luma, sigma)[inside] for sigma in (1.0, 2.5, 8.0))
    return float(((fine - middle).std() + 0.05) / ((middle - coarse).std() + 0.5))


def _blurred(tones: Levels, sigma: float) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(tones.astype(np.float32), (0, 0), sigma))


def _share(where: NDArray[np.bool_]) -> Plane:
    return tile_means(where.astype(np.float32))


def tile_means(planes: Plane) -> Plane:
    """(h, w[, k]) -> (h // TILE, w // TILE[, k]); what is left over at the right and the bottom is not looked at."""
    down, across = planes.shape[0] // TILE, planes.shape[1] // TILE
    cut = planes[: down * TILE, : across * TILE]
    return np.asarray(import_cv2().resize(cut, (across, down), interpolation=import_cv2().INTER_AREA))
