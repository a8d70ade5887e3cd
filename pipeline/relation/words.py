"""A relation in words: one sentence for people, or a few words beside a file."""

from __future__ import annotations

from collections.abc import Iterator

from twinpix.pipeline.relation.kinds import Box, Edits, Facts, Kind, Relation, Side

NO_COPY = {
    Kind.SAME_SCENE: "{a} and {b} show the same scene, but are two shots of it: things lie in other places",
    Kind.DIFFERENT: "{a} and {b} are different pictures",
    # of duplicates, too
    Kind.TOO_LITTLE: "{a} and {b} show too little, as small as they are compared, to tell what one is to the other",
}
NEARLY = "{a} and {b} are nearly the same, but differ in places"
LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
THIRD = 0.04  # of a side, by which a crop lies to one side


def sentence(relation: Relation, query: str, reference: str) -> str:
    """One sentence without a full stop.

    Args:
        query, reference: what to call the two; harmless to show.
    """
    if relation.kind is Kind.SAME_SCENE and relation.edits.altered:
        return NEARLY.format(a=query, b=reference)
    if relation.kind in NO_COPY:
        return NO_COPY[relation.kind].format(a=query, b=reference)
    original, copy = (query, reference) if relation.original is Side.QUERY else (reference, query)
    if relation.kind is Kind.IDENTICAL_FILE:
        return f"{query} and {reference} are the same file, byte by byte"
    if relation.kind is Kind.IDENTICAL_PIXELS:
        return f"{query} and {reference} have the same pixels{_in_formats(relation)}"
    return ", ".join([f"{copy} is {original}", *_edits(relation.edits), *_file(relation)])


def short(relation: Relation, query: str = "the first") -> str:
    """A few words beside the reference: the kind, and of an edited copy with what.

    Args:
        query: what to call the other one.
    """
    if relation.kind is not Kind.EDITED:
        return str(relation.kind)
    turned_round = f"{query} is this one, " if relation.original is Side.REFERENCE else ""
    return f"edited: {turned_round}{', '.join(_edits(relation.edits)) or 'in its details'}"


def _edits(edits: Edits) -> Iterator[str]:
    if edits.still:
        yield "a single frame or page of it"
    yield from _placing(edits)
    yield from _colouring(edits)
    if edits.noise:
        yield f"with {edits.noise if edits.noise != 'grain' else 'noise'} added"
    if edits.blur:
        yield "blurred"
    if edits.overlays:
        many = len(edits.overlays)
        yield f"with something on it {_where(edits.overlays[0])}" if many == 1 else f"with {many} things on it"
    if edits.altered:
        yield "altered in places"


def _placing(edits: Edits) -> Iterator[str]:
    if edits.mirror:
        yield "mirrored" if edits.mirror == "left-right" else "flipped upside down"
    if edits.rotation:
        way = "" if abs(edits.rotation) == 180 else " clockwise" if edits.rotation > 0 else " counter-clockwise"
        yield f"rotated {abs(edits.rotation):.3g}°{way}"
    if edits.crop is not None:
        yield _crop(edits, edits.crop)
    if edits.beyond is not None:
        yield "with more of the scene beside it"
    if edits.squeeze != 1:
        yield f"squeezed to {edits.squeeze:.2f}x its width for its height"
    if edits.tilted:
        yield "seen at an angle"
    if edits.border is not None:
        yield "with a border"


def _crop(edits: Edits, box: Box) -> str:
    to = _side(box)
    if edits.zoom > 1.01:
        return f"zoomed {edits.zoom:.2f}x into {to}"
    return f"cropped to {to} ({box.area:.0%} of it)"


def _side(box: Box) -> str:
    # which part of the whole a box is
    across, down = (box.left + box.right - 1) / 2, (box.top + box.bottom - 1) / 2
    words = [
        "" if abs(down) <= THIRD else "lower" if down > 0 else "upper",
        "" if abs(across) <= THIRD else "right" if across > 0 else "left",
    ]
    named = " ".join(word for word in words if word)
    return f"the {named} part" if named in ("lower", "upper") else f"the {named}" if named else "the middle"


def _where(box: Box) -> str:
    return f"in {_side(box)}"


def _colouring(edits: Edits) -> Iterator[str]:
    if edits.inverted:
        yield "as a negative"
    if edits.brightness:
        yield f"{'brightened' if edits.brightness > 0 else 'darkened'} by {abs(edits.brightness):.0f} %"
    if edits.contrast:
        yield f"with {abs(edits.contrast):.0f} % {'more' if edits.contrast > 0 else 'less'} contrast"
    if edits.grayscale:
        yield "in shades of grey"
    if edits.saturation:
        yield f"with {abs(edits.saturation):.0f} % {'more' if edits.saturation > 0 else 'less'} colour"
    if edits.hue:
        yield f"with its hues turned by {edits.hue:.0f}°"
    if edits.tint:
        yield "with a cast of colour"


def _file(relation: Relation) -> Iterator[str]:
    if relation.facts is None:
        return
    copy, original = relation.facts if relation.original is Side.REFERENCE else relation.facts[::-1]
    # a part that was made as large as the whole was is called zoomed
    scale = relation.edits.scale / (relation.edits.zoom if relation.edits.crop is not None else 1.0)
    if (copy.width, copy.height) != (original.width, original.height) and min(
        abs(scale - 1), abs(relation.edits.scale - 1)
    ) > 0.02:
        yield f"resized to {copy.width}x{copy.height} px ({relation.edits.scale:.2f}x)"
    if copy.format and (copy.format != original.format or copy.format in LOSSY):
        yield f"re-encoded as {_name(copy)}"


def _in_formats(relation: Relation) -> str:
    names = [_name(facts) for facts in relation.facts or ()]
    return f", as {names[0]} and as {names[1]}" if len(set(names)) > 1 and all(names) else ", in another file"


def _name(facts: Facts) -> str:
    return {"WEBP": "WebP"}.get(facts.format, facts.format)
