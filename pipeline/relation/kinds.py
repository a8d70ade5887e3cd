"""The relation of two pictures as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What one picture is to another."""

    IDENTICAL_FILE = "identical file"
    IDENTICAL_PIXELS = "identical pixels"
    RE_ENCODED = "re-encoded"
    RESIZED = "resized"
    EDITED = "edited"
    SAME_SCENE = "same scene"
    DIFFERENT = "different"
    TOO_LITTLE = "too little information"


# a person loses nothing by removing one of these while the better one stays
UNEDITED = frozenset((Kind.IDENTICAL_FILE, Kind.IDENTICAL_PIXELS, Kind.RE_ENCODED, Kind.RESIZED))


class Side(StrEnum):
    """Which of two pictures."""

    QUERY = "query"
    REFERENCE = "reference"

    @property
    def other(self) -> Side:
        """The other one."""
        return Side.REFERENCE if self is Side.QUERY else Side.QUERY


@dataclass(frozen=True)
class Box:
    """A part of a picture, in fractions of its width and height, 0..1."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Share of the picture, 0..1."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    def beyond(self, other: Box) -> float:
        """How far it reaches beyond another one at any side; below 0 where it lies within."""
        ends = other.left - self.left, other.top - self.top, self.right - other.right, self.bottom - other.bottom
        return max(ends)

    def part(self, inner: Box) -> Box:
        """A part of this part, in fractions of the whole."""
        wide, high = self.right - self.left, self.bottom - self.top
        return Box(
            self.left + wide * inner.left,
            self.top + high * inner.top,
            self.left + wide * inner.right,
            self.top + high * inner.bottom,
        )

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area
        return shared / max(self.area + other.area - shared, 1e-12)


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Edits:
    """What was done to the original to make the copy; the defaults stand for nothing.

    Attributes:
        crop: the part of the original that the copy shows; None: all of it.
        zoom: how much larger that part stands in the copy's frame than the whole stood in the original's: of a plain
            crop the square root of 1 / its share of the area.
        scale: px of the copy per px of the original.
        mirror: "", "left-right" or "up-down", before it was rotated.
        rotation: degrees, clockwise, -180..180.
        squeeze: how much wider it became for its height.
        tilted: whether there is a perspective.
        brightness: % of the mean luma.
        contrast: % of the luma's deviation, beyond what the brightness explains.
        saturation: % of the colourfulness, beyond what brightness and contrast explain.
        hue: degrees by which colours were turned.
        tint: levels that a cast of colour added.
        grayscale: whether the colours are gone.
        inverted: whether it is a negative.
        noise: "", "grain" or "salt and pepper".
        blur: doublings of fine detail that are lost, beyond what its size explains.
        overlays: where something lies on the copy (text, a sticker), in fractions of the copy.
        border: where the original lies in the copy, if there is a border, a frame, or filled corners round it.
        beyond: where what both show lies in the copy, if the copy shows more of the scene there.
        still: whether the original is animated or has several pages, and the copy is a single one of them.
        altered: whether they differ visibly in a way that none of the above tells.
    """

    crop: Box | None = None
    zoom: float = 1.0
    scale: float = 1.0
    mirror: str = ""
    rotation: float = 0.0
    squeeze: float = 1.0
    tilted: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    tint: float = 0.0
    grayscale: bool = False
    inverted: bool = False
    noise: str = ""
    blur: float = 0.0
    overlays: tuple[Box, ...] = ()
    border: Box | None = None
    beyond: Box | None = None
    still: bool = False
    altered: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known of a picture without its pixels.

    Attributes:
        width, height: px, upright.
        format: by content, in capitals; empty for pictures in memory.
        bytes: how large the file is; 0 for pictures in memory.
        pictures, bits, coarseness: as of `twinpix.encoder.header.Header`.
    """

    width: int
    height: int
    format: str = ""
    bytes: int = 0
    pictures: int = 1
    bits: int = 8
    coarseness: float = 0.0

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def is_all_compared(self) -> bool:
        """Whether the one picture that is compared, by 8 bits, is all that the file holds."""
        return self.pictures == 1 and self.bits == 8


@dataclass(frozen=True)
class Relation:
    """What two pictures are to one another.

    Attributes:
        kind: in one word.
        original: which of the two holds more, and so counts as the original; the first where nothing tells.
        edits: from the original to the copy; of what is no copy nothing, but of `same scene` whether the two are
            `altered` alone: everything lies in the same place, and some of it differs.
        facts: of the query and of the reference; None where there is no file to ask, and no need.
    """

    kind: Kind
    original: Side = Side.QUERY
    edits: Edits = Edits()
    facts: tuple[Facts, Facts] | None = None

    @property
    def is_unedited(self) -> bool:
        """Whether the two differ by encoding and size at most."""
        return self.kind in UNEDITED

    @property
    def swapped(self) -> Relation:
        """The same with the query as the reference."""
        return replace(self, original=self.original.other, facts=None if self.facts is None else self.facts[::-1])

    @property
    def copy(self) -> Facts | None:
        """Of the one that is not the original."""
        return None if self.facts is None else self.facts[self.original is Side.QUERY]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the kind, which one is the original, and only those edits that were made."""
        made = {name: value for name, value in asdict(self.edits).items() if value != _NOTHING[name]}
        return {"kind": str(self.kind), "original": str(self.original), "edits": made}

    def to_json(self) -> str:
        """All of it, to be kept: `to_dict` and the facts."""
        facts = None if self.facts is None else [astuple(side) for side in self.facts]
        return json.dumps(self.to_dict() | {"facts": facts}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Relation:
        """What `to_json` wrote."""
        values = json.loads(text)
        edits, facts = dict(values["edits"]), values["facts"]
        for name in ("crop", "border", "beyond"):
            if edits.get(name):
                edits[name] = Box(**edits[name])
        edits["overlays"] = tuple(Box(**box) for box in edits.get("overlays", ()))
        sides = None if facts is None else (Facts(*facts[0]), Facts(*facts[1]))
        return cls(Kind(values["kind"]), Side(values["original"]), Edits(**edits), sides)


_NOTHING = asdict(Edits())
