"""Siamese losses. All take embeddings of both views, L2-normalised, and never push one identity apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bank:
    """Embeddings of earlier batches that serve as further negatives (cross-batch memory, Wang et al. 2020).

    Attributes:
        embeddings: float32 (m, dim), no gradient.
        identity: int64 (m,), which picture each one shows; used to mask views of the anchor itself.
    """

    embeddings: Tensor
    identity: Tensor

    def push(self, embeddings: Tensor, identity: Tensor, capacity: int) -> Bank:
        """A bank with the new rows in front, cut at `capacity`."""
        rows = torch.cat([embeddings.detach().float(), self.embeddings])[:capacity]
        return Bank(rows, torch.cat([identity, self.identity])[:capacity])


def empty_bank(dim: int, device: torch.device) -> Bank:
    """A bank of no rows."""
    return Bank(torch.empty(0, dim, device=device), torch.empty(0, dtype=torch.int64, device=device))


def info_nce(first: Tensor, second: Tensor, identity: Tensor, bank: Bank, temperature: float = 0.05) -> Tensor:
    """Normalised-temperature cross-entropy over batch and bank (SimCLR's NT-Xent, Chen et al. 2020).

    Args:
        first, second: float32 (n, dim), the two views, row i of both showing picture i.
        identity: int64 (n,); rows of one identity are not negatives.
        bank: further negatives.
        temperature: cosines are divided by it.

    Returns:
        Scalar, nats.
    """
    anchors, keys = torch.cat([first, second]), torch.cat([second, first])
    positive = (anchors * keys).sum(1, keepdim=True) / temperature
    negative = _masked_similarity(anchors, identity.repeat(2), bank) / temperature
    return -torch.log_softmax(torch.cat([positive, negative], 1), 1)[:, 0].mean()


def margin_contrastive(first: Tensor, second: Tensor, identity: Tensor, bank: Bank, margin: float = 1.0) -> Tensor:
    """Pulls pairs to L2 distance 0, pushes others beyond `margin` (Hadsell et al. 2006).

    Only pairs inside the margin count in the mean of the negatives, or the easy ones would drown them.
    Arguments as in `info_nce`; returns a scalar in squared L2.
    """
    anchors, keys = torch.cat([first, second]), torch.cat([second, first])
    similarity = _masked_similarity(anchors, identity.repeat(2), bank)
    hinge = (margin - _distance(similarity)).clamp(min=0)
    active = (hinge > 0).sum().clamp(min=1)
    return (anchors - keys).square().sum(1).mean() + hinge.square().sum() / active


def triplet(first: Tensor, second: Tensor, identity: Tensor, bank: Bank, margin: float = 0.3) -> Tensor:
    """Hardest negative of batch and bank must lie `margin` farther than the positive (Schroff et al. 2015).

    Arguments as in `info_nce`; returns a scalar in L2.
    """
    anchors, keys = torch.cat([first, second]), torch.cat([second, first])
    hardest = _masked_similarity(anchors, identity.repeat(2), bank).amax(1)
    positive = _distance((anchors * keys).sum(1))
    return (positive - _distance(hardest) + margin).clamp(min=0).mean()


def koleo(embeddings: Tensor, identity: Tensor) -> Tensor:
    """Spreads embeddings: minus the mean log L2 distance to the nearest other one (Sablayrolles et al. 2019).

    Args:
        embeddings: float32 (n, dim), one view.
        identity: int64 (n,); rows of one identity don't repel each other.
    """
    similarity = embeddings @ embeddings.T
    same = identity[:, None] == identity[None]
    nearest = similarity.detach().masked_fill(same, -2.0).argmax(1)
    return -torch.log((embeddings - embeddings[nearest]).norm(dim=1) + 1e-6).mean()


def _masked_similarity(anchors: Tensor, identity: Tensor, bank: Bank) -> Tensor:
    # cosine to every other row; one's own identity gets -2, as far as nothing can be
    others = torch.cat([anchors, bank.embeddings])
    same = identity[:, None] == torch.cat([identity, bank.identity])[None]
    return (anchors @ others.T).masked_fill(same, -2.0)


def _distance(cosine: Tensor) -> Tensor:
    return (2 - 2 * cosine).clamp(min=1e-8).sqrt()


LOSSES = {"infonce": info_nce, "margin": margin_contrastive, "triplet": triplet}
