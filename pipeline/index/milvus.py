"""An index in Milvus: in a file (Milvus Lite, one process at a time) or on a server.

Milvus speaks squared L2, leaves the radius itself out, and tells no more than 16,384 hits of a query (a setting of the
server): all of that is known here only. What it cuts off is asked for again, in halves by id.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from twinpix.encoder.errors import FingerprintError, InputError, MissingPackageError
from twinpix.pipeline.index import Ids, Vectors
from twinpix.pipeline.index.exactly import Hits
from twinpix.pipeline.index.place import EXACT, HNSW, Place
from twinpix.pipeline.index.stored import StoredIndex, StoreError

TYPES = {EXACT: "FLAT", HNSW: "HNSW"}
BUILD: dict[str, dict[str, int]] = {EXACT: {}, HNSW: {"M": 16, "efConstruction": 200}}
EF = 200  # how many candidates HNSW keeps while it looks
FEW = 128  # hits; most queries have fewer
CAP = 16_384  # hits that a server tells of a query, unless it is set up otherwise
VECTORS_AT_ONCE = 1000
IDS_AT_ONCE = 16_000
LAST = 2**63 - 1
CONNECT_SECONDS, CALL_SECONDS = 15, 120
KEEPALIVE_MS = 330_000  # pymilvus pings an idle server every 10 s; gRPC servers hang up on more than one in 300 s
TOKEN = "MILVUS_TOKEN"
OUT_OF_RANGE = re.compile(r"range \[1, (\d+)\]")
HINTS = {
    "Fail connecting": "is the server running?",
    "Open local milvus failed": "another process may have the file open: for several, run a Milvus server",
    "auth": f"check the user and password in the URL, or the token in {TOKEN}",
}


class MilvusIndex(StoredIndex):
    """A collection named after the index and the encoder's fingerprint. Methods as of `Index`.

    Args:
        place: of `parse_place`.
        dim: length of a vector.
        fingerprint: of the encoder.

    Raises:
        InputError, FingerprintError, StoreError, MissingPackageError: as of `open_index`.
    """

    def __init__(self, place: Place, dim: int, fingerprint: str) -> None:
        self._milvus, self._cap = _import_milvus(in_file="://" not in place.address), CAP
        self._collection = f"{place.name}__{_letters(fingerprint)}"
        with self._calling(place):
            self._client = self._milvus.MilvusClient(
                place.address,
                token=place.login or os.environ.get(TOKEN, ""),
                timeout=CONNECT_SECONDS,
                grpc_options={"grpc.keepalive_time_ms": KEEPALIVE_MS},
            )
            _refuse_others(self._client.list_collections(), place, self._collection)
            if not self._client.has_collection(self._collection):
                self._create(dim, place.kind or EXACT)
            kind = self._checked_kind(place, dim)
            self._client.load_collection(self._collection)
        super().__init__(place, dim, f"Milvus {TYPES.get(kind, kind)}", is_exact=kind == EXACT)

    def __len__(self) -> int:
        return int(self._call("query", filter="", output_fields=["count(*)"])[0]["count(*)"])

    def close(self) -> None:
        """See `StoredIndex`. The file of Milvus Lite stays this process's until it ends."""
        self._client.close()

    def ids(self) -> Ids:
        """See `StoredIndex`."""
        with self._calling(self.place):
            how = {"batch_size": IDS_AT_ONCE, "output_fields": ["id"], "timeout": CALL_SECONDS}
            pages, parts = self._client.query_iterator(self._collection, **how), [np.empty(0, np.int64)]
            while page := pages.next():
                parts.append(np.array([row["id"] for row in page], np.int64))
            pages.close()
        return np.sort(np.concatenate(parts))

    def _create(self, dim: int, kind: str) -> None:
        types, index = self._milvus.DataType, self._client.prepare_index_params()
        schema = self._milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=dim)
        index.add_index("vector", index_type=TYPES[kind], metric_type="L2", params=BUILD[kind])
        self._client.create_collection(
            self._collection, schema=schema, index_params=index, consistency_level="Strong", timeout=CALL_SECONDS
        )  # what was added is found

    def _checked_kind(self, place: Place, dim: int) -> str:
        fields = self._client.describe_collection(self._collection)["fields"]
        held = next(field["params"]["dim"] for field in fields if field["name"] == "vector")
        if int(held) != dim:
            raise InputError(f"{place} holds vectors of {held} values, not {dim}: choose another ?name=")
        told = self._client.describe_index(self._collection, "vector")["index_type"]
        kind = next((kind for kind, its in TYPES.items() if its == told), told)
        if place.kind not in (None, kind):
            raise InputError(f"{place} was made with {told}, not as ?index={place.kind}: choose another ?name=")
        return str(kind)

    def _present(self, ids: Ids) -> Ids:
        return np.sort(np.array([row["id"] for row in self._rows(ids, "id")], np.int64))

    def _add(self, ids: Ids, vectors: Vectors) -> None:
        rows = [{"id": i, "vector": vector} for i, vector in zip(ids.tolist(), vectors, strict=True)]
        self._call("insert", data=rows)

    def _remove(self, ids: Ids) -> None:
        self._call("delete", ids=ids.tolist())

    def _nearest(self, queries: Vectors, k: int) -> Hits:
        found = self._ask(queries, k) if k <= self._cap else None
        return self._with_vectors([self._all(query, k) for query in queries] if found is None else found)

    def _within(self, queries: Vectors, reach: float) -> Hits:
        squared = float(np.nextafter(np.float32(reach**2), np.float32(np.inf)))
        few = self._ask(queries, FEW, squared)
        if few is None:
            return self._with_vectors([self._all(query, LAST, squared) for query in queries])
        found = (self._all(query, LAST, squared) if len(ids) >= FEW else ids
                 for query, ids in zip(queries, few, strict=True))  # fmt: skip
        return self._with_vectors(list(found))

    def _all(self, query: Vectors, most: int, squared: float | None = None, low: int = 0, high: int = LAST) -> Ids:
        # the `most` nearest of one query with ids from low to high, and perhaps some more
        limit = min(most, self._cap)
        found = self._ask(query[None], limit, squared, f"id >= {low} and id <= {high}")
        if found is None:
            return self._all(query, most, squared, low, high)
        (ids,) = found
        if len(ids) < limit or limit == most:
            return ids
        middle = int(np.sort(ids)[len(ids) // 2 - 1])
        halves = (self._all(query, most, squared, *span) for span in ((low, middle), (middle + 1, high)))
        return np.concatenate(list(halves))

    def _ask(self, queries: Vectors, limit: int, squared: float | None = None, where: str = "") -> list[Ids] | None:
        # None: the server tells fewer at once, as is known from now on
        params = {} if squared is None else {"radius": squared}
        params |= {} if self.is_exact else {"ef": max(EF, limit)}
        how = {"search_params": {"metric_type": "L2", "params": params}, "output_fields": ["id"]}
        try:
            found = self._call("search", data=queries, limit=limit, filter=where, **how)
        except StoreError as error:
            told = OUT_OF_RANGE.search(str(error))
            if told is None or not 1 < int(told[1]) < limit:
                raise
            self._cap = int(told[1])
            return None
        return [np.array([hit["id"] for hit in hits], np.int64) for hits in found]

    def _with_vectors(self, found: list[Ids]) -> Hits:
        rows, ids = np.repeat(np.arange(len(found)), [len(ids) for ids in found]), np.concatenate(found)
        got = {row["id"]: row["vector"] for row in self._rows(np.unique(ids), "id", "vector")}
        there = np.array([i in got for i in ids.tolist()], bool)  # others were removed meanwhile
        vectors = np.array([got[i] for i in ids[there].tolist()], np.float32).reshape(-1, self.dim)
        return rows[there], ids[there], vectors

    def _rows(self, ids: Ids, *fields: str) -> Iterator[dict[str, Any]]:
        for start in range(0, len(ids), VECTORS_AT_ONCE):
            some = ids[start : start + VECTORS_AT_ONCE].tolist()
            yield from self._call("get", ids=some, output_fields=list(fields))

    def _call(self, what: str, **arguments: Any) -> Any:
        with self._calling(self.place):
            return getattr(self._client, what)(self._collection, timeout=CALL_SECONDS, **arguments)

    @contextmanager
    def _calling(self, place: Place) -> Iterator[None]:
        try:
            yield
        except self._milvus.MilvusException as error:
            said = " ".join(str(error.message).split())
            hint = next((f": {hint}" for start, hint in HINTS.items() if start in said), "")
            raise StoreError(f"Milvus at {place}: {said}{hint}") from None


def _import_milvus(in_file: bool) -> Any:
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it remarks on every process that is started
    try:
        import pymilvus
    except ImportError:
        raise MissingPackageError("pymilvus is not installed: pip install 'twinpix[milvus]'") from None
    if in_file and find_spec("milvus_lite") is None:
        raise MissingPackageError(
            "a file needs Milvus Lite, which is not installed: pip install 'twinpix[milvus-lite]'"
        )
    for name in ("pymilvus", "milvus_lite"):  # every error is raised: they would also print it, with a traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return pymilvus


def _letters(fingerprint: str) -> str:
    # names of collections are of ASCII letters, digits and _
    plain = fingerprint.isascii() and fingerprint.isalnum()
    return fingerprint if plain else "x_" + fingerprint.encode("utf-8", "surrogateescape").hex()


def _refuse_others(collections: list[str], place: Place, wanted: str) -> None:
    for name in collections:
        start, _, other = name.rpartition("__")
        if start == place.name and name != wanted:
            raise FingerprintError(f"{place} holds vectors of encoder {other}, not of this one: choose another ?name=")
