"""Small things that the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from twinpix.encoder.network import Architecture
from twinpix.train.data import Pictures
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures


@pytest.fixture(autouse=True, scope="session")
def single_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy() -> Pictures:
    """64 rendered pictures of 48 px."""
    return render_pictures(64, 48, seed=1)


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A run of seconds: 4 steps an epoch on the toy pictures, 2 epochs."""
    return Recipe(
        preset="card", epochs=2, size=32, small_size=32, batch=16, bank=64, background=0,
        architecture=Architecture(4, (4, 6, 8, 8), (2, 2, 2, 1), (0, 1, 0, 1), 16, 3),
    )  # fmt: skip
