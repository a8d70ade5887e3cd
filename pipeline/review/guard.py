"""Who may speak to the review's server: this page of it, in this user's browser, and nobody else.

A page from elsewhere can make a browser send requests to this machine, and can even make its own name stand for it
(DNS rebinding). So a request must name this very address as its host, must not come from another origin, and must
carry a token that only the opened link holds. Nothing is read before these checks, and nothing is kept in cookies.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1 << 20  # bytes
PATH = re.compile(rb"/(?:[a-z]+(?:/[A-Za-z0-9_-]+)*|[a-z]+\.(?:js|css|svg))?")
QUERY = re.compile(rb"[A-Za-z0-9_=&.-]{0,200}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Guard:
    """ASGI middleware that refuses what is not this page's own request.

    Attributes:
        app: what is behind it.
        port: on which it is served.
        token: what every request for data must carry.
    """

    app: ASGIApp
    port: int
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with a capped body and strict headers."""
        if scope["type"] != "http":
            return  # no websockets; the lifespan has nothing to say
        answer = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, answer)
            return
        body = await _read(receive)
        if body is None:
            await PlainTextResponse("too large", 413)(scope, receive, answer)
            return
        await self.app(scope, _again(body, receive), answer)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = _single_headers(scope)
        if headers is None:
            return 400, "a header is there twice"
        names = [f"127.0.0.1:{self.port}", f"localhost:{self.port}"]
        host, method = headers.get("host"), scope["method"]
        if host not in names:
            return 421, "not the name of this server"
        if method not in ("GET", "POST"):
            return 405, "no such method"
        if not PATH.fullmatch(scope["raw_path"]) or not QUERY.fullmatch(scope["query_string"]):
            return 404, "no such page"
        if "range" in headers or "upgrade" in headers:
            return 400, "neither parts nor another protocol"
        return _foreign(headers, f"http://{host}", method) or self._stranger(headers, scope["path"], method)

    def _stranger(self, headers: Mapping[str, str], path: str, method: str) -> tuple[int, str] | None:
        if not path.startswith("/api/") and method == "GET":
            return None  # the page itself, the same for everybody
        sent = headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(sent, f"Bearer {self.token}".encode()):
            return 401, "no token: open the link that the terminal shows"
        if method == "POST" and headers.get("content-type") != "application/json":
            return 415, "JSON only"
        return None


def _foreign(headers: Mapping[str, str], own: str, method: str) -> tuple[int, str] | None:
    # browsers name the origin of every request that could change something
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin != own and (origin is not None or method == "POST"):
        return 403, "another origin"
    if site not in (None, "same-origin", "none" if method == "GET" else "same-origin"):
        return 403, "another site"
    return None


def _single_headers(scope: Scope) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name.decode("latin-1") in found:
            return None
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return answer


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None: it is over the cap, and no more of it was read."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return first.pop() if first else await receive()

    return next_message
