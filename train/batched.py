"""Views made in whole batches on the training device: the GPU's counterpart of `views.py`.

Same presets, edits, ranges and probabilities as `make_views`. The few numbers that choose and steer the edits
are drawn on the CPU, so that the device never has to be waited for and only the pictures that get an edit
pay for it; noise is drawn on the device. All pictures stay on the device as uint8.

Every edit has dice of its own: whether one happens says nothing about the others. (Inside one seeded
`albumentations.Compose`, all edits get the same seed, and fire together.) Differs from albumentations besides:
geometry is one map and one sampling, not one after the other; WebP is stood in for by JPEG of like strength;
the exact count of salt-and-pepper pixels varies a little; captions come from a drawn stock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import starmap
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from twinpix.train import batched_ops as ops
from twinpix.train.data import Batch, Pictures
from twinpix.train.views import FIRST, PRESETS, SECOND, ZOOM

CARD_JITTER, MILD_JITTER = (0.6, 0.6, 0.6, 0.3), (0.2, 0.2, 0.2, 0.05)
LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"
AT_ONCE = 8192  # pictures whose views a GPU makes in one go: starting its kernels takes longer than running them
IN_A_ROW = 2**20  # pictures that a GPU takes before it pauses to save and to measure: half a minute
CAPTIONS = 512  # drawn once a pass; views take random ones of them
Op = Callable[..., Tensor]
Item = TypeVar("Item")


class Dice:
    """Repeatable random numbers: (n,) tensors on the CPU, noise fields on the device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.numbers = torch.Generator().manual_seed(seed)
        self.fields = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """float32 `shape`, low..high."""
        return low + (high - low) * torch.rand(shape, generator=self.numbers)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64 `shape`, low..high, both included."""
        return torch.randint(low, high + 1, shape, generator=self.numbers)

    def chance(self, p: float, n: int) -> Tensor:
        """bool (n,), true with probability p."""
        return torch.rand(n, generator=self.numbers) < p

    def choice(self, weights: Sequence[float], n: int) -> Tensor:
        """int64 (n,), indices drawn by weight (which need not sum to 1)."""
        shares = torch.tensor(weights, dtype=torch.float32)
        return torch.multinomial(shares, n, replacement=True, generator=self.numbers)

    def even(self, *shape: int) -> Tensor:
        """float32 `shape` on the device, uniform 0..1."""
        return torch.rand(shape, generator=self.fields, device=self.device)

    def normal(self, *shape: int) -> Tensor:
        """float32 `shape` on the device, standard normal."""
        return torch.randn(shape, generator=self.fields, device=self.device)


@dataclass(frozen=True)
class Studio:
    """What the views of one pass share.

    Attributes:
        px: side of the views.
        others: uint8 (m, 3, h, w) on the device, pictures to paste from.
        captions: uint8 (CAPTIONS, px, px) on the device, see `ops.caption_shape`.
    """

    px: int
    others: Tensor
    captions: Tensor
    dice: Dice

    @property
    def samples(self) -> int:
        """Samples a view pixel and axis: no gaps between them at twice this reduction (see `ops.warp`)."""
        return max(2, math.ceil(self.others.shape[-1] / self.px))


def batched_batches(
    pictures: Pictures, preset: str, px: int, batch: int, seed: int, device: torch.device
) -> Iterator[Batch]:
    """A pass over the pictures in random order, on a GPU some in a row; the last, smaller batch of each is left out.

    Args:
        pictures: kept whole on the device; pass them already moved to save the move each pass.
        preset: `hard` or `card`.
        px: side of the views.
        batch: pairs in a batch.
        seed: fixes order and edits (noise still differs between kinds of device).
    """
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r}: choose from {', '.join(PRESETS)}")
    pixels, identity = pictures.pixels.to(device), pictures.identity.to(device)
    studio = open_studio(pixels, px, seed, device)
    first, second = (FIRST, SECOND) if preset == "hard" else ({"card": 1.0}, {"card": 1.0})
    orders = (
        torch.randperm(len(pictures), generator=studio.dice.numbers) for _ in range(passes(len(pictures), device.type))
    )
    order = torch.cat([order[: len(order) // batch * batch] for order in orders]).to(device)

    def made(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = vary(pixels[rows], studio) if preset == "hard" else pixels[rows]
        return make_view(chosen, first, studio), make_view(chosen, second, studio), identity[rows]

    for views in ahead(map(made, torch.split(order, made_at_once(batch, device.type)))):
        yield from starmap(Batch, zip(*(torch.split(part, batch) for part in views), strict=True))


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the next one made in a thread while one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def passes(pictures: int, device: str) -> int:
    """How many passes over so many pictures are made in a row."""
    return math.ceil(IN_A_ROW / pictures) if device == "cuda" else 1


def made_at_once(batch: int, device: str) -> int:
    """Of how many pictures views are made in one go: of whole batches; of one, but on a GPU."""
    return max(1, AT_ONCE // batch) * batch if device == "cuda" else batch


def open_studio(pixels: Tensor, px: int, seed: int, device: torch.device) -> Studio:
    """The shared things of one pass over uint8 (n, 3, h, w) pixels on the device."""
    return Studio(px, pixels, draw_captions(px, CAPTIONS, seed).to(device), Dice(seed, device))


def draw_captions(px: int, count: int, seed: int) -> Tensor:
    """Lines of random letters, as `views.Caption` draws them: uint8 (count, px, px)."""
    dice = random.Random(seed)
    shapes = []
    for _ in range(count):
        text = "".join(dice.choices(LETTERS, k=dice.randint(3, 16)))
        where = (int(dice.uniform(-0.1, 0.6) * px), int(dice.uniform(0.1, 1.0) * px))
        scale = dice.uniform(0.3, 1.1) * px / 96
        shape = ops.caption_shape(px, text, where, dice.randint(0, 7), scale, dice.randint(1, 2))
        shapes.append(torch.from_numpy(shape))
    return torch.stack(shapes)


def vary(pictures: Tensor, studio: Studio) -> Tensor:
    """A variation of each picture, as `views.varying_edits` makes it.

    Args:
        pictures: uint8 (n, 3, h, h) on the device.

    Returns:
        The same shape.
    """
    n, dice = len(pictures), studio.dice
    part = torch.where(dice.chance(0.5, n)[:, None], random_crop(n, (0.35, 1.0), (0.75, 1.33), dice), _all_of_it(n))
    degrees, upright = torch.where(dice.chance(0.25, n), 90.0 * dice.integers(0, 3, n), 0.0), torch.zeros(n)
    turn = ops.chain(ops.flip_map(dice.chance(0.5, n)), ops.rotation_map(degrees, upright, upright))
    varied = ops.warp(pictures.float(), _whole(n), ops.chain(turn, ops.crop_map(part)), pictures.shape[-1])
    return varied.round().clamp(0, 255).to(torch.uint8)


def make_view(pictures: Tensor, mixture: dict[str, float], studio: Studio) -> Tensor:
    """One view of each picture.

    Args:
        pictures: uint8 (n, 3, h, w) on the device.
        mixture: kind of view (see `KINDS`) -> its share of the pictures.

    Returns:
        uint8 (n, 3, px, px) on the device.
    """
    kinds = studio.dice.choice(list(mixture.values()), len(pictures))
    views = torch.empty(len(pictures), 3, studio.px, studio.px, dtype=torch.uint8, device=pictures.device)
    for i, kind in enumerate(mixture):
        rows = (kinds == i).nonzero()[:, 0].to(pictures.device)
        if len(rows):
            views[rows] = KINDS[kind](pictures[rows].float(), studio).round().clamp(0, 255).to(torch.uint8)
    return views


def apply_where(x: Tensor, where: Tensor, op: Op, *parameters: Tensor) -> Tensor:
    """`op` on the pictures chosen by bool (n,) `where`, with their rows of the parameters. Changes `x` in place."""
    rows = where.nonzero()[:, 0]
    if len(rows):
        own = [p.to(x.device)[rows.to(x.device)] for p in parameters]
        x[rows.to(x.device)] = op(x[rows.to(x.device)], *own)
    return x


# The kinds of view: float32 (n, 3, h, w) -> float32 (n, 3, px, px); the numbers are those of `views.py`.


def card_view(x: Tensor, studio: Studio) -> Tensor:
    """The card's three edits."""
    n, dice = len(x), studio.dice
    crop = random_crop(n, (1 / ZOOM**2, 1.0), (1.0, 1.0), dice)
    x = ops.warp(x, _whole(n), ops.crop_map(crop), studio.px, studio.samples)
    x = jitter(x, dice.chance(0.9, n), CARD_JITTER, dice)
    return pepper(x, dice.chance(0.4, n), dice)


