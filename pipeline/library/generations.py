"""One generation of vectors for each model. A new one is encoded beside the old one, which readers see until then."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.library.store import put, sound_rows, transaction

NOT_YET = """
    SELECT count(DISTINCT content) FROM files
    WHERE content NOT IN (SELECT content FROM vectors WHERE fingerprint = :fingerprint)
    AND content NOT IN (SELECT content FROM failures)
    AND content IN (SELECT content FROM vectors WHERE fingerprint != :fingerprint)
"""


class State(IntEnum):
    """What a generation is to readers without an encoder of their own."""

    BEING_ENCODED = 0  # not yet seen
    CURRENT = 1  # the one they see
    PAST = 2  # was current; the next `compact` drops it


@dataclass(frozen=True)
class Generation:
    """The vectors of one model.

    Attributes:
        fingerprint: of the encoder.
        dim: length of a vector.
        state: one of the library is current.
    """

    fingerprint: str
    dim: int
    state: State


def generations(connection: sqlite3.Connection) -> tuple[Generation, ...]:
    """All of them, by fingerprint."""
    rows = sound_rows(connection, "generations", "ORDER BY fingerprint")
    return tuple(Generation(name.decode(), dim, State(state)) for name, dim, state in rows)


def begin_generation(connection: sqlite3.Connection, encoder: Encoder) -> None:
    """Make room for an encoder's vectors; the first encoder of a library is current at once."""
    known = generations(connection)
    if encoder.fingerprint not in {generation.fingerprint for generation in known}:
        state = State.BEING_ENCODED if known else State.CURRENT
        with transaction(connection):
            put(connection, "generations", [(encoder.fingerprint.encode(), encoder.dim, state.value)])


def not_yet_encoded(connection: sqlite3.Connection, fingerprint: str) -> int:
    """How many pictures another generation has, and this one has not."""
    (count,) = connection.execute(NOT_YET, {"fingerprint": fingerprint.encode()}).fetchone()
    return int(count)


def finish_generation(connection: sqlite3.Connection, fingerprint: str) -> None:
    """Let readers see this generation from now on, if it has all that the others have."""
    known = generations(connection)
    old = next((g.fingerprint for g in known if g.state is State.CURRENT), None)
    if old == fingerprint or not_yet_encoded(connection, fingerprint):
        return
    states = {old: State.PAST, fingerprint: State.CURRENT}
    rows = [(g.fingerprint.encode(), g.dim, states.get(g.fingerprint, g.state).value) for g in known]
    with transaction(connection):
        put(connection, "generations", rows)
