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
CAPTION_HEIGHT, CAPTION_COVERS, CAPTION_TILES = 0.34, 0.7, 3  # shares of the height and of a row; tiles

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
    return NOTHING if min(aligned.inside.shape) < TILE else _summary(_correlate(aligned, sigma))


def agree_beside_caption(aligned: Aligned) -> Agreement:
    """The same without a band along the top or the bottom in which nearly all tiles disagree: a caption covers it."""
    if min(aligned.inside.shape) < TILE:
        return NOTHING
    tiles = _correlate(aligned, SMOOTHING)
    counts = tiles.textured.sum(1)
    wrong = (tiles.textured & (tiles.by_tone.max(2) < AGREEING)).sum(1)
    top, bottom = (_caption(wrong[way], counts[way]) for way in (slice(None), slice(None, None, -1)))
    rows = slice(top, len(counts) - bottom)
    return _summary(_Tiles(tiles.by_tone[rows], tiles.textured[rows], tiles.strong[rows]))


def _caption(wrong: NDArray[np.intp], counts: NDArray[np.intp]) -> int:
    # rows of tiles from the edge on that a caption covers, and the one that it cuts; 0 if it is too tall for one
    covered = wrong >= CAPTION_COVERS * counts  # a row without any texture goes along
    depth = int(np.argmin([*covered, False]))
    is_caption = wrong[:depth].max(initial=0) >= CAPTION_TILES and depth + 1 <= CAPTION_HEIGHT * len(counts)
    return depth + 1 if is_caption else 0


@dataclass(frozen=True)
class _Tiles:
    by_tone: Plane  # (down, across, tones), correlation
    textured: NDArray[np.bool_]
    strong: NDArray[np.bool_]


def _correlate(aligned: Aligned, sigma: float) -> _Tiles:
    a, b = (_blurred(tones, sigma) for tones in (aligned.query, aligned.reference))
    means, squares = (tile_means(a), tile_means(b)), (tile_means(a * a), tile_means(b * b))
    deviation = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in zip(squares, means, strict=True)]
    covariance = tile_means(a * b) - means[0] * means[1]
    shown = _share(aligned.inside) > 1 - 1e-6
    for plane in (a, b):  # mostly black or white
        shown &= _share((plane[..., 0] < CLIPPED[0]) | (plane[..., 0] > CLIPPED[1])) <= 0.5
    structure = np.maximum(*deviation)[..., 0]
    return _Tiles(
        np.asarray(covariance / (deviation[0] * deviation[1] + NOISE), np.float32),
        shown & (structure > TEXTURE),
        shown & (structure > STRONG_TEXTURE),
    )


def _summary(tiles: _Tiles) -> Agreement:
    correlation = tiles.by_tone.max(2)
    counted, strong = correlation[tiles.textured], correlation[tiles.strong]
    if len(counted) == 0:
        return NOTHING
    contradicting = float((strong < CONTRADICTING).mean()) if len(strong) else 0.0
    agreeing, tone = float((counted >= AGREEING).mean()), int(tiles.by_tone[tiles.textured].mean(0).argmax())
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
