"""One generation of vectors for each model. A new one is encoded beside the old one, which readers see until then."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.encoder.shipped import SHIPPED
from twinpix.pipeline.library.store import put, sound_rows, transaction

NOT_YET = """
    SELECT count(DISTINCT content) FROM files
    WHERE content NOT IN (SELECT content FROM vectors WHERE fingerprint = :fingerprint)
    AND content NOT IN (SELECT content FROM failures)
    AND content NOT IN (SELECT substr(content, 1, 16) FROM failures WHERE substr(content, 17) = :fingerprint)
    AND content IN (
        SELECT content FROM vectors WHERE fingerprint != :fingerprint AND fingerprint = ifnull(:than, fingerprint)
    )
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


def current_model(connection: sqlite3.Connection) -> str | None:
    """The fingerprint of the one that readers see; None: none was added yet, or some were only tried out."""
    return next((g.fingerprint for g in generations(connection) if g.state is State.CURRENT), None)


def begin_generation(connection: sqlite3.Connection, encoder: Encoder) -> None:
    """Make room for an encoder's vectors; the first encoder of a library is current at once."""
    if current_model(connection) is None:
        _put(connection, encoder, State.CURRENT)
    else:
        try_out(connection, encoder)


def try_out(connection: sqlite3.Connection, encoder: Encoder) -> None:
    """Make room for an encoder's vectors, which readers don't see, were it the first one."""
    if encoder.fingerprint not in {generation.fingerprint for generation in generations(connection)}:
        _put(connection, encoder, State.BEING_ENCODED)


def _put(connection: sqlite3.Connection, encoder: Encoder, state: State) -> None:
    with transaction(connection):
        put(connection, "generations", [(encoder.fingerprint.encode(), encoder.dim, state.value)])


def is_next_shipped(connection: sqlite3.Connection, fingerprint: str) -> bool:
    """Whether a model takes the current one's place by itself: the shipped one that of none, or of one before it.

    One that somebody took for the library stays until somebody takes another.
    """
    current = current_model(connection)
    return fingerprint == SHIPPED[-1] and (current is None or current in SHIPPED)


def not_yet_encoded(connection: sqlite3.Connection, fingerprint: str, than: str | None = None) -> int:
    """How many pictures another generation has, and this one has not, and could.

    Args:
        than: the other one; any of them by default.
    """
    other = None if than is None else than.encode()
    (count,) = connection.execute(NOT_YET, {"fingerprint": fingerprint.encode(), "than": other}).fetchone()
    return int(count)


def finish_generation(connection: sqlite3.Connection, fingerprint: str) -> None:
    """Let readers see this generation from now on, if it has all that the current one has."""
    known, old = generations(connection), current_model(connection)
    if old == fingerprint or not_yet_encoded(connection, fingerprint, old):
        return
    states = {old: State.PAST, fingerprint: State.CURRENT}
    rows = [(g.fingerprint.encode(), g.dim, states.get(g.fingerprint, g.state).value) for g in known]
    with transaction(connection):
        put(connection, "generations", rows)


def finish_begun(connection: sqlite3.Connection, taken: str | None) -> None:
    """The same, for the model that was taken last, and the shipped one: what they lacked may be forgotten now."""
    begun = {g.fingerprint for g in generations(connection) if g.state is State.BEING_ENCODED}
    if taken in begun:
        finish_generation(connection, taken)
    elif SHIPPED[-1] in begun and is_next_shipped(connection, SHIPPED[-1]):
        finish_generation(connection, SHIPPED[-1])


def forget_generation(connection: sqlite3.Connection, fingerprint: str) -> int:
    """Forget a model that readers don't see; how many vectors it had.

    Raises:
        InputError: it is the current one, or there is none of this name.
    """
    states = {generation.fingerprint: generation.state for generation in generations(connection)}
    if fingerprint not in states:
        raise InputError(f"the library holds nothing of model {fingerprint}, but of {', '.join(states) or 'none'}")
    if states[fingerprint] is State.CURRENT:
        raise InputError(f"model {fingerprint} is the current one: add all folders with another first (--model)")
    name = fingerprint.encode()
    with transaction(connection):
        connection.execute("DELETE FROM generations WHERE fingerprint = ?", (name,))
        connection.execute("DELETE FROM failures WHERE substr(content, 17) = ?", (name,))
        return connection.execute("DELETE FROM vectors WHERE fingerprint = ?", (name,)).rowcount
