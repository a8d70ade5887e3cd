"""Reading embeddings that `encode-images` wrote."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.report import Embeddings


def load_embeddings(path: str | os.PathLike[str]) -> Embeddings:
    """A `.npz` file of `encode-images` -> its paths, vectors and fingerprint. What was skipped is not in there.

    Raises:
        InputError: it is not there, damaged, or another kind of file.
    """
    try:
        _check_sums(path)
        with np.load(path, allow_pickle=False) as stored:
            paths, vectors, fingerprint = (stored[key] for key in ("paths", "embeddings", "fingerprint"))
    except FileNotFoundError:
        raise InputError(f"{os.fspath(path)}: no such file") from None
    except Exception:  # of a damaged file zipfile and NumPy raise anything, tokenize.TokenError for one
        raise InputError(f"{os.fspath(path)}: not a .npz file that encode-images wrote, or damaged") from None
    if vectors.ndim != 2 or len(vectors) != len(paths) or not np.isfinite(vectors).all():
        raise InputError(f"{os.fspath(path)}: its embeddings are damaged: run encode-images again")
    return Embeddings(tuple(Path(name) for name in paths.tolist()), vectors.astype(np.float32), str(fingerprint))


def _check_sums(path: str | os.PathLike[str]) -> None:
    # all of them before anything is parsed
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile
