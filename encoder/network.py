"""The torch network that is trained and exported. Only training imports this file (it needs torch).

Shape of the thing: tone channels -> 3x3-conv residual trunk -> GeM pooling -> linear -> L2 norm. Pictures with
hardly any content take another way: their colours are the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
TONE_FLOOR = 12.0  # levels (0..255); keeps sensor and JPEG noise of a flat image small
BLANK, PLAIN = 2.0, 5.0  # levels of deviation: below, nothing but colour counts; above, colour counts nothing
COLOUR_GRID = 4  # a plain picture is described by its colours in 4x4 fields
COLOUR_SCALE = 0.025  # radians per level: 10 levels in one channel are a clear difference, 1 level is none
NEIGHBOUR_TEMPERATURE, NEIGHBOUR_WEIGHT = 0.05, 0.7


@dataclass(frozen=True)
class Architecture:
    """What it takes to build the same network again; stored beside the weights."""

    stem: int = 24
    channels: tuple[int, ...] = (32, 64, 128, 256)
    strides: tuple[int, ...] = (2, 2, 2, 1)
    blocks: tuple[int, ...] = (0, 1, 1, 2)
    dim: int = 256
    pooled: int = 3  # stages, counted from the last, whose maps are pooled


class ToneChannels(nn.Module):
    """RGB levels -> (brightest channel, luma, darkest channel), standardised per image.

    A shift of hue leaves the largest and the smallest of R, G, B where they are, and standardising by
    the image's own luma mean and deviation takes out brightness and contrast. So most of what a colour
    edit does is undone here by arithmetic, and need not be learned.
    """

    def forward(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, h, w), levels 0..255. Returns float32 (n, 3, h, w), about -2..2."""
        weights = torch.tensor(LUMA, dtype=rgb.dtype, device=rgb.device).view(1, 3, 1, 1)
        luma = (rgb * weights).sum(1, keepdim=True)
        mean = luma.mean((2, 3), keepdim=True)
        deviation = _square(luma - mean).mean((2, 3), keepdim=True).sqrt()
        tones = torch.cat([rgb.amax(1, keepdim=True), luma, rgb.amin(1, keepdim=True)], 1)
        return (tones - mean) / (deviation + TONE_FLOOR)


class ColourCode(nn.Module):
    """Colours of a 4x4 grid -> a vector whose cosine falls off fast with any difference in colour.

    Random Fourier features of a Gaussian kernel (Rahimi & Recht 2007). Without it every blank picture would
    be a duplicate of every other blank picture, whatever its colour.
    """

    weights: Tensor
    phases: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        weights = torch.randn(3 * COLOUR_GRID**2, dim, generator=draw) * COLOUR_SCALE
        self.register_buffer("weights", weights)
        self.register_buffer("phases", torch.rand(dim, generator=draw) * 2 * torch.pi)

    def forward(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, h, w), levels 0..255. Returns float32 (n, dim), L2 norm about 1."""
        grid = _fields(rgb).flatten(1)
        return torch.cos(grid @ self.weights + self.phases) * (2 / self.phases.numel()) ** 0.5  # type: ignore[no-any-return]


class Background(nn.Module):
    """Moves an embedding away from what it has in common with pictures that merely look like it.

    Embeddings of many pictures are kept; `NEIGHBOUR_WEIGHT` times their mean, weighted by how near they are, is
    taken off. What is left is what sets this receipt apart from receipts, this shirt from shirts. After the
    winner of the image similarity challenge 2021 (Yokoo 2021), who takes the ten nearest: soft weights measured
    better here, and a tiny change of the picture can't swap a neighbour. Filled after training; empty, it changes
    nothing.
    """

    embeddings: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.empty(0, dim), persistent=False)

    def forward(self, learned: Tensor) -> Tensor:
        """`learned`: float32 (n, dim), L2 norm 1. Returns the same shape, L2 norm 1."""
        if len(self.embeddings) == 0:
            return learned
        known = self.embeddings.float()
        nearness = (learned @ known.T / NEIGHBOUR_TEMPERATURE).softmax(1)
        return nn.functional.normalize(learned - NEIGHBOUR_WEIGHT * (nearness @ known))


def _square(x: Tensor) -> Tensor:
    return x * x  # ONNX Runtime takes a general power for anything else


def _fields(rgb: Tensor) -> Tensor:
    # (n, 3, h, w) -> means of 4x4 fields, (n, 3, 4, 4); two plain means take a fifth of a pooling's time
    if rgb.shape[2] % COLOUR_GRID or rgb.shape[3] % COLOUR_GRID:
        return nn.functional.adaptive_avg_pool2d(rgb, COLOUR_GRID)
    rows = rgb.unflatten(2, (COLOUR_GRID, -1)).mean(3)  # type: ignore[no-untyped-call]
    return rows.unflatten(3, (COLOUR_GRID, -1)).mean(4)  # type: ignore[no-any-return]


def content(rgb: Tensor) -> Tensor:
    """How much there is to see: 0 blank .. 1 anything beyond a plain picture. float32 (n, 1)."""
    deviation = _square(rgb - rgb.mean((2, 3), keepdim=True)).mean((1, 2, 3)).sqrt()
    return ((deviation - BLANK) / (PLAIN - BLANK)).clamp(0, 1).unsqueeze(1)


def conv_norm_relu(width_in: int, width_out: int, stride: int = 1) -> nn.Sequential:
    """(n, width_in, h, w) -> (n, width_out, h / stride, w / stride), a 3x3 convolution, batch norm and ReLU."""
    conv = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width_out), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity shortcut (He et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(width, width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) -> the same shape."""
        return torch.relu(x + self.norm(self.second(self.first(x))))


