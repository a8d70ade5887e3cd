"""Recall on pictures not trained on, measured while training runs."""

from __future__ import annotations

from collections.abc import Callable

import albumentations as A
import cv2
import numpy as np
import torch
from torch import Tensor, nn

from twinpix.pipeline.twins import one_of_each
from twinpix.train.data import Pictures
from twinpix.train.views import card_edits, compose, hard_edits

FALSE_MATCH_RATE = 1e-4
KINDS = ("zoom", "jitter", "salt", "card", "hard")
Embed = Callable[[Tensor], Tensor]  # uint8 (n, 3, px, px) -> float32 (n, dim), L2 norm 1


class Validation:
    """Originals against edited copies: recall at a false-match rate of 1e-4 among the originals.

    Args:
        pictures: not used in training.
        limit: how many of them to use.
    """

    def __init__(self, pictures: Pictures, limit: int = 640) -> None:
        self.pixels = pictures.pixels[distinct(pictures.identity)[:limit]]
        self.views: dict[tuple[int, str], Tensor] = {}

    def line(self, net: nn.Module, px: int) -> str:
        """One line for people: recall per kind of edit."""
        return f"recall at FMR {FALSE_MATCH_RATE:.0e} {in_words(self.recall(net, px))}"

    def recall(self, net: nn.Module, px: int) -> dict[str, float]:
        """Kind of edit -> share of copies closer to their original than the threshold, 0..1."""
        return self.recall_of(lambda pixels: embed(net, pixels), px)

    @torch.inference_mode()
    def recall_of(self, embedding: Embed, px: int) -> dict[str, float]:
        """As `recall`, of anything that embeds."""
        originals = embedding(self._views("none", px))
        cosine = originals @ originals.T
        others = cosine[~torch.eye(len(cosine), dtype=torch.bool)]
        allowed = max(1, int(FALSE_MATCH_RATE * len(others)))
        threshold = others.topk(allowed).values[-1]
        return {
            kind: float(((embedding(self._views(kind, px)) * originals).sum(1) > threshold).float().mean())
            for kind in KINDS
        }

    def _views(self, kind: str, px: int) -> Tensor:
        if (px, kind) not in self.views:
            self.views[px, kind] = self._edit(kind, px)
        return self.views[px, kind]

    def _edit(self, kind: str, px: int) -> Tensor:
        pictures = self.pixels.permute(0, 2, 3, 1).numpy()
        others = pictures[::-1][:500]
        resize = A.Resize(px, px, interpolation=cv2.INTER_AREA)
        edits = {
            "none": [],
            "zoom": [A.RandomResizedCrop((px, px), (1 / 2.25, 1 / 2.25), (1, 1), interpolation=cv2.INTER_AREA)],
            "jitter": [A.ColorJitter(0.6, 0.6, 0.6, 0.3)],
            "salt": [A.SaltAndPepper(amount=(0.1, 0.1), p=1.0)],
            "card": card_edits(px),
            "hard": hard_edits(px, others),
        }[kind]
        edit = compose([*edits, resize], np.random.default_rng(1))
        views = np.stack([edit(image=picture)["image"] for picture in pictures])
        return torch.from_numpy(views).permute(0, 3, 1, 2).contiguous()


def in_words(recall: dict[str, float]) -> str:
    """`zoom 0.912 jitter 0.998 ...`"""
    return " ".join(f"{kind} {share:.3f}" for kind, share in recall.items())


def distinct(identity: Tensor) -> Tensor:
    """Row numbers of one picture of each group of near twins. int64 (k,)."""
    return torch.from_numpy(one_of_each(identity.numpy()))


@torch.inference_mode()
def embed(net: nn.Module, pixels: Tensor, batch: int = 256) -> Tensor:
    """uint8 (n, 3, px, px) -> float32 (n, dim) on the CPU."""
    device = next(net.parameters()).device
    return torch.cat([net(block.to(device).float()).float().cpu() for block in torch.split(pixels, batch)])
