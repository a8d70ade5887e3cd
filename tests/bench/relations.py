"""Are relations right? Pairs whose edits are known, drawn at random: `python tests/bench/relations.py [DIR]`.

Prints how often the kind is right, how often every edit is named (and nothing else), and how exact crops, rotations,
zooms and mirrors are. DIR is a folder of photos; by default pictures are drawn.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.relation.kinds import WHOLE, Box, Edits, Kind, Relation, Side
from twinpix.pipeline.relation.pairs import relation_of
from twinpix.pipeline.second_look.look_again import faiss_alone, one_thread_each

LONGEST = 900  # px; photos are made that small
SEED = 6

Dice = np.random.Generator
Bicubic, Lanczos = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Made:
    """A copy, and what was done to the original."""

    picture: Image.Image
    names: frozenset[str] = frozenset()
    box: Box = WHOLE
    rotation: float = 0.0
    mirror: str = ""
    save: dict[str, object] = field(default_factory=lambda: {"format": "PNG"})

    def but(self, name: str, picture: Image.Image, **changed: object) -> Made:
        """The same after one more edit."""
        return replace(self, picture=picture, names=self.names | {name}, **changed)  # type: ignore[arg-type]


Edit = Callable[[Made, Dice], Made]


def jpeg(made: Made, dice: Dice) -> Made:
    return replace(made, save={"format": "JPEG", "quality": int(dice.integers(60, 96))})


def webp(made: Made, dice: Dice) -> Made:
    return replace(made, save={"format": "WEBP", "quality": int(dice.integers(60, 96))})


def resize(made: Made, dice: Dice) -> Made:
    factor = dice.uniform(0.3, 1.5)
    width, height = (max(1, round(side * factor)) for side in made.picture.size)
    return replace(made, picture=made.picture.resize((width, height), Lanczos), names=made.names | {"resized"})


def cut(picture: Image.Image, share: float, dice: Dice, like: bool) -> tuple[Image.Image, Box]:
    # a part of that share of the area; of the same shape or not
    width, height = picture.size
    stretch = 1.0 if like else dice.uniform(max(0.85, share), min(1 / 0.85, 1 / share))
    wide, high = (min(1.0, share**0.5 * s) for s in (stretch**0.5, stretch**-0.5))
    left, top = dice.uniform(0, 1 - wide), dice.uniform(0, 1 - high)
    edges = round(left * width), round(top * height), round((left + wide) * width), round((top + high) * height)
    box = Box(edges[0] / width, edges[1] / height, edges[2] / width, edges[3] / height)
    return picture.crop(edges), box


def crop(made: Made, dice: Dice) -> Made:
    picture, box = cut(made.picture, dice.uniform(0.3, 0.9), dice, like=False)
    return made.but("cropped", picture, box=box)


def zoom(made: Made, dice: Dice) -> Made:
    picture, box = cut(made.picture, dice.uniform(1.1, 1.5) ** -2, dice, like=True)
    return made.but("cropped", picture.resize(made.picture.size, Bicubic), box=box)


def rotate90(made: Made, dice: Dice) -> Made:
    turn = int(dice.choice([90, 180, 270]))
    picture = made.picture.rotate(-turn, expand=True)  # Pillow's angles are counter-clockwise
    return made.but("rotated", picture, rotation=float(turn))


def rotate(made: Made, dice: Dice) -> Made:
    turn = float(dice.uniform(2, 30) * dice.choice([-1, 1]))
    fill = tuple(int(level) for level in dice.choice([0, 128, 255], 1).repeat(3))
    return made.but("rotated", made.picture.rotate(-turn, Bicubic, expand=bool(dice.integers(2)), fillcolor=fill),
                    rotation=turn)  # fmt: skip


def mirror(made: Made, dice: Dice) -> Made:
    if dice.random() < 0.7:
        return made.but("mirrored", ImageOps.mirror(made.picture), mirror="left-right")
    return made.but("mirrored", ImageOps.flip(made.picture), mirror="up-down")


def _either_way(low: float, high: float, dice: Dice) -> float:
    change = dice.uniform(low, high)
    return float(1 + change if dice.integers(2) else 1 - change)


def brightness(made: Made, dice: Dice) -> Made:
    return made.but("brightness", ImageEnhance.Brightness(made.picture).enhance(_either_way(0.12, 0.35, dice)))


def contrast(made: Made, dice: Dice) -> Made:
    return made.but("contrast", ImageEnhance.Contrast(made.picture).enhance(_either_way(0.15, 0.35, dice)))


def saturation(made: Made, dice: Dice) -> Made:
    return made.but("saturation", ImageEnhance.Color(made.picture).enhance(_either_way(0.3, 0.6, dice)))


def grayscale(made: Made, dice: Dice) -> Made:
    return made.but("grayscale", made.picture.convert("L").convert("RGB"))


def grain(made: Made, dice: Dice) -> Made:
    levels = np.asarray(made.picture) + dice.normal(0, dice.uniform(12, 25), (*made.picture.size[::-1], 3))
    return made.but("noise", Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)))


def salt_and_pepper(made: Made, dice: Dice) -> Made:
    levels = np.array(made.picture)
    struck = dice.random(levels.shape[:2])
    levels[struck < 0.02], levels[struck > 0.98] = 0, 255
    return made.but("noise", Image.fromarray(levels))


def blur(made: Made, dice: Dice) -> Made:
    radius = dice.uniform(0.003, 0.008) * max(made.picture.size)
    return made.but("blurred", made.picture.filter(ImageFilter.GaussianBlur(radius)))


def text(made: Made, dice: Dice) -> Made:
    picture = made.picture.copy()
    width, height = picture.size
    place = (dice.uniform(0.05, 0.3) * width, dice.uniform(0.05, 0.8) * height)
    pen = ImageDraw.Draw(picture)
    light = np.asarray(picture.convert("L").crop((int(place[0]), int(place[1]), width, int(place[1]) + height // 10)))
    ink, edge = ("black", "white") if light.mean() > 128 else ("white", "black")
    pen.text(place, "WHEN YOU SEE IT", fill=ink, font_size=max(14, height // 12), stroke_width=2, stroke_fill=edge)
    return made.but("overlay", picture)


def sticker(made: Made, dice: Dice) -> Made:
    picture = made.picture.copy()
    width, height = picture.size
    wide, high = (dice.uniform(0.12, 0.3) * side for side in (width, height))
    left, top = dice.uniform(0, width - wide), dice.uniform(0, height - high)
    around = np.asarray(picture.convert("L").crop((int(left), int(top), int(left + wide), int(top + high))))
    colour = (250, 225, 40) if around.mean() < 128 else (40, 20, 120)
    shape = ImageDraw.Draw(picture)
    draw = shape.ellipse if dice.integers(2) else shape.rectangle
    draw((left, top, left + wide, top + high), fill=colour, outline="white", width=3)
    return made.but("overlay", picture)


def border(made: Made, dice: Dice) -> Made:
    width, height = made.picture.size
    sides = [int(dice.uniform(0.04, 0.15) * side) for side in (width, height, width, height)]
    around = float(np.asarray(made.picture.convert("L")).mean())
    fill = (0, 0, 0) if around > 128 else (255, 255, 255)
    return made.but("border", ImageOps.expand(made.picture, tuple(sides), fill))


FORMATS: dict[str, Edit] = {"JPEG": jpeg, "WebP": webp, "PNG": lambda made, dice: made}
PLACING: dict[str, Edit] = {"crop": crop, "zoom": zoom, "90, 180, 270": rotate90, "free angle": rotate,
                            "mirror": mirror, "border": border}  # fmt: skip
CHANGING: dict[str, Edit] = {"brightness": brightness, "contrast": contrast, "saturation": saturation,
                             "grayscale": grayscale, "grain": grain, "salt and pepper": salt_and_pepper, "blur": blur,
                             "text": text, "sticker": sticker}  # fmt: skip
TWO = [(a, b) for a in ("crop", "zoom", "90, 180, 270", "mirror", "border") for b in CHANGING] + [
    ("crop", "mirror"), ("crop", "90, 180, 270"), ("mirror", "90, 180, 270"), ("zoom", "mirror"), ("crop", "border"),
]  # fmt: skip


def rows() -> dict[str, tuple[Edit, ...]]:
    """Every row of the table: edits in turn, before the file is saved as one of the formats."""
    single = {**PLACING, **CHANGING}
    return {
        **{f"as {name}": (edit,) for name, edit in FORMATS.items()},
        "resize": (resize,),
        **{name: (edit,) for name, edit in single.items()},
        **{f"{a} + {b}": (single[a], single[b]) for a, b in TWO},
    }


def packed(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def copy_of(original: Image.Image, edits: Sequence[Edit], dice: Dice) -> tuple[bytes, Made]:
    """The file of an edited copy; unless the edits say how it is saved, as any format."""
    made = Made(original)
    for edit in edits:
        made = edit(made, dice)
    if edits[0] not in FORMATS.values():
        made = FORMATS[str(dice.choice(list(FORMATS)))](made, dice)
    return packed(made.picture, **made.save), made


def names_of(edits: Edits) -> frozenset[str]:
    """What a relation says was done, in the words of `Made.names`."""
    said = {"cropped": edits.crop, "mirrored": edits.mirror, "rotated": edits.rotation, "border": edits.border,
            "brightness": edits.brightness, "contrast": edits.contrast, "saturation": edits.saturation,
            "grayscale": edits.grayscale, "noise": edits.noise, "blurred": edits.blur, "overlay": edits.overlays,
            "hue": edits.hue, "tint": edits.tint, "squeezed": edits.squeeze != 1, "tilted": edits.tilted,
            "beyond": edits.beyond, "altered": edits.altered}  # fmt: skip
    return frozenset(name for name, value in said.items() if value)


@dataclass(frozen=True)
class Score:
    """How a relation fares against what is known.

    Attributes:
        kind, named, exact: whether the kind is right; every edit is named as well; and nothing else is.
        overlap: of the crop boxes; angle: degrees off; zoom: share off; mirror: right or not. None where none was made.
        said: what it said, if it was not exact.
    """

    kind: bool
    named: bool
    exact: bool
    overlap: float | None
    angle: float | None
    zoom: float | None
    mirror: bool | None
    said: str


def score(relation: Relation, made: Made, same_size: bool) -> Score:
    """Judge one relation."""
    made = _canonical(made)
    known = made.names - {"resized"}
    plain = (Kind.RE_ENCODED, Kind.IDENTICAL_PIXELS, Kind.IDENTICAL_FILE) if same_size else (Kind.RESIZED,)
    right = relation.kind is Kind.EDITED if known else relation.kind in plain
    edits, said = relation.edits, names_of(relation.edits)
    # contrast turns about the mean of the whole, which beside a border or in a crop is not that of what is seen
    implied = {"brightness"} - known if "contrast" in known else set()
    turned_round = relation.original is Side.REFERENCE
    sign = -1 if turned_round and not edits.mirror else 1
    off = abs((sign * edits.rotation - made.rotation + 180) % 360 - 180)
    cropped = "cropped" in known
    whole_mirror = _as_left_right(edits.mirror, edits.rotation), _as_left_right(made.mirror, made.rotation)
    if made.mirror:
        off = abs((whole_mirror[0] - whole_mirror[1] + 180) % 360 - 180) if edits.mirror else 180.0
    return Score(
        right,
        right and known <= said,
        right and known == said - implied,
        (0.0 if turned_round or edits.crop is None else edits.crop.overlap(made.box)) if cropped else None,
        off if "rotated" in known else None,
        abs(edits.zoom * made.box.area**0.5 - 1) if cropped else None,
        (bool(edits.mirror) and off < 1) if made.mirror else (not edits.mirror),
        "" if right and known == said - implied else f"{relation.kind}: {', '.join(sorted(said)) or 'nothing'}",
    )


def _canonical(made: Made) -> Made:
    # a picture that is mirrored and turned by half is mirrored the other way
    if not made.mirror or made.rotation % 360 != 180:
        return made
    other = "up-down" if made.mirror == "left-right" else "left-right"
    return replace(made, mirror=other, rotation=0.0, names=made.names - {"rotated"})


def _as_left_right(way: str, rotation: float) -> float:
    # up-down is left-right, turned by half
    return rotation + (180 if way == "up-down" else 0)


def draw(seed: int) -> Image.Image:
    """A picture with smooth areas, edges, textures and small things."""
    dice = np.random.default_rng(seed)
    width, height = int(dice.integers(520, 880)), int(dice.integers(420, 680))
    ground = Image.fromarray(dice.integers(40, 216, (4, 5, 3), dtype=np.uint8)).resize((width, height), Bicubic)
    pen = ImageDraw.Draw(ground)
    for _ in range(60):
        x, y = dice.uniform(-50, width), dice.uniform(-50, height)
        reach = dice.uniform(8, 140, 2)
        box = (x, y, x + reach[0], y + reach[1])
        colour = tuple(int(level) for level in dice.integers(0, 256, 3))
        (pen.ellipse, pen.rectangle)[int(dice.integers(2))](box, fill=colour, outline=None)
        pen.line([(float(a), float(b)) for a, b in dice.uniform(0, (width, height), (3, 2))], fill=colour, width=3)
    fine = np.asarray(Image.fromarray(dice.integers(0, 256, (height // 3, width // 3), dtype=np.uint8))
                      .resize((width, height), Bicubic), np.float32) - 128  # fmt: skip
    where = np.asarray(Image.fromarray(dice.integers(0, 256, (4, 5), dtype=np.uint8)).resize((width, height), Bicubic))
    levels = np.asarray(ground, np.float32) + (fine * (where / 255.0) ** 2 * 0.35)[..., None]
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def photos(folder: Path, most: int) -> Iterator[Image.Image]:
    """Photos of a folder, evenly over it."""
    from twinpix.encoder.decode import decode
    from twinpix.encoder.find import find_files

    files = list(find_files([folder], lambda folder, error: None))
    for k in np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int):
        try:
            picture = decode(files[k])
        except ImageError:
            continue
        picture.thumbnail((LONGEST, LONGEST))
        yield picture


def measure(pictures: Sequence[Image.Image], names: Sequence[str] = ()) -> Iterator[tuple[str, list[Score]]]:
    """Every row of edits (or those of `names`) on every picture."""
    dice, originals = np.random.default_rng(SEED), [packed(picture, format="PNG") for picture in pictures]
    for name, edits in rows().items():
        if names and name not in names:
            continue
        scores = []
        for picture, original in zip(pictures, originals, strict=True):
            copy, made = copy_of(picture, edits, dice)
            with Image.open(io.BytesIO(copy)) as saved:
                same_size = saved.size == picture.size
            scores.append(score(relation_of(original, copy), made, same_size))
        yield name, scores


def figures(scores: Sequence[Score]) -> dict[str, float]:
    """The figures of the bar; shares, degrees."""
    overlaps, angles, zooms = (
        [value for one in scores if (value := getattr(one, name)) is not None] for name in ("overlap", "angle", "zoom")
    )
    mirrors = [one.mirror for one in scores if one.mirror is not None]
    return {
        "pairs": len(scores),
        "right kind": float(np.mean([one.kind for one in scores])),
        "every edit named": float(np.mean([one.named for one in scores])),
        "nothing else named": float(np.mean([one.exact for one in scores])),
        "crop box IoU, median": float(np.median(overlaps or [np.nan])),
        "rotation within 1 degree": float(np.mean([angle <= 1 for angle in angles] or [np.nan])),
        "zoom within 3 %": float(np.mean([off <= 0.03 for off in zooms] or [np.nan])),
        "mirror right": float(np.mean(mirrors)) if mirrors else float("nan"),
    }


def _row(name: str, scores: Sequence[Score]) -> str:
    one, others = figures(scores), [score.said for score in scores if score.said]
    said = "; ".join(f"{others.count(text)}x {text}" for text in sorted(set(others), key=others.count)[::-1][:3])
    shares = " ".join(f"{one[share]:6.1%}" for share in ("right kind", "every edit named", "nothing else named"))
    return f"{name:34} {len(scores):5} {shares}  {said}"


def main(arguments: Sequence[str]) -> int:
    """Print the table and the figures; exit code 1 if the bar is missed."""
    most = int(arguments[1]) if len(arguments) > 1 else 40
    pictures = list(photos(Path(arguments[0]), most)) if arguments else [draw(seed) for seed in range(12)]
    every_score: list[Score] = []
    print(f"{'edit':34} {'pairs':>5} {'kind':>6} {'named':>6} {'exact':>6}  what else was said")
    faiss_alone()
    with one_thread_each():
        for name, scores in measure(pictures):
            every_score += scores
            print(_row(name, scores), flush=True)
    every = figures(every_score)
    print(*(f"{name}: {value:.3f}" for name, value in every.items()), sep="\n")
    bar = every["right kind"] >= 0.95 and every["crop box IoU, median"] >= 0.9 and every["mirror right"] >= 0.99
    return 0 if bar else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