def stages_of(
    width: int, channels: tuple[int, ...], strides: tuple[int, ...], blocks: tuple[int, ...]
) -> nn.ModuleList:
    """The stages after a stem of `width` channels: of each its channels, stride and number of residual blocks."""
    stages = nn.ModuleList()
    for before, after, stride, count in zip((width, *channels[:-1]), channels, strides, blocks, strict=True):
        stages.append(
            nn.Sequential(conv_norm_relu(before, after, stride), *(ResidualBlock(after) for _ in range(count)))
        )
    return stages


class CopyNet(nn.Module):
    """The siamese branch: both images of a pair go through this one network.

    Args:
        architecture: widths, depths and strides of the stages, and the embedding's dimension.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or Architecture()
        self.tones = ToneChannels()
        self.stem = conv_norm_relu(3, a.stem, 2)
        self.stages = stages_of(a.stem, a.channels, a.strides, a.blocks)
        self.head = nn.Linear(sum(a.channels[-a.pooled :]), a.dim, bias=False)
        # centred embeddings: without it they crowd into a cone, and the loss spends itself on spreading them
        self.centre = nn.BatchNorm1d(a.dim, affine=False)
        self.colours = ColourCode(a.dim)
        self.background = Background(a.dim)

    def forward(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, h, w), levels 0..255. Returns float32 (n, dim), L2 norm 1."""
        with torch.autocast(rgb.device.type, enabled=False):
            rgb = rgb.float()
            tones, share, colours = self.tones(rgb), content(rgb), self.colours(rgb)
        pooled = self._pool(tones)
        with torch.autocast(rgb.device.type, enabled=False):
            learned = self.background(nn.functional.normalize(self.centre(self.head(pooled.float()))))
            return nn.functional.normalize(share * learned + (1 - share) * colours)

    def _pool(self, tones: Tensor) -> Tensor:
        # tone channels -> float32 (n, sum of the pooled stages' widths)
        maps, pooled = self.stem(tones), []
        for i, stage in enumerate(self.stages):
            maps = stage(maps)
            if i >= len(self.stages) - self.architecture.pooled:
                pooled.append(_generalised_mean(maps))
        return torch.cat(pooled, 1)


def _generalised_mean(maps: Tensor) -> Tensor:
    # (n, c, h, w) -> float32 (n, c); Radenovic et al. 2018; power 3: a learned one diverges (SSCD, Pizzi et al. 2022)
    with torch.autocast(maps.device.type, enabled=False):
        maps = maps.float().clamp(min=1e-6)
        return (_square(maps) * maps).mean((2, 3)).pow(1 / 3)
