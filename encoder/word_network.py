"""The torch network that tells where words are on a picture. Only training imports this file (it needs torch)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from twinpix.encoder.network import ResidualBlock, conv_norm_relu


@dataclass(frozen=True)
class WordArchitecture:
    """Channels of the three stages, each half as large as the one before, and residual blocks of the last two."""

    channels: tuple[int, int, int] = (16, 24, 48)
    blocks: tuple[int, int] = (1, 3)


class WordNet(nn.Module):
    """Are there letters? Of each cell of 8 x 8 px, by what lies around it, a hundred px or so."""

    def __init__(self, architecture: WordArchitecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or WordArchitecture()
        stem, middle, last = a.channels
        self.stem = conv_norm_relu(1, stem, 2)
        self.middle = nn.Sequential(
            conv_norm_relu(stem, middle, 2), *(ResidualBlock(middle) for _ in range(a.blocks[0]))
        )
        self.last = nn.Sequential(conv_norm_relu(middle, last, 2), *(ResidualBlock(last) for _ in range(a.blocks[1])))
        self.head = nn.Conv2d(last, 1, 1)

    def forward(self, luma: Tensor) -> Tensor:
        """`luma`: float32 (n, h, w), levels 0..255. Returns logits, float32 (n, h / 8, w / 8): above 0, words."""
        maps = self.last(self.middle(self.stem(luma[:, None] / 64 - 2)))
        return self.head(maps)[:, 0]  # type: ignore[no-any-return]
