"""An explanation as a picture: both images, the crop box on the larger, the aligned difference, and the sentence."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from twinpix.encoder.decode import read_picture
from twinpix.encoder.errors import InputError
from twinpix.pipeline.relation.explain import Explanation, names
from twinpix.pipeline.relation.facts import facts_of
from twinpix.pipeline.relation.kinds import WHOLE, Box, Facts, Kind, Side
from twinpix.pipeline.relation.place import Place
from twinpix.pipeline.relation.relate import Pair, lay_pair
from twinpix.pipeline.second_look.things import level_out
from twinpix.pipeline.target import check_writable, written_whole

SOFTWARE = "twinpix explanation"
ENDINGS = (".html", ".htm", ".png")
PANEL = (520, 420)  # px
MARGIN, LINE, TEXT, SMALL = 24, 4, 22, 15  # px
INK, DIM, PAPER, FRAME, MARK, THING = "#1c2024", "#6a7078", "#f4f3f0", "#e2e0da", "#e0483e", "#2f6fde"
STRONGER = 3  # times


@dataclass(frozen=True)
class Panel:
    """A picture with a caption."""

    picture: Image.Image
    caption: str


def check_picture_target(target: Path) -> None:
    """Raises InputError early, before the work; also where a picture lies that is not such an explanation."""
    check_writable(target, ENDINGS)
    if target.suffix.lower() == ".png" and target.exists() and not _is_ours(target):
        raise InputError(f"{target}: there is a picture that is no explanation of twinpix: give another name")


def _is_ours(target: Path) -> bool:
    try:
        with Image.open(target) as picture:
            return picture.info.get("Software") == SOFTWARE
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def write_picture(explanation: Explanation, target: Path) -> None:
    """Write it as `.png` or `.html`, whole or not at all.

    Raises:
        InputError: an unknown ending, or the file can't be written.
        ImageError: an image can't be read any more.
    """
    check_picture_target(target)
    shown = panels(explanation)
    with written_whole(target) as temporary:
        if target.suffix.lower() == ".png":
            sheet(explanation.sentence, shown).save(temporary, "PNG", pnginfo=_signed())
        else:
            temporary.write_text(page(explanation, shown), encoding="ascii")


def _signed() -> PngInfo:
    told = PngInfo()
    told.add_text("Software", SOFTWARE)
    return told


def panels(explanation: Explanation) -> tuple[Panel, ...]:
    """The original, the copy, and what differs between them."""
    relation = explanation.relation
    facts = facts_of(explanation.sources[0]), facts_of(explanation.sources[1])
    pictures = [_fitted(read_picture(source, at_least=max(PANEL) // 2)) for source in explanation.sources]
    pair = None if relation.kind in (Kind.DIFFERENT, Kind.TOO_LITTLE) else lay_pair(
        *explanation.looks, explanation.examination, facts
    )  # fmt: skip
    if pair is not None:
        _mark(pictures, explanation, pair)
    first = 0 if relation.original is Side.QUERY else 1
    captions = [f"{name} · {_told(one)}" for name, one in zip(names(explanation.match), facts, strict=True)]
    return (
        Panel(pictures[first], captions[first]),
        Panel(pictures[1 - first], captions[1 - first]),
        _difference(pair),
    )


def _fitted(picture: Image.Image) -> Image.Image:
    scale = min(wide / side for wide, side in zip(PANEL, picture.size, strict=True))
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _told(facts: Facts) -> str:
    size = f"{facts.width}x{facts.height} px"
    return f"{size}, {facts.format}, {facts.bytes / 1000:,.0f} kB" if facts.format else size


def _mark(pictures: list[Image.Image], explanation: Explanation, pair: Pair) -> None:
    edits, first = explanation.relation.edits, explanation.relation.original is Side.QUERY
    original, copy = pictures if first else pictures[::-1]
    if edits.crop is not None:
        _outline(original, pair.place.back if first else pair.place, pair.inner[0 if first else 1])
    for box in (*edits.overlays, *(part for part in (edits.border, edits.beyond) if part is not None)):
        _draw_box(copy, box)


def _outline(original: Image.Image, copy_to_original: Place, inner: Box) -> None:
    # the frame of the copy, which may be turned; `inner`: where the target lies in the original
    wide, high = copy_to_original.target
    frame = (copy_to_original.carry(copy_to_original.corners(WHOLE)) + 0.5) / (wide, high)
    frame = (frame * (inner.right - inner.left, inner.bottom - inner.top) + (inner.left, inner.top)) * original.size
    inside = frame.clip(LINE / 2, np.array(original.size) - LINE / 2 - 1)
    pen, around = ImageDraw.Draw(original), [(float(x), float(y)) for x, y in (*inside, inside[0])]
    pen.line(around, fill="white", width=LINE + 4, joint="curve")
    pen.line(around, fill=MARK, width=LINE, joint="curve")


def _draw_box(picture: Image.Image, box: Box) -> None:
    width, height = picture.size
    edges = (box.left * width, box.top * height, box.right * width - 1, box.bottom * height - 1)
    ImageDraw.Draw(picture).rectangle(edges, outline=THING, width=LINE)


def _difference(pair: Pair | None) -> Panel:
    if pair is None:
        return Panel(Image.new("RGB", PANEL, FRAME), "they could not be laid on one another")
    query, reference, inside = pair.aligned.query[..., 0], pair.aligned.reference[..., 0], pair.aligned.inside
    gap = np.abs(query.astype(np.float32) - level_out(reference, query, inside))
    shade = (255 - STRONGER * gap).clip(0, 255)
    shade[~inside] = 200
    mirrored = shade[:, ::-1] if pair.flipped else shade
    caption = f"difference once laid on one another and at one brightness, {STRONGER} times as strong: dark differs"
    return Panel(_fitted(Image.fromarray(mirrored.astype(np.uint8))), caption)


def sheet(title: str, shown: tuple[Panel, ...]) -> Image.Image:
    """All of it as one picture."""
    wide = MARGIN + len(shown) * (PANEL[0] + MARGIN)
    large, small = ImageFont.load_default(TEXT), ImageFont.load_default(SMALL)
    heading = wrapped(title, large, wide - 2 * MARGIN)
    captions = [wrapped(panel.caption, small, PANEL[0]) for panel in shown]
    top = MARGIN + len(heading) * (TEXT + 8) + MARGIN // 2
    below = max(len(lines) for lines in captions) * (SMALL + 6)
    picture = Image.new("RGB", (wide, top + PANEL[1] + MARGIN // 2 + below + MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(heading):
        pen.text((MARGIN, MARGIN + number * (TEXT + 8)), line, INK, large)
    for number, (panel, lines) in enumerate(zip(shown, captions, strict=True)):
        left = MARGIN + number * (PANEL[0] + MARGIN)
        pen.rectangle((left, top, left + PANEL[0], top + PANEL[1]), fill=FRAME)
        room = [(side - own) // 2 for side, own in zip(PANEL, panel.picture.size, strict=True)]
        picture.paste(panel.picture, (left + room[0], top + room[1]))
        for row, line in enumerate(lines):
            pen.text((left, top + PANEL[1] + MARGIN // 2 + row * (SMALL + 6)), line, DIM, small)
    return picture


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Lines no wider than `width` px; words that are wider are broken."""
    lines = [""]
    for word in text.split(" "):
        if font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}".strip()
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def page(explanation: Explanation, shown: tuple[Panel, ...]) -> str:
    """The page, in ASCII; nothing from elsewhere, and no script."""
    verdict = "duplicate" if explanation.match.is_duplicate else "not a duplicate"
    distance = f"L2 distance {explanation.match.l2_distance:.4f}, threshold {explanation.match.threshold:.4f}"
    rows = "".join(
        f"<tr><td>{escape(m.metric)}<td>{m.value:{m.form}}<td>{m.threshold:{m.form}}"
        f"<td>{'duplicate' if m.is_duplicate else 'not a duplicate'}<td>{escape(m.scale)}"
        for m in explanation.metrics
    )
    parts = {
        "TITLE": escape(explanation.sentence),
        "HEAD": escape(explanation.sentence),
        "VERDICT": escape(f"{verdict}: {distance} (scale 0..2)"),
        "PANELS": "".join(_figure(panel) for panel in shown),
        "REASONS": "".join(f"<li>{escape(reason)}" for reason in explanation.reasons),
        "METRICS": rows,
    }
    template = files("twinpix.pipeline.relation").joinpath("explanation.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        head, _, tail = template.partition(f"%{name}%")
        template = head + part.replace("%", "&#37;") + tail  # what stands in a name is no place to fill
    return template.encode("ascii", "xmlcharrefreplace").decode()


def _figure(panel: Panel) -> str:
    buffer = io.BytesIO()
    panel.picture.save(buffer, "JPEG", quality=88)
    source = base64.b64encode(buffer.getvalue()).decode()
    shown = f"<div><img alt='' src='data:image/jpeg;base64,{source}'></div>"
    return f"<figure>{shown}<figcaption>{escape(panel.caption)}</figcaption></figure>"
