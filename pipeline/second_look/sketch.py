"""The first, coarse look at a candidate pair: most pictures that have nothing in common are told apart by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.specks import without_specks
from twinpix.pipeline.second_look.align import Matrix, fit_affine, match_features, moved, shrunk, zoom
from twinpix.pipeline.second_look.features import COARSE, Levels, find_features, import_cv2, mirrored_features
from twinpix.pipeline.second_look.look import (
    LOOK_PX,
    READ_PX,
    SHRUNK,
    TINY,
    has_little_detail,
    is_mostly_ground,
    resized,
)
from twinpix.pipeline.second_look.tiles import correlate, tile_means

SKETCH_PX, SMALL_PX = LOOK_PX // 2, LOOK_PX // SHRUNK  # longer side: of what features are found in, and of `small`
JPEG_PX = SKETCH_PX * 3 // 8  # so that three quarters of `SKETCH_PX` are left of the shorter side, also of a page
THUMB_PX = 24
TELLING = 30  # local features; with fewer nothing can be said
RATIO = 0.75  # as of `align`; of unrelated pictures hardly any feature matches so clearly
FITTING, WITHIN, TRIES = 4, 6.0, 200  # features that fit an alignment, at least; px of a look; of RANSAC
IN_PLACE = 0.9  # correlation of the thumbs from which the two may lie on one another as they are
TILE, SMOOTHING, TEXTURE = 8, 0.8, 4.0  # px, px, levels: of `small`
ALIKE, FEWEST = 0.5, 4  # correlation of two tiles; tiles, of fewer nothing is said
ENOUGH = 0.3  # share of the tiles that must be alike


@dataclass(frozen=True)
class Sketch:
    """What a coarse look sees of a picture, 55 kB.

    Attributes:
        points: float32 (n, 2), (x, y) in px of a look; of the picture, and of its mirror image.
        descriptors: uint8 (n, 32), ORB; of both.
        small: the luma of both, uint8 (h, w); longer side 96 px.
        thumbs: the same, squeezed to 24 x 24 px, less the mean; float32 (576,), L2 norm 1.
        is_page: whether it may be a document or a screenshot.
        is_telling: whether it has detail enough.
    """

    points: tuple[NDArray[np.float32], NDArray[np.float32]]
    descriptors: tuple[Levels, Levels]
    small: tuple[Levels, Levels]
    thumbs: tuple[NDArray[np.float32], NDArray[np.float32]]
    is_page: bool
    is_telling: bool


def sketch(source: ImageLike) -> Sketch:
    """Take a coarse look at a picture, at a quarter of the cost of a look.

    Raises:
        ImageError: it can't be used.
    """
    picture, cv2 = read_picture(source, READ_PX, jpeg_at_least=JPEG_PX), import_cv2()
    levels = without_specks(np.asarray(picture))
    large = resized(np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)), SKETCH_PX)
    other_way = np.ascontiguousarray(large[:, ::-1])
    features = find_features(large, COARSE)
    both = features, mirrored_features(features, other_way, COARSE)
    small = resized(large, SMALL_PX), resized(other_way, SMALL_PX)
    scale = np.float32(LOOK_PX / SKETCH_PX)
    return Sketch(
        points=(scale * both[0].points, scale * both[1].points),
        descriptors=(both[0].descriptors, both[1].descriptors),
        small=small,
        thumbs=(_thumb(small[0]), _thumb(small[1])),
        is_page=min(picture.size) >= 2 * JPEG_PX and is_mostly_ground(large),
        is_telling=len(features.points) >= TELLING and min(picture.size) > TINY and not has_little_detail(small[0]),
    )


def have_something_in_common(query: Sketch, reference: Sketch) -> bool:
    """Whether it is worth looking closely: a third of the two agrees, as they lie or where a few features fit.

    Of the protocol's edits 99 % have, of other candidates 1 or 2 %. Pages and smooth pictures, of which so
    coarse a look says nothing, always have.
    """
    if not (query.is_telling and reference.is_telling) or (query.is_page and reference.is_page):
        return True
    if query.descriptors[0].tobytes() > reference.descriptors[0].tobytes():  # the order of the two changes nothing
        query, reference = reference, query
    return any(_lies_in(query, side, reference) for side in (0, 1))


def _lies_in(query: Sketch, side: int, reference: Sketch) -> bool:
    laid = (_agreeing(query.small[side], reference.small[0], matrix) for matrix in _maps(query, side, reference))
    return any(agreeing >= ENOUGH for agreeing in laid)


def _maps(query: Sketch, side: int, reference: Sketch) -> Iterator[Matrix]:
    # from one small picture to the other: as they lie, and by their features
    if query.thumbs[side] @ reference.thumbs[0] >= IN_PLACE:
        (high, wide), (tall, broad) = query.small[0].shape, reference.small[0].shape
        yield np.diag([broad / wide, tall / high, 1.0])
    rows = match_features(query.descriptors[side], reference.descriptors[0], RATIO)
    if len(rows[0]) >= FITTING:
        matrix, inliers = fit_affine(query.points[side][rows[0]], reference.points[0][rows[1]], WITHIN, TRIES)
        if matrix is not None and inliers >= FITTING:
            yield shrunk(matrix)


def _agreeing(query: Levels, reference: Levels, matrix: Matrix) -> float:
    # share of the tiles with any structure that show the same; 1 where there are hardly any
    if zoom(matrix) > 1:
        query, reference, matrix = reference, query, np.asarray(np.linalg.inv(matrix), np.float64)
    laid, inside = moved(query, matrix, reference.shape)
    a, b = (import_cv2().GaussianBlur(side.astype(np.float32), (0, 0), SMOOTHING) for side in (laid[..., 0], reference))
    correlation, structure = correlate(a, b, TILE)
    seen = correlation[(structure > TEXTURE) & (tile_means(inside.astype(np.float32), TILE) > 1 - 1e-6)]
    return float((seen >= ALIKE).mean()) if len(seen) >= FEWEST else 1.0


def _thumb(small: Levels) -> NDArray[np.float32]:
    cv2 = import_cv2()
    levels = cv2.resize(small, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    levels -= levels.mean()
    return np.asarray(levels / max(1.0, float(np.linalg.norm(levels))))
