"""The named errors. Every one carries a one-line message that says what to do."""

from __future__ import annotations


class TwinpixError(Exception):
    """Root of everything that twinpix raises on purpose."""


class ImageError(TwinpixError):
    """One image can't be used. `reason` is a short code (see README, "Skipped files")."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        """For pickle: it comes back from other processes as it was raised there."""
        return type(self), (self.reason, str(self))


class DecodingError(TwinpixError):
    """No process can be started to decode images in."""


class ModelError(TwinpixError):
    """A model file is missing, damaged or not a twinpix encoder."""


class MissingPackageError(TwinpixError):
    """An optional package is needed; the message names the extra that brings it."""


class InputError(TwinpixError, ValueError):
    """An argument can't be used: a folder that is not there, an unknown name, a wrong shape."""


class FingerprintError(TwinpixError):
    """Embeddings of two different encoders were about to be compared."""
