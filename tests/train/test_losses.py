"""Each loss against the plainest loop that its paper's formula allows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from twinpix.train.losses import Bank, empty_bank, info_nce, koleo, margin_contrastive, triplet

CPU = torch.device("cpu")
IDENTITIES = {
    "all different": ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]),
    "twins in the batch": ([0, 1, 1, 2, 3, 0], [6, 7, 8, 9, 10]),
    "anchors in the bank": ([0, 1, 2, 3, 4, 5], [3, 9, 1, 0, 3]),
    "both": ([0, 1, 1, 2, 3, 0], [3, 9, 1, 10, 0]),
    "no bank": ([0, 1, 1, 2, 3, 4], []),
}


def units(n: int, dim: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=numbers, dtype=torch.float64), dim=1)


def setting(name: str) -> tuple[Tensor, Tensor, Tensor, Bank]:
    batch, bank = IDENTITIES[name]
    first, second = units(len(batch), 3, 1), units(len(batch), 3, 2)
    return first, second, torch.tensor(batch), Bank(units(len(bank), 3, 3), torch.tensor(bank, dtype=torch.int64))


def anchors_of(
    first: Tensor, second: Tensor, identity: Tensor, bank: Bank
) -> list[tuple[list[float], list[float], list[list[float]]]]:
    """(anchor, its positive, its negatives) for both views of every picture."""
    n, rows = len(first), [*first.tolist(), *second.tolist()]
    numbers = identity.tolist() * 2
    everything = list(zip(rows + bank.embeddings.tolist(), numbers + bank.identity.tolist(), strict=True))
    return [
        (rows[i], rows[(i + n) % (2 * n)], [other for other, number in everything if number != numbers[i]])
        for i in range(2 * n)
    ]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("temperature", [0.05, 0.1])
@pytest.mark.parametrize("name", IDENTITIES)
def test_info_nce(name: str, temperature: float) -> None:
    given = setting(name)
    terms = []
    for anchor, positive, negatives in anchors_of(*given):
        pull = math.exp(dot(anchor, positive) / temperature)
        push = sum(math.exp(dot(anchor, other) / temperature) for other in negatives)
        terms.append(-math.log(pull / (pull + push)))
    assert float(info_nce(*given, temperature)) == pytest.approx(mean(terms), abs=1e-6)


@pytest.mark.parametrize("margin", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("name", IDENTITIES)
def test_margin(name: str, margin: float) -> None:
    given = setting(name)
    pulls, pushes = [], []
    for anchor, positive, negatives in anchors_of(*given):
        pulls.append(distance(anchor, positive) ** 2)
        pushes += [(margin - distance(anchor, o)) ** 2 for o in negatives if distance(anchor, o) < margin]
    assert pushes, "no pair inside the margin: the setting tests nothing"
    assert float(margin_contrastive(*given, margin)) == pytest.approx(mean(pulls) + mean(pushes), abs=1e-6)


@pytest.mark.parametrize("margin", [0.1, 0.3])
@pytest.mark.parametrize("name", IDENTITIES)
def test_triplet(name: str, margin: float) -> None:
    given = setting(name)
    terms = [
        max(0.0, distance(anchor, positive) - min(distance(anchor, other) for other in negatives) + margin)
        for anchor, positive, negatives in anchors_of(*given)
    ]
    assert float(triplet(*given, margin)) == pytest.approx(mean(terms), abs=1e-6)


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 0]])
def test_koleo(numbers: list[int]) -> None:
    embeddings = units(6, 3, 4)
    rows = embeddings.tolist()
    nearest = [min(distance(rows[i], rows[j]) for j in range(6) if numbers[j] != numbers[i]) for i in range(6)]
    expected = -mean([math.log(d + 1e-6) for d in nearest])
    assert float(koleo(embeddings, torch.tensor(numbers))) == pytest.approx(expected, abs=1e-6)


def test_koleo_spreads() -> None:
    embeddings = units(8, 3, 5).requires_grad_()
    before = koleo(embeddings, torch.arange(8))
    (gradient,) = torch.autograd.grad(before, embeddings)
    moved = torch.nn.functional.normalize(embeddings.detach() - 0.01 * gradient, dim=1)
    assert koleo(moved, torch.arange(8)) < before


@pytest.mark.parametrize("loss", [info_nce, margin_contrastive, triplet])
def test_views_of_one_identity_never_repel(loss) -> None:  # type: ignore[no-untyped-def]
    # two different pictures of one identity, far from all else: where they lie to each other must not matter
    first = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0]], dtype=torch.float64)
    first = torch.nn.functional.normalize(first, dim=1).requires_grad_()
    known = Bank(first.detach().clone(), torch.tensor([7, 7]))
    for same, moves in ((torch.tensor([7, 7]), False), (torch.tensor([7, 8]), True)):
        (gradient,) = torch.autograd.grad(loss(first, first.detach(), same, known), first, retain_graph=True)
        at = first.detach()
        across = gradient - (gradient * at).sum(1, keepdim=True) * at  # along the sphere
        assert (float(across.abs().max()) > 1e-3) == moves


@pytest.mark.parametrize("loss", [info_nce, margin_contrastive, triplet])
def test_twins_in_memory_count_for_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    first, second, _, bank = setting("all different")
    identity = torch.zeros(len(first), dtype=torch.int64)  # a burst: one picture for all that the loss may know
    near = torch.cat([first, bank.embeddings])  # right on the anchors: the hardest negatives there could be
    usual = loss(first, second, identity, bank)
    for number, counts in ((0, False), (99, True)):
        crowded = Bank(near, torch.cat([identity + number, bank.identity]))
        assert (abs(float(loss(first, second, identity, crowded) - usual)) > 0.01) == counts


@pytest.mark.parametrize("loss", [info_nce, margin_contrastive, triplet])
def test_memory_gives_negatives(loss) -> None:  # type: ignore[no-untyped-def]
    first, second, identity, _ = setting("all different")
    strangers = Bank(torch.nn.functional.normalize(first + 0.05, dim=1), identity + 50)
    assert loss(first, second, identity, strangers) > loss(first, second, identity, Bank(first[:0], identity[:0]))


@pytest.mark.parametrize("loss", [info_nce, margin_contrastive, triplet])
def test_perfect_pairs_cost_less(loss) -> None:  # type: ignore[no-untyped-def]
    first, second, identity, bank = setting("all different")
    assert loss(first, first, identity, bank) < loss(first, second, identity, bank)


def test_identical_rows_give_finite_gradients() -> None:
    rows = units(4, 3, 6)
    rows[1] = rows[0]
    for loss in (info_nce, margin_contrastive, triplet):
        leaf = rows.clone().requires_grad_()
        loss(leaf, leaf, torch.arange(4), empty_bank(3, CPU)).backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None and leaf.grad.isfinite().all()
    leaf = rows.clone().requires_grad_()
    koleo(leaf, torch.arange(4)).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None and leaf.grad.isfinite().all()


def test_bank_keeps_the_newest_in_front() -> None:
    bank = empty_bank(2, CPU)
    assert bank.embeddings.shape == (0, 2) and bank.identity.dtype == torch.int64
    for start in (0, 3, 6):
        numbers = torch.arange(start, start + 3)
        rows = torch.stack([numbers.float(), -numbers.float()], 1).requires_grad_()
        bank = bank.push(rows, numbers, capacity=7)
        assert bank.identity[:3].tolist() == numbers.tolist()
    assert bank.identity.tolist() == [6, 7, 8, 3, 4, 5, 0]
    assert bank.embeddings[:, 0].tolist() == bank.identity.tolist()  # rows and numbers stay together
    assert bank.embeddings[:, 1].tolist() == (-bank.identity).tolist()
    assert not bank.embeddings.requires_grad


def test_bank_of_no_capacity_stays_empty() -> None:
    assert len(empty_bank(2, CPU).push(torch.ones(3, 2), torch.arange(3), 0).identity) == 0
