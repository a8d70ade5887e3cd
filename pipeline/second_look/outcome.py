"""What a second look says."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What the second look says of a pair."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    REFUTED = "refuted"
    UNCLEAR = "unclear"
    ANIMATED = "animated"
