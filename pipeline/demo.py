"""The album of `make run`: real photos that scikit-image ships, and edited copies made here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline import show
from twinpix.pipeline.bench.edits import Apply, chain, jitter, jpeg, mirror, salt_and_pepper, shrink, zoom
from twinpix.pipeline.duplicates import find_duplicates

PHOTOS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "hubble_deep_field.jpg",
          "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg")  # fmt: skip
COPIES: dict[str, dict[str, Apply]] = {
    "astronaut": {"recoloured.jpg": jitter(0.3), "small.webp": shrink(3), "zoomed.png": zoom(1.5)},
    "chelsea": {"zoomed, recoloured, noisy.png": chain(zoom(1.25), jitter(0.3), salt_and_pepper(0.03))},
    "coffee": {"mirrored.jpg": mirror, "recompressed.jpg": jpeg(15), "zoomed.png": zoom(1.25)},
    "rocket": {"salt and pepper.png": salt_and_pepper(0.1)},
    "motorcycle_left": {"recoloured.jpg": jitter(0.6)},
}
SEED = 2


def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="Keep the album here.", show_default="a temporary folder")
    ] = None,
) -> int:
    """Make a small album of real photos and edited copies, and find the duplicates in it.

    Exit codes: 0 exactly the planted groups were found; 1 not; 2 error.
    """
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: not an empty folder, and nothing is overwritten: name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        return _run(folder)
    with tempfile.TemporaryDirectory(prefix="twinpix-album-") as temporary:
        return _run(Path(temporary))


def _run(folder: Path) -> int:
    planted = make_album(folder)
    show.message(f"An album of {len(PHOTOS)} photos and {sum(map(len, COPIES.values()))} edited copies: {folder}")
    outcome = find_duplicates(folder)
    show.report(outcome, as_json=False, relative_to=folder)
    found = {frozenset(path.name for path in group.files) for group in outcome.groups}
    expected = {frozenset(names) for names in planted.values()}
    show.message(f"found {len(found & expected)} of the {len(expected)} planted groups exactly, "
                 f"and {len(found - expected)} others")  # fmt: skip
    return 0 if found == expected else 1


def make_album(folder: Path) -> dict[str, set[str]]:
    """Write the album into `folder`.

    Returns:
        Photo -> names of the files that show it, for every photo that has copies.

    Raises:
        MissingPackageError: scikit-image, which ships the photos, is not installed.
    """
    source = _photo_folder()
    dice = np.random.default_rng(SEED)
    planted: dict[str, set[str]] = {}
    for name in PHOTOS:
        picture = decode(source / name)
        _save(picture, folder / name)
        stem = Path(name).stem
        for ending, edit in COPIES.get(stem, {}).items():
            copy = f"{stem} {ending}"
            _save(edit(picture, dice), folder / copy)
            planted.setdefault(stem, {name}).add(copy)
    (folder / "notes.txt").write_text("Not an image: it is skipped, and that is said.\n")
    return planted


def _photo_folder() -> Path:
    try:
        import skimage
    except ImportError:
        raise MissingPackageError("the demo's photos come with scikit-image: pip install 'twinpix[cpu,demo]'") from None
    return Path(skimage.__file__).parent / "data"


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, quality=90)
