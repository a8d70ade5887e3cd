"""The local server of a review: a few pages and some JSON, behind the guard."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from twinpix.encoder.errors import ImageError, InputError, TwinpixError
from twinpix.pipeline.review.desk import Desk
from twinpix.pipeline.review.guard import Guard
from twinpix.pipeline.show import safe

PAGE = "twinpix.pipeline.review.page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
Asked = Mapping[str, Any]
Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(desk: Desk, port: int, token: str) -> Guard:
    """The ASGI application.

    Args:
        desk: answers for the review.
        port: on which it will be served.
        token: what every request for data must carry.
    """
    routes = [Route(f"/{name}", _page(content, kind)) for name, (content, kind) in _static().items()]
    routes += [Route(f"/api/{name}", _get(desk.contained(answer))) for name, answer in desk.answers.items()]
    routes += [Route(f"/api/{name}", _post(desk.contained(act)), methods=["POST"]) for name, act in desk.acts.items()]
    routes.append(Route("/api/picture/{id}", _picture(desk)))
    return Guard(Starlette(routes=routes), port, token)


def new_token() -> str:
    """A token that nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(32)


def listen(port: int) -> socket.socket:
    """A socket on this machine alone; port 0 takes a free one.

    Raises:
        InputError: the port is taken, or not to be had.
    """
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InputError(f"port {port}: {said}: name another with --port") from None


def server(desk: Desk, port: int, token: str) -> uvicorn.Server:
    """The server, to be run on a socket that listens on this port. Arguments as of `build_app`."""
    config = uvicorn.Config(build_app(desk, port, token), log_level="critical", access_log=False, lifespan="off",
                            ws="none", http="h11", server_header=False, date_header=False, proxy_headers=False,
                            limit_concurrency=200, timeout_keep_alive=30, timeout_graceful_shutdown=2)  # fmt: skip
    return uvicorn.Server(config)


def _static() -> dict[str, tuple[bytes, str]]:
    found = {entry.name: entry.read_bytes() for entry in files(PAGE).iterdir() if entry.name.endswith(tuple(KINDS))}
    typed = {name: (content, KINDS["." + name.rpartition(".")[2]]) for name, content in found.items()}
    return {("" if name == "index.html" else name): one for name, one in typed.items()}


def _page(content: bytes, kind: str) -> Endpoint:
    async def page(request: Request) -> Response:
        return Response(content, media_type=kind)

    return page


def _get(answer: Callable[[Asked], Any]) -> Endpoint:
    async def get(request: Request) -> Response:
        return await _answered(answer, dict(request.query_params))

    return get


def _post(act: Callable[[Asked], Any]) -> Endpoint:
    async def post(request: Request) -> Response:
        try:
            asked = await request.json()
        except (ValueError, RecursionError):
            return JSONResponse({"error": "no JSON"}, 400)
        return await _answered(act, asked) if isinstance(asked, dict) else JSONResponse({"error": "no object"}, 400)

    return post


async def _answered(answer: Callable[[Asked], Any], asked: Asked) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(answer, asked))
    except (TwinpixError, OSError) as error:
        return JSONResponse({"error": safe(str(error))}, 409)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError):
        return JSONResponse({"error": "not understood"}, 400)


def _picture(desk: Desk) -> Endpoint:
    async def picture(request: Request) -> Response:
        try:
            made = await run_in_threadpool(
                desk.contained(desk.picture), request.path_params["id"], request.query_params.get("size", "view")
            )
        except KeyError:
            return JSONResponse({"error": "no such picture"}, 404)
        except ImageError as error:
            return JSONResponse({"error": safe(str(error))}, 409)
        return Response(made, media_type="image/jpeg")

    return picture
