"""What a second look sees of a picture: its tones and the local features in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import ImageError
from twinpix.encoder.film import read_film
from twinpix.encoder.specks import without_specks
from twinpix.pipeline.second_look.features import (
    Features,
    Levels,
    find_features,
    has_corners,
    import_cv2,
    mirrored_features,
)
from twinpix.pipeline.second_look.lockless import cached_property
from twinpix.pipeline.twins import THUMB, Structures, fine_structure

LOOK_PX = 384  # longer side; smaller pictures are enlarged, so that features of both have one scale
READ_PX = 186  # half of the shorter side that is read, at least: an eighth of 3,000 px, as of 12-MP photos, will do
FINE_PX, WHOLE_PX = 1024, 2560  # longer side, at most
GLIMPSED_PX = 256  # longer side
GROUND, GROUND_REACH = 0.45, 6  # share of a picture that is one tone, levels more or less
# px, the shorter side: of a smaller thing on white single pixels would count; see `is_small_print`
LEGIBLE = 256
# of `page`: levels off the ground; px, the height of a mark; marks, and their share of all ink, of a written page. Of
# 205 things on white that are none 3 have so many, of 32 receipts all but one
INK_GAP, MARK, MARKS, OF_THE_INK = 30, 14, 25, 0.3
# of a page in shade: px, wider than any ink; the level that its paper gets; its share, marks, and theirs of all ink
INK_WIDTH, PAPER, EVEN_GROUND, EVEN_MARKS, OF_EVEN_INK = 21, 230, 0.6, 60, 0.8
TINY = 16  # px; the shorter side
SMOOTH_SIGMA, DETAIL, SMOOTH_SHARE = 4.0, 4.0, 98  # px of 96; levels of detail that so many percent of pixels lack
SHRUNK = 4
POOR = 20  # local features below which a picture can't be aligned at all

_NO_TONES = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Look:
    """One picture, prepared for verification.

    Attributes:
        tones: uint8 (h, w, 3): luma, and the brightest and the darkest of R, G, B, which a change of hue leaves
            alone; longer side `LOOK_PX`.
        speckled: whether salt and pepper was taken out of it.
        colours: uint8 (h, w, 3), RGB; longer side `GLIMPSED_PX`; not of a mirror image, nor of `features_only`.
        source: what it was made from.
        shorter_side: of the picture itself as it was decoded, px.
    """

    tones: Levels
    speckled: bool = False
    colours: Levels = field(default_factory=lambda: _NO_TONES)
    source: ImageLike | None = None
    shorter_side: int = LOOK_PX

    @cached_property
    def features(self) -> Features:
        """The local features of the luma: most of what a look costs, and relations do without."""
        return find_features(self.tones[..., 0])

    @cached_property
    def is_detailed(self) -> bool:
        """Whether it has local features enough to look for alignments at all."""
        return (not self.has_features and has_corners(self.tones[..., 0], POOR)) or len(self.points) >= POOR

    @property
    def has_features(self) -> bool:
        """Whether its features have been found."""
        return "features" in self.__dict__

    @property
    def points(self) -> NDArray[np.float32]:
        """Where the features are, float32 (n, 2), (x, y) in px."""
        return self.features.points

    @property
    def descriptors(self) -> Levels:
        """What they look like, uint8 (n, 32)."""
        return self.features.descriptors

    @cached_property
    def mirrored(self) -> Look:
        """The same picture, left and right swapped, without colours; its features are those of this one."""
        tones = np.ascontiguousarray(self.tones[:, ::-1])
        return _with_features(tones, mirrored_features(self.features, tones[..., 0]))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.tones.shape[1], self.tones.shape[0]

    @cached_property
    def small(self) -> Levels:
        """The luma at a quarter of the size, uint8 (h, w)."""
        size = tuple(max(1, side // SHRUNK) for side in self.tones.shape[1::-1])
        return np.asarray(import_cv2().resize(self.tones[..., 0], size, interpolation=import_cv2().INTER_AREA))

    @cached_property
    def is_on_ground(self) -> bool:
        """Whether half of it is one even tone, or would be in even light: a page, a screen, a thing on white.

        Of photos one in fifty is.
        """
        return self.has_even_ground or self.is_lit_unevenly

    @cached_property
    def has_even_ground(self) -> bool:
        """Whether half of it is one even tone as it is."""
        return is_mostly_ground(self.page)

    @cached_property
    def is_written(self) -> bool:
        """Whether most of what stands on its ground are many small marks: letters."""
        return self.is_on_ground and (self.is_lit_unevenly or _is_written(self.page))

    @cached_property
    def is_lit_unevenly(self) -> bool:
        """Whether it is a page with a shadow on it, or lying on something, whose ground is no one tone."""
        return not self.has_even_ground and is_page_in_shade(self.page)

    @cached_property
    def small_colours(self) -> Levels:
        """Its colours at a quarter of the size, uint8 (h, w, 3), RGB."""
        size = tuple(max(1, side // SHRUNK) for side in self.size)
        return np.asarray(import_cv2().resize(self.colours, size, interpolation=import_cv2().INTER_AREA))

    @cached_property
    def thumb(self) -> NDArray[np.float32]:
        """Its colours at 32 x 32 px, float32 (32, 32, 3), levels of R, G, B."""
        size, way = (THUMB, THUMB), import_cv2().INTER_AREA
        return np.asarray(import_cv2().resize(self.colours.astype(np.float32), size, interpolation=way))

    @cached_property
    def page(self) -> Levels:
        """Its luma with a longer side of `GLIMPSED_PX`, uint8 (h, w)."""
        return np.asarray(import_cv2().cvtColor(self.colours, import_cv2().COLOR_RGB2GRAY))

    @cached_property
    def grey(self) -> Look:
        """The same picture, grey, without features: its tones are uint8 (h, w, 1)."""
        return Look(np.ascontiguousarray(self.tones[..., :1]))

    @cached_property
    def coarse(self) -> Look:
        """The same, half as large."""
        size, way = tuple(max(1, side // 2) for side in self.size), import_cv2().INTER_AREA
        return Look(import_cv2().resize(self.grey.tones[..., 0], size, interpolation=way)[..., None])

    @cached_property
    def fine(self) -> Look:
        """The same picture, larger and grey, without features: its tones are uint8 (h, w, 1).

        Raises:
            ImageError: it can't be read any more.
        """
        return _fine(self._read(FINE_PX))

    @cached_property
    def whole(self) -> Look:
        """The same, larger still; as large as the picture is, up to 2560 px. Raises ImageError."""
        return _fine(self._read(WHOLE_PX), WHOLE_PX)

    @cached_property
    def healed(self) -> Look | None:
        """The same without salt and pepper; None if there is none. Thin letters may be taken for it.

        Raises:
            ImageError: it can't be read any more.
        """
        levels = np.asarray(self._read(FINE_PX))
        healed = without_specks(levels)
        return None if healed is levels else _fine(Image.fromarray(healed))

    def _read(self, longer_side: int) -> Image.Image:
        if self.source is None:
            raise ImageError("vanished", "the picture itself is not at hand")
        with self._noting_failure():
            return read_picture(self.source, at_least=longer_side // 2)

    @cached_property
    def film(self) -> Levels | None:
        """The frames of an animated picture, see `read_film`; None for a still one. Raises ImageError."""
        with self._noting_failure():
            return None if self.source is None else read_film(self.source)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except ImageError:
            self.__dict__["has_failed"] = True
            raise

    @property
    def has_failed(self) -> bool:
        """Whether it could not be read once more when that was wanted: what was concluded then need not be so again."""
        return "has_failed" in self.__dict__

    @property
    def is_animated(self) -> bool:
        """Whether it has, or seems to have, more than one frame."""
        try:
            return self.film is not None
        except ImageError:
            return True

    @cached_property
    def has_little(self) -> bool:
        """Whether there is too little in it to know it by: blank, dark, tiny, a gradient."""
        return self.shorter_side <= TINY or has_little_detail(self.small)

    @cached_property
    def structure(self) -> Structures:
        """What the picture shows at 32 x 32 px, float32 (1024,), L2 norm 1: see `twins.fine_structure`."""
        thumb = import_cv2().resize(self.tones[..., 0], (THUMB, THUMB), interpolation=import_cv2().INTER_AREA)
        return np.asarray(fine_structure(thumb[None].astype(np.float32))[0])


def is_mostly_ground(luma: Levels) -> bool:
    """Whether half of a luma, uint8 (h, w), is one even tone."""
    return bool(_evenness(luma).max() >= GROUND)


def is_page_in_shade(page: Levels) -> bool:
    """Whether a luma, uint8 (h, w) with a longer side of 256 px, would be a written page if its light were even.

    Of 2,400 photos none is, and of five receipts that have no even ground four.
    """
    cv2, ink = import_cv2(), np.ones((INK_WIDTH, INK_WIDTH), np.uint8)
    paper = cv2.blur(cv2.morphologyEx(page, cv2.MORPH_CLOSE, ink), ink.shape)  # without what is darker, and narrow
    even = (PAPER - cv2.subtract(paper, page)).astype(np.uint8)
    on_it = _marks(even)
    ground = _evenness(even).max() >= EVEN_GROUND
    return bool(ground and on_it.number >= EVEN_MARKS and on_it.share >= OF_EVEN_INK)


def _evenness(luma: Levels) -> NDArray[np.float64]:
    # the share of a luma that is about as bright as each level, (256,)
    share = np.bincount(luma.ravel(), minlength=256) / luma.size
    return np.convolve(share, np.ones(2 * GROUND_REACH + 1), "same")


def _is_written(page: Levels) -> bool:
    marks = _marks(page)
    return marks.number >= MARKS and marks.share >= OF_THE_INK


@dataclass(frozen=True)
class _Marks:
    number: int
    share: float  # of all ink


def _marks(page: Levels) -> _Marks:
    # what stands on its ground, and is no higher than a letter
    ink = np.abs(page.astype(np.int16) - int(_evenness(page).argmax())) > INK_GAP
    stats = import_cv2().connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)[2][1:]  # 0 is the ground
    height, area = stats[:, 3], stats[:, 4]
    marks = area[(height <= MARK) & (area > 2)]
    return _Marks(len(marks), float(marks.sum() / max(1, ink.sum())))


def has_little_detail(small: Levels) -> bool:
    """Whether a luma, uint8 (h, w) with a longer side of 96 px, is nearly all smooth."""
    luma = small.astype(np.float32)
    detail = np.abs(luma - import_cv2().GaussianBlur(luma, (0, 0), SMOOTH_SIGMA))
    return bool(np.percentile(detail, SMOOTH_SHARE) < DETAIL)


def features_only(one: Look) -> Look:
    """The same look and its mirror image without their tones: a tenth of the memory, and enough to align.

    Of photos there is no `thumb`, no `page` and no `grey`, either.
    """
    slim, mirror = (Look(_NO_TONES, source=one.source, shorter_side=one.shorter_side) for _ in range(2))
    # as the cached properties would
    small = np.ascontiguousarray(one.small[:, ::-1])
    mirror.__dict__.update(features=one.mirrored.features, small=small, size=one.size)
    slim.__dict__.update(features=one.features, mirrored=mirror, small=one.small, structure=one.structure)
    slim.__dict__.update(size=one.size, is_on_ground=one.is_on_ground, has_little=one.has_little)
    kept = one.is_on_ground or one.has_little  # half of the memory, and photos need none of it
    slim.__dict__.update(thumb=one.thumb if kept else None, page=one.page if kept else _NO_TONES[..., 0])
    if one.is_on_ground:
        slim.__dict__.update(grey=one.grey)
    return slim


def look(source: ImageLike) -> Look:
    """Prepare a picture.

    Args:
        source: path, bytes of a file, Pillow image or uint8 array.

    Raises:
        ImageError: it can't be used.
    """
    picture = read_picture(source, at_least=READ_PX)
    original = np.asarray(picture)
    levels = without_specks(original)
    return Look(
        _tones(resized(levels, LOOK_PX)),
        speckled=levels is not original,
        colours=resized(levels, GLIMPSED_PX),
        source=source,
        shorter_side=min(picture.size),
    )


def try_look(source: ImageLike) -> Look | None:
    """The picture prepared, or None where it can't be read (any more)."""
    try:
        return look(source)
    except ImageError:
        return None


