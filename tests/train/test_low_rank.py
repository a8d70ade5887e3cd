"""Convolutions within subspaces: the same embedding for fewer multiplications, and only where they allow it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from twinpix.encoder.network import Architecture, CopyNet, ResidualBlock
from twinpix.train.low_rank import KEPT, NARROWEST, within_subspaces
from twinpix.train.rendered import render_pictures

RANK = NARROWEST // 4


@pytest.fixture
def net() -> CopyNet:
    """One wide block (128 channels) and a narrow one, with weights as if they had been trained."""
    torch.manual_seed(3)
    net = CopyNet(Architecture(stem=8, channels=(16, 32, 64, 128), strides=(2, 2, 2, 1), blocks=(0, 0, 1, 1), dim=32))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean, module.running_var = (
                torch.randn_like(module.bias) / 10,
                torch.rand_like(module.bias) + 0.5,
            )
    return net.eval()


@pytest.fixture
def pictures() -> np.ndarray:
    return render_pictures(40, 64, seed=5).pixels.numpy()


def blocks(net: nn.Module) -> list[ResidualBlock]:
    return [module for module in net.modules() if isinstance(module, ResidualBlock)]


@torch.no_grad()
def mix(conv: nn.Conv2d, norm: nn.BatchNorm2d, matrix: Tensor) -> None:
    """Multiply what the two say of a place, but for a constant."""
    assert norm.running_var is not None
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None, None]
    conv.weight.copy_(torch.einsum("op,pihw->oihw", matrix, conv.weight * scale) / scale)


def confine(conv: nn.Conv2d, norm: nn.BatchNorm2d, rank: int) -> None:
    """Let what the two say stay within a subspace."""
    axes = torch.linalg.qr(torch.randn(len(norm.bias), rank))[0]
    mix(conv, norm, axes @ axes.T)


def spread(net: nn.Module, conv: nn.Conv2d, norm: nn.BatchNorm2d, pictures: np.ndarray) -> None:
    """Let all directions of what the two say matter alike."""
    seen: list[Tensor] = []
    watch = norm.register_forward_hook(lambda _, __, out: seen.append(out.movedim(1, -1).flatten(0, 2)))
    embed(net, pictures)
    watch.remove()
    variances, axes = torch.linalg.eigh(torch.cov(seen[0].T))
    mix(conv, norm, axes @ torch.diag(variances.clamp(min=1e-9) ** -0.5) @ axes.T)


def embed(net: nn.Module, pictures: np.ndarray) -> Tensor:
    with torch.no_grad():
        return net(torch.from_numpy(pictures).float())  # type: ignore[no-any-return]


def test_an_output_within_a_subspace_is_computed_there(net: CopyNet, pictures: np.ndarray) -> None:
    block = blocks(net)[1]
    confine(block.first[0], block.first[1], RANK)  # type: ignore[arg-type]
    confine(block.second, block.norm, RANK)
    lean = within_subspaces(net, pictures)
    other = render_pictures(8, 64, seed=6).pixels.numpy()
    assert torch.allclose(embed(lean, other), embed(net, other), atol=1e-5)
    shapes = [tuple(p.shape) for p in blocks(lean)[1].parameters() if p.ndim == 4]
    assert shapes == 2 * [(RANK, 128, 3, 3), (128, RANK, 1, 1)]


def test_what_fills_its_channels_stays(net: CopyNet, pictures: np.ndarray) -> None:
    block = blocks(net)[1]
    spread(net, block.first[0], block.first[1], pictures)  # type: ignore[arg-type]
    confine(block.second, block.norm, RANK)
    lean = within_subspaces(net, pictures)
    first, second = blocks(lean)[1].first[0], blocks(lean)[1].second
    assert isinstance(first, nn.Conv2d) and torch.equal(first.weight, block.first[0].weight)  # type: ignore[arg-type]
    assert second.out_channels == RANK


@pytest.mark.parametrize(("rank", "expected"), [(20, 32), (40, 48), (64, 64), (90, 128)])
def test_the_subspace_is_as_wide_as_it_must_be(net: CopyNet, pictures: np.ndarray, rank: int, expected: int) -> None:
    block = blocks(net)[1]
    spread(net, block.second, block.norm, pictures)
    confine(block.second, block.norm, rank)
    lean = within_subspaces(net, pictures)
    assert blocks(lean)[1].second.out_channels == expected


def test_narrow_blocks_and_the_network_itself_stay(net: CopyNet, pictures: np.ndarray) -> None:
    narrow, wide = blocks(net)
    for block in (narrow, wide):
        confine(block.second, block.norm, 2)
    before = embed(net, pictures)
    lean = within_subspaces(net, pictures)
    assert blocks(lean)[0].second.out_channels == 64 and blocks(lean)[1].second.out_channels == RANK
    assert torch.equal(embed(net, pictures), before) and wide.second.out_channels == NARROWEST
    assert not any(module._forward_hooks for module in lean.modules())


def test_a_block_that_says_nothing_goes_through(net: CopyNet, pictures: np.ndarray) -> None:
    for block in blocks(net):
        nn.init.zeros_(block.norm.weight)  # as untrained ones are
    lean = within_subspaces(net, pictures)
    assert torch.allclose(embed(lean, pictures), embed(net, pictures), atol=1e-5)


def test_a_little_beside_the_subspace_may_be_lost(net: CopyNet, pictures: np.ndarray) -> None:
    block = blocks(net)[1]
    whole = block.second.weight.detach().clone()
    confine(block.second, block.norm, RANK)
    with torch.no_grad():
        block.second.weight.add_(0.02 * whole)
    lean = within_subspaces(net, pictures)
    moved = (embed(lean, pictures) - embed(net, pictures)).norm(dim=1).max()
    assert blocks(lean)[1].second.out_channels == RANK
    assert 0 < moved < 1 - KEPT
