"""Where the copy lies in the original, by the map between their pixels: crop, zoom, rotation, mirror, squeeze."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.relation.kinds import WHOLE, Box, Facts
from twinpix.pipeline.second_look.align import Alignment
from twinpix.pipeline.second_look.look import LOOK_PX, Levels, Look, import_cv2

CUT = 0.006  # of a side, from which it is no rounding any more
TURNED, SNAP = 0.5, 0.35  # degrees: from which it is rotated; this near to a right angle it is one
SQUEEZED = 0.015  # share, from which the shape changed
TILTED = 3.0  # px that a perspective moves a corner
AROUND = 0.01  # share of a picture that lies outside the other one, from which it is looked at
RING = 7  # px
FLAT, ALIKE, STEP, STEPPED = 12, 0.85, 8, 0.4  # levels, share; levels, share

Matrix = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """How one picture, the source, lies in the other, the target.

    Attributes:
        matrix: float64 (3, 3), px of the source's look -> px of the target's, its mirroring included.
        source, target: sizes of the looks, (width, height), px.
    """

    matrix: Matrix
    source: Size
    target: Size

    @property
    def back(self) -> Place:
        """The other way round."""
        return Place(np.linalg.inv(self.matrix).astype(np.float64), self.target, self.source)

    def carry(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 2) of the source, in the target."""
        carried = np.column_stack([points, np.ones(len(points))]) @ self.matrix.T
        return np.asarray(carried[:, :2] / carried[:, 2:])

    def corners(self, box: Box) -> NDArray[np.float64]:
        """Those of a part of the source, px, (4, 2), clockwise from the upper left."""
        return _corners(self.source, box)

    def carry_box(self, box: Box) -> Box:
        """A part of the source: the upright box round it in the target, as far as that reaches."""
        (left, top), (right, bottom) = (end(self.carry(_corners(self.source, box)), 0) for end in (np.min, np.max))
        wide, high = self.target
        edges = ((left + 0.5) / wide, (top + 0.5) / high, (right + 0.5) / wide, (bottom + 0.5) / high)
        return Box(*(float(np.clip(edge, 0, 1)) for edge in edges))

    @property
    def linear(self) -> Matrix:
        """float64 (2, 2): how the middle of the source is turned and scaled."""
        x, y = (self.source[0] - 1) / 2, (self.source[1] - 1) / 2
        at, right, down = self.carry(np.array([(x, y), (x + 1, y), (x, y + 1)]))
        return np.stack([right - at, down - at], 1)

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right are swapped."""
        return bool(np.linalg.det(self.linear) < 0)

    @property
    def upright(self) -> Matrix:
        """`linear` after left and right of the source are swapped, where it is mirrored."""
        return self.linear @ np.diag([-1.0, 1.0]) if self.is_mirrored else self.linear

    @property
    def turn(self) -> float:
        """Degrees clockwise, -180..180, after mirroring."""
        (a, b), (c, d) = self.upright
        return float(np.degrees(np.arctan2(c - b, a + d)))

    @property
    def squeeze(self) -> float:
        """How much wider the source becomes for its height."""
        across, down = np.linalg.norm(self.upright, axis=0)
        return float(across / down)

    @property
    def frame_area(self) -> float:
        """Area of the target in the source, as a share of the source; above 1 where it shows more."""
        x, y = self.back.carry(_corners(self.target, WHOLE)).T
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        return float(area / (self.source[0] * self.source[1]))

    @property
    def tilt(self) -> float:
        """How far a perspective moves a corner, px of the target's look."""
        corners = _corners(self.source, WHOLE)
        middle = corners.mean(0, keepdims=True)
        affine = self.carry(middle) + (corners - middle) @ self.linear.T
        return float(np.abs(self.carry(corners) - affine).max()) if np.any(self.matrix[2, :2]) else 0.0

    def scale(self, source: Facts, target: Facts) -> float:
        """Px of the target's file per px of the source's."""
        stretch = np.sqrt(abs(np.linalg.det(self.linear)))
        return float(stretch * per_look(target) / per_look(source))

    @property
    def seen(self) -> Box | None:
        """The part of the source that lies in the target; None: all of it."""
        box = self.back.carry_box(WHOLE)
        return box if max(box.left, box.top, 1 - box.right, 1 - box.bottom) > CUT else None

    def outside(self) -> NDArray[np.bool_]:
        """Which px of the target's look show nothing of the source, bool (h, w)."""
        cv2, (wide, high) = import_cv2(), self.source
        whole = np.full((high, wide), 255, np.uint8)
        return np.asarray(cv2.warpPerspective(whole, self.matrix, self.target)) < 128


def per_look(facts: Facts) -> float:
    """Px of the file per px of its look."""
    return max(facts.width, facts.height) / LOOK_PX


def _corners(size: Size, box: Box) -> NDArray[np.float64]:
    xs, ys = np.array([box.left, box.right]) * size[0] - 0.5, np.array([box.top, box.bottom]) * size[1] - 0.5
    return np.array([(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])])


def place_of(query: Look, reference: Look, matrix: Matrix, mirrored: bool) -> Place:
    """Where the query lies in the reference, from an alignment of the second look."""
    return Place(matrix @ _mirroring(query) if mirrored else matrix, query.size, reference.size)


def turned_round(alignment: Alignment, query: Look, reference: Look) -> Alignment:
    """An alignment of the reference with the query as one of the query with the reference."""
    back = np.linalg.inv(alignment.matrix)
    if alignment.mirrored:
        back = _mirroring(reference) @ back @ _mirroring(query)
    return replace(alignment, matrix=np.asarray(back / back[2, 2], np.float64))


def _mirroring(look: Look) -> Matrix:
    return np.array([[-1.0, 0, look.size[0] - 1], [0, 1, 0], [0, 0, 1]])


def has_filled_surroundings(place: Place, target: Look) -> bool:
    """Whether what the target shows beside the source is a border, a frame or filled corners: flat, and with an edge.

    A plain sky that a crop cut off is flat, too, but goes on inside.
    """
    cv2, luma, outside = import_cv2(), target.tones[..., 0], place.outside()
    if outside.mean() < AROUND:
        return False
    grown = cv2.erode(outside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    beside = luma[grown if grown.any() else outside]
    level = float(np.median(beside))
    if float((np.abs(beside.astype(np.float32) - level) <= FLAT).mean()) < ALIKE:
        return False
    return _has_an_edge(luma, outside, level)


def _has_an_edge(luma: Levels, outside: NDArray[np.bool_], level: float) -> bool:
    cv2 = import_cv2()
    ring = cv2.dilate(outside.astype(np.uint8), np.ones((RING, RING), np.uint8)).astype(bool) & ~outside
    steps = np.abs(luma[ring].astype(np.float32) - level)
    return bool(ring.any() and (steps > STEP).mean() >= STEPPED)
