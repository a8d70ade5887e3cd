"""Look-alikes, drawn: pages of one template, flat pictures, states of one program, products, animations, memes.

Each kind yields (name, picture) or (name, frames); two names are two pictures, however alike they look.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Drawn = tuple[str, list[Image.Image]]
WORDS = [
    "account", "amount", "annual", "approve", "balance", "basis", "board", "budget", "by", "capital", "carried",
    "change", "charge", "claim", "clause", "client", "close", "contract", "cost", "court", "credit", "date",
    "debt", "decision", "deliver", "deposit", "draft", "due", "effect", "equal", "estate", "event", "exact",
    "fee", "file", "final", "form", "fund", "general", "grant", "group", "hold", "hour", "income", "interest",
    "issue", "item", "labour", "lease", "legal", "letter", "limit", "list", "loan", "margin", "market",
    "matter", "meet", "method", "month", "net", "notice", "number", "offer", "office", "open", "order", "owner",
    "page", "paid", "part", "party", "period", "place", "plan", "policy", "price", "profit", "public",
    "quarter", "rate", "record", "refund", "renew", "rent", "report", "return", "right", "sale", "sample",
    "section", "service", "share", "sign", "site", "staff", "state", "stock", "sum", "supply", "tax", "term",
    "title", "total", "trade", "transfer", "trust", "unit", "value", "vote", "week", "work", "year",
]  # fmt: skip
NAMES = [
    "Adler",
    "Brandt",
    "Castro",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Huber",
    "Ito",
    "Jansen",
    "Keller",
    "Lopez",
    "Meyer",
    "Novak",
    "Olsen",
    "Petit",
]


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own."""
    return ImageFont.load_default(size)


def documents(rng: random.Random, count: int) -> Iterator[Drawn]:
    """Letters of different text, invoices of different numbers, forms with one other field; A4, 600 to 1240 px wide."""
    for number in range(count):
        width = rng.choice((1240, 1240, 1000, 827, 620))
        page = Image.new("RGB", (width, round(width * 1.4145)), "white")
        draw, unit = ImageDraw.Draw(page), width / 1240
        _letterhead(draw, unit)
        (_letter, _invoice, _form)[number % 3](draw, unit, rng, number)
        yield f"page{number:03d}", [page]


def _letterhead(draw: ImageDraw.ImageDraw, unit: float) -> None:
    draw.rectangle([80 * unit, 80 * unit, 170 * unit, 170 * unit], fill=(30, 60, 120))
    draw.text((200 * unit, 85 * unit), "Northwind & Sons", fill="black", font=font(48 * unit))
    draw.text((200 * unit, 140 * unit), "12 Harbour Street, Port Ellen", fill=(80, 80, 80), font=font(22 * unit))
    draw.line([80 * unit, 200 * unit, 1160 * unit, 200 * unit], fill=(30, 60, 120), width=max(1, round(4 * unit)))
    draw.text((80 * unit, 1680 * unit), "Registered in Port Ellen 4417-208, VAT 88 102 334, page 1 of 1",
              fill=(100, 100, 100), font=font(18 * unit))  # fmt: skip


def _letter(draw: ImageDraw.ImageDraw, unit: float, rng: random.Random, number: int) -> None:
    draw.text((80 * unit, 260 * unit), f"Dear {rng.choice(NAMES)},", fill="black", font=font(26 * unit))
    for line in range(rng.randint(26, 36)):
        text = " ".join(rng.choices(WORDS, k=11))[:92]
        draw.text((80 * unit, (320 + 36 * line) * unit), text, fill="black", font=font(24 * unit))


def _invoice(draw: ImageDraw.ImageDraw, unit: float, rng: random.Random, number: int) -> None:
    # words are the same on all of them: only numbers differ
    draw.text((80 * unit, 260 * unit), f"Invoice {20000 + number * 7}", fill="black", font=font(40 * unit))
    fixed = random.Random(1)
    for line in range(18):
        top = (380 + 52 * line) * unit
        draw.text((80 * unit, top), " ".join(fixed.choices(WORDS, k=4)), fill="black", font=font(24 * unit))
        amount = f"{rng.randint(10, 9999)}.{rng.randint(0, 99):02d}"
        draw.text((980 * unit, top), amount, fill="black", font=font(24 * unit))
        draw.line([80 * unit, top + 40 * unit, 1160 * unit, top + 40 * unit], fill=(200, 200, 200))


