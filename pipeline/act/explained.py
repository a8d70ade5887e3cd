"""Whether a file is what its own compression and size make of another: compared at full size, tile by tile."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from twinpix.encoder.decode import open_image
from twinpix.encoder.header import is_lossless
from twinpix.pipeline.second_look.look import import_cv2
from twinpix.pipeline.second_look.tiles import Plane, tile_means

Recoder = Callable[[Image.Image], Image.Image]

TILE = 32  # px
# times the energy that recompressing makes: of a plain copy 1.0; up to 1.3 if its encoder saved more than Pillow does.
# At other sizes it depends on how it was shrunk, too
MOST, MOST_OF_TILE = 1.3, 2.0
MOST_RESIZED, MOST_OF_RESIZED_TILE = 1.7, 3.0
ROUNDED, ROUNDED_TILE = 0.25, 1.0  # squared levels that are nothing, of all and of a tile
REACH, SAMPLES = 2, 40_000  # px round one; px of which the way it was shrunk is read
COARSEST, FINEST = 2, 98  # qualities of JPEG
PLANES = ("brightness", "colour")


def unexplained(path: Path, copy: Image.Image, other: Image.Image) -> str:
    """How a picture differs from another by more than its own compression and size explain; empty if it does not.

    The other is brought to its size and compressed as it was: so much, and hardly more, a plain copy may differ. What
    was edited, retouched, blurred or compressed more coarsely before it was saved finely does more, from either side.

    Args:
        path: of the one that may be a copy.
        copy, other: both, upright, RGB.

    Raises:
        OSError, ValueError: it can't be compressed so.
    """
    resized = copy.size != other.size
    most, most_of_tile = (MOST_RESIZED, MOST_OF_RESIZED_TILE) if resized else (MOST, MOST_OF_TILE)
    laid = _laid(other, copy) if resized else other
    gap, made = _energies(copy, laid, _recoder(path)(laid))
    for number, plane in enumerate(PLANES):
        times = gap[..., number] / (made[..., number] + ROUNDED_TILE)
        if times.max() > most_of_tile:
            down, across = np.unravel_index(times.argmax(), times.shape)
            return f"at full size they differ around {across * TILE}, {down * TILE} px (retouched, covered, sharpened?)"
        if gap[..., number].mean() > most * (made[..., number].mean() + ROUNDED):
            return f"at full size they differ in {plane} by more than its compression explains: which is the original?"
    return ""


def _energies(*pictures: Image.Image) -> tuple[Plane, Plane]:
    # of the gaps of the first and the third to the second one, in tiles: (high, wide, 2), squared levels of brightness
    # and of colour. In strips: a picture of 100 megapixels is large enough as it is
    wide, high = pictures[0].size
    strips = ((0, top, wide, min(top + 16 * TILE, high)) for top in range(0, high, 16 * TILE))
    parts = [_energies_of(*(picture.crop(strip) for picture in pictures)) for strip in strips]
    gap, made = (np.concatenate(side) for side in zip(*parts, strict=True))
    return gap, made


def _energies_of(copy: Image.Image, laid: Image.Image, again: Image.Image) -> tuple[Plane, Plane]:
    one, base, other = (np.asarray(part.convert("YCbCr"), np.float32) for part in (copy, laid, again))
    gap, made = (_tiled((levels - base) ** 2) for levels in (one, other))
    return gap, made


def _tiled(squares: Plane) -> Plane:
    cv2, (high, wide) = import_cv2(), squares.shape[:2]
    planes = np.stack((squares[..., 0], squares[..., 1:].mean(-1)), -1)
    whole = cv2.copyMakeBorder(planes, 0, -high % TILE, 0, -wide % TILE, cv2.BORDER_REFLECT)
    return tile_means(np.asarray(whole, np.float32), TILE).reshape(-(-high // TILE), -(-wide // TILE), 2)


def _recoder(path: Path) -> Recoder:
    # compresses a picture as that file is
    with open(path, "rb") as file, open_image(file) as image:
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            return _as_jpeg(image)
        if image.mode == "P":
            palette = image.copy()
            return lambda picture: picture.quantize(palette=palette).convert("RGB")
        if is_lossless(image):
            return lambda picture: picture
    return lambda picture: _as_small(picture, path.stat().st_size)


def _as_jpeg(image: JpegImagePlugin.JpegImageFile) -> Recoder:
    tables, sampling = image.quantization, JpegImagePlugin.get_sampling(image)
    mode = "L" if image.mode == "L" else "RGB"
    how = {"qtables": tables} | ({"subsampling": sampling} if sampling >= 0 else {})
    return lambda picture: _decoded(_encoded(picture.convert(mode), **how))


def _as_small(picture: Image.Image, size: int) -> Image.Image:
    # of other formats no table tells: a JPEG of as many bytes has lost no less
    low, high = COARSEST, FINEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_encoded(picture, quality=middle)) > size else (middle, high)
    return _decoded(_encoded(picture, quality=low))


def _encoded(picture: Image.Image, **how: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **how)
    return buffer.getvalue()


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _laid(other: Image.Image, copy: Image.Image) -> Image.Image:
    # shrunk as that copy was: by which filter, and whether it was sharpened then, the copy itself tells best
    ways = [_shrunk(other, copy, way) for way in (_averaged, *PILLOW)]
    _, shrunk, kernel = min(ways, key=lambda way: way[0])
    filtered = import_cv2().filter2D(np.asarray(shrunk), -1, kernel, borderType=import_cv2().BORDER_REPLICATE)
    return Image.fromarray(filtered)


def _shrunk(
    other: Image.Image, copy: Image.Image, way: Callable[[Image.Image, tuple[int, int]], Image.Image]
) -> tuple[float, Image.Image, NDArray[np.float32]]:
    # with the mean square of what the best filter leaves
    shrunk = way(other, copy.size)
    levels, wanted = (np.asarray(picture.convert("L"), np.float32) for picture in (shrunk, copy))
    step, side = max(1, round((levels.size / SAMPLES) ** 0.5)), 2 * REACH + 1
    near = np.lib.stride_tricks.sliding_window_view(levels, (side, side))[::step, ::step].reshape(-1, side * side)
    middle = wanted[REACH:-REACH:step, REACH:-REACH:step].ravel()
    kernel = np.linalg.lstsq(near, middle, rcond=None)[0]
    return float(np.mean((near @ kernel - middle) ** 2)), shrunk, kernel.reshape(side, side)


def _averaged(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    cv2 = import_cv2()
    return Image.fromarray(cv2.resize(np.asarray(picture), size, interpolation=cv2.INTER_AREA))


def _unfiltered(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    cv2 = import_cv2()
    return Image.fromarray(cv2.resize(np.asarray(picture), size, interpolation=cv2.INTER_LINEAR))


PILLOW: tuple[Callable[[Image.Image, tuple[int, int]], Image.Image], ...] = (
    lambda picture, size: picture.resize(size, Image.Resampling.LANCZOS),
    lambda picture, size: picture.resize(size, Image.Resampling.BOX),
    _unfiltered,
)