def lend_features(seen: Look, known: Look) -> None:
    """Give a look the features of another at the same picture, or of its `features_only`: they are most of the work."""
    if not seen.has_features:
        mirror = _with_features(np.ascontiguousarray(seen.tones[:, ::-1]), known.mirrored.features)
        seen.__dict__.update(features=known.features, mirrored=mirror)


def _with_features(tones: Levels, features: Features) -> Look:
    made = Look(tones)
    made.__dict__.update(features=features)
    return made


def glimpse(source: ImageLike) -> Look:
    """The same from a smaller picture: enough to know what kind of picture it is.

    Raises:
        ImageError: it can't be used.
    """
    picture = read_picture(source, at_least=GLIMPSED_PX // 2)
    colours = resized(np.asarray(picture), GLIMPSED_PX)
    tones = _tones(resized(colours, LOOK_PX))
    return Look(tones, colours=colours, source=source, shorter_side=min(picture.size))


def _fine(picture: Image.Image, longer_side: int = FINE_PX) -> Look:
    grey = picture.convert("L")
    grey.thumbnail((longer_side, longer_side), Image.Resampling.BICUBIC)
    return Look(np.asarray(grey)[..., None])


def resized(levels: Levels, longer_side: int) -> Levels:
    """Levels, uint8 (h, w[, c]), with another longer side, px."""
    cv2, scale = import_cv2(), longer_side / max(levels.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in levels.shape[1::-1])
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def _tones(rgb: Levels) -> Levels:
    cv2 = import_cv2()
    red, green, blue = cv2.split(rgb)
    brightest, darkest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.merge([cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), brightest, darkest]))


__all__ = ["Levels", "Look", "features_only", "glimpse", "import_cv2", "lend_features", "look", "try_look"]
