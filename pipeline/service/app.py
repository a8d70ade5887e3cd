"""The service as an ASGI application: routes, and what a request must be like."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from twinpix.encoder.errors import DecodingError
from twinpix.pipeline.limits import MAX_L2
from twinpix.pipeline.service.body import FORM, Held, media_type, picture_in, read_body
from twinpix.pipeline.service.bounds import PARAMETERS, Bounds
from twinpix.pipeline.service.desk import Desk, Wish
from twinpix.pipeline.service.guard import Door, Guard
from twinpix.pipeline.service.metrics import Metrics
from twinpix.pipeline.service.openapi import document
from twinpix.pipeline.service.page import page, style_hash
from twinpix.pipeline.service.problem import Problem
from twinpix.pipeline.service.work import Gone, Work

ID = re.compile(r"[0-9a-f]{32}")
NUMBER = re.compile(r"\d{0,4}\.?\d{0,40}([eE][+-]?\d{1,3})?", re.ASCII)
GONE = 499  # the client has
TRUTHS = {"true": True, "false": False}
Act = Callable[[bytes, Wish, float], Any]
Endpoint = Callable[[Request], Awaitable[Response]]


class Service:
    """The endpoints.

    Args:
        desk: answers.
        work: where that is done.
        bounds: limits of bodies.
        metrics: what is counted.
    """

    def __init__(self, desk: Desk, work: Work, bounds: Bounds, metrics: Metrics) -> None:
        self._desk, self._work, self._bounds, self._metrics = desk, work, bounds, metrics
        self._held = Held(bounds.held)

    def app(self, door: Door, address: str, mishap: Callable[[Exception], object]) -> Guard:
        """The application.

        Args:
            door: who is let in.
            address: of the service, for the page.
            mishap: told of what nobody expected.
        """
        told = document(self._bounds, door.keys is not None)
        shown = page(told, address)
        endpoints: dict[str, tuple[str, Endpoint]] = {
            "/check": ("POST", self._check),
            "/images": ("POST", self._add),
            "/images/{id}": ("DELETE", self._forget),
            "/search": ("GET", self._search),
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._tell_metrics),
            "/openapi.json": ("GET", _always(partial(JSONResponse, told))),
            "/": ("GET", _always(partial(HTMLResponse, shown))),
        }
        routes = [Route(path, endpoint, methods=[method]) for path, (method, endpoint) in endpoints.items()]
        inner = Starlette(
            routes=routes, exception_handlers={HTTPException: _refused, Problem: _refused, Gone: _refused}
        )
        inner.router.redirect_slashes = False
        return Guard(
            inner, door, self._metrics, partial(_route, frozenset(endpoints)), style_hash(), mishap, self._bounds.body
        )

    async def _check(self, request: Request) -> Response:
        answer = await self._uploaded(request, self._desk.check)
        self._metrics.verdicts.labels("duplicate" if answer["duplicate"] else "new").inc()
        return JSONResponse(answer)

    async def _add(self, request: Request) -> Response:
        is_new, answer = await self._uploaded(request, self._desk.add)
        return JSONResponse(answer, 201 if is_new else 200)

    async def _uploaded(self, request: Request, act: Act) -> Any:
        asked = _asked(request, {"threshold": _threshold, "verify": _truth})
        wish = Wish(asked.get("threshold"), asked.get("verify"))
        kind = media_type(request)
        self._work.refuse_if_full()
        body = await read_body(request, self._bounds, self._held)

        def job(deadline: float) -> Any:
            is_form = kind == FORM
            return act(picture_in(body, request.headers["content-type"], deadline) if is_form else body, wish, deadline)

        try:
            return await self._done(request, job)
        except Problem as problem:
            if problem.status in (415, 422):
                self._metrics.unreadable(problem.reason)
            raise
        finally:
            self._held.give_back(len(body))

    async def _forget(self, request: Request) -> Response:
        _asked(request, {})
        content = _id(request.path_params["id"])
        return JSONResponse(await self._done(request, lambda deadline: self._desk.forget(content)))

    async def _search(self, request: Request) -> Response:
        asked = _asked(request, {"id": _id, "k": _k})
        if "id" not in asked:
            raise Problem(400, "name the picture: ?id=ID", "parameter")
        content, k = asked["id"], asked.get("k", 10)
        return JSONResponse(await self._done(request, lambda deadline: self._desk.search(content, k)))

    async def _done(self, request: Request, job: Callable[[float], Any]) -> Any:
        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        try:
            return await self._work.do(job, gone)
        except DecodingError as error:
            raise Problem(503, f"pictures can't be decoded at this moment: {error}", "decoding") from None

    async def _health(self, request: Request) -> Response:
        _asked(request, {})
        return JSONResponse({
            "status": "ok", "images": len(self._desk.collection), "waiting": self._work.waiting,
            "working": self._work.working, "fingerprint": self._desk.fingerprint,
            "index": self._desk.collection.index_name, "version": version("twinpix"),
        })  # fmt: skip

    async def _tell_metrics(self, request: Request) -> Response:
        _asked(request, {})
        text = await run_in_threadpool(self._metrics.text)
        return Response(text, media_type="text/plain; version=1.0.0")


def _always(response: Callable[[], Response]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return response()

    return endpoint


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    if not isinstance(error, HTTPException):
        return Response(status_code=GONE)  # nobody reads it
    known = {
        404: ("there is nothing at this address", "no_such_address"),
        405: ("no such method here", "no_such_method"),
    }
    response = Problem(error.status_code, *known.get(error.status_code, (error.detail,))).response()
    response.headers.update(error.headers or {})
    return response


def _route(known: frozenset[str], path: str) -> str:
    if path.startswith("/images/"):
        return "/images/{id}"
    return path if path in known else "other"


def _asked(request: Request, known: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    if len(request.scope["query_string"]) > PARAMETERS:
        raise Problem(400, "the query is too long", "parameter")
    pairs = request.query_params.multi_items()
    for name, _ in pairs:
        if name not in known:
            there = ", ".join(known) or "none"
            raise Problem(400, f"no parameter is called {name[:100]!r} here; there are: {there}", "parameter")
    if len({name for name, _ in pairs}) < len(pairs):
        raise Problem(400, "a parameter is there twice", "parameter")
    return {name: known[name](value) for name, value in pairs}


def _threshold(text: str) -> float:
    try:
        value = float(text) if NUMBER.fullmatch(text) else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_L2:
        raise Problem(400, f"threshold: an L2 distance from 0 to 2, not {text[:100]!r}", "parameter")
    return value


def _truth(text: str) -> bool:
    if text not in TRUTHS:
        raise Problem(400, f"verify: true or false, not {text[:100]!r}", "parameter")
    return TRUTHS[text]


def _k(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise Problem(400, f"k: how many pictures, 1 to 100, not {text[:100]!r}", "parameter")
    return int(text)


def _id(text: str) -> bytes:
    if not ID.fullmatch(text):
        raise Problem(404, "no picture is called so: an id is 32 hex digits", "unknown")
    return bytes.fromhex(text)
