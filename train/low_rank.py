"""Fewer multiplications for the same embedding: convolutions whose output hardly leaves a subspace stay within it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinpix.encoder.network import ResidualBlock

NARROWEST = 128  # channels; narrower convolutions take little time
SHARES = (1 / 4, 3 / 8, 1 / 2)  # a subspace has the first of these shares of the channels with which it
KEPT = 0.99  # holds so much of the variance of what a convolution says of training pictures
BATCH = 64


def within_subspaces(net: nn.Module, pictures: NDArray[np.uint8]) -> nn.Module:
    """The same network, where a convolution of a residual block allows it with two: into a subspace, and 1x1 out of it.

    That of the principal components of its output (Zhang et al. 2016, Accelerating very deep convolutional networks,
    the linear case): 28, 42 or 56 % of the multiplications, and an embedding moves less than by int8 weights.

    Args:
        net: float32 (n, 3, size, size), levels 0..255 -> float32 (n, dim).
        pictures: uint8 (n, 3, size, size), prepared training pictures.
    """
    net = deepcopy(net).eval()
    blocks = [block for block in net.modules() if isinstance(block, ResidualBlock)]
    wide = [block for block in blocks if block.second.out_channels >= NARROWEST]
    norms = [norm for block in wide for norm in (block.first[1], block.norm)]
    said = iter(_outputs(norms, net, pictures))
    for block in wide:
        block.first[0], block.first[1] = _in_two(block.first[0], block.first[1], next(said))
        block.second, block.norm = _in_two(block.second, block.norm, next(said))  # type: ignore[assignment]
    return net


@torch.inference_mode()
def _outputs(layers: Sequence[nn.Module], net: nn.Module, pictures: NDArray[np.uint8]) -> list[Tensor]:
    # of each layer, float64 (places, channels)
    seen: list[list[Tensor]] = [[] for _ in layers]
    hooks = [
        layer.register_forward_hook(lambda _, __, out, to=to: to.append(out.movedim(1, -1).flatten(0, 2)))
        for layer, to in zip(layers, seen, strict=True)
    ]
    for first in range(0, len(pictures) if hooks else 0, BATCH):
        net(torch.from_numpy(pictures[first : first + BATCH]).float())
    for hook in hooks:
        hook.remove()
    return [torch.cat(outputs).double() for outputs in seen]


@torch.no_grad()
def _in_two(conv: nn.Module, norm: nn.Module, said: Tensor) -> tuple[nn.Module, nn.Module]:
    # two convolutions for one and its normalisation; these themselves where too much would be lost
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    if (axes := _subspace(said)) is None:
        return conv, norm
    scale, mean = norm.weight / (norm.running_var + norm.eps).sqrt(), said.mean(0)
    kernel, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
    within = torch.einsum("or,oihw->rihw", axes, kernel.double())
    into = nn.Conv2d(conv.in_channels, axes.shape[1], 3, padding=1)
    into.load_state_dict({"weight": within, "bias": axes.T @ (bias - mean)})
    out = nn.Conv2d(axes.shape[1], conv.out_channels, 1)
    out.load_state_dict({"weight": axes[:, :, None, None], "bias": mean})
    return into, out


def _subspace(said: Tensor) -> Tensor | None:
    # float64 (channels, rank), orthonormal. Turned at random, or the range of the first component would leave the
    # others few of the steps of int8
    variances, components = torch.linalg.eigh(torch.cov(said.T))
    ranks = (int(share * said.shape[1]) for share in SHARES)
    rank = next((rank for rank in ranks if variances[-rank:].sum() >= KEPT * variances.sum()), None)
    if rank is None:
        return None
    turn = torch.randn(rank, rank, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.matmul(components[:, -rank:], torch.linalg.qr(turn)[0])