def mild_view(x: Tensor, studio: Studio) -> Tensor:
    """Nearly the original."""
    n, dice = len(x), studio.dice
    crop = torch.where(dice.chance(0.5, n)[:, None], random_crop(n, (0.7, 1.0), (0.85, 1.18), dice), _all_of_it(n))
    source = ops.chain(ops.flip_map(dice.chance(0.1, n)), ops.crop_map(crop))
    x = ops.warp(x, _whole(n), source, studio.px, studio.samples)
    x = jitter(x, dice.chance(0.25, n), MILD_JITTER, dice)
    return apply_where(x, dice.chance(0.2, n), ops.jpeg, dice.integers(40, 95, n).float())


def hard_view(x: Tensor, studio: Studio) -> Tensor:
    """At most one heavy edit of each kind."""
    n, dice = len(x), studio.dice
    x = hard_geometry(x, studio)
    x = jitter(x, dice.chance(0.6, n), CARD_JITTER, dice)
    x = apply_where(x, dice.chance(0.2, n), ops.gamma, dice.uniform(0.45, 2.2, n))
    x = apply_where(x, dice.chance(0.2, n), ops.grey)
    x = cover(x, studio)
    x = blur(x, dice)
    noise = torch.where(dice.chance(0.25, n), dice.choice([0.7, 0.4], n), -1)
    x = pepper(x, noise == 0, dice)
    x = grain(x, noise == 1, dice)
    return compress(x, dice)


