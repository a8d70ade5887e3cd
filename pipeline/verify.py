"""A second look at two pictures that may be one: are the same details there, in the same places?

An embedding says how alike two pictures are, and two frames of a burst are very alike. So a candidate pair is
aligned by local features, and the aligned grey levels are compared tile by tile. An edited copy agrees almost
everywhere, whatever was done to its colours; another shot of the scene does not, because the camera or something
in front of it has moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.look import LOOK_PX, Levels, Look, import_cv2

RATIO = 0.85  # nearest descriptor against the second nearest, at most (Lowe 2004)
REPROJECTION = 3.0  # px
SCALE, STRETCH = (0.15, 7.0), 3.0  # how much an edit may shrink, enlarge and squeeze
TILE = 16  # px
SMOOTHING = 1.0  # px; sigma that both sides get before they are compared: single pixels survive no edit
TEXTURE, STRONG_TEXTURE = 4.0, 8.0  # levels of deviation; tiles flatter than the first say nothing
NOISE = 2.0  # levels; keeps the correlation of nearly flat tiles low
CLIPPED = (4, 251)  # levels beyond which an edit may have wiped structure out
AGREEING, CONTRADICTING = 0.7, 0.4  # correlation of two tiles from which, and below which, they show the same or not
RICH, POOR = 100, 20  # local features from which a picture can be aligned for sure, and below which not at all
PLAIN_PX, PLAIN_MEAN, PLAIN_MOST = 32, 4.0, 16.0  # px, levels: within these, plain pictures have the same pixels
FITTING = 0.4  # of the matched features must fit the alignment: on two pages of one layout a third do
MIN_INLIERS, MIN_TILES = 10, 8
# a whole copy: nearly all tiles agree, and no strong one contradicts (a thing that moved would)
WHOLE, CONTRADICTED = 0.88, 0.01
# a copy with something on it (sticker, caption): the other tiles agree as no second shot does
TOUCHED, PERFECT = 0.75, 0.98
# where a perspective had to be fitted: it fits flat things in two photos, too, so it must fit all the better
TILTED_WHOLE, TILTED_CONTRADICTED = 0.92, 0.005
# a copy that lost its detail (strong JPEG, enlarged thumbnail) is not refuted by the detail it lacks: its tiles are
# all a little off, while those of a second shot are right except where something moved
BLURRED, WORN_BLURRED = 0.7, 0.8
WORN, WORN_MEDIAN = 0.96, 0.88
WORN_OUT, WORN_OUT_MEDIAN, WORN_OUT_CONTRADICTED = 0.9, 0.8, 0.1
WORN_SIGMA = 4.0
DETAIL_MARGIN = 16  # px
TILT = 0.5  # how much larger one end of a picture may become than the other, beyond 1

Matrix = NDArray[np.float64]
Points = NDArray[np.float32]
Plane = NDArray[np.float32]


class Outcome(StrEnum):
    """What the second look says of a pair."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Alignment:
    """Where one picture lies in the other.

    Attributes:
        matrix: float64 (3, 3), homogeneous; px of the query's look (after mirroring) -> px of the reference's.
        mirrored: whether the query was mirrored first.
        inliers: local features that agree with it within 3 px.
        matches: local features that were matched.
    """

    matrix: Matrix
    mirrored: bool
    inliers: int
    matches: int

    @property
    def is_tilted(self) -> bool:
        """Whether it has a perspective."""
        return bool(np.any(self.matrix[2, :2]))


@dataclass(frozen=True)
class Aligned:
    """Two pictures in one frame, that of the one which shows less detail.

    Attributes:
        query, reference: uint8 (h, w, 3), tones.
        inside: bool (h, w), where both are.
    """

    query: Levels
    reference: Levels
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """How two aligned pictures compare, tile by tile.

    Attributes:
        tiles: how many tiles have any structure.
        agreeing: of those, the share that shows the same, 0..1.
        contradicting: of the strongly structured tiles, the share that shows something else, 0..1.
        median: correlation of the tiles, -1..1.
    """

    tiles: int
    agreeing: float
    contradicting: float
    median: float


NOTHING = Agreement(0, 0.0, 1.0, 0.0)


