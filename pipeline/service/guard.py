"""Who may speak to the service, and how every answer looks: before a request is read, and around all of them.

With keys, whoever has one may. Without, it serves this machine alone: a request must name it as its host, and must not
come from another site's page in somebody's browser (DNS rebinding, forged forms).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinpix.pipeline.service.keys import Keys
from twinpix.pipeline.service.metrics import Metrics
from twinpix.pipeline.service.problem import Problem

BEYOND, LEFT_SECONDS = 500_000, 1.0  # bytes beyond the largest body, s: of what nobody wants
OPEN_TO_ALL = ("/health", "/openapi.json", "/")
STRICT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Door:
    """Who is let in.

    Attributes:
        keys: None: everybody who names one of `hosts`.
        hosts: by which the service may be called, with its port; empty: by any.
    """

    keys: Keys | None
    hosts: frozenset[str]

    def refuse(self, method: str, path: str, headers: Headers) -> None:
        """Raises Problem: 401, 403, 421."""
        if self.hosts:
            self._refuse_foreign(headers, method)
        if self.keys is not None and path not in OPEN_TO_ALL:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
            if not self.keys.open_to(given):
                raise Problem(401, "no valid key: send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`", "key")

    def _refuse_foreign(self, headers: Headers, method: str) -> None:
        host, origin, site = (headers.get(name, "") for name in ("host", "origin", "sec-fetch-site"))
        if host.lower() not in self.hosts:
            raise Problem(421, f"this service is not called {host[:100]}: see --allow-host", "host")
        if origin and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            raise Problem(403, "asked for by another site's page", "origin")
        if site not in ("", "same-origin", "none") and not (site == "cross-site" and method == "GET"):
            raise Problem(403, "asked for by another site's page", "origin")


class Guard:
    """ASGI middleware round the whole service.

    Args:
        app: what is behind it.
        door: who is let in.
        metrics: told of every answer.
        route: of a path, for the metrics: one of a few.
        style: hash of the one style sheet, for the policy.
        mishap: told of what nobody expected.
        body: bytes of the largest one that is wanted.
    """

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        metrics: Metrics,
        route: Callable[[str], str],
        style: str,
        mishap: Callable[[Exception], object],
        body: int,
    ) -> None:
        self._most = body + BEYOND
        self._app, self._door, self._metrics, self._route, self._mishap = app, door, metrics, route, mishap
        self._headers = [(name.encode(), value.format(style).encode()) for name, value in STRICT.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and the end of it all."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._headers, self._most)
        began = time.monotonic()
        try:
            await self._answer(scope, exchange)
        finally:
            status = exchange.status or 499  # the client has gone
            self._metrics.answered(scope["method"], self._route(scope["path"]), status, time.monotonic() - began)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            self._door.refuse(scope["method"], scope["path"], Headers(scope=scope))
            await self._app(scope, exchange.receive, exchange.send)
        except Problem as problem:
            await exchange.end(problem.response())
        except asyncio.CancelledError:
            await exchange.end(Problem(503, "the service is stopping", "stopping").response())
            raise
        except Exception as error:
            self._mishap(error)
            await exchange.end(Problem(500, "something went wrong here: it is not your request's fault").response())


class _Exchange:
    # one request and its answer: what was sent of either
    def __init__(
        self, scope: Scope, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]], most: int
    ) -> None:
        self._scope, self._receive, self._send, self._headers = scope, receive, send, headers
        asked = Headers(scope=scope)
        self._is_read = asked.get("content-length", "0") == "0" and "transfer-encoding" not in asked
        self._awaits_leave = "expect" in asked  # to send its body
        self._read, self._most = 0, most
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._let_it_say_more()
            # what is left of the body is not read: no next request can follow it
            close = [] if self._is_read else [(b"connection", b"close")]
            message = {**message, "headers": [*message.get("headers", ()), *self._headers, *close]}
        await self._send(message)

    async def _let_it_say_more(self) -> None:
        # a client that is still sending when its connection is closed gets a reset, and may never see the answer
        if self._awaits_leave:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFT_SECONDS):
                while self._read < self._most and not self._is_read:
                    if (await self.receive())["type"] == "http.disconnect":
                        return

    async def end(self, response: Response) -> None:
        if not self.status:
            await response(self._scope, self._receive, self.send)
