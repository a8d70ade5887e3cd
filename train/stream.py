"""Batches of view pairs for training: made by worker processes on a CPU, on the device itself on a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from twinpix.train.batched import batched_batches
from twinpix.train.data import Batch, Pictures
from twinpix.train.views import View, make_variation, make_views


class ViewPairs(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Index -> two freshly edited views and the identity. Each worker process has its own edit stream."""

    def __init__(self, pictures: Pictures, preset: str, px: int, seed: int) -> None:
        self.pictures, self.preset, self.px, self.seed = pictures, preset, px, seed
        self.views: tuple[View, View, View] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        vary, first, second = self.views or self._start()
        picture = vary(self.pictures.pixels[index].permute(1, 2, 0).numpy())
        return _to_tensor(first(picture)), _to_tensor(second(picture)), self.pictures.identity[index]

    def _start(self) -> tuple[View, View, View]:
        cv2.setNumThreads(0)  # the workers are the parallelism
        worker = get_worker_info()
        others = self.pictures.pixels[:2000].permute(0, 2, 3, 1).numpy()
        seed = self.seed * 64 + (worker.id if worker else 0)
        vary = make_variation(self.preset, others.shape[1], seed)
        self.views = (vary, *make_views(self.preset, self.px, others, seed))
        return self.views


def _to_tensor(view: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))


def batches(
    pictures: Pictures, preset: str, px: int, batch: int, seed: int, workers: int, batched: bool
) -> Iterator[Batch]:
    """A pass over the pictures (on a GPU some in a row), its views made on their own device (`batched`), or by workers.

    Args:
        pictures: on a GPU only if `batched`.
        workers: processes that make views, if not `batched`; 0 makes them in this one.
    """
    if not batched:
        return cpu_batches(pictures, preset, px, batch, seed, workers)
    return batched_batches(pictures, preset, px, batch, seed, pictures.pixels.device)


def cpu_batches(pictures: Pictures, preset: str, px: int, batch: int, seed: int, workers: int) -> Iterator[Batch]:
    """One pass over the pictures in random order; the last, smaller batch is left out."""
    loader = DataLoader(
        ViewPairs(pictures, preset, px, seed),
        batch_size=batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator().manual_seed(seed),
    )
    for first, second, identity in loader:
        yield Batch(first, second, identity)