def deep_view(x: Tensor, studio: Studio) -> Tensor:
    """A small part, upright or mirrored: of no preset, for `pairs.py` alone."""
    n, dice = len(x), studio.dice
    source = ops.chain(
        ops.flip_map(dice.chance(0.3, n)), ops.crop_map(random_crop(n, (0.15, 0.45), (0.75, 1.33), dice))
    )
    x = ops.warp(x, _whole(n), source, studio.px, studio.samples)
    x = jitter(x, dice.chance(0.4, n), CARD_JITTER, dice)
    return apply_where(x, dice.chance(0.3, n), ops.jpeg, dice.integers(30, 95, n).float())


KINDS = {"card": card_view, "mild": mild_view, "hard": hard_view, "deep": deep_view}


# Edits with their dice


def random_crop(n: int, area: tuple[float, float], ratio: tuple[float, float], dice: Dice) -> Tensor:
    """`albumentations.RandomResizedCrop`'s choice for square pictures: the first of ten tries that fits.

    Returns:
        (n, 4) = (left, top, width, height), shares of the picture.
    """
    low, high = torch.tensor(ratio).log().tolist()
    areas, aspects = dice.uniform(*area, 10, n), dice.uniform(low, high, 10, n).exp()
    sides = torch.stack([(areas * aspects).sqrt(), (areas / aspects).sqrt()], 2)
    fits = (sides <= 1).all(2)
    side = sides[fits.int().argmax(0), torch.arange(n)]
    side = torch.where(fits.any(0)[:, None], side, 1.0)
    return torch.cat([dice.uniform(0, 1, n, 2) * (1 - side), side], 1)


