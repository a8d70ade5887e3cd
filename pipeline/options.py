"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    Path | None,
    typer.Option(
        "--model", help="A .onnx file: of `twinpix train`, or any image model.", show_default="the shipped encoder"
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        help="L2 distance, 0 to 2: images at most this far apart are duplicates.",
        show_default="calibrated",
    ),
]
FalsePairs = Annotated[
    float | None,
    typer.Option(
        "--false-pairs",
        help="In place of --threshold: about how many false pairs to accept among all images.",
        show_default="1",
    ),
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Take a second look at pairs within the threshold.",
        show_default="yes, unless --threshold is given",
    ),
]
FailOnDuplicates = Annotated[
    bool, typer.Option("--fail-on-duplicates", help="Exit 1 if there are any.", show_default=False)
]
AnimatedWithStills = Annotated[
    bool,
    typer.Option(
        "--animated-with-stills",
        help="An animated image, or one of several pages, may be a duplicate of a still one, if its first frame is.",
        show_default=False,
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough",
        help="Look closely at every candidate pair, not only as long as that finds a duplicate now and then.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Threads.", show_default="all cores")]
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders, searched through and through.")]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        help="Only such files: 'format=jpeg width>=1000 date>=2020 folder=holiday camera~canon size<2MB'.",
        show_default="all",
    ),
]
LibraryPath = Annotated[
    Path | None,
    typer.Option(
        "--library",
        help="Folder of a library: images it knows are not encoded again.",
        show_default="the one in your data folder",
        metavar="PATH",
    ),
]
NoLibrary = Annotated[
    bool, typer.Option("--no-library", help="Remember nothing, and encode every image.", show_default=False)
]
IndexKind = Annotated[
    str | None,
    typer.Option(
        "--index",
        help="How pairs are looked for: exact, ivf, ivf-sq8 or ivf-rabitq.",
        show_default="exact up to 100,000 images",
        metavar="KIND",
    ),
]
