"""A connection that may not last as it likes: slow headers, answers that are not taken, and too many of its kind.

uvicorn bounds none of these. Bodies are bounded where they are read (`body`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from twinpix.pipeline.service.bounds import HEADERS, Bounds
from twinpix.pipeline.service.problem import Problem


class Connections:
    """Those that are open, the one that has been idle longest first.

    Args:
        received: told how many bytes were read.
    """

    def __init__(self, bounds: Bounds, received: Callable[[int], object]) -> None:
        self.bounds, self.received = bounds, received
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def made(self, **settings: Any) -> Connection:
        """A new one: uvicorn's `http`."""
        return Connection(self, **settings)

    def enter(self, new: Connection) -> None:
        """Let a new one in; one that asks nothing, or has not said all yet, makes room for it."""
        self._open[new] = None
        if len(self._open) <= self.bounds.connections:
            return
        others = [one for one in self._open if one is not new]
        leaving = next((one for one in others if one.is_idle), None)
        leaving = leaving or next((one for one in others if one.is_being_read), new)
        leaving.transport.abort()
        self.leave(leaving)

    def leave(self, one: Connection) -> None:
        """It is closed."""
        self._open.pop(one, None)

    def rest(self, one: Connection) -> None:
        """It has been answered: the idle time of others is longer."""
        if one in self._open:
            del self._open[one]
            self._open[one] = None


class Connection(H11Protocol):
    """One connection, as uvicorn has it, with a clock."""

    def __init__(self, all_of_them: Connections, **settings: Any) -> None:
        super().__init__(**settings)
        self._all = all_of_them
        self._headers_due: asyncio.TimerHandle | None = None
        self._answer_due: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is no request: not yet, or not any more."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_being_read(self) -> bool:
        """Whether a body is on its way."""
        return self.cycle is not None and self.cycle.more_body and not self.cycle.response_started

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that what is not taken is noticed at once
        self._watch()
        self._all.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        super().connection_lost(exc)
        self._headers_due = _cancelled(self._headers_due)
        self._answer_due = _cancelled(self._answer_due)
        self._all.leave(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._all.received(len(data))
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused as all else is."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # in the middle of an answer
            self.transport.abort()
            return
        response = Problem(400, "this is no HTTP request that can be understood", "http").response()
        headers = [*response.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self._all.rest(self)
        super().on_response_complete()
        self._headers_due = _cancelled(self._headers_due)  # uvicorn ends those that ask nothing more

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        if self._answer_due is None:
            self._answer_due = self.loop.call_later(self._all.bounds.receiving, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        self._answer_due = _cancelled(self._answer_due)

    def _watch(self) -> None:
        if not self.is_idle:
            self._headers_due = _cancelled(self._headers_due)
        elif self._headers_due is None and not self.transport.is_closing():
            self._headers_due = self.loop.call_later(min(HEADERS, self._all.bounds.receiving), self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
