"""Where a stored index is: what its URL says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from twinpix.encoder.errors import InputError

FORMS = "a file NAME.db or http://HOST:19530 (Milvus), or postgresql://USER@HOST/DATABASE (pgvector)"
MILVUS, POSTGRESQL = "milvus", "postgresql"
SCHEMES = {"milvus": MILVUS, "http": MILVUS, "https": MILVUS, "postgresql": POSTGRESQL, "postgres": POSTGRESQL}
HTTP = {"milvus": "http"}
EXACT, HNSW = "exact", "hnsw"
NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Place:
    """A named index in a store.

    Attributes:
        store: `milvus` or `postgresql`.
        address: what the store's client takes: a file or a URL, without what is ours in it; of Milvus without who asks.
        login: of Milvus: `user:password` or a token; empty if none was given.
        name: of the index.
        kind: `exact` or `hnsw`; None: as it is, exact if it is new.
    """

    store: str
    address: str
    login: str = ""
    name: str = "twinpix"
    kind: str | None = None

    def __str__(self) -> str:
        """For people: without a password."""
        parts = urlsplit(self.address)
        if parts.password is None:
            return f"{self.address} ({self.name})"
        host = parts.netloc.rpartition("@")[2]
        return f"{urlunsplit(parts._replace(netloc=f'{parts.username}@{host}'))} ({self.name})"


def parse_place(url: str) -> Place:
    """What a URL says. To any of `FORMS`, `?name=NAME` and `&index=exact|hnsw` may be added.

    Raises:
        InputError: it is none of these.
    """
    if "://" not in url:
        return _file(url)
    parts = _split(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    name, kind = _ours(options)
    store = SCHEMES.get(parts.scheme)
    if store is None or (store == MILVUS and not parts.hostname):
        raise InputError(f"{parts.scheme}://… is no index that twinpix knows: give {FORMS}")
    rest = parts._replace(query=urlencode(options))
    if store == POSTGRESQL:
        return Place(store, urlunsplit(rest), "", name, kind)
    who, _, host = parts.netloc.rpartition("@")
    bare = rest._replace(scheme=HTTP.get(parts.scheme, parts.scheme), netloc=host)
    return Place(store, urlunsplit(bare), unquote(who), name, kind)


def check_is_there(url: str) -> None:
    """Raises InputError where a URL names a file that is not there: opening would make it."""
    address = parse_place(url).address
    if "://" not in address and not Path(address).exists():
        raise InputError(f"{address}: there is no such file: `twinpix library push` makes one")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - checked here
    except ValueError as error:
        raise InputError(f"a URL that can't be understood ({error}): give {FORMS}") from None
    return parts


def _file(url: str) -> Place:
    file, _, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    name, kind = _ours(options)
    if not file.endswith(".db") or options:
        raise InputError(f"{url} is no index that twinpix knows: give {FORMS}")
    if not Path(file).absolute().parent.is_dir():
        raise InputError(f"{file}: its folder is not there")
    return Place(MILVUS, str(Path(file).absolute()), "", name, kind)


def _ours(options: dict[str, str]) -> tuple[str, str | None]:
    name, kind = options.pop("name", "twinpix"), options.pop("index", None)
    if not NAME.fullmatch(name):
        raise InputError(f"?name={name}: an index is called by up to 40 lower-case letters, digits and _")
    if kind not in (None, EXACT, HNSW):
        raise InputError(f"?index={kind}: a stored index is exact or hnsw")
    return name, kind