def _form(draw: ImageDraw.ImageDraw, unit: float, rng: random.Random, number: int) -> None:
    # one field differs: who, and when
    draw.text((80 * unit, 260 * unit), "Application for renewal", fill="black", font=font(40 * unit))
    fixed = random.Random(2)
    for line in range(14):
        top = (360 + 84 * line) * unit
        draw.text((80 * unit, top), f"{line + 1}. " + " ".join(fixed.choices(WORDS, k=3)), fill="black",
                  font=font(22 * unit))  # fmt: skip
        draw.rectangle([480 * unit, top - 10 * unit, 1160 * unit, top + 50 * unit], outline="black")
        value = f"{NAMES[number // 3 % 16]} {1000 + 37 * number}" if line == 4 else " ".join(fixed.choices(WORDS, k=3))
        draw.text((500 * unit, top), value, fill=(20, 20, 90), font=font(28 * unit))


def flats(rng: random.Random, count: int) -> Iterator[Drawn]:
    """One colour, gradients, a little noise, dark, tiny: no two of one colour, or of one noise."""
    taken: list[tuple[int, int, int]] = []
    for number in range(count):
        noise = np.random.default_rng(rng.randrange(2**32))
        size = rng.choice(((640, 480), (480, 640), (512, 512), (1024, 768)))
        kind = ("flat", "gradient", "gradient", "noisy", "grain", "dark", "tiny", "blob")[number % 8]
        if kind == "flat":
            picture = Image.new("RGB", size, _colour(rng, taken))
        elif kind == "noisy":
            picture = _grained(Image.new("RGB", size, _colour(rng, taken)), noise, 3.0)
        elif kind == "grain":  # all of one grey: only the grain differs
            picture = _grained(Image.new("RGB", size, (236, 236, 236)), noise, 6.0)
        elif kind == "dark":
            dark = tuple(level // 8 for level in _colour(rng, taken))
            picture = _grained(_blob(size, rng, (0, 0, 0), (dark[0], dark[1], dark[2])), noise, 1.0)
        elif kind == "tiny":
            side = rng.choice((1, 2, 4, 8, 12, 16))
            picture = _grained(Image.new("RGB", (side, side), _colour(rng, taken)), noise, 30.0 * (side > 2))
        elif kind == "blob":
            picture = _blob(size, rng, _colour(rng, taken), _colour(rng, taken))
        else:
            picture = _gradient(size, rng.uniform(0, 360), _colour(rng, taken), _colour(rng, taken))
        yield f"{kind}{number:03d}", [picture]


def _colour(rng: random.Random, taken: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    while True:
        colour = rng.randrange(256), rng.randrange(256), rng.randrange(256)
        if all(max(abs(a - b) for a, b in zip(colour, other, strict=True)) >= 8 for other in taken):
            taken.append(colour)
            return colour


def _gradient(
    size: tuple[int, int], angle: float, start: tuple[int, int, int], end: tuple[int, int, int]
) -> Image.Image:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    along = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
    return _mixed((along - along.min()) / (along.max() - along.min()), start, end)


def _blob(
    size: tuple[int, int], rng: random.Random, ground: tuple[int, int, int], light: tuple[int, int, int]
) -> Image.Image:
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    far = np.hypot(x - rng.uniform(0, size[0]), y - rng.uniform(0, size[1])) / (rng.uniform(0.3, 0.8) * size[0])
    return _mixed(np.exp(-(far**2)), ground, light)


def _mixed(share: NDArray[np.float64], start: tuple[int, int, int], end: tuple[int, int, int]) -> Image.Image:
    levels = np.array(start) + share[..., None] * (np.array(end) - np.array(start))
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _grained(picture: Image.Image, noise: np.random.Generator, sigma: float) -> Image.Image:
    levels = np.asarray(picture) + noise.normal(0, sigma, (picture.height, picture.width, 1))
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def screenshots(rng: random.Random, count: int) -> Iterator[Drawn]:
    """One mail program: another row selected, a menu or a dialog open, another text, a caret or a pointer elsewhere."""
    states: set[tuple[int, ...]] = set()
    while len(states) < count:
        # mostly one or two things differ from the first state
        state = [0, 0, 0, 0, 0, 0]
        for part in rng.sample(range(6), rng.choice((1, 1, 2, 3))):
            state[part] = rng.randrange((16, 5, 4, 40, 24, 40)[part])
        states.add(tuple(state))
    for number, shown in enumerate(rng.sample(sorted(states), count)):
        yield f"state{number:03d}", [_window(*shown)]


def _window(selected: int, menu: int, dialog: int, text: int, caret: int, pointer: int) -> Image.Image:
    screen = Image.new("RGB", (1280, 800), (245, 245, 247))
    draw, small, body = ImageDraw.Draw(screen), font(15), font(16)
    draw.rectangle([0, 0, 1280, 34], fill=(52, 58, 70))
    draw.text((560, 8), "Mail - Inbox", fill="white", font=small)
    for k, name in enumerate(("File", "Edit", "View", "Message", "Help")):
        draw.text((16 + 80 * k, 44), name, fill="black", font=small)
    for k in range(10):
        draw.rounded_rectangle([14 + 46 * k, 70, 50 + 46 * k, 104], 5, fill=(225, 228, 233), outline=(180, 184, 190))
    fixed = random.Random(3)
    for row in range(16):
        top = 116 + 40 * row
        draw.rectangle([0, top, 420, top + 39], fill=(205, 225, 250) if row == selected else "white")
        draw.text((14, top + 4), fixed.choice(NAMES), fill="black", font=body)
        draw.text((14, top + 21), " ".join(fixed.choices(WORDS, k=5)), fill=(110, 110, 110), font=font(12))
    draw.rectangle([421, 116, 1280, 770], fill="white", outline=(200, 200, 200))
    words = random.Random(100 + text)
    for line in range(20):
        words = random.Random(1000 * (text if line == 6 + text % 8 else 0) + line)
        draw.text((450, 140 + 28 * line), " ".join(words.choices(WORDS, k=12))[:96], fill="black", font=body)
    left, top = 452 + 29 * caret, 168 + 28 * (caret % 18)
    draw.line([left, top, left, top + 18], fill="black", width=2)
    draw.text((14, 776), f"{text} unread, {1204 + text} messages", fill=(90, 90, 90), font=small)
    if menu:
        left = 16 + 80 * (menu - 1)
        draw.rectangle([left, 64, left + 190, 64 + 30 * 7], fill="white", outline="black")
        entries = random.Random(menu)
        for k in range(7):
            draw.text((left + 12, 70 + 30 * k), " ".join(entries.choices(WORDS, k=2)), fill="black", font=small)
    if dialog:
        draw.rectangle([440, 280, 840, 470], fill=(250, 250, 250), outline="black", width=2)
        question = ("", "Delete this message?", "Save changes?", "No connection")[dialog]
        draw.text((470, 310), question, fill="black", font=font(20))
        draw.rounded_rectangle([700, 420, 810, 455], 5, fill=(60, 120, 220))
        draw.text((740, 428), "OK", fill="white", font=small)
    if pointer:
        x, y = 60 + 29 * pointer, 140 + 61 * pointer % 600
        draw.polygon([(x, y), (x, y + 19), (x + 5, y + 14), (x + 13, y + 14)], fill="black", outline="white")
    return screen


def products(rng: random.Random, count: int) -> Iterator[Drawn]:
    """Bottles of one shape on white, 800 px: other labels, names, colours, caps, and slightly other heights."""
    for number in range(count):
        brand, taste = rng.choice(NAMES), rng.choice(WORDS)
        body = tuple(rng.randint(30, 210) for _ in range(3))
        label = tuple(rng.randint(120, 255) for _ in range(3))
        bottle = Image.new("RGB", (1600, 1600), "white")
        draw = ImageDraw.Draw(bottle)
        top = 240 + rng.randint(-10, 10)
        draw.rounded_rectangle([700, top, 900, top + 150], 20, fill=tuple(rng.randint(20, 90) for _ in range(3)))
        draw.polygon([(720, top + 150), (880, top + 150), (1020, 620), (580, 620)], fill=body)
        draw.rounded_rectangle([580, 600, 1020, 1460], 50, fill=body)
        draw.rectangle([580, 800, 1020, 1250], fill=label)
        draw.text((620, 840), brand, fill="black", font=font(100))
        draw.text((620, 980), taste, fill=(120, 20, 20), font=font(72))
        draw.text((620, 1120), f"{rng.choice((250, 330, 500, 750))} ml", fill="black", font=font(56))
        for _ in range(rng.randint(1, 4)):
            x, y, r = rng.randint(640, 960), rng.randint(1040, 1200), rng.randint(15, 40)
            draw.ellipse([x - r, y - r, x + r, y + r], fill=tuple(rng.randint(0, 255) for _ in range(3)))
        shade = 1 - 0.45 * ((np.arange(1600) - 800) / 230).clip(-1, 1) ** 2
        levels = np.asarray(bottle, np.float32)
        is_bottle = (levels < 250).any(2)
        levels[is_bottle] *= np.broadcast_to(shade[None, :, None], levels.shape)[is_bottle]
        shaded = Image.fromarray(levels.clip(0, 255).astype(np.uint8)).resize((800, 800), Image.Resampling.BOX)
        grain = np.random.default_rng(number)
        yield f"bottle{number:03d}", [_grained(shaded.filter(ImageFilter.GaussianBlur(0.6)), grain, 1.2)]


def animations(rng: random.Random, count: int) -> Iterator[Drawn]:
    """Three animations of each first frame, and that frame as a still."""
    for number in range(count):
        base = random.Random(number // 4)
        first = _blob((240, 180), base, _colour(base, []), _colour(base, []))
        draw = ImageDraw.Draw(first)
        for _ in range(25):
            x, y = base.randint(0, 240), base.randint(0, 180)
            draw.rectangle([x, y, x + base.randint(6, 40), y + base.randint(6, 30)], fill=_colour(base, []))
        draw.text((20, 70), base.choice(NAMES), fill="white", font=font(30), stroke_width=2, stroke_fill="black")
        if number % 4 == 3:
            yield f"still{number:03d}", [first]
            continue
        dx, dy = ((9, 0), (0, 7), (-8, 5))[number % 4]
        frames = [first]
        for k in range(1, 12):
            frame = first.copy()
            ImageDraw.Draw(frame).ellipse(
                [90 + dx * k, 60 + dy * k, 150 + dx * k, 120 + dy * k], fill=(250, 220, 60), outline="black", width=3
            )
            frames.append(frame)
        yield f"clip{number:03d}", frames


def memes(rng: random.Random, count: int) -> Iterator[Drawn]:
    """Photos with other words on them: over and under, below as subtitles, in a box; 800 px wide."""
    import skimage

    photos = (
        "astronaut.png",
        "coffee.png",
        "chelsea.png",
        "rocket.jpg",
        "motorcycle_left.png",
        "hubble_deep_field.jpg",
    )
    data = Path(skimage.__file__).parent / "data"
    names = [name for name in photos if (data / name).exists()]  # some come only with a download
    for number in range(count):
        with Image.open(data / names[number % len(names)]) as photo:
            meme = photo.convert("RGB")
        meme = meme.resize((800, round(800 * meme.height / meme.width)))
        style = number // len(names) % 3
        for at in ("top", "bottom")[style > 0 :]:
            _caption(meme, " ".join(rng.choices(WORDS, k=rng.randint(3, 5))), style, at == "top")
        yield f"meme{number:03d}", [meme]


def _caption(meme: Image.Image, text: str, style: int, on_top: bool) -> None:
    size = meme.height // (11, 17, 15)[style]
    draw, middle = ImageDraw.Draw(meme), (meme.width / 2, meme.height * (0.09 if on_top else 0.92))
    text = text.upper() if style == 0 else text
    if style == 2:
        left, top, right, bottom = draw.textbbox(middle, text, font=font(size), anchor="mm")
        draw.rectangle([left - 12, top - 8, right + 12, bottom + 8], fill="black")
    outline = (4, 2, 0)[style]
    draw.text(middle, text, "white", font(size), "mm", stroke_width=outline, stroke_fill="black")


KINDS = {
    "documents": (documents, 500),
    "flats": (flats, 500),
    "screenshots": (screenshots, 200),
    "products": (products, 200),
    "animations": (animations, 60),
    "memes": (memes, 150),
}
