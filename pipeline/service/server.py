"""The service from its start to its end: what it opens, in which order, and how it stops."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.index import Index
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.limits import limits
from twinpix.pipeline.second_look.look_again import one_thread_each
from twinpix.pipeline.service.app import Service
from twinpix.pipeline.service.bounds import KEPT_OPEN, Bounds
from twinpix.pipeline.service.collection import Collection
from twinpix.pipeline.service.connection import Connections
from twinpix.pipeline.service.desk import Desk, Wish
from twinpix.pipeline.service.guard import Door
from twinpix.pipeline.service.keys import Keys
from twinpix.pipeline.service.memory import keep_memory_steady
from twinpix.pipeline.service.metrics import Metrics
from twinpix.pipeline.service.uploads import Uploads
from twinpix.pipeline.service.work import Work
from twinpix.pipeline.show import message

LOCAL = ("localhost", "127.0.0.1", "[::1]")
SWITCH = 0.002  # s; threads that look at pictures let the one that answers in so often
BACKLOG, HTTP = 256, 80


@dataclass(frozen=True)
class Entrance:
    """Where the service is to be found, and by whom.

    Attributes:
        host: address to listen on.
        port: 0: any free one.
        keys: None: it answers this machine alone.
        anyone: it answers everybody.
        names: by which it may be called beside the usual ones, where there are no keys.
    """

    host: str
    port: int
    keys: Keys | None
    anyone: bool
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InputError where strangers could ask without anybody having said that they may."""
        if not (self.is_local or self.keys is not None or self.anyone):
            raise InputError(
                f"{self.host} can be reached from other machines: make API keys (--keys FILE --new-key NAME), or let "
                "everybody in with --anyone"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def listen(self) -> socket.socket:
        """Open the port.

        Raises:
            InputError: it is taken, or not to be had.
        """
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except (OSError, OverflowError, UnicodeError) as error:
            said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else error
            raise InputError(f"{self.host} port {self.port}: {said}: name another with --host and --port") from None

    def door(self, port: int) -> Door:
        """Who is let in on this port."""
        if self.keys is not None or (self.anyone and not self.names):
            return Door(self.keys, frozenset())
        own = {name.lower() for name in (*LOCAL, self.host, *self.names)}
        bare = own if port == HTTP else {name.lower() for name in self.names}  # of others a proxy may know the port
        return Door(None, frozenset(bare | {f"{name}:{port}" for name in own}))

    def address(self, port: int) -> str:
        """For people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"


def run(
    entrance: Entrance,
    bounds: Bounds,
    wish: Wish,
    library: Path | None,
    store: Path | None,
    model: Path | None,
    index: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        InputError: the port, the folder or the index can't be had.
        LibraryError, ModelError: as of `Library` and `load_encoder`.
    """
    keep_memory_steady()
    encoder = load_encoder(model)
    reach = limits(encoder, 2, wish.threshold, wish.verify).candidate  # where no threshold is known, it ends here
    with entrance.listen() as door, one_thread_each(), _yielding():
        known = Library(library, encoder)
        uploads = Uploads(store or known.path / "uploads")
        with (
            _served(index, encoder) as vectors,
            closing(Collection(known, encoder, uploads, reach, vectors)) as collection,
        ):
            made_good = collection.make_good()
            if made_good:
                message(f"{made_good} uploads that a stopped service had not finished are added")
            _serve(entrance, door, bounds, Desk(collection, encoder, wish, bounds))


def _served(url: str | None, encoder: Encoder) -> AbstractContextManager[Index | None]:
    if url is None:
        return nullcontext()
    from twinpix.pipeline.index.stores import open_index

    return open_index(url, encoder.dim, encoder.fingerprint)


def _serve(entrance: Entrance, door: socket.socket, bounds: Bounds, desk: Desk) -> None:
    with closing(Work(bounds)) as work:
        metrics = Metrics(
            lambda: len(desk.collection), lambda: work.waiting, lambda: work.working, lambda: len(connections)
        )
        connections = Connections(bounds, metrics.received.inc)
        port = door.getsockname()[1]
        address = entrance.address(port)
        app = Service(desk, work, bounds, metrics).app(entrance.door(port), address, _mishap)
        config = uvicorn.Config(
            app, http=cast(Any, connections.made), log_level="critical", access_log=False, lifespan="off", ws="none",
            loop="asyncio", server_header=False, date_header=False, proxy_headers=False, backlog=BACKLOG,
            timeout_keep_alive=KEPT_OPEN, timeout_graceful_shutdown=round(bounds.grace),
        )  # fmt: skip
        server = uvicorn.Server(config)
        with _stopping(server):
            print(f"{len(desk.collection)} pictures in {desk.collection.path}: {address} (Ctrl-C or SIGTERM ends it)",
                  flush=True)  # fmt: skip
            server.run(sockets=[door])
    message("stopped")


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    # from the moment that the address is told. uvicorn hears these signals only once it runs, and sends them again
    # when it is done: by then nothing is left to stop
    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _yielding() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _mishap(error: Exception) -> None:
    message(f"unexpected {type(error).__name__}: {error} (a bug in twinpix; TWINPIX_DEBUG=1 shows where)")
    if os.environ.get("TWINPIX_DEBUG"):
        traceback.print_exception(error)