def hard_geometry(x: Tensor, studio: Studio) -> Tensor:
    """Mirror, turn, crop, shrink and shift, composed into one map for each picture."""
    n, dice = len(x), studio.dice
    size = dice.choice([0.5, 0.5, 0.25], n)
    usual = random_crop(n, (1 / ZOOM**2, 1.0), (0.85, 1.18), dice)
    heavy = random_crop(n, (0.15, 0.8), (0.4, 2.5), dice)
    crop = torch.stack([usual, heavy, _all_of_it(n)])[size, torch.arange(n)]
    flip = ops.flip_map(dice.chance(0.2, n))
    source = ops.chain(ops.chain(flip, random_turn(n, dice)), ops.crop_map(crop))
    box = torch.where(dice.chance(0.25, n)[:, None], shrink_box(n, dice), _whole(n))
    fill = dice.choice([1, 1, 1], n).float() * 127.5
    view = ops.warp(x, box, source, studio.px, studio.samples)
    return ops.blend(ops.column(fill.round().to(x.device)), view, ops.coverage(box.to(x.device), studio.px))


def random_turn(n: int, dice: Dice) -> Tensor:
    """Three quarters stay; the others get a quarter turn or mirror (D4), any angle, or some angle and shear."""
    kind = torch.where(dice.chance(0.25, n), dice.choice([1.0, 0.5, 0.5], n) + 1, 0)
    degrees = torch.stack([
        torch.zeros(n), 90.0 * dice.integers(0, 3, n), dice.uniform(-180, 180, n), dice.uniform(-30, 30, n)
    ])[kind, torch.arange(n)]  # fmt: skip
    shear = torch.where(kind == 3, 1.0, 0.0) * dice.uniform(-8, 8, 2, n)
    mirror = ops.flip_map((kind == 1) & dice.chance(0.5, n))
    return ops.chain(ops.rotation_map(degrees, shear[0], shear[1]), mirror)


def shrink_box(n: int, dice: Dice) -> Tensor:
    """Where a shrunk and shifted picture lies: (n, 4) = (left, top, right, bottom), shares of the view."""
    middle = 0.5 + dice.uniform(-0.22, 0.22, n, 2)
    half = dice.uniform(0.55, 1.0, n, 2) / 2
    return torch.cat([middle - half, middle + half], 1)


def jitter(x: Tensor, where: Tensor, strength: tuple[float, float, float, float], dice: Dice) -> Tensor:
    """`albumentations.ColorJitter`: its four adjustments in a random order for each picture."""
    n = len(x)
    factors = [dice.uniform(1 - s, 1 + s, n) for s in strength[:3]] + [dice.uniform(-strength[3], strength[3], n)]
    order = dice.uniform(0, 1, n, 4).argsort(1)
    for turn in range(4):
        for i, op in enumerate((ops.brightness, ops.contrast, ops.saturation, ops.hue)):
            x = apply_where(x, where & (order[:, turn] == i), op, factors[i])
    return x


def cover(x: Tensor, studio: Studio) -> Tensor:
    """A fifth of the views: pasted onto another picture, another one pasted in, captioned or erased in part."""
    n, dice = len(x), studio.dice
    kind = torch.where(dice.chance(0.2, n), dice.choice([1, 1, 1, 1], n), -1)
    x = paste_other(x, kind == 0, random_box(n, (0.6, 0.95), dice), studio, onto=True)
    x = paste_other(x, kind == 1, random_box(n, (0.15, 0.45), dice), studio, onto=False)
    lines = dice.integers(1, 3, n)
    for line in range(3):
        x = apply_where(x, (kind == 2) & (line < lines), ops.caption, *random_captions(n, studio))
    return apply_where(x, kind == 3, ops.erase, random_holes(n, dice))


def random_box(n: int, share: tuple[float, float], dice: Dice) -> Tensor:
    """(n, 4) = (left, top, right, bottom) of a box inside the view, each side `share` of the view's."""
    side = dice.uniform(*share, n, 2)
    corner = dice.uniform(0, 1, n, 2) * (1 - side)
    return torch.cat([corner, corner + side], 1)


