"""Training the pair model: views of one picture against views of others that look like it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinpix.encoder.errors import InputError
from twinpix.encoder.pair_network import PairArchitecture, PairNet
from twinpix.encoder.pairs import PREPROCESS
from twinpix.train.batched import Dice, ahead, made_at_once, make_view, open_studio, vary
from twinpix.train.data import Pictures
from twinpix.train.loop import Say, origin_of, rate_at, update_average
from twinpix.train.run import Run, run_for

FIRST = {"mild": 0.75, "card": 0.25}  # kind of view -> share of the first views
SECOND = {"hard": 0.5, "card": 0.25, "mild": 0.1, "deep": 0.15}
CROWDS = (32, 8, 1)  # pictures of a batch that are nearest neighbours of one another: a batch of each in turn
STUDIO = 200  # times that views are made between new captions
PAIRS_CHECKPOINT = "pairs.pt"


@dataclass(frozen=True)
class PairRecipe:
    """Knobs of a run; the defaults are those of the shipped model.

    Attributes:
        minutes: wall-clock budget, interruptions not counted.
        batch: pairs of views of one picture a step.
        hard, easy: negatives of each: the nearest of the batch, and random ones.
        against: weight of the negatives.
        learning_rate, trunk_rate: of AdamW, of what is new and of what comes from the encoder.
        average: decay of the weight average (EMA) per step; the average is what is exported.
        seed: fixes initial weights, order and edits.
    """

    minutes: float = 8.75
    batch: int = 512
    hard: int = 4
    easy: int = 2
    against: float = 1.5
    learning_rate: float = 2e-3
    trunk_rate: float = 6e-4
    weight_decay: float = 0.02
    average: float = 0.999
    seed: int = 0
    architecture: PairArchitecture = field(default_factory=PairArchitecture)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Crowd:
    """Training pictures and who looks like whom.

    Attributes:
        pictures: their identities are those of pictures, copies of one another included.
        vectors: float32 (n, dim), embeddings of the shipped encoder.
        near: int64 (n, k), of each picture the nearest, itself first.
    """

    pictures: Pictures
    vectors: Tensor
    near: Tensor

    def to(self, device: torch.device) -> Crowd:
        """The same on the device."""
        pixels, identity = self.pictures.pixels.to(device), self.pictures.identity.to(device)
        pictures = replace(self.pictures, pixels=pixels, identity=identity)
        return Crowd(pictures, self.vectors.to(device), self.near.to(device))


def start_pairs(recipe: PairRecipe, device: torch.device, init: dict[str, Tensor]) -> Run[PairNet]:
    """A fresh state; what `init` has of the same name and shape is taken from there."""
    torch.manual_seed(recipe.seed)
    net = PairNet(recipe.architecture).to(device)
    own = net.state_dict()
    fitting = {name: value for name, value in init.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict({**own, **fitting})
    trunk = [p for name, p in net.named_parameters() if name.startswith(("stem", "stages"))]
    rest = [p for name, p in net.named_parameters() if not name.startswith(("stem", "stages"))]
    groups = [{"params": trunk, "peak": recipe.trunk_rate}, {"params": rest, "peak": recipe.learning_rate}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return Run(net, copy.deepcopy(net).eval(), optimizer)


def train_pairs(
    recipe: PairRecipe, crowd: Crowd, work: Path, device: torch.device, say: Say, init: dict[str, Tensor]
) -> PairNet:
    """Train until the time is up; returns the averaged network in eval mode.

    Args:
        work: folder of `pairs.pt`; a run found there goes on where it was killed.
        say: gets one line of progress at a time.
        init: weights to start from.

    Raises:
        InputError: there are fewer than two pictures, or see `read_checkpoint`.
    """
    if len(crowd.pictures) < 2:
        raise InputError("training needs at least two pictures")
    state, on_device = start_pairs(recipe, device, init), crowd.to(device)

    def batches(done: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return pair_views(recipe, on_device, recipe.seed + 7919 * done)

    def step(batch: tuple[Tensor, Tensor, Tensor], share: float) -> str:
        positive, negative = _step(state, recipe, on_device, *batch, share)
        return f"{float(positive):.3f} of copies, {float(negative):.3f} of others"

    origin = origin_of(recipe.to_dict(), crowd.pictures, init)
    return run_for(recipe.minutes, state, work / PAIRS_CHECKPOINT, origin, device, batches, step, say)


def pair_views(recipe: PairRecipe, crowd: Crowd, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless batches: rows, int64 (n,), and two views of each, uint8 (n, 3, 96, 96), half of them of a variation."""
    pixels, device = crowd.pictures.pixels, crowd.pictures.pixels.device
    dice = Dice(seed, device)
    at_once = made_at_once(recipe.batch, device.type) // recipe.batch
    made, studio = 0, open_studio(pixels, PREPROCESS.size, seed, device)

    def make(batches: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        nonlocal made, studio
        made += 1
        if made % STUDIO == 0:
            studio = open_studio(pixels, PREPROCESS.size, seed + made, device)
        rows = torch.cat(batches)
        plain = dice.chance(0.5, len(rows)).to(device)[:, None, None, None]
        chosen = torch.where(plain, pixels[rows], vary(pixels[rows], studio))
        return rows, make_view(chosen, FIRST, studio), make_view(chosen, SECOND, studio)

    def batches() -> Iterator[list[Tensor]]:
        while True:
            yield [_some(crowd.near, recipe.batch, dice) for _ in range(at_once)]

    for views in ahead(map(make, batches())):
        yield from zip(*(torch.split(part, recipe.batch) for part in views), strict=True)


def _some(near: Tensor, batch: int, dice: Dice) -> Tensor:
    # rows of a batch: random pictures, with so many of the nearest of each
    width = min(CROWDS[int(dice.integers(0, len(CROWDS) - 1, 1))], batch, near.shape[1])
    seeds = dice.integers(0, len(near) - 1, -(-batch // width)).to(near.device)
    return near[seeds, :width].reshape(-1)[:batch]


def _step(
    state: Run[PairNet], recipe: PairRecipe, crowd: Crowd, rows: Tensor, first: Tensor, second: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    device = rows.device
    for group in state.optimizer.param_groups:
        group["lr"] = group["peak"] * rate_at(share)
    others, known = negatives(rows, crowd, recipe.hard, recipe.easy)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        maps = state.net.describe(torch.cat([first, second]).float())
        queries, references = (maps[side] for side in _sides(others))
        glances = _losses(state.net.glance(queries, references).float(), known)
        positive, negative = _losses(state.net.compare(queries, references).float(), known)
    state.optimizer.zero_grad(set_to_none=True)
    (positive + glances[0] + recipe.against * (negative + glances[1])).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimizer.step()
    update_average(state.average, state.net, min(recipe.average, (1 + state.step) / (10 + state.step)))
    return positive.detach(), negative.detach()


@torch.no_grad()
def negatives(rows: Tensor, crowd: Crowd, hard: int, easy: int) -> tuple[Tensor, Tensor]:
    """Which pictures of a batch each one is compared with.

    Returns:
        others: int64 (n, hard + easy), places in the batch: the nearest, then random ones.
        known: bool (n, hard + easy), whether the two are different pictures: a small batch may have too few.
    """
    n, identity, vectors = len(rows), crowd.pictures.identity[rows], crowd.vectors[rows]
    one = identity[:, None] == identity[None]
    nearest = (vectors @ vectors.T).masked_fill(one, -2).topk(min(hard, n), 1)
    chance = torch.rand(n, n, device=rows.device).masked_fill(one, -2).topk(min(easy, n), 1)
    return torch.cat([nearest.indices, chance.indices], 1), torch.cat([nearest.values, chance.values], 1) > -1.5


def _losses(logits: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    # of copies, which come first, and of other pictures, as far as they are known to be others
    copies, rest = logits[: len(known)], logits[len(known) :][known.flatten()]
    positive = F.binary_cross_entropy_with_logits(copies, torch.ones_like(copies))
    return positive, F.binary_cross_entropy_with_logits(rest, torch.zeros_like(rest)) if len(rest) else 0 * positive


def _sides(others: Tensor) -> tuple[Tensor, Tensor]:
    # what is compared: the two views of each picture, then first views with others' first (two in five) or second
    n, each = others.shape
    place = torch.arange(n, device=others.device)
    either = torch.rand(n * each, device=others.device) < 0.4
    queries = torch.cat([place, place.repeat_interleave(each)])
    return queries, torch.cat([place + n, torch.where(either, others.flatten(), others.flatten() + n)])


@torch.inference_mode()
def pair_recall(net: PairNet, crowd: Crowd, promising: float, seed: int = 1) -> dict[str, float]:
    """How the network does on pictures not trained on (on the CPU, one view of each against an untouched one).

    Returns:
        copies_kept: share of the views that `promising` (log-odds) lets pass.
        look_alikes_kept: the same of each picture with its nearest that is another.
    """
    pixels = crowd.pictures.pixels
    studio = open_studio(pixels, PREPROCESS.size, seed, torch.device("cpu"))
    plain, edited = (make_view(pixels, mixture, studio) for mixture in ({"mild": 1.0}, SECOND))
    maps, edited_maps = (
        torch.cat([net.describe(block.float()) for block in torch.split(views, 64)]) for views in (plain, edited)
    )
    others, known = (column[:, 0] for column in negatives(torch.arange(len(pixels)), crowd, 1, 0))

    def kept(queries: Tensor, references: Tensor) -> float:
        blocks = zip(torch.split(queries, 32), torch.split(references, 32), strict=True)
        return float(torch.cat([net.compare(*block) >= promising for block in blocks]).float().mean())

    return {"copies_kept": kept(maps, edited_maps), "look_alikes_kept": kept(maps[known], maps[others[known]])}
