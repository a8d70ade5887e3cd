"""All numbers of images that are wanted, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.limits import SURE, Limits, limits
from twinpix.pipeline.simulate.collection import Collection
from twinpix.pipeline.simulate.estimate import Estimate, estimate
from twinpix.pipeline.simulate.likeness import Floats, Likeness, fit_likeness, fit_of
from twinpix.pipeline.simulate.reduce import reduce_costs
from twinpix.pipeline.simulate.setting import CHOSEN, Setting, setting_for
from twinpix.pipeline.simulate.whole import Whole, run_whole

EMBED_MS = 15.0  # of CPU, for a photo of some megapixels
CHECKED = 2_000_000  # images, at most, of which everything is run: 2 kB each


@dataclass(frozen=True)
class Wanted:
    """What is to be simulated.

    Attributes:
        images: numbers of them.
        checked: those of which everything is run, too.
        within: L2; None: as a scan of so many images would choose.
        cells, nearest: as of `setting_for`.
        copies, crowd: as of `Collection`.
        embed_ms: ms of CPU for each image.
        seed: of all that is drawn.
    """

    images: Sequence[int]
    checked: Sequence[int] = ()
    within: float | None = None
    cells: int | None = None
    nearest: int = CHOSEN
    copies: float = 0.1
    crowd: float = 1e-4
    embed_ms: float = EMBED_MS
    seed: int = 0


@dataclass(frozen=True)
class Simulation:
    """The outcome.

    Attributes:
        fit: of `fit_of`.
        estimates: one for each number of images.
        measured: by number of images, what running everything took.
    """

    wanted: Wanted
    fit: dict[str, Any]
    estimates: tuple[Estimate, ...]
    measured: dict[int, Whole]


def run(
    embeddings: Floats, encoder: Encoder | None, wanted: Wanted, progress: Callable[[str], None] = lambda text: None
) -> Simulation:
    """Simulate scans.

    Args:
        embeddings: float32 (m, dim), norm 1.
        encoder: whose they are; not asked where `wanted.within` is given.
        progress: told what is begun.

    Raises:
        InputError: the embeddings are too few or all the same; a process died.
        MissingPackageError: pyarrow is not installed.
        ModelError: the encoder is not calibrated.
    """
    likeness, costs = fit_likeness(embeddings, wanted.seed), reduce_costs()
    estimates, measured = list[Estimate](), dict[int, Whole]()
    for images in sorted({*wanted.images, *wanted.checked}):
        collection, setting = _set_up(likeness, encoder, wanted, images)
        progress(f"{images:,} images, {setting.cells:,} cells")
        estimates.append(estimate(collection, setting, costs, wanted.seed))
        if images in wanted.checked:
            progress(f"{images:,} images, all of them")
            measured[images] = run_whole(collection, estimates[-1].setting, wanted.seed)
    return Simulation(wanted, fit_of(likeness, embeddings), tuple(estimates), measured)


def _set_up(likeness: Likeness, encoder: Encoder | None, wanted: Wanted, images: int) -> tuple[Collection, Setting]:
    if wanted.within is not None or encoder is None:
        within = wanted.within or 0.0
        limit = Limits(within, within, min(SURE, within))
    else:
        limit = limits(encoder, images, None, None)
    setting = setting_for(images, limit, wanted.cells, wanted.nearest)
    return Collection(likeness, images, setting.reach, wanted.copies, wanted.crowd), setting
