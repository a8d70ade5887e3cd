"""A training run by the clock that goes on after a kill: network, average and optimizer, and the loop round steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn

from twinpix.train.loop import CHECKPOINT_SECONDS, Say, read_checkpoint, write_checkpoint

Net = TypeVar("Net", bound=nn.Module)
Batch = TypeVar("Batch")
SAID_SECONDS = 20  # between two lines of progress


@dataclass
class Run(Generic[Net]):
    """All that a run needs to go on after a kill."""

    net: Net
    average: Net
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path, origin: str) -> None:
        """Write a checkpoint. `origin` says what run it is of."""
        parts = {"origin": origin, "net": self.net.state_dict(), "average": self.average.state_dict(),
                 "optimizer": self.optimizer.state_dict(), "clock": (self.step, self.seconds)}  # fmt: skip
        write_checkpoint(path, parts)

    def load(self, path: Path, origin: str, device: torch.device) -> None:
        """Go on from a checkpoint of the same run; errors as of `read_checkpoint`."""
        parts = read_checkpoint(path, origin, device)
        self.net.load_state_dict(parts["net"])
        self.average.load_state_dict(parts["average"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.step, self.seconds = parts["clock"]


def run_for(
    minutes: float,
    run: Run[Net],
    checkpoint: Path,
    origin: str,
    device: torch.device,
    batches: Callable[[int], Iterator[Batch]],
    step: Callable[[Batch, float], str],
    say: Say,
) -> Net:
    """Take steps until the time is up; returns the averaged network.

    Args:
        checkpoint: a run of the same `origin` found there goes on where it was killed.
        batches: from a number of steps done, batches without end.
        step: takes one, with a batch and the share of the time that is over; returns what there is to say of it.
        say: gets one line of progress at a time.

    Raises:
        InputError: see `read_checkpoint`.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        run.load(checkpoint, origin, device)
        say(f"going on from {checkpoint}: {run.seconds / 60:.1f} min done")
    begun, before, saved, said = time.monotonic(), run.seconds, time.monotonic(), 0.0
    for batch in batches(run.step):
        if (share := run.seconds / (60 * minutes)) >= 1:
            break
        losses = step(batch, share)
        now = time.monotonic()
        run.step, run.seconds = run.step + 1, before + now - begun
        if now - said > SAID_SECONDS:
            said = now
            say(f"{share:6.1%} step {run.step} loss {losses}")
        if now - saved > CHECKPOINT_SECONDS:
            run.save(checkpoint, origin)
            saved = now
    run.save(checkpoint, origin)
    return run.average
