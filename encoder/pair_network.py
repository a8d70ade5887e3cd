"""The torch network that compares two pictures part by part. Only training imports this file (it needs torch).

Each picture becomes a map of 12 x 12 local descriptors, once. Two maps are then laid on one another by attention: each
part of one looks for its like in the other, and where neighbours find theirs side by side, the pictures are one. As in
geometric matching by correlation (Rocco et al. 2017; CVNet, Lee et al. 2022), but what is judged is where each part was
found, not the volume of all correlations: a fiftieth of the numbers. A glance does the same with 6 x 6 summaries of the
parts, at a fifth of the cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from twinpix.encoder.network import ResidualBlock, ToneChannels, conv_norm_relu, stages_of

GRID = 12  # parts of a picture, each way
TOLD = 6  # of each part and head: where its like is (2), how far that is spread, how alike, at best, how surely
BLOCK = 16  # channels that ONNX Runtime computes at a time: of other multiples it takes twice as long


@dataclass(frozen=True)
class ComparisonArchitecture:
    """How two maps are compared: `heads` of `dim` numbers look for their like, `content` numbers are compared there."""

    heads: int = 4
    dim: int = 24
    content: int = 16
    width: int = 48

    @property
    def described(self) -> int:
        """Numbers of each part."""
        return self.heads * self.dim + self.content


@dataclass(frozen=True)
class PairArchitecture:
    """What it takes to build the same network again. Stem and stages are the encoder's, but for the last stride."""

    stem: int = 24
    channels: tuple[int, ...] = (32, 64, 128)
    strides: tuple[int, ...] = (2, 2, 1)
    blocks: tuple[int, ...] = (0, 1, 1)
    close: ComparisonArchitecture = ComparisonArchitecture()
    glance: ComparisonArchitecture = ComparisonArchitecture(2, 16, 16, 32)


class PairNet(nn.Module):
    """Are two pictures one? Both go through `describe`, and their maps through `glance`, and then `compare`."""

    def __init__(self, architecture: PairArchitecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or PairArchitecture()
        self.tones = ToneChannels()
        self.stem = conv_norm_relu(3, a.stem, 2)
        self.stages = stages_of(a.stem, a.channels, a.strides, a.blocks)
        self.locals = nn.Conv2d(a.channels[-1], a.close.described, 1)
        self.closely = Comparison(a.close, GRID)
        self.summary = nn.Conv2d(a.close.described, a.glance.described, 2, 2)
        self.at_a_glance = Comparison(a.glance, GRID // 2)

    def describe(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, 96, 96), levels 0..255. Returns float32 (n, 144, heads * dim + content)."""
        with torch.autocast(rgb.device.type, enabled=False):
            maps = self.tones(rgb.float())
        maps = self.stem(maps)
        for stage in self.stages:
            maps = stage(maps)
        with torch.autocast(rgb.device.type, enabled=False):
            return self.closely.normalized(self.locals(maps.float()))

    def compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Maps, float32 (n, 144, heads * dim + content) each. Returns logits, float32 (n,): above 0, probably one."""
        return self.closely(first, second)  # type: ignore[no-any-return]

    def glance(self, first: Tensor, second: Tensor) -> Tensor:
        """The same, less surely, for a fifth of the time. It teaches `describe` nothing."""
        return self.at_a_glance(self._summary(first.detach()), self._summary(second.detach()))  # type: ignore[no-any-return]

    def _summary(self, maps: Tensor) -> Tensor:
        square = maps.transpose(1, 2).unflatten(2, (GRID, GRID))  # type: ignore[no-untyped-call]
        return self.at_a_glance.normalized(self.summary(square))


class Comparison(nn.Module):
    """Lays two maps of `grid` x `grid` parts on one another, each way, and judges where the parts were found."""

    places: Tensor

    def __init__(self, architecture: ComparisonArchitecture, grid: int) -> None:
        super().__init__()
        self.architecture, self.grid = architecture, grid
        a = architecture
        self.sharpness = nn.Parameter(torch.full((a.heads, 1, 1), 2.5))
        at = torch.linspace(-1, 1, grid)
        places = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(grid * grid, 2)
        # and their squares, of which a spread is made
        self.register_buffer("places", torch.cat([places, places.square().sum(1, keepdim=True)], 1), persistent=False)
        told = a.heads * TOLD + 2 * a.content + 2
        self.unused = -told % BLOCK
        self.first = conv_norm_relu(told + self.unused, a.width)
        self.then = ResidualBlock(a.width)
        self.head = nn.Sequential(nn.Linear(2 * a.width, a.width), nn.ReLU(), nn.Linear(a.width, 1))

    def normalized(self, maps: Tensor) -> Tensor:
        """(n, heads * dim + content, grid, grid) -> (n, parts, heads * dim + content), each head of L2 norm 1."""
        heads, content = self._split(maps.flatten(2).transpose(1, 2))
        return torch.cat([nn.functional.normalize(heads, dim=-1).flatten(2), content], -1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Maps, float32 (n, parts, heads * dim + content) each. Returns logits, float32 (n,)."""
        n = len(first)
        heads, content = self._split(torch.cat([first, second]))
        other_heads, other_content = self._split(torch.cat([second, first]))
        laid = self._laid(heads.transpose(1, 2), content, other_heads.transpose(1, 2), other_content)
        return self.head(laid[:n] + laid[n:]).squeeze(1)  # type: ignore[no-any-return]

    def _split(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        # (n, parts, all) -> (n, parts, heads, dim), (n, parts, content)
        a = self.architecture
        heads, content = torch.split(maps, [a.heads * a.dim, a.content], -1)
        return heads.reshape(*heads.shape[:2], a.heads, a.dim), content

    def _laid(self, heads: Tensor, content: Tensor, other_heads: Tensor, other_content: Tensor) -> Tensor:
        # (n, heads, parts, dim) and (n, parts, content), twice -> (n, 2 * width)
        n, a, sharpness = len(heads), self.architecture, self.sharpness.exp()
        likeness = (heads * sharpness) @ other_heads.transpose(2, 3)  # (n, heads, parts, parts)
        weights = likeness.softmax(-1)
        with torch.autocast(heads.device.type, enabled=False):  # a spread is a small difference of large numbers
            shown = other_content[:, None].expand(-1, a.heads, -1, -1)
            values = torch.cat([self.places.expand(n, a.heads, -1, -1), shown, other_heads], -1).float()
            found = weights.float() @ values
        where, spread, seen, like = torch.split(found, [2, 1, a.content, a.dim], -1)
        spread, alike = spread - where.square().sum(-1, keepdim=True), (heads * like).sum(-1, keepdim=True)
        best, surest = likeness.amax(-1, keepdim=True) / sharpness, weights.amax(-1, keepdim=True)
        told = torch.cat([where, spread, alike, best, surest], -1).transpose(1, 2).flatten(2)
        seen = seen.mean(1)
        here = self.places[:, :2].expand(n, -1, -1)
        unused = told.new_zeros(n, len(self.places), self.unused)
        parts = torch.cat([told, content * seen, content - seen, here, unused], -1)
        maps = self.then(self.first(parts.transpose(1, 2).unflatten(2, (self.grid, self.grid))))  # type: ignore[no-untyped-call]
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
