"""Calibrations of one's own: kept in the user's data folder, one file per encoder, and used from then on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinpix.encoder.calibration import Calibration, read_calibration
from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.replace import replace_synced

SCHEMA, WITHOUT_DIGEST = 2, 1
REMEDY = "run `twinpix calibrate --forget`, or calibrate again"


@dataclass(frozen=True)
class InForce:
    """The calibration that counts for an encoder.

    Attributes:
        calibration: the user's own, or else the one inside the model.
        is_own: whether it is the user's.
    """

    calibration: Calibration
    is_own: bool

    def __str__(self) -> str:
        """For people: on what it was measured."""
        whose = "yours" if self.is_own else "the model's"
        return f"{self.calibration.source} ({whose})"


def in_force(encoder: Encoder) -> InForce:
    """The user's own calibration of this encoder if there is one, else the model's.

    Raises:
        ModelError: neither is there.
        InputError: the user's own can't be read.
    """
    own = read_own(encoder.fingerprint)
    return InForce(encoder.calibration, False) if own is None else InForce(own, True)


def is_calibrated(encoder: Encoder) -> bool:
    """Whether there is a calibration for this encoder, the user's or the model's."""
    return encoder.is_calibrated or os.path.exists(own_path(encoder.fingerprint))


def own_path(fingerprint: str) -> Path:
    """Where the user's calibration of an encoder lies, or would. The environment's TWINPIX_DATA names the folder."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", fingerprint)
    name = fingerprint if is_plain else hashlib.sha256(fingerprint.encode()).hexdigest()[:32]
    return data_folder() / "calibrations" / f"{name}.json"


def read_own(fingerprint: str) -> Calibration | None:
    """The user's own calibration of an encoder; None if there is none.

    Raises:
        InputError: the file is damaged, or another encoder's. It is not passed over: thresholds would change unseen.
    """
    path = own_path(fingerprint)
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if not os.access(path.parent, os.X_OK):
            return None  # somebody else's data folder: no calibration of this user's can be there
        raise InputError(f"{path}: your calibration can't be read ({error.strerror}): {REMEDY}") from None
    except ValueError:
        raise InputError(f"{path}: your calibration is damaged: {REMEDY}") from None
    if not isinstance(values, dict) or values.get("schema") not in (SCHEMA, WITHOUT_DIGEST):
        raise InputError(f"{path}: damaged, or a newer twinpix's: {REMEDY}")
    if values.get("fingerprint") != fingerprint:
        raise InputError(f"{path}: not a calibration of this encoder ({fingerprint}): {REMEDY}")
    if values["schema"] == SCHEMA and values.get("digest") != _digest(values):
        raise InputError(f"{path}: your calibration is damaged: {REMEDY}")
    try:
        return read_calibration(values["calibration"])
    except (KeyError, TypeError, ModelError):
        raise InputError(f"{path}: your calibration is damaged: {REMEDY}") from None


def _digest(values: dict[str, Any]) -> str:
    # a flipped bit in a number would change thresholds, and nobody would see it
    content = {key: value for key, value in values.items() if key != "digest"}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def check_store(encoder: Encoder) -> None:
    """Find out before hours of measuring whether a calibration can be kept.

    Raises:
        InputError: the folder can't be made or written.
    """
    folder = own_path(encoder.fingerprint).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: can't be made ({error.strerror or error}): does TWINPIX_DATA name a folder?"
        ) from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: can't be written: calibrate with --dry-run, or set TWINPIX_DATA")


def keep_calibration(encoder: Encoder, calibration: Calibration) -> Path:
    """Put a calibration of your own in force for an encoder; returns the file.

    It is stored in one replace: a kill leaves the old one.

    Raises:
        InputError: the folder can't be written.
    """
    path = own_path(encoder.fingerprint)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    values = {"schema": SCHEMA, "fingerprint": encoder.fingerprint, "calibration": calibration.to_dict()}
    values["digest"] = _digest(values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(values, indent=1) + "\n")
        replace_synced(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from None
    return path


def forget_calibration(encoder: Encoder) -> bool:
    """Remove your own calibration of an encoder, so that the model's counts; whether there was one.

    Raises:
        InputError: it can't be removed.
    """
    path = own_path(encoder.fingerprint)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(f"{path}: can't be removed ({error.strerror or error})") from None
    return True
