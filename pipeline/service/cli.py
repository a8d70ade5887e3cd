"""`twinpix serve`: a library as a service: is this upload already here?"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline import show
from twinpix.pipeline.options import Model, Threshold, Verify

MEGA = 1_000_000
NEEDED = ("starlette", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            metavar="PATH",
            help="Folder of the library; made where there is none.",
            show_default="the one in your data folder",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            help="Folder of the service's own for uploaded pictures.",
            show_default="uploads, in the library's folder",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8750,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="API keys; without, only this machine may ask.")
    ] = None,
    new_key: Annotated[
        str | None, typer.Option("--new-key", metavar="NAME", help="Make a key, add it to --keys, print it, and end.")
    ] = None,
    anyone: Annotated[bool, typer.Option("--anyone", help="Let everybody ask, from anywhere, without a key.")] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Without keys: another name of this service; repeatable.",
            show_default=False,
        ),
    ] = None,
    threshold: Threshold = None,
    verify: Verify = None,
    model: Model = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index", metavar="URL", help='Keep the vectors in a store (README, "Index").', show_default="in memory"
        ),
    ] = None,
    max_body: Annotated[float, typer.Option("--max-body", min=0.001, max=1000, help="MB of a request.")] = 20,
    max_pixels: Annotated[float, typer.Option("--max-pixels", min=0.001, max=50, help="Megapixels of a picture.")] = 50,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=600, help="For an answer, once the body is there.")
    ] = 30,
    receive_seconds: Annotated[
        float, typer.Option("--receive-seconds", min=1, max=3600, help="For a body to arrive.")
    ] = 60,
    queue: Annotated[
        int, typer.Option("--queue", min=0, max=10_000, help="Requests that wait; one more gets a 429.")
    ] = 32,
    connections: Annotated[int, typer.Option("--connections", min=1, max=100_000, help="Open at the same time.")] = 256,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Threads.", show_default="all cores")
    ] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=0, max=600, help="Seconds for running requests once it is to stop.")
    ] = 30,
) -> int:
    """Serve a library over HTTP: POST /check tells whether a picture is in it, POST /images adds one.

    The page at / lists all requests. Without --keys it answers this machine alone. SIGTERM or Ctrl-C ends it once
    running requests are done.

    Exit codes: 0 done; 2 error; 11 library busy.
    """  # fmt: skip
    _check_installed()
    from twinpix.pipeline.service.bounds import Bounds
    from twinpix.pipeline.service.desk import Wish
    from twinpix.pipeline.service.keys import new_key as make_key
    from twinpix.pipeline.service.keys import read_keys
    from twinpix.pipeline.service.server import Entrance, run
    from twinpix.pipeline.threads import cores

    if new_key is not None:
        if keys is None:
            raise InputError("--new-key: name the file that it is added to with --keys FILE")
        print(make_key(keys, new_key))
        show.message(f"the key {new_key} is in {keys} as a hash: this is the only time that it is shown")
        return 0
    entrance = Entrance(host, port, None if keys is None else read_keys(keys), anyone, tuple(allow_host or ()))
    entrance.check()
    bounds = Bounds(
        body=round(max_body * MEGA), pixels=round(max_pixels * MEGA), receiving=receive_seconds, seconds=seconds,
        workers=workers or cores(), waiting=queue, connections=connections, grace=grace,
    )  # fmt: skip
    run(entrance, bounds, Wish(threshold, verify), library, store, model, index)
    return 0


def _check_installed() -> None:
    if not all(find_spec(name) for name in NEEDED):
        raise MissingPackageError("the service needs the extra: pip install 'twinpix[cpu,service]'")
