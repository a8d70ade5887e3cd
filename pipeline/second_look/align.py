"""Where one picture lies in the other: local features, matched, and the map that most of them agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import import_faiss
from twinpix.pipeline.second_look.in_place import lay_upon, seems_in_place
from twinpix.pipeline.second_look.look import LOOK_PX, SHRUNK, Levels, Look, import_cv2

BITS = 256  # of a descriptor
RATIO = 0.85  # nearest descriptor against the second nearest, at most (Lowe 2004)
REPROJECTION, TRIES = 3.0, 500  # px; of RANSAC
SCALE, STRETCH = (0.15, 7.0), 3.0  # how much an edit may shrink, enlarge and squeeze
TILT = 0.5  # how much larger one end of a picture may become than the other, beyond 1
MIN_INLIERS, MANY_INLIERS = 10, 40
FITTING = 0.4  # of the matched features must fit the alignment: on two pages of one layout a third do
GLANCE, FEWEST_SMALL = 0.4, 30  # correlation, px
GLIMPSE = 3  # every third feature tells whether all of them are worth it: for mirror images, and for far candidates
SEEN_AT_A_GLIMPSE = 18  # matches of those; of 400 far pairs of different pictures one has so many, of copies nearly all

Matrix = NDArray[np.float64]
Points = NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """Where one picture lies in the other.

    Attributes:
        matrix: float64 (3, 3), homogeneous; px of the query's look (after mirroring) -> px of the reference's.
        mirrored: whether the query was mirrored first.
        inliers: local features that agree with it within 3 px.
        matches: local features that were matched; 0 where one picture was laid on the other as it is.
    """

    matrix: Matrix
    mirrored: bool
    inliers: int
    matches: int

    @property
    def fits(self) -> bool:
        """Whether enough of the matched features agree with it."""
        return self.inliers >= FITTING * self.matches

    @property
    def is_in_place(self) -> bool:
        """Whether no local feature was asked."""
        return self.matches == 0

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
        speckled: whether salt and pepper was taken out of either.
    """

    query: Levels
    reference: Levels
    inside: NDArray[np.bool_]
    speckled: bool = False


def alignments(query: Look, reference: Look) -> Iterator[Alignment]:
    """Maps under which two pictures may be one: as is, then mirrored.

    Each time first the one on the other as they lie, then as local features match: affine, then with perspective.
    """
    for mirrored in (False, True):
        source = query.mirrored if mirrored else query
        if seems_in_place(source, reference):
            yield Alignment(lay_upon(source, reference), mirrored, 0, 0)
        if mirrored and len(match_features(source.descriptors[::GLIMPSE], reference.descriptors)[0]) < MIN_INLIERS:
            return
        rows = match_features(source.descriptors, reference.descriptors)
        points = source.points[rows[0]], reference.points[rows[1]]
        for fit in (fit_affine, _perspective):
            matrix, inliers = fit(*points) if len(rows[0]) >= MIN_INLIERS else (None, 0)
            if matrix is None or inliers < MIN_INLIERS:
                break
            if inliers < MANY_INLIERS and glance(source.small, reference.small, matrix) < GLANCE:
                break
            yield Alignment(matrix, mirrored, inliers, len(rows[0]))


def has_a_glimpse(query: Look, reference: Look) -> bool:
    """Whether a part of the local features, as is or mirrored, already finds a good many partners."""
    if query.descriptors.tobytes() > reference.descriptors.tobytes():  # the order of the two changes nothing
        query, reference = reference, query
    sides = (query.descriptors, query.mirrored.descriptors)
    return any(len(match_features(side[::GLIMPSE], reference.descriptors)[0]) >= SEEN_AT_A_GLIMPSE for side in sides)


def glance(query: Levels, reference: Levels, matrix: Matrix) -> float:
    """Correlation of two lumas at a quarter of the size where they overlap, -1..1; 0 where they hardly do.

    Half of all alignments that ten features agree with are wrong, and this costs a hundredth of looking closely.

    Args:
        query, reference: `small` of two looks.
        matrix: as of `Alignment`.
    """
    small = shrunk(matrix)
    cv2, size = import_cv2(), reference.shape[::-1]
    inside = cv2.warpPerspective(np.full(query.shape, 255, np.uint8), small, size) == 255
    if inside.sum() < FEWEST_SMALL:
        return 0.0
    moved = cv2.warpPerspective(query, small, size)[inside]
    pair = np.stack([moved, reference[inside]]).astype(np.float32)
    pair -= pair.mean(1, keepdims=True)
    return float(pair[0] @ pair[1] / (np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]) + 1e-6))


def shrunk(matrix: Matrix) -> Matrix:
    """The same map between two pictures at a quarter of the size."""
    shrink = np.diag([1 / SHRUNK, 1 / SHRUNK, 1.0])
    return np.asarray(shrink @ matrix @ np.linalg.inv(shrink))


