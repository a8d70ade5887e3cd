"""Animated pictures: the same one only if all of it is, and no still picture's copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.film import FRAME_PX
from twinpix.pipeline.second_look.align import Alignment, Matrix
from twinpix.pipeline.second_look.look import Look, import_cv2
from twinpix.pipeline.second_look.tiles import Plane, correlate, tile_means

AROUND = 1  # each frame is sought among the other's around its moment: copies drop frames
TILE, STRUCTURE, AGREEING = 8, 5.0, 0.6  # px, levels, correlation of the tiles of two frames that show the same
WRONG = 0.05  # share of the tiles of a frame that may be something else
LEVEL = 24.0  # levels; two tiles without structure are as bright as one another
OVERLAP, WHOLE = 0.2, 0.9  # share of the tiles that both must show; of a tile
EVERYWHERE = np.ones((FRAME_PX // TILE,) * 2, bool)

Film = NDArray[np.uint8]


def show_the_same(a: Film, b: Film, query: Look, reference: Look, alignment: Alignment | None = None) -> bool:
    """Whether two animations show the same all the time, laid on one another as their first frames are.

    Args:
        a, b: of the query and the reference.
        alignment: from the query's look to the reference's; None: they lie on one another as they are.
    """
    if _agree(a, b) and _agree(b, a):
        return True
    if alignment is None:
        return False
    laid, shown = _laid(a, query, reference, alignment)
    return bool(shown.mean() >= OVERLAP) and _agree(laid, b, shown) and _agree(b, laid, shown)


def _agree(a: Film, b: Film, shown: NDArray[np.bool_] = EVERYWHERE) -> bool:
    return all(
        min(_gap(frame, other, shown) for other in b[max(0, k - AROUND) : k + AROUND + 1]) <= WRONG
        for k, frame in enumerate(a)
    )


def _laid(film: Film, query: Look, reference: Look, alignment: Alignment) -> tuple[Film, NDArray[np.bool_]]:
    # and which tiles of the reference it covers whole: what a crop has cut off can't agree
    cv2, (high, wide) = import_cv2(), film.shape[1:3]
    matrix = _to_square(reference) @ alignment.matrix @ np.linalg.inv(_to_square(query))
    turned = film[:, :, ::-1] if alignment.mirrored else film
    laid = np.stack([
        cv2.warpPerspective(np.ascontiguousarray(frame), matrix, (wide, high), borderMode=cv2.BORDER_REPLICATE)
        for frame in turned
    ])  # fmt: skip
    inside = cv2.warpPerspective(np.full((high, wide), 255, np.uint8), matrix, (wide, high))
    return laid, tile_means((inside == 255).astype(np.float32), TILE) >= WHOLE


def _to_square(look: Look) -> Matrix:
    width, height = look.size
    across, down = FRAME_PX / width, FRAME_PX / height
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _gap(one: Film, other: Film, shown: NDArray[np.bool_]) -> float:
    # share of the tiles that show something else
    a, b = (_luma(frame) for frame in (one, other))
    correlation, structure = correlate(a, b, TILE)
    size = (a.shape[1] // TILE, a.shape[0] // TILE)
    levels = [import_cv2().resize(plane, size, interpolation=import_cv2().INTER_AREA) for plane in (a, b)]
    wrong = ((structure > STRUCTURE) & (correlation < AGREEING)) | (np.abs(levels[0] - levels[1]) > LEVEL)
    return float(wrong[shown].mean())


def _luma(frame: Film) -> Plane:
    return np.asarray(import_cv2().cvtColor(np.ascontiguousarray(frame), import_cv2().COLOR_RGB2GRAY), np.float32)
