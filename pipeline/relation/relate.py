"""From what a second look found to what the one picture is to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from twinpix.pipeline.relation.kinds import WHOLE, Box, Edits, Facts, Kind, Relation, Side
from twinpix.pipeline.relation.place import (
    SNAP,
    SQUEEZED,
    TILTED,
    TURNED,
    Place,
    has_filled_surroundings,
    per_look,
    place_of,
    turned_round,
)
from twinpix.pipeline.relation.tones import COLOURED, COLOURLESS, ToneEdits, has_other_ink, lay_colours, tone_edits
from twinpix.pipeline.relation.wear import Edges, Fineness, fineness, things_on
from twinpix.pipeline.second_look.align import Aligned, Alignment, superpose, zoom
from twinpix.pipeline.second_look.border import Border, border_of
from twinpix.pipeline.second_look.in_place import lay_upon
from twinpix.pipeline.second_look.judge import Finding
from twinpix.pipeline.second_look.look import Look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.things import have_moved
from twinpix.pipeline.second_look.tiles import Plane
from twinpix.pipeline.second_look.verify import SOUND, Examination, examine_without_borders, is_plain

SHARED = 0.5  # share of agreeing tiles from which a refuted pair shows one scene
SHADED = 4.0  # levels of a channel; blank pictures have less
GRAIN = 0.42  # levels of fine noise, a third of what it is before it is smoothed
# the same for each level of `Facts.coarseness`: nine in ten JPEGs have less; and px, longer side: of larger ones it is
# smoothed away
QUANTIZED, QUANTIZED_PX = 0.034, 1000
BLURRED = 0.2  # doublings of fine detail; interpolation loses half of that
# noise makes a picture sharper, too, by up to so much; but most of it the two don't share, and little of that is one
# having more than the other
NOISY, ONE_HAS_MORE = 0.4, 0.7
HIDING, RIM = 0.02, 0.03  # of a side: from which a border covers something; how far it may be blurred
LEAK = 6  # px round a thing that lies on a picture
SAME_SIZE, RESIZED = 0.02, 0.003  # share of the sides; alignments are no more exact
MORE_BYTES = 1.05  # times
LOSSLESS = ("PNG", "BMP", "TIFF")
# of the strength of colours: all are of one hue, as in sepia, whose tones are not quite; times, more hues than that
ONE_HUE, MORE_HUES = 0.2, 2.0
CLEAN_MEAN, CLEAN_MOST = 3.0, 24.0  # levels: what compression may change of a small picture


@dataclass(frozen=True)
class Pair:
    """Two pictures laid on one another.

    Attributes:
        looks, facts: of the query and of the reference.
        inner: where these looks lie in the pictures: all over, but for borders that were left out.
        place: how the query lies in the reference.
        aligned: both in one frame.
        frame: whose frame that is,
        flipped: and whether left and right are swapped in it.
        colours: float32 (n, 3) each, where they overlap.
    """

    looks: tuple[Look, Look]
    facts: tuple[Facts, Facts]
    inner: tuple[Box, Box]
    place: Place
    aligned: Aligned
    frame: Side
    flipped: bool
    colours: tuple[Plane, Plane]


def relate(query: Look, reference: Look, seen: Examination, facts: tuple[Facts, Facts]) -> Relation:
    """What two pictures are to one another, by a second look at them.

    It is never `identical …`, which takes the files, and `re-encoded` or `resized` only where nothing else differs.
    Which of the two comes first changes nothing, but where nothing else tells which is the original.

    Args:
        seen: `examine(query, reference)`.
        facts: of the query and of the reference.
    """
    if is_in_order((query, reference), facts):
        return _relate(query, reference, seen, facts, Side.QUERY)
    return _relate(reference, query, seen.swapped, facts[::-1], Side.REFERENCE).swapped


def is_in_order(looks: tuple[Look, Look], facts: tuple[Facts, Facts]) -> bool:
    """Whether two pictures are in the order in which they are related, whichever comes first: the larger before."""
    one, other = ((told.pixels, told.bytes, seen.tones.tobytes()) for told, seen in zip(facts, looks, strict=True))
    return one >= other


def _relate(query: Look, reference: Look, seen: Examination, facts: tuple[Facts, Facts], otherwise: Side) -> Relation:
    # otherwise: the original where nothing tells
    # what was aligned is not plain: its features need not be sought for that
    little = query.has_little or reference.has_little or (seen.finding is None and is_plain(query, reference))
    if little and not (seen.outcome is Outcome.CONFIRMED and _are_shaded(query, reference)):
        return Relation(Kind.TOO_LITTLE, facts=facts)
    if seen.outcome is Outcome.ANIMATED:
        original = Side.QUERY if query.is_animated else Side.REFERENCE
        return Relation(Kind.EDITED, original, Edits(still=True), facts)
    if seen.outcome in (Outcome.CONFIRMED, Outcome.LIKELY):
        relation = _copy(lay_pair(query, reference, seen, facts), otherwise)
        return relation if seen.outcome is Outcome.CONFIRMED else replace(relation, kind=Kind.EDITED)
    if seen.outcome is Outcome.UNCLEAR:
        return Relation(Kind.TOO_LITTLE, facts=facts)
    if seen.finding is None or seen.say_otherwise or not _is_one_scene(seen.finding):
        return Relation(Kind.DIFFERENT, facts=facts)
    return Relation(Kind.SAME_SCENE, edits=Edits(altered=not _has_moved(query, reference, seen)), facts=facts)


def _are_shaded(query: Look, reference: Look) -> bool:
    # whether an edit of them could be seen at all: flags, gradients, thin strips
    return min(float(look.colours.std((0, 1)).max()) for look in (query, reference)) >= SHADED


def _is_one_scene(finding: Finding) -> bool:
    return finding.moved or (finding.agreement.median >= SOUND and finding.agreement.agreeing >= SHARED)


def _has_moved(query: Look, reference: Look, seen: Examination) -> bool:
    # whether the camera has, or a thing before it
    if seen.finding is None or not seen.finding.still:
        return True
    return have_moved(superpose(*seen.in_order(*seen.aligned(query, reference)), seen.finding.alignment))


def lay_pair(query: Look, reference: Look, seen: Examination, facts: tuple[Facts, Facts]) -> Pair:
    """The two as the second look aligned them; as they lie, where it did not have to.

    A border that lies on what the other picture shows is left out: it would pass for a change of that.
    """
    pair = _lay(query, reference, seen, facts)
    if seen.borders != (None, None) or not _hides_something(pair):
        return pair
    without = examine_without_borders(query, reference)
    return pair if without is None else _lay(query, reference, without, facts)


def _lay(query: Look, reference: Look, seen: Examination, facts: tuple[Facts, Facts]) -> Pair:
    inner = _within(query, seen.borders[0]), _within(reference, seen.borders[1])
    query, reference = seen.aligned(query, reference)
    turned = seen.is_turned_round and seen.finding is not None
    alignment = (
        seen.finding.alignment if seen.finding is not None else Alignment(lay_upon(query, reference), False, 0, 0)
    )
    if turned:
        alignment = turned_round(alignment, query, reference)
    aligned, colours = superpose(query, reference, alignment), lay_colours(query, reference, alignment)
    place = place_of(query, reference, alignment.matrix, alignment.mirrored)
    in_query = zoom(alignment.matrix) > 1  # see `superpose`
    return Pair(
        (query, reference),
        facts,
        inner,
        place,
        aligned,
        Side.QUERY if in_query else Side.REFERENCE,
        in_query and alignment.mirrored,
        (colours.query, colours.reference),
    )


def _hides_something(pair: Pair) -> bool:
    # whether one of the two has a border, and it lies on what the other one shows
    borders = [border_of(look) for look in pair.looks]
    if (borders[0] is None) == (borders[1] is None):
        return False
    side = 0 if borders[0] is not None else 1
    covered = (pair.place, pair.place.back)[side].seen or WHOLE
    return covered.beyond(_within(pair.looks[side], borders[side])) > HIDING


def _within(look: Look, border: Border | None) -> Box:
    if border is None:
        return WHOLE
    wide, high = look.size
    return Box(border.left / wide, border.top / high, 1 - border.right / wide, 1 - border.bottom / high)


def _copy(pair: Pair, otherwise: Side) -> Relation:
    place_edits, by_place = _placed(pair)
    wear, by_wear = _worn(pair)
    original = by_place or _by_border(pair) or by_wear or _by_file(pair) or otherwise
    edits = _round_borders(_from(original, pair, place_edits, wear), original, pair)
    if edits == Edits(scale=edits.scale) and not _is_clean(pair):
        edits = replace(edits, altered=True)
    if edits != Edits(scale=edits.scale):
        return Relation(Kind.EDITED, original, edits, pair.facts)
    one, other = pair.facts
    same = (one.width, one.height) == (other.width, other.height)
    return Relation(Kind.RE_ENCODED if same else Kind.RESIZED, original, edits, pair.facts)


def _by_border(pair: Pair) -> Side | None:
    # the one that has none
    bordered = [inner != WHOLE for inner in pair.inner]
    return None if bordered[0] == bordered[1] else Side.REFERENCE if bordered[0] else Side.QUERY


def _round_borders(edits: Edits, original: Side, pair: Pair) -> Edits:
    # as parts of the whole pictures, their borders included
    whole, copy = pair.inner if original is Side.QUERY else pair.inner[::-1]
    if whole != WHOLE and (edits.crop is not None or copy == WHOLE):
        edits = replace(edits, crop=whole.part(edits.crop or WHOLE), zoom=edits.zoom * whole.area**-0.5)
    if copy == WHOLE:
        return edits
    return replace(
        edits,
        border=copy.part(edits.border or WHOLE),
        beyond=edits.beyond and copy.part(edits.beyond),
        overlays=tuple(copy.part(box) for box in edits.overlays),
    )


@dataclass(frozen=True)
class _Placed:
    crop: Box | None = None
    border: Box | None = None
    beyond: Box | None = None


def _placed(pair: Pair) -> tuple[_Placed, Side | None]:
    # what lies in what, and which of the two is the whole by that
    (query, reference), place = pair.looks, pair.place
    of_query, of_reference = place.seen, place.back.seen
    if pair.inner != (WHOLE, WHOLE):  # nobody knows to a pixel where a border ends
        of_query, of_reference = (
            None if seen is None or WHOLE.beyond(seen) <= RIM else seen for seen in (of_query, of_reference)
        )
    if of_query is None and of_reference is None:
        filled = [has_filled_surroundings(p, look) for p, look in ((place.back, query), (place, reference))]
        return _Placed(), None if filled[0] == filled[1] else (Side.REFERENCE if filled[0] else Side.QUERY)
    if of_reference is not None and has_filled_surroundings(place, reference):
        return _Placed(of_query, of_reference), Side.QUERY
    if of_query is not None and has_filled_surroundings(place.back, query):
        return _Placed(of_reference, of_query), Side.REFERENCE
    if of_reference is None:
        return _Placed(of_query), Side.QUERY
    if of_query is None:
        return _Placed(of_reference), Side.REFERENCE
    if of_query.area <= of_reference.area:  # two parts of one picture: the larger one counts as the original
        return _Placed(of_query, beyond=of_reference), Side.QUERY
    return _Placed(of_reference, beyond=of_query), Side.REFERENCE


@dataclass(frozen=True)
class _Worn:
    noise: str = ""
    blur: float = 0.0
    things: tuple[Box, ...] = ()
    altered: bool = False


def _worn(pair: Pair) -> tuple[_Worn, Side | None]:
    # what happened to the details, and whose details they were by that
    # a change of colours moves the luma of each elsewhere, but hardly the brightest and the darkest channel as well
    tones = (0,) if tone_edits(*pair.colours) == ToneEdits() else (0, 1, 2)
    things, fine = _look_beside(pair, tones, blurred=False)
    grain = max(GRAIN, *(_quantized(facts) for facts in pair.facts))
    if _is_blurred(fine, grain):
        things, fine = _look_beside(pair, tones, blurred=True)
    worn = _Worn(things=tuple(_as_box(pair, box) for box in things or ()), altered=things is None)
    speckled = tuple(look.speckled for look in pair.looks)
    if speckled[0] != speckled[1]:
        return replace(worn, noise="salt and pepper"), Side.REFERENCE if speckled[0] else Side.QUERY
    if fine is not None and _is_blurred(fine, grain):
        return replace(worn, blur=abs(fine.sharper)), Side.QUERY if fine.sharper > 0 else Side.REFERENCE
    if fine is not None and fine.between >= grain:
        return replace(worn, noise="grain"), Side.REFERENCE if fine.noisier < 0 else Side.QUERY
    colours = [_colourfulness(levels) for levels in pair.colours]
    sides = [side.other for side, one, other in zip(Side, colours, colours[::-1], strict=True) if one.lost_from(other)]
    return worn, sides[0] if sides else None


def _quantized(facts: Facts) -> float:
    # levels of fine noise that JPEG adds
    return QUANTIZED * facts.coarseness * min(1.0, QUANTIZED_PX / max(facts.width, facts.height, 1))


def _look_beside(pair: Pair, tones: Sequence[int], blurred: bool) -> tuple[tuple[Edges, ...] | None, Fineness | None]:
    # what lies on one of the two, and the fine detail beside it
    things = things_on(pair.aligned, tones, blurred)
    return things, fineness(_beside(pair.aligned, things or ()), _density(pair))


def _is_blurred(fine: Fineness | None, grain: float) -> bool:
    if fine is None or abs(fine.sharper) < BLURRED:
        return False
    noise = fine.between >= grain and abs(fine.noisier) < ONE_HAS_MORE * fine.between
    return not noise or abs(fine.sharper) > NOISY


def _beside(aligned: Aligned, things: Sequence[Edges]) -> Aligned:
    inside = aligned.inside.copy()
    for left, top, right, bottom in things:
        inside[max(0, top - LEAK) : bottom + LEAK, max(0, left - LEAK) : right + LEAK] = False
    return replace(aligned, inside=inside)


@dataclass(frozen=True)
class _Colourfulness:
    # levels, root mean square: of all colours, and of what is not of the main hue
    strength: float
    variety: float

    def lost_from(self, other: _Colourfulness) -> bool:
        grey = self.strength < COLOURLESS and other.strength > COLOURED
        one_hue = self.variety < ONE_HUE * self.strength
        return grey or (one_hue and other.variety > max(COLOURED, MORE_HUES * self.variety))


def _colourfulness(levels: Plane) -> _Colourfulness:
    if not len(levels):
        return _Colourfulness(0.0, 0.0)
    apart = (levels - levels.mean(1, keepdims=True)).astype(np.float64)
    across, along = np.linalg.eigvalsh(apart.T @ apart / apart.size)[1:]
    return _Colourfulness(float(np.sqrt(max(0.0, across + along))), float(np.sqrt(max(0.0, across))))


def _density(pair: Pair) -> float:
    # px of the coarser file per px of the frame
    own = pair.facts[pair.frame is Side.REFERENCE], pair.facts[pair.frame is Side.QUERY]
    place = pair.place if pair.frame is Side.QUERY else pair.place.back
    return min(per_look(own[0]), per_look(own[1]) * float(np.sqrt(abs(np.linalg.det(place.linear)))))


def _as_box(pair: Pair, edges: Edges) -> Box:
    high, wide = pair.aligned.inside.shape
    left, top, right, bottom = edges
    if pair.flipped:
        left, right = wide - right, wide - left
    return Box(max(0, left) / wide, max(0, top) / high, min(wide, right) / wide, min(high, bottom) / high)


class _Kept(IntEnum):
    # how much of a picture its format keeps
    FEW_COLOURS = 0
    MOST = 1
    ALL = 2


def _kept(facts: Facts, look: Look) -> _Kept:
    if facts.format == "GIF":  # 256 colours are all that a drawing needs, but not a photo
        return _Kept.ALL if look.is_on_ground else _Kept.FEW_COLOURS
    return _Kept.ALL if facts.format in LOSSLESS else _Kept.MOST


def _by_file(pair: Pair) -> Side | None:
    # the larger one, or else the one that was compressed less
    one, other = pair.facts
    if abs(one.pixels - other.pixels) > SAME_SIZE * max(one.pixels, other.pixels):
        return Side.QUERY if one.pixels > other.pixels else Side.REFERENCE
    kept = [_kept(*one) for one in zip(pair.facts, pair.looks, strict=True)]
    if kept[0] is not kept[1]:
        return Side.QUERY if kept[0] > kept[1] else Side.REFERENCE
    fewer, more = sorted((one.bytes, other.bytes))
    if kept[0] is not _Kept.MOST or more <= MORE_BYTES * fewer:  # bytes say nothing of lossless files
        return None
    return Side.QUERY if one.bytes == more else Side.REFERENCE


def _from(original: Side, pair: Pair, placed: _Placed, worn: _Worn) -> Edits:
    first = original is Side.QUERY
    place = pair.place if first else pair.place.back
    # specks that are taken out leave traces in the colours
    colours = tone_edits(*(pair.colours if first else pair.colours[::-1]), least=2.0 if worn.noise else 1.0)
    facts = pair.facts if first else pair.facts[::-1]
    mirror, rotation = _turned(place)
    area, squeeze, scale = place.frame_area, place.squeeze, place.scale(*facts)
    return Edits(
        crop=placed.crop,
        zoom=1.0 if placed.crop is None else (area if placed.border is None else placed.crop.area) ** -0.5,
        scale=scale if abs(scale - 1) > RESIZED else 1.0,
        mirror=mirror,
        rotation=rotation,
        squeeze=squeeze if abs(squeeze - 1) > max(SQUEEZED, 1.5 / min(facts[1].width, facts[1].height)) else 1.0,
        tilted=place.tilt > TILTED,
        **vars(colours),
        noise=worn.noise,
        blur=worn.blur,
        overlays=tuple(_on(original.other, pair, box) for box in worn.things),
        border=placed.border,
        beyond=placed.beyond,
        altered=worn.altered,
    )


def _on(side: Side, pair: Pair, box: Box) -> Box:
    if side is pair.frame:
        return box
    return (pair.place if pair.frame is Side.QUERY else pair.place.back).carry_box(box)


def _turned(place: Place) -> tuple[str, float]:
    turn = place.turn
    right = 90.0 * round(turn / 90)
    turn = right if abs(turn - right) <= SNAP else turn
    turn = 0.0 if abs(turn) < TURNED else 180.0 if turn == -180 else turn
    if not place.is_mirrored:
        return "", turn
    if abs(turn) <= 90:
        return "left-right", turn
    return "up-down", turn - 180 if turn > 0 else turn + 180


def _is_clean(pair: Pair) -> bool:
    """Whether nothing but compression can be between them, as far as the colours of the small pictures say."""
    if not len(pair.colours[0]):
        return False
    if all(look.is_on_ground for look in pair.looks) and has_other_ink(*pair.colours):
        return False
    gap = np.abs(pair.colours[0] - pair.colours[1]).mean(1)
    return bool(gap.mean() <= CLEAN_MEAN and np.percentile(gap, 99.9) <= CLEAN_MOST)
