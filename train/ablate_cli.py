"""Placeholder, replaced in the next commits."""

from twinpix.encoder.errors import InputError


def ablate() -> int:
    """Not there yet."""
    raise InputError("not there yet")