def verify(query: Look, reference: Look) -> Outcome:
    """Whether the details of two pictures agree.

    `CONFIRMED`: aligned, and the tiles agree. `REFUTED`: both are full of details that don't agree.
    `UNCLEAR`: too little to see, or a copy that lost its detail. Two pictures without any detail (flat, a
    gradient) are the same only if their pixels are.
    """
    if is_plain(query, reference):
        return Outcome.CONFIRMED if has_same_levels(query, reference) else Outcome.REFUTED
    outcome = unaligned(query, reference)
    for alignment in alignments(query, reference):
        found = judge(alignment, superpose(query, reference, alignment))
        if found is Outcome.CONFIRMED:
            return found
        outcome = Outcome.UNCLEAR if found is Outcome.UNCLEAR else outcome
    return outcome


def is_plain(query: Look, reference: Look) -> bool:
    """Whether neither picture has any detail."""
    return max(len(query.points), len(reference.points)) < POOR


def unaligned(query: Look, reference: Look) -> Outcome:
    """What it means that two pictures can't be aligned."""
    return Outcome.REFUTED if min(len(query.points), len(reference.points)) >= RICH else Outcome.UNCLEAR


def has_same_levels(query: Look, reference: Look) -> bool:
    """Whether two pictures have the same pixels but for compression, once they are small."""
    cv2, size = import_cv2(), (PLAIN_PX, PLAIN_PX)
    small = [
        cv2.resize(look.tones, size, interpolation=cv2.INTER_AREA).astype(np.float32) for look in (query, reference)
    ]
    gap = np.abs(small[0] - small[1])
    return bool(gap.mean() <= PLAIN_MEAN and gap.max() <= PLAIN_MOST)


def judge(alignment: Alignment, aligned: Aligned) -> Outcome:
    """What one alignment amounts to. The limits are explained where they stand."""
    agreement = agree(aligned)
    if agreement.tiles < MIN_TILES:
        return Outcome.UNCLEAR
    fits = alignment.inliers >= FITTING * alignment.matches
    if fits and _is_copy(agreement, alignment.is_tilted):
        return Outcome.CONFIRMED
    blurred = detail_lost(aligned) >= BLURRED
    return Outcome.UNCLEAR if (fits or blurred) and _is_worn(agreement, aligned, blurred) else Outcome.REFUTED


def _is_copy(agreement: Agreement, tilted: bool) -> bool:
    if tilted:
        return agreement.agreeing >= TILTED_WHOLE and agreement.contradicting <= TILTED_CONTRADICTED
    whole = agreement.agreeing >= WHOLE and agreement.contradicting <= CONTRADICTED
    return whole or (agreement.agreeing >= TOUCHED and agreement.median >= PERFECT)


def _is_worn(agreement: Agreement, aligned: Aligned, blurred: bool) -> bool:
    coarse = agree(aligned, WORN_SIGMA).agreeing
    if blurred:
        return coarse >= WORN_BLURRED
    a_little = agreement.median < WORN_MEDIAN or agreement.contradicting <= CONTRADICTED
    badly = agreement.median < WORN_OUT_MEDIAN and agreement.contradicting < WORN_OUT_CONTRADICTED
    return (coarse >= WORN and a_little) or (coarse >= WORN_OUT and badly)


def alignments(query: Look, reference: Look) -> Iterator[Alignment]:
    """Maps under which local features match: as is, then mirrored; affine, then with perspective."""
    for mirrored in (False, True):
        source = query.mirrored if mirrored else query
        rows = match_features(source.descriptors, reference.descriptors)
        points = source.points[rows[0]], reference.points[rows[1]]
        for fit in (_affine, _perspective):
            matrix, inliers = fit(*points) if len(rows[0]) >= MIN_INLIERS else (None, 0)
            if matrix is None or inliers < MIN_INLIERS:
                break
            yield Alignment(matrix, mirrored, inliers, len(rows[0]))


def _affine(query: Points, reference: Points) -> tuple[Matrix | None, int]:
    # RANSAC (Fischler & Bolles 1981); OpenCV seeds it the same each time
    found, inliers = import_cv2().estimateAffine2D(
        query, reference, ransacReprojThreshold=REPROJECTION, maxIters=500, confidence=0.99
    )
    if found is None or not _is_plausible(found[:, :2]):
        return None, 0
    return np.vstack([found, (0, 0, 1)]), int(inliers.sum())


def _perspective(query: Points, reference: Points) -> tuple[Matrix | None, int]:
    cv2 = import_cv2()
    found, inliers = cv2.findHomography(query, reference, cv2.RANSAC, REPROJECTION, maxIters=500, confidence=0.99)
    if found is None or not np.isfinite(found).all() or abs(found[2, 2]) < 1e-6:
        return None, 0
    found = found / found[2, 2]
    if not _is_plausible(found[:2, :2]) or np.abs(found[2, :2]).max() * LOOK_PX > TILT:
        return None, 0
    return found, int(inliers.sum())


