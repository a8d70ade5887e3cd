"""The torch network that compares two pictures part by part. Only training imports this file (it needs torch).

Each picture becomes a map of 12 x 12 local descriptors, once. Two maps are then laid on one another by attention: each
part of one looks for its like in the other, and where neighbours find theirs side by side, the pictures are one. As in
geometric matching by correlation (Rocco et al. 2017; CVNet, Lee et al. 2022), but what is judged is where each part was
found, not the volume of all correlations: a fiftieth of the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twinpix.encoder.network import ResidualBlock, ToneChannels, conv_norm_relu, stages_of

GRID = 12  # parts of a picture, each way
TOLD = 6  # of each part and head: where its like is (2), how far that is spread, how alike, at best, how surely


@dataclass(frozen=True)
class PairArchitecture:
    """What it takes to build the same network again. Stem and stages are the encoder's, but for the last stride."""

    stem: int = 24
    channels: tuple[int, ...] = (32, 64, 128)
    strides: tuple[int, ...] = (2, 2, 1)
    blocks: tuple[int, ...] = (0, 1, 1)
    heads: int = 4
    dim: int = 24
    content: int = 16
    width: int = 48


class PairNet(nn.Module):
    """Are two pictures one? Both go through `describe`, and their maps through `compare`."""

    grid: Tensor

    def __init__(self, architecture: PairArchitecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or PairArchitecture()
        self.tones = ToneChannels()
        self.stem = conv_norm_relu(3, a.stem, 2)
        self.stages = stages_of(a.stem, a.channels, a.strides, a.blocks)
        self.locals = nn.Conv2d(a.channels[-1], a.heads * a.dim + a.content, 1)
        self.sharpness = nn.Parameter(torch.full((a.heads, 1, 1), 2.5))
        at = torch.linspace(-1, 1, GRID)
        grid = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(GRID * GRID, 2)
        self.register_buffer("grid", grid, persistent=False)
        self.first = conv_norm_relu(a.heads * TOLD + 2 * a.content + 2, a.width)
        self.then = ResidualBlock(a.width)
        self.head = nn.Sequential(nn.Linear(2 * a.width, a.width), nn.ReLU(), nn.Linear(a.width, 1))

    def describe(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, 96, 96), levels 0..255. Returns float32 (n, 144, heads * dim + content)."""
        with torch.autocast(rgb.device.type, enabled=False):
            maps = self.tones(rgb.float())
        maps = self.stem(maps)
        for stage in self.stages:
            maps = stage(maps)
        with torch.autocast(rgb.device.type, enabled=False):
            heads, content = self._split(self.locals(maps.float()).flatten(2).transpose(1, 2))
            return torch.cat([nn.functional.normalize(heads, dim=-1).flatten(2), content], -1)

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Maps, float32 (n, 144, heads * dim + content) each. Returns logits, float32 (n,): above 0, probably one."""
        (heads, content), (other_heads, other_content) = self._split(first), self._split(second)
        likeness = heads.transpose(1, 2) @ other_heads.permute(0, 2, 3, 1)  # (n, heads, parts, parts)
        pooled = self._laid(likeness, content, other_content)
        pooled = pooled + self._laid(likeness.transpose(2, 3), other_content, content)
        return self.head(pooled).squeeze(1)  # type: ignore[no-any-return]

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        # (n, parts, all) -> (n, parts, heads, dim), (n, parts, content)
        a = self.architecture
        heads, content = torch.split(maps, [a.heads * a.dim, a.content], -1)
        return heads.reshape(*heads.shape[:2], a.heads, a.dim), content

    def _laid(self, likeness: Tensor, own: Tensor, other: Tensor) -> Tensor:
        # how alike each part is to each of the other's, (n, heads, parts, parts) -> (n, 2 * width)
        weights = (likeness * self.sharpness.exp()).softmax(-1)
        with torch.autocast(own.device.type, enabled=False):  # a spread is a small difference of large numbers
            places = torch.cat([self.grid, self.grid.square().sum(1, keepdim=True)], 1)
            found = weights.float() @ places  # (n, heads, parts, 3)
        where, spread = found[..., :2], found[..., 2:] - found[..., :2].square().sum(-1, keepdim=True)
        best = (weights * likeness).sum(-1, keepdim=True)
        told = torch.cat([where, spread, best, likeness.amax(-1, keepdim=True), weights.amax(-1, keepdim=True)], -1)
        theirs = weights.mean(1) @ other
        parts = torch.cat(
            [told.transpose(1, 2).flatten(2), own * theirs, own - theirs, self.grid.expand(len(own), -1, -1)], -1
        )
        maps = self.then(self.first(parts.transpose(1, 2).unflatten(2, (GRID, GRID))))  # type: ignore[no-untyped-call]
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
