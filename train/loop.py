"""The training loop, top to bottom: siamese forward, loss, step, weight average, checkpoint, validation."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.train.data import Batch, Pictures
from twinpix.train.losses import LOSSES, Bank, empty_bank, koleo
from twinpix.train.recipe import Recipe
from twinpix.train.stream import batches
from twinpix.train.validate import Validation

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 120.0
BACKGROUND = "background.embeddings"  # may lie beside the weights that a run starts from; training goes without
Say = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """Where a run computes. None of it changes what is learned, up to rounding.

    Attributes:
        device: `cpu` or `cuda`.
        workers: processes that make views (CPU only).
        compile: fuse the network with torch.compile (needs a C++ compiler; about 1.3x on a CPU).
        views: `workers` (albumentations) or `batched` (on the device); `auto` is batched unless on a CPU.
    """

    device: str = "cpu"
    workers: int = 2
    compile: bool = False
    views: str = "auto"

    @property
    def batched(self) -> bool:
        """Whether the views are made in batches on the device."""
        return self.views == "batched" or (self.views == "auto" and self.device != "cpu")


@dataclass
class State:
    """All that a run needs to go on after a kill."""

    net: CopyNet
    average: CopyNet
    optimizer: torch.optim.Optimizer
    bank: Bank
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path, origin: str) -> None:
        """Write a checkpoint. `origin` says what run it is of."""
        parts = {
            "origin": origin,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "bank": (self.bank.embeddings, self.bank.identity),
            "clock": (self.step, self.seconds),
        }
        write_checkpoint(path, parts)

    def load(self, path: Path, origin: str) -> None:
        """Go on from a checkpoint of the same run.

        Raises:
            InputError: see `read_checkpoint`.
        """
        parts = read_checkpoint(path, origin, self.bank.embeddings.device)
        self.net.load_state_dict(parts["net"])
        self.average.load_state_dict(parts["average"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.bank = Bank(*parts["bank"])
        self.step, self.seconds = parts["clock"][-2:]  # earlier versions kept the epoch before them


def write_checkpoint(path: Path, parts: dict[str, Any]) -> None:
    """Write what `read_checkpoint` reads; a kill in the middle leaves the earlier file."""
    temporary = path.with_suffix(".tmp")
    torch.save(parts, temporary)
    os.replace(temporary, path)


def read_checkpoint(path: Path, origin: str, device: torch.device) -> dict[str, Any]:
    """What a checkpoint of this run holds.

    Raises:
        InputError: the checkpoint is of another recipe, data or start, or is damaged.
    """
    try:
        parts: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch.load raises whatever a broken file makes it stumble on
        raise InputError(f"{path}: not a readable checkpoint ({type(error).__name__}): remove it") from None
    if parts.get("origin") != origin:
        raise InputError(f"{path} is of another recipe, data or --init: pass another --work folder, or remove it")
    return parts


def start(recipe: Recipe, device: torch.device, init: dict[str, Tensor] | None) -> State:
    """A fresh state, from random weights or from `init` (fine-tuning)."""
    torch.manual_seed(recipe.seed)
    net = CopyNet(recipe.architecture).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if init is not None:
        try:
            net.load_state_dict({name: value for name, value in init.items() if name != BACKGROUND})
        except RuntimeError:
            raise InputError("--init: the weights are of a network of another shape") from None
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    return State(net, copy.deepcopy(net).eval(), optimizer, empty_bank(recipe.architecture.dim, device))


def train(
    recipe: Recipe,
    pictures: Pictures,
    validation: Validation | None,
    work: Path,
    machine: Machine,
    say: Say,
    init: dict[str, Tensor] | None = None,
) -> CopyNet:
    """Train until the schedule is done; returns the averaged network in eval mode.

    Args:
        validation: measured after each pass over the pictures, if any; on a GPU after some.
        work: folder of `checkpoint.pt`; a run found there goes on where it was killed.
        say: gets one line of progress at a time.
    """
    if len(pictures) < 2:
        raise InputError("training needs at least two pictures")
    if len(pictures) < recipe.batch:
        recipe = replace(recipe, batch=max(2, len(pictures) // 2))
    state = start(recipe, torch.device(machine.device), init)
    origin = origin_of(recipe.to_dict(), pictures, init)
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / CHECKPOINT
    if checkpoint.exists():
        state.load(checkpoint, origin)
        epoch = epoch_of(state, recipe, len(pictures))
        say(f"going on from {checkpoint}: epoch {epoch}, {state.seconds / 60:.1f} min done")
    # dynamic=False: at the second size it would otherwise compile for any size, which can fail
    forward: nn.Module = torch.compile(state.net, dynamic=False) if machine.compile else state.net  # type: ignore[assignment]
    if machine.batched:
        device = state.bank.embeddings.device
        pictures = replace(pictures, pixels=pictures.pixels.to(device), identity=pictures.identity.to(device))
    while progress(state, recipe, len(pictures)) < 1:
        _epoch(state, forward, recipe, pictures, machine, lambda: state.save(checkpoint, origin), say)
        state.save(checkpoint, origin)
        if validation is not None:
            epoch, px = epoch_of(state, recipe, len(pictures)), size_at(state, recipe, len(pictures))
            say(f"epoch {epoch}: {validation.line(state.average, px)}")
    return state.average


def origin_of(recipe: dict[str, object], pictures: Pictures, init: dict[str, Tensor] | None) -> str:
    """What tells one run from another: the recipe (plain values), the pictures, and the weights it starts from."""
    begun = 0.0 if init is None else sum(float(w.double().abs().sum()) for w in init.values())
    facts = {"recipe": recipe, "pictures": pictures.digest, "init": begun}
    return json.dumps(facts, sort_keys=True)


def progress(state: State, recipe: Recipe, pictures: int) -> float:
    """How much of the run is done, 0..1, by the clock or by steps."""
    if recipe.minutes is not None:
        return min(1.0, state.seconds / (60 * recipe.minutes))
    return min(1.0, state.step / (recipe.epochs * (pictures // recipe.batch)))


def epoch_of(state: State, recipe: Recipe, pictures: int) -> int:
    """How many times all the pictures were seen."""
    return state.step // (pictures // recipe.batch)


def size_at(state: State, recipe: Recipe, pictures: int) -> int:
    """px of the views now: small first, then the size that is shipped."""
    small = progress(state, recipe, pictures) < recipe.small_share
    return recipe.small_size if small else recipe.size


def rate_at(done: float) -> float:
    """Learning rate as a share of its peak: warm-up over 3 %, then cosine to 2 %."""
    return min(done / 0.03, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def _epoch(
    state: State,
    forward: nn.Module,
    recipe: Recipe,
    pictures: Pictures,
    machine: Machine,
    save: Callable[[], None],
    say: Say,
) -> None:
    begun = saved = said = time.monotonic()
    before, first_step = state.seconds, state.step
    px = size_at(state, recipe, len(pictures))
    seed = recipe.seed + 7919 * state.step
    for batch in batches(pictures, recipe.preset, px, recipe.batch, seed, machine.workers, machine.batched):
        done = progress(state, recipe, len(pictures))
        if done >= 1 or size_at(state, recipe, len(pictures)) != px:
            break
        loss, cosine = _step(state, forward, recipe, batch, done)
        now = time.monotonic()
        state.step, state.seconds = state.step + 1, before + now - begun
        if now - said > 20:
            rate = 2 * recipe.batch * (state.step - first_step) / (now - begun)
            left = state.seconds * (1 / max(done, 1e-3) - 1) / 60
            epoch = epoch_of(state, recipe, len(pictures))
            say(f"epoch {epoch} {px} px {done:6.1%} loss {loss:.3f} pair cosine {cosine:.3f} "
                f"{rate:.0f} images/s ETA {left:.0f} min")  # fmt: skip
            said = now
        if now - saved > CHECKPOINT_SECONDS:
            save()
            saved = now


def _step(state: State, forward: nn.Module, recipe: Recipe, batch: Batch, done: float) -> tuple[float, float]:
    device = state.bank.embeddings.device
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate_at(done)
    both = torch.cat([batch.first, batch.second]).to(device).to(memory_format=torch.channels_last)
    identity = batch.identity.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        embeddings = forward(both.float()).float()
    first, second = embeddings.chunk(2)
    options = {"temperature": recipe.temperature} if recipe.loss == "infonce" else {}
    loss = LOSSES[recipe.loss](first, second, identity, state.bank, **options)
    if recipe.koleo:
        loss = loss + recipe.koleo * 0.5 * (koleo(first, identity) + koleo(second, identity))
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimizer.step()
    update_average(state.average, state.net, min(recipe.average, (1 + state.step) / (10 + state.step)))
    if done > 0.05:  # earlier embeddings go stale too fast to be negatives
        state.bank = state.bank.push(embeddings, identity.repeat(2), recipe.bank)
    return float(loss.detach()), float((first * second).sum(1).mean().detach())


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the weight average a step towards `net`; batch-norm statistics and counters too."""
    for kept, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