def match_features(query: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two sets of ORB descriptors, uint8 (n, 32) and (m, 32), that are each other's nearest by far."""
    if len(query) < 2 or len(reference) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    matcher = import_cv2().BFMatcher(import_cv2().NORM_HAMMING)
    clear = [one for one, other in matcher.knnMatch(query, reference, k=2) if one.distance < RATIO * other.distance]
    rows = np.array([(match.queryIdx, match.trainIdx) for match in clear], np.intp).reshape(-1, 2)
    back = [match.trainIdx for match in matcher.match(reference[rows[:, 1]], query)] if len(rows) else []
    mutual = rows[rows[:, 0] == np.array(back, np.intp)]
    return mutual[:, 0], mutual[:, 1]


def _is_plausible(linear: Matrix) -> bool:
    large, small = np.linalg.svd(linear)[1]
    low, high = SCALE
    return bool(low < small and large < high and large < STRETCH * small and np.linalg.det(linear) > 0)


def superpose(query: Look, reference: Look, alignment: Alignment) -> Aligned:
    """Move the picture that shows more detail onto the other one."""
    turned = query.tones[:, ::-1] if alignment.mirrored else query.tones
    if zoom(alignment.matrix) > 1:  # the query is the coarser one
        back = np.linalg.inv(alignment.matrix).astype(np.float64)
        moved, inside = _moved(reference.tones, back, turned.shape)
        return Aligned(np.ascontiguousarray(turned), moved, inside)
    moved, inside = _moved(turned, alignment.matrix, reference.tones.shape)
    return Aligned(moved, reference.tones, inside)


def zoom(matrix: Matrix) -> float:
    """Px of the target per px of the source."""
    return float(np.sqrt(np.linalg.det(matrix[:2, :2])))


def _moved(tones: Levels, matrix: Matrix, shape: tuple[int, ...]) -> tuple[Levels, NDArray[np.bool_]]:
    cv2, size, shrink = import_cv2(), (shape[1], shape[0]), 1 / zoom(matrix)
    tones = np.ascontiguousarray(tones)
    if shrink > 1.05:  # or its detail would turn into aliasing
        tones = cv2.GaussianBlur(tones, (0, 0), 0.5 * float(np.sqrt(shrink**2 - 1)))
    inside = cv2.warpPerspective(np.full(tones.shape[:2], 255, np.uint8), matrix, size)
    return cv2.warpPerspective(tones, matrix, size, borderMode=cv2.BORDER_REPLICATE), inside == 255


def agree(aligned: Aligned, sigma: float = SMOOTHING) -> Agreement:
    """Correlate tiles, each in the tone that correlates best, after blurring both sides by `sigma` px."""
    if min(aligned.inside.shape) < TILE:
        return NOTHING
    a, b = (_blurred(tones, sigma) for tones in (aligned.query, aligned.reference))
    means, squares = (_tile_means(a), _tile_means(b)), (_tile_means(a * a), _tile_means(b * b))
    deviation = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in zip(squares, means, strict=True)]
    covariance = _tile_means(a * b) - means[0] * means[1]
    correlation = (covariance / (deviation[0] * deviation[1] + NOISE)).max(2)
    shown = _share(aligned.inside) > 1 - 1e-6
    for plane in (a, b):  # mostly black or white
        shown &= _share((plane[..., 0] < CLIPPED[0]) | (plane[..., 0] > CLIPPED[1])) <= 0.5
    structure = np.maximum(*deviation)[..., 0]
    counted = correlation[shown & (structure > TEXTURE)]
    strong = correlation[shown & (structure > STRONG_TEXTURE)]
    if len(counted) == 0:
        return NOTHING
    contradicting = float((strong < CONTRADICTING).mean()) if len(strong) else 0.0
    return Agreement(len(counted), float((counted >= AGREEING).mean()), contradicting, float(np.median(counted)))


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
    return _tile_means(where.astype(np.float32))


def _tile_means(planes: Plane) -> Plane:
    # (h, w[, k]) -> (h // TILE, w // TILE[, k]); what is left over at the right and the bottom is not looked at
    down, across = planes.shape[0] // TILE, planes.shape[1] // TILE
    cut = planes[: down * TILE, : across * TILE]
    return np.asarray(import_cv2().resize(cut, (across, down), interpolation=import_cv2().INTER_AREA))