def fit_affine(query: Points, reference: Points) -> tuple[Matrix | None, int]:
    """The affine map that most of these pairs of points agree with, and how many do; None if it is no edit.

    RANSAC (Fischler & Bolles 1981); OpenCV seeds it the same each time.
    """
    found, inliers = import_cv2().estimateAffine2D(
        query, reference, ransacReprojThreshold=REPROJECTION, maxIters=TRIES, confidence=0.99
    )
    if found is None or not _is_plausible(found[:, :2]):
        return None, 0
    return np.vstack([found, (0, 0, 1)]), int(inliers.sum())


def _perspective(query: Points, reference: Points) -> tuple[Matrix | None, int]:
    cv2 = import_cv2()
    found, inliers = cv2.findHomography(query, reference, cv2.RANSAC, REPROJECTION, maxIters=TRIES, confidence=0.99)
    if found is None or not np.isfinite(found).all() or abs(found[2, 2]) < 1e-6:
        return None, 0
    found = found / found[2, 2]
    tilt = min(np.abs(way[2, :2]).max() for way in (found, _inverse(found)))  # either picture may come first
    if not _is_plausible(found[:2, :2]) or tilt * LOOK_PX > TILT:
        return None, 0
    return found, int(inliers.sum())


def _inverse(matrix: Matrix) -> Matrix:
    back = np.linalg.inv(matrix)
    return np.asarray(back / back[2, 2], np.float64)


def match_features(query: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of two sets of ORB descriptors, uint8 (n, 32) and (m, 32), that are each other's nearest by far.

    All distances at once: to count bits takes FAISS a third of the time in which it finds the two nearest.
    """
    if len(query) < 2 or len(reference) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    distance, rows = _hamming(query, reference), np.arange(len(query))
    nearest = distance.argmin(1)
    least = distance[rows, nearest]
    distance[rows, nearest] = BITS + 1
    clear = np.flatnonzero(least < RATIO * distance.min(1))
    distance[rows, nearest] = least
    mutual = clear[distance[:, nearest[clear]].argmin(0) == clear]
    return mutual, nearest[mutual]


def _hamming(query: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.int32]:
    # in how many bits each of the n and each of the m differ, (n, m)
    faiss, (n, width), m = import_faiss(), query.shape, len(reference)
    a, b, distance = np.ascontiguousarray(query), np.ascontiguousarray(reference), np.empty((n, m), np.int32)
    faiss.hammings(faiss.swig_ptr(a), faiss.swig_ptr(b), n, m, width, faiss.swig_ptr(distance))
    return distance


def _is_plausible(linear: Matrix) -> bool:
    large, small = np.linalg.svd(linear)[1]
    low, high = SCALE
    return bool(low < small and large < high and large < STRETCH * small and np.linalg.det(linear) > 0)


def superpose(query: Look, reference: Look, alignment: Alignment) -> Aligned:
    """Move the picture that shows more detail onto the other one."""
    turned = query.tones[:, ::-1] if alignment.mirrored else query.tones
    speckled = query.speckled or reference.speckled
    if zoom(alignment.matrix) > 1:  # the query is the coarser one
        back = np.linalg.inv(alignment.matrix).astype(np.float64)
        laid, inside = moved(reference.tones, back, turned.shape)
        return Aligned(np.ascontiguousarray(turned), laid, inside, speckled)
    laid, inside = moved(turned, alignment.matrix, reference.tones.shape)
    return Aligned(laid, reference.tones, inside, speckled)


def between(alignment: Alignment, looks: tuple[Look, Look], others: tuple[Look, Look]) -> Alignment:
    """The same alignment between looks of another size."""
    matrix = lay_upon(looks[1], others[1]) @ alignment.matrix @ lay_upon(others[0], looks[0])
    return Alignment(matrix / matrix[2, 2], alignment.mirrored, alignment.inliers, alignment.matches)


def zoom(matrix: Matrix) -> float:
    """Px of the target per px of the source."""
    return float(np.sqrt(np.linalg.det(matrix[:2, :2])))


def moved(tones: Levels, matrix: Matrix, shape: tuple[int, ...]) -> tuple[Levels, NDArray[np.bool_]]:
    """Levels, uint8 (h, w, c), moved into a frame of that shape, and where they are there, bool (high, wide)."""
    cv2, size, shrink = import_cv2(), (shape[1], shape[0]), 1 / zoom(matrix)
    tones = np.ascontiguousarray(tones)
    if shrink > 1.05:  # or its detail would turn into aliasing
        tones = cv2.GaussianBlur(tones, (0, 0), 0.5 * float(np.sqrt(shrink**2 - 1)))
    inside = cv2.warpPerspective(np.full(tones.shape[:2], 255, np.uint8), matrix, size)
    there = cv2.warpPerspective(tones, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return there.reshape(*inside.shape, -1), inside == 255  # OpenCV drops the axis of a single tone
