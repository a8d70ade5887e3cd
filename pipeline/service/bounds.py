"""What the service gives to one request, to one client, and to all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field

from twinpix.encoder.decode import MAX_PIXELS
from twinpix.pipeline.threads import cores

KEPT_OPEN = 30  # s; a connection that asks nothing more, unless another one needs its place
HEADERS = 10.0  # s; from its first byte a request's headers must be there
PARAMETERS = 2048  # bytes of a query
PART_HEADERS = 4096  # bytes of the headers of a part of a form
FORM_FIELDS = 1  # there is only `image`


@dataclass(frozen=True)
class Bounds:
    """Limits.

    Attributes:
        body: bytes of a request's body.
        pixels: of a picture, before it is decoded; never more than twinpix decodes anywhere.
        receiving: s; for a body to arrive, and for an answer to be taken.
        seconds: s; for an answer, once the body is there.
        workers: pictures that are worked on at the same time.
        waiting: requests that wait for a worker; one more is told to come back.
        connections: open at the same time; the one that has been idle longest makes room for a new one.
        grace: s; for running requests to finish once the service is told to stop.
    """

    body: int = 20 << 20
    pixels: int = MAX_PIXELS
    receiving: float = 60.0
    seconds: float = 30.0
    workers: int = field(default_factory=cores)
    waiting: int = 32
    connections: int = 256
    grace: float = 30.0

    @property
    def held(self) -> int:
        """Bytes of bodies that are in memory at the same time, of all requests together."""
        return max(4 * self.body, 64 << 20)