def paste_other(x: Tensor, where: Tensor, box: Tensor, studio: Studio, onto: bool) -> Tensor:
    """Paste the views onto other pictures, or other pictures into the views, at `box`."""
    rows = where.nonzero()[:, 0]
    if not len(rows):
        return x
    chosen = studio.dice.integers(0, len(studio.others) - 1, len(rows)).to(x.device)
    others = F.interpolate(studio.others[chosen].float(), (studio.px, studio.px), mode="area")
    own, box = x[rows.to(x.device)], box[rows].to(x.device)
    x[rows.to(x.device)] = ops.paste(others, own, box) if onto else ops.paste(own, others, box)
    return x


def random_captions(n: int, studio: Studio) -> tuple[Tensor, Tensor]:
    """(uint8 (n, px, px) shapes on the device, float32 (n, 3) colours); a third each 0, 255 or any level."""
    dice = studio.dice
    kind = dice.integers(0, 2, n, 3)
    colour = torch.where(kind == 2, dice.integers(0, 255, n, 3), 255 * kind).float()
    return studio.captions[dice.integers(0, CAPTIONS - 1, n).to(studio.captions.device)], colour


def random_holes(n: int, dice: Dice) -> Tensor:
    """(n, 3, 4): one to three boxes of a tenth to three tenths of the view a side, the rest empty."""
    boxes = random_box(3 * n, (0.1, 0.3), dice).view(n, 3, 4)
    used = torch.arange(3) < dice.integers(1, 3, n)[:, None]
    return torch.where(used[:, :, None], boxes, 0.0)


def blur(x: Tensor, dice: Dice) -> Tensor:
    """18 %: out of focus or moved."""
    n = len(x)
    kind = torch.where(dice.chance(0.18, n), dice.choice([0.5, 0.4], n), -1)
    x = apply_where(x, kind == 0, ops.gaussian_blur, dice.uniform(0.4, 2.2, n))
    size, degrees = 2 * dice.integers(1, 3, n) + 1, dice.uniform(0, 360, n)
    lines = ops.motion_kernels(size, degrees, dice.uniform(-1, 1, n), dice.uniform(-1, 1, n, 2))
    return apply_where(x, kind == 1, ops.convolve, lines)


def pepper(x: Tensor, where: Tensor, dice: Dice) -> Tensor:
    """Salt and pepper on 0.5..12 % of the pixels of the chosen views."""
    n, px = len(x), x.shape[-1]
    amount, salt = dice.uniform(0.005, 0.12, n), dice.uniform(0.4, 0.6, n)
    return apply_where(x, where, ops.salt_and_pepper, amount, salt, dice.even(n, 1, px, px))


def grain(x: Tensor, where: Tensor, dice: Dice) -> Tensor:
    """Gaussian noise of 2..16 % of full scale on the chosen views."""
    return apply_where(x, where, ops.gaussian_noise, dice.uniform(0.02, 0.16, len(x)) * 255, dice.normal(*x.shape))


def compress(x: Tensor, dice: Dice) -> Tensor:
    """30 %: JPEG of quality 8..90, or in place of WebP of quality 10..80 the JPEG that does as much harm."""
    n = len(x)
    kind = torch.where(dice.chance(0.3, n), dice.choice([0.5, 0.3], n), -1)
    quality = torch.where(kind == 0, dice.integers(8, 90, n).float(), like_webp(dice.uniform(10, 80, n)))
    return apply_where(x, kind >= 0, ops.jpeg, quality)


def like_webp(quality: Tensor) -> Tensor:
    """The JPEG quality that does as much harm as WebP `quality` (n,): mean squared error, 60 photos at 96 px, +-2."""
    return 100 - 97 * torch.exp(-quality / 35)


def _whole(n: int) -> Tensor:
    return torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(n, 4)  # left, top, right, bottom


def _all_of_it(n: int) -> Tensor:
    return torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(n, 4)  # left, top, width, height
