"""Everything that decides how an encoder comes out, in one frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from twinpix.encoder.network import Architecture

# in place of the defaults below where a run starts from finished weights: small steps, few, at the final size
FINE_TUNING: dict[str, float] = {"learning_rate": 2e-4, "epochs": 10, "small_share": 0.0}


@dataclass(frozen=True)
class Recipe:
    """Knobs of a training run; the defaults are those of the shipped encoder's first run.

    Attributes:
        preset: which views: `hard` or `card` (see `views.py`).
        loss: `infonce`, `margin` or `triplet`.
        koleo: weight of the spreading term; too much of it stops pairs from aligning.
        temperature: of InfoNCE.
        epochs: passes over the pictures; ignored where `minutes` is given.
        minutes: wall-clock budget, interruptions not counted; the schedule then follows the clock.
        size: px the encoder is shipped for; training ends at it.
        small_size: px the run starts at, because early steps learn as much from smaller, cheaper views.
        small_share: share of the run spent at `small_size`.
        batch: pairs per step.
        bank: embeddings of earlier batches used as negatives.
        learning_rate, weight_decay: of AdamW; warm-up over the first 3 %, then cosine to 2 %.
        average: decay of the weight average (EMA) per step; the average is what is exported.
        background: training pictures whose embeddings the exported model keeps (see `Background`).
        seed: fixes initial weights, order and edits.
    """

    preset: str = "hard"
    loss: str = "infonce"
    koleo: float = 1.0
    temperature: float = 0.05
    epochs: float = 60
    minutes: float | None = None
    size: int = 96
    small_size: int = 64
    small_share: float = 0.6
    batch: int = 128
    bank: int = 8192
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    average: float = 0.999
    background: int = 2000
    seed: int = 0
    architecture: Architecture = field(default_factory=Architecture)

    @property
    def store_size(self) -> int:
        """px at which pictures are kept: views at 150 % zoom still hold real detail."""
        return int(self.size * 1.5)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def scaled(dim: int = 256, width: float = 1.0, depth: float = 1.0) -> Architecture:
    """The shipped network with another embedding, or with its widths and residual blocks scaled."""
    usual = Architecture()
    return replace(
        usual,
        dim=dim,
        stem=_scale(usual.stem, width),
        channels=tuple(_scale(channels, width) for channels in usual.channels),
        blocks=tuple(round(blocks * depth) for blocks in usual.blocks),
    )


def _scale(channels: int, width: float) -> int:
    return max(4, round(channels * width / 4) * 4)  # multiples of four suit vector units
