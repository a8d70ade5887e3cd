"""How two aligned pictures compare: tile by tile, in detail, and in what has moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import Levels, import_cv2
from twinpix.pipeline.second_look.tiles import TILE, Plane, correlate, tile_means

SMOOTHING = 1.0  # px; sigma that both sides get before they are compared: single pixels survive no edit
TEXTURE, STRONG_TEXTURE = 4.0, 8.0  # levels of deviation; tiles flatter than the first say nothing
CLIPPED = (4, 251)  # levels beyond which an edit may have wiped structure out
AGREEING, CONTRADICTING = 0.7, 0.4  # correlation of two tiles from which, and below which, they show the same or not
DETAIL_MARGIN = 16  # px
LEAK = 3  # px: how far smoothing carries what lies beside
COVERS, COVER_TILES = 4, 2  # rectangles that may cover parts of a picture, at most; wrong tiles in each, at least
APART = 5  # tiles; wrong ones that lie nearer together are one thing: letters of a line
COVERED = 0.4  # share of the area, at most
MATCHING_SIGMAS = (2.0, 3.0, 4.0, 6.0, 8.0, 11.0)  # px


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


def cover(aligned: Aligned) -> NDArray[np.bool_] | None:
    """The tiles in a few rectangles in which tiles disagree: a caption, a sticker; bool (down, across).

    None if there are none, or if they leave too little.
    """
    if min(aligned.inside.shape) < TILE:
        return None
    tiles = _correlate(aligned, SMOOTHING)
    covered = _rectangles(tiles.textured & (tiles.by_tone.max(2) < AGREEING))
    return covered if covered.any() and covered.mean() <= COVERED else None


def without(aligned: Aligned, covered: NDArray[np.bool_]) -> Aligned:
    """The same two pictures without these tiles."""
    free = np.ones_like(aligned.inside)
    down, across = (TILE * side for side in covered.shape)
    free[:down, :across] = np.kron(~covered, np.ones((TILE, TILE), bool))
    return replace(aligned, inside=aligned.inside & free)


def _rectangles(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # the rectangles round the largest clusters of tiles
    cv2 = import_cv2()
    near = cv2.dilate(wrong.astype(np.uint8), np.ones((APART, APART), np.uint8))
    _, label = cv2.connectedComponents(near, connectivity=8)
    sizes = np.bincount(label[wrong], minlength=2)
    covered = np.zeros_like(wrong)
    for one in np.argsort(-sizes)[:COVERS]:
        if sizes[one] >= COVER_TILES:
            rows, columns = np.nonzero((label == one) & wrong)
            covered[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    return covered


def agree_at_one_sharpness(aligned: Aligned) -> Agreement:
    """The best agreement once the sharper picture is blurred."""
    blunter = aligned.query if _sharper_by(aligned) < 0 else aligned.reference
    found = []
    for sigma in MATCHING_SIGMAS:
        query, reference = (
            tones if tones is blunter else np.asarray(import_cv2().GaussianBlur(tones, (0, 0), sigma))
            for tones in (aligned.query, aligned.reference)
        )
        found.append(agree(replace(aligned, query=query, reference=reference)))
    return max(found, key=lambda agreement: agreement.median)


@dataclass(frozen=True)
class _Tiles:
    by_tone: Plane  # (down, across, tones), correlation
    textured: NDArray[np.bool_]
    strong: NDArray[np.bool_]


def _correlate(aligned: Aligned, sigma: float) -> _Tiles:
    shown, by_tone, structures = _share(_inner(aligned.inside)) > 1 - 1e-6, [], []
    for tone in range(aligned.query.shape[2]):  # one by one: of several at once OpenCV takes twice as long
        a, b = (_blurred(tones[..., tone], sigma) for tones in (aligned.query, aligned.reference))
        correlation, structure = correlate(a, b)
        by_tone.append(correlation)
        structures.append(structure)
        if tone == 0:
            for plane in (a, b):  # mostly black or white
                shown &= _share((plane < CLIPPED[0]) | (plane > CLIPPED[1])) <= 0.5
    structure = structures[0]
    return _Tiles(np.stack(by_tone, 2), shown & (structure > TEXTURE), shown & (structure > STRONG_TEXTURE))


def _inner(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # where blurring mixes nothing in from beyond: a white border would show in dark tiles beside it
    reach = np.ones((2 * LEAK + 1,) * 2, np.uint8)
    return np.asarray(import_cv2().erode(inside.astype(np.uint8), reach, borderValue=1) > 0)


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
    return abs(_sharper_by(aligned))


def _sharper_by(aligned: Aligned) -> float:
    # doublings of fine detail that the query has more than the reference
    reach = np.ones((2 * DETAIL_MARGIN + 1,) * 2, np.uint8)  # what lies outside must not leak in
    inside = import_cv2().erode(aligned.inside.astype(np.uint8), reach, borderValue=1)
    if not inside.any():
        return 0.0
    a, b = (_detail(tones[..., 0], inside) for tones in (aligned.query, aligned.reference))
    return float(np.log2(a / b))


def _detail(luma: Levels, inside: Levels) -> float:
    # energy of the finest band over that of a coarser one, so that contrast does not matter
    fine, middle, coarse = (_blurred(luma, sigma) for sigma in (1.0, 2.5, 8.0))
    deviation = [import_cv2().meanStdDev(band, mask=inside)[1].item() for band in (fine - middle, middle - coarse)]
    return float((deviation[0] + 0.05) / (deviation[1] + 0.5))


def _blurred(tone: Levels, sigma: float) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(tone.astype(np.float32), (0, 0), sigma))


def _share(where: NDArray[np.bool_]) -> Plane:
    return tile_means(where.astype(np.float32))
