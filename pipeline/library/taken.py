"""The models that were taken for a library with `library add --model`, and their files: readers load them."""

from __future__ import annotations

import json
from pathlib import Path

from twinpix.encoder.errors import FingerprintError, ModelError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.library.place import TAKEN
from twinpix.pipeline.replace import replace_synced


def note_taken(folder: Path, encoder: Encoder) -> None:
    """Keep that this model was taken, and where its file is, if it has one. The caller holds the writer's lock.

    Raises:
        OSError: the disk is full, or fails.
    """
    known, path = taken(folder), getattr(encoder, "path", None)
    now = {**known, encoder.fingerprint: str(Path(path).absolute()) if path else ""}
    now[encoder.fingerprint] = now.pop(encoder.fingerprint)  # the last one
    if list(now.items()) != list(known.items()):
        new = folder / f"{TAKEN}.new"
        new.write_text(json.dumps(now))
        replace_synced(new, folder / TAKEN)


def taken(folder: Path) -> dict[str, str]:
    """The files of the models that were taken, by fingerprint, the last one last; empty of one without a file."""
    try:
        known = json.loads((folder / TAKEN).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: str(path) for name, path in known.items()} if isinstance(known, dict) else {}


def taken_encoder(folder: Path, fingerprint: str) -> Encoder:
    """The model of this fingerprint, from the file that it was taken from.

    Raises:
        FingerprintError: that is not there any more, or another one; or it was none of a file.
    """
    path = taken(folder).get(fingerprint)
    try:
        encoder = load_encoder(path) if path else None
    except ModelError:
        encoder = None
    if encoder is None or encoder.fingerprint != fingerprint:
        where = f", and {path} is gone or another one" if path else ""
        raise FingerprintError(
            f"library {folder}: its current model is {fingerprint}{where}: name that with --model (in Python: encoder=)"
        )
    return encoder
