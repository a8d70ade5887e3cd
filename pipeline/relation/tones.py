"""Two aligned pictures, as light and as colourful as one another? What was done to brightness, contrast and colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Alignment, superpose
from twinpix.pipeline.second_look.look import Look, import_cv2

UNCLIPPED = (6, 249)  # levels that no edit may have clipped
EVERY, FEWEST = 2, 60  # px of a quarter look: which ones are looked at, and how many are needed
BRIGHTER, STEEPER, COLOURFULLER = 2.5, 4.0, 8.0  # %: from which it is an edit
TURNED, TINTED = 5.0, 6.0  # degrees, levels
FAINT = 0.2  # of the colourfulness: what is left has no hue
COLOURLESS, COLOURED = 2.5, 5.0  # levels of colour, root mean square
SMOOTHING = 1.0  # px
# levels off the ground; px; of 206 JPEG copies of things on a ground one is so far off
INK, INKED, OTHER_INK = 8.0, 20, 0.12
ROUNDS, OUTLYING = 3, 3.0  # times the median residual

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Colours:
    """Two small pictures in one frame.

    Attributes:
        query, reference: float32 (n, 3), levels of R, G, B, px by px.
    """

    query: Plane
    reference: Plane


@dataclass(frozen=True)
class ToneEdits:
    """As in `Edits`; what is too small to be one is 0."""

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    tint: float = 0.0
    grayscale: bool = False


def lay_colours(query: Look, reference: Look, alignment: Alignment) -> Colours:
    """The colours of two pictures where they overlap."""
    small = [replace(look, tones=look.small_colours) for look in (query, reference)]
    shrink = [_shrink(look) for look in (query, reference)]
    matrix = shrink[1] @ alignment.matrix @ np.linalg.inv(shrink[0])
    aligned = superpose(small[0], small[1], replace(alignment, matrix=matrix))
    inside = import_cv2().erode(aligned.inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    return Colours(*(_smooth(levels)[inside][::EVERY] for levels in (aligned.query, aligned.reference)))


def _shrink(look: Look) -> NDArray[np.float64]:
    across, down = (small / large for small, large in zip(look.small_colours.shape[1::-1], look.size, strict=True))
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _smooth(levels: NDArray[np.uint8]) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(levels.astype(np.float32), (0, 0), SMOOTHING))


def tone_edits(original: Plane, copy: Plane, least: float = 1.0) -> ToneEdits:
    """What was done to the colours.

    Args:
        original, copy: float32 (n, 3), px by px.
        least: how many times as large as usual a change must be to count.
    """
    if len(original) < FEWEST:
        return ToneEdits()
    sound = _sound(original, copy)
    (light, chroma), (copy_light, copy_chroma) = (_split(levels[sound]) for levels in (original, copy))
    brighter = float(copy_light.mean() / max(light.mean(), 1.0))
    slope = float((copy_light.std() + 0.5) / (light.std() + 0.5))
    return replace(
        _colour_edits(chroma, copy_chroma, slope, least),
        brightness=_said(100 * (brighter - 1), least * BRIGHTER),
        contrast=_said(100 * (slope / brighter - 1), least * STEEPER),
    )


def has_other_ink(one: Plane, other: Plane) -> bool:
    """Whether what stands on the even ground of two pictures has another colour: too little of it to colour the whole.

    What compression smears keeps its sum, so colour is summed over all ink, and put in relation to its light.

    Args:
        one, other: float32 (n, 3).
    """
    inks = [ink for ink in map(_ink_colour, (one, other)) if ink is not None]
    return len(inks) == 2 and bool(np.abs(inks[0] - inks[1]).max() > OTHER_INK)


def _ink_colour(levels: Plane) -> Plane | None:
    apart = np.asarray(levels - np.median(levels, axis=0), np.float32)
    light = _split(apart)[0]
    ink = np.abs(light) > INK
    if ink.sum() < INKED:
        return None
    return np.asarray((apart[ink] * np.sign(light[ink])[:, None]).sum(0) / np.abs(light[ink]).sum(), np.float32)


def _sound(original: Plane, copy: Plane) -> NDArray[np.bool_]:
    # px that no edit clipped, and on which nothing was stuck: those that one curve for each channel explains
    low, high = UNCLIPPED
    sound = np.asarray(((original > low) & (original < high) & (copy > low) & (copy < high)).all(1))
    if sound.sum() < FEWEST:
        sound = np.ones(len(original), bool)
    for _ in range(ROUNDS):
        off = np.zeros(len(original), np.float32)
        for channel in range(3):
            x, y = original[:, channel], copy[:, channel]
            apart, mean = x - x[sound].mean(), y[sound].mean()
            gain = (apart[sound] * (y[sound] - mean)).mean() / (apart[sound].var() + 1.0)
            off += np.abs(y - mean - gain * apart)
        fits = sound & (off <= OUTLYING * max(float(np.median(off[sound])), 1.0))
        if fits.sum() < FEWEST:
            break
        sound = fits
    return sound


def _split(levels: Plane) -> tuple[Plane, NDArray[np.complex64]]:
    red, green, blue = levels.T
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return light, ((red - light) + 1j * (blue - light)).astype(np.complex64)


def _colour_edits(chroma: NDArray[np.complex64], copy: NDArray[np.complex64], slope: float, least: float) -> ToneEdits:
    strength, left = (float(np.sqrt((np.abs(c) ** 2).mean())) for c in (chroma, copy))
    if strength > COLOURED and left < COLOURLESS:
        return ToneEdits(grayscale=True)
    apart, copy_apart = chroma - chroma.mean(), copy - copy.mean()
    spread = float((np.abs(apart) ** 2).mean())
    if spread < COLOURLESS**2:
        return ToneEdits(tint=_said(float(abs(copy.mean() - chroma.mean())), least * TINTED))
    gain = complex((apart.conj() * copy_apart).mean()) / spread
    tint = float(abs(complex(copy.mean()) - gain * complex(chroma.mean())))
    return ToneEdits(
        saturation=_said(100 * (abs(gain) / slope - 1), least * COLOURFULLER),
        hue=_said(float(np.degrees(np.angle(gain))), least * TURNED) if abs(gain) > FAINT * slope else 0.0,
        tint=_said(tint, least * TINTED),
    )


def _said(value: float, least: float) -> float:
    return value if abs(value) >= least else 0.0
