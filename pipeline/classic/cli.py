"""The command `compare`, and `find-duplicates --metric`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline.options import Json
from twinpix.pipeline.show import scan_exit_code

NAMES = "euclidean, cosine, ssim, ahash, phash, dhash, whash, colorhash, pdq, pdq8, cnn-euclidean, cnn-cosine"
ALL = "all"
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="For the CNN metrics: torchvision's EfficientNet-B0, a .pth or .safetensors file.",
        show_default="random weights, and the output says so",
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help=f"A classic metric in place of the encoder; --threshold is then on its scale. One of {NAMES}.",
        show_default=False,
    ),
]


def compare(
    query: Annotated[Path, typer.Argument(metavar="A", help="An image.")],
    reference: Annotated[Path, typer.Argument(metavar="B", help="Another image.")],
    metric: Annotated[str, typer.Option("--metric", help=f"One of {NAMES}; or all of them.")] = ALL,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="On the metric's own scale.", show_default="by metric")
    ] = None,
    weights: Weights = None,
    json: Json = False,
) -> int:
    """What classic metrics say of two images: the value on the metric's own scale, the threshold, the verdict.

    Exit codes: 0 duplicate; 1 not; 2 error. With all metrics: 0 compared, whatever they say; 2 error.
    """
    from twinpix.pipeline.classic import show
    from twinpix.pipeline.classic.compare import compare_by, compare_by_all
    from twinpix.pipeline.classic.metrics import choose

    if metric == ALL:
        if threshold is not None:
            raise InputError("each metric has its own scale: name one with --metric, or leave out --threshold")
        show.comparisons(*compare_by_all(query, reference, weights), json)
        return 0
    said = compare_by(choose(metric, weights), query, reference, threshold)
    show.comparison(said, json)
    return 0 if said.is_duplicate else 1


def scan_by_metric(
    name: str,
    folders: list[Path],
    *,
    threshold: float | None,
    weights: Path | None,
    json: bool,
    fail_on_duplicates: bool,
    workers: int | None,
    where: str | None,
    unusable: Mapping[str, object],
) -> int:
    """`find-duplicates --metric NAME`: its exit code.

    Args:
        unusable: options that mean nothing here, by name; None where one was not given.

    Raises:
        InputError: one of those was given, or a folder, the name, the threshold can't be used.
    """
    from twinpix.pipeline.classic import show
    from twinpix.pipeline.classic.metrics import choose
    from twinpix.pipeline.classic.scan import find_by
    from twinpix.pipeline.progress import progress_meter

    if given := [option for option, value in unusable.items() if value is not None]:
        raise InputError(f"--metric {name} goes without {' and '.join(given)}")
    metric = choose(name, weights)
    with progress_meter() as meter:
        found = find_by(metric, *folders, threshold=threshold, workers=workers, progress=meter, where=where)
    show.report(found, json)
    return 1 if fail_on_duplicates and found.matches else scan_exit_code(found.skipped)
