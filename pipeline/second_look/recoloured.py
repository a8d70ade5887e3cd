"""What stands on an even ground, at other levels: a brightened copy, or the same thing in another colour?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Alignment, between, superpose
from twinpix.pipeline.second_look.look import Look
from twinpix.pipeline.second_look.things import apart, single
from twinpix.pipeline.second_look.tiles import Plane

# degrees by which an edit turns all hues, at most; levels: of colour that has a hue; by which a colour is another one,
# and by which the ground has a cast; px of 256 that must differ so, and their share; what grey has left of its colour
OTHER_HUE, COLOURFUL, OTHER_COLOUR, CAST, HUED, HUED_SHARE, FAINT = 50.0, 25.0, 45.0, 12.0, 30, 0.02, 0.2
# levels by which what lost its colour is lighter or darker than any way to make it grey explains, and how much of it
OTHER_LIGHT, OTHER_SHARE = 40.0, 0.3
# levels, of any channel, by which thumbnails differ on the whole once one was recoloured; px of a thing that stands out
RECOLOURED, SHARES, OTHER_THING = 6.0, (5, 25, 50, 75, 95), 8


def is_recoloured(query: Look, reference: Look) -> bool:
    """Whether two such pictures that are no written pages have other levels on the whole, one brightened, perhaps.

    Then what is ink by its levels need not be: `is_same_but_for_levels` says it.
    """
    if query.is_written and reference.is_written:
        return False
    one, other = (np.percentile(look.thumb, SHARES, axis=(0, 1)) for look in (query, reference))
    return bool(np.abs(one - other).max() > RECOLOURED)


def is_same_but_for_levels(query: Look, reference: Look, alignment: Alignment) -> bool:
    """Whether nothing stands out of either, whatever happened to brightness and contrast, and no hue is another one.

    Args:
        alignment: from the query to the reference.
    """
    aligned = superpose(query, reference, alignment)
    things = single(apart(aligned, range(aligned.query.shape[2])))
    return all(one.sum() < OTHER_THING for one in things) and not has_other_hues(query, reference, alignment)


def has_other_hues(query: Look, reference: Look, laid: Alignment) -> bool:
    """Whether what stands on one ground has another colour in places, or everywhere: a red bottle and a green one.

    An edit turns all hues alike, and by little; what a cast of colour did to the ground says nothing of things on it.

    Args:
        laid: from the query's look to the reference's.
    """
    looks, coloured = (query.grey, reference.grey), (Look(query.colours), Look(reference.colours))
    aligned = superpose(*coloured, between(laid, looks, coloured))
    levels = [side[aligned.inside].astype(np.float32) for side in (aligned.query, aligned.reference)]
    sides = map(_colour, levels)
    (a, light), (b, other_light) = sorted(sides, key=lambda side: -float(np.abs(side[0]).sum()))  # the paler one last
    hued = np.maximum(np.abs(a), np.abs(b)) > COLOURFUL
    if hued.sum() < HUED:
        return False
    if abs(_median(a) - _median(b)) > CAST:
        return _is_on_another_ground(*levels)
    ratio = b[np.abs(a) > COLOURFUL] / a[np.abs(a) > COLOURFUL]
    gain = _median(ratio) if len(ratio) else 1.0 + 0.0j
    if abs(gain) <= FAINT:  # shades of grey have no hue, but they are as light: a black shirt is no grey copy of a blue
        as_lit = other_light * (np.median(light) / max(float(np.median(other_light)), 1.0))
        others = np.abs(light - as_lit)[hued] > OTHER_LIGHT
        return bool(others.sum() >= OTHER_SHARE * hued.sum())
    elsewhere = np.abs(b[hued] - gain * a[hued]) > OTHER_COLOUR
    turned = abs(np.degrees(np.angle(gain))) > OTHER_HUE
    return bool(turned or elsewhere.sum() >= max(HUED, HUED_SHARE * hued.sum()))


def _is_on_another_ground(a: Plane, b: Plane) -> bool:
    # whether what stands on it kept its colours, which no light and no cast would have left alone: another wallpaper
    ground, other = (np.median(side, 0) for side in (a, b))
    things = (np.abs(a - ground).max(1) > OTHER_COLOUR) & (np.abs(b - other).max(1) > OTHER_COLOUR)
    as_lit = a * (other / np.maximum(ground, 1))
    kept = things & (np.abs(b - a).max(1) < CAST) & (np.abs(b - as_lit).max(1) > OTHER_COLOUR)
    return bool(kept.sum() >= max(HUED, OTHER_SHARE * things.sum()))


def _colour(levels: Plane) -> tuple[NDArray[np.complex64], Plane]:
    # what is beyond its light: as long as it is colourful, at the angle of its hue; and its light
    light = levels @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(levels[:, 0] - light + 1j * (levels[:, 2] - light), np.complex64), light


def _median(colours: NDArray[np.complex64]) -> complex:
    return complex(np.median(colours.real), np.median(colours.imag))
