"""An index in PostgreSQL, with the extension pgvector, which speaks plain L2."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from twinpix.encoder.errors import FingerprintError, InputError, MissingPackageError
from twinpix.pipeline.index import Ids, Vectors
from twinpix.pipeline.index.exactly import Hits
from twinpix.pipeline.index.place import HNSW, Place
from twinpix.pipeline.index.stored import StoredIndex, StoreError

WIDEST = 2000  # values that pgvector's HNSW takes
EF = 1000  # candidates that HNSW keeps while it looks: as many as it can; a query with more hits is compared with all
CONNECT_SECONDS = 15
LOCK = 0x7477_7078  # one process makes tables at a time
MAKE_INDEX = "CREATE INDEX IF NOT EXISTS {index} ON {table} USING hnsw (vector vector_l2_ops)"
EVERYWHERE = "SET LOCAL enable_indexscan = off"  # an index of somebody else's making would miss some
NEAREST = "SELECT id, vector FROM {table} ORDER BY vector <-> %(query)s, id LIMIT %(k)s"
WITHIN = "SELECT id, vector FROM {table} WHERE vector <-> %(query)s <= %(reach)s"
# the distance is compared outside: a WHERE beside ORDER BY would be asked before, and a bare one never uses the index
NEAREST_BY_INDEX = "SELECT id, vector FROM {table} ORDER BY vector <-> %(query)s LIMIT %(k)s"
WITHIN_BY_INDEX = (
    "SELECT id, vector FROM (SELECT id, vector, vector <-> %(query)s AS distance FROM {table} "
    "ORDER BY distance LIMIT %(k)s) AS nearest WHERE distance <= %(reach)s"
)


class PgVectorIndex(StoredIndex):
    """A table named after the index; its comment says whose vectors it holds. Methods as of `Index`.

    Args:
        place: of `parse_place`.
        dim: length of a vector.
        fingerprint: of the encoder.

    Raises:
        InputError, FingerprintError, StoreError, MissingPackageError: as of `open_index`.
    """

    def __init__(self, place: Place, dim: int, fingerprint: str) -> None:
        by_index = place.kind == HNSW
        if by_index and dim > WIDEST:
            raise InputError(f"pgvector's hnsw takes up to {WIDEST} values, not {dim}: use ?index=exact")
        super().__init__(place, dim, "pgvector HNSW" if by_index else "pgvector, exact", is_exact=not by_index)
        self._psycopg, self._register = _import_psycopg()
        self._lock, self._connection = threading.RLock(), None
        with self._transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            held = self._comment(connection)
            if held is None:
                self._create(connection, fingerprint)
            else:
                _check(held, place, dim, fingerprint)
            if by_index:
                connection.execute(self._sql(MAKE_INDEX))

    def __len__(self) -> int:
        return int(self._fetch("SELECT count(*) FROM {table}")[0][0])

    def close(self) -> None:
        """See `StoredIndex`."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def ids(self) -> Ids:
        """See `StoredIndex`."""
        return _ids(self._fetch("SELECT id FROM {table} ORDER BY id"))

    def _create(self, connection: Any, fingerprint: str) -> None:
        about = json.dumps({"twinpix": 1, "fingerprint": fingerprint, "dim": self.dim})
        columns = f"(id bigint PRIMARY KEY, vector vector({self.dim}) NOT NULL)"
        connection.execute(self._sql(f"CREATE TABLE {{table}} {columns}"))
        connection.execute(self._sql("COMMENT ON TABLE {table} IS {about}", about=self._psycopg.sql.Literal(about)))

    def _comment(self, connection: Any) -> str | None:
        # None: there is no such table
        asked = "SELECT coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class WHERE oid = to_regclass(%s)"
        row = connection.execute(asked, (self.place.name,)).fetchone()
        return None if row is None else str(row[0])

    def _present(self, ids: Ids) -> Ids:
        return _ids(self._fetch("SELECT id FROM {table} WHERE id = ANY(%(ids)s) ORDER BY id", ids=ids.tolist()))

    def _add(self, ids: Ids, vectors: Vectors) -> None:
        copying = self._sql("COPY {table} (id, vector) FROM STDIN WITH (FORMAT BINARY)")
        with self._transaction() as connection, connection.cursor().copy(copying) as copy:
            copy.set_types(["int8", "vector"])
            for row in zip(ids.tolist(), vectors, strict=True):
                copy.write_row(row)

    def _remove(self, ids: Ids) -> None:
        with self._transaction() as connection:
            connection.execute(self._sql("DELETE FROM {table} WHERE id = ANY(%s)"), (ids.tolist(),))

    def _nearest(self, queries: Vectors, k: int) -> Hits:
        return self._hits([self._near(query, k) for query in queries])

    def _within(self, queries: Vectors, reach: float) -> Hits:
        return self._hits([self._near(query, EF, reach) for query in queries])

    def _near(self, query: Vectors, k: int, reach: float | None = None) -> list[Any]:
        asked = {"query": query, "k": k, "reach": reach}
        if not self.is_exact and k <= EF:
            text, setting = NEAREST_BY_INDEX if reach is None else WITHIN_BY_INDEX, f"SET LOCAL hnsw.ef_search = {EF}"
            rows = self._fetch(text, setting, **asked)
            if reach is None or len(rows) < EF:
                return rows
        return self._fetch(NEAREST if reach is None else WITHIN, EVERYWHERE, **asked)

    def _hits(self, found: list[list[Any]]) -> Hits:
        rows = np.repeat(np.arange(len(found)), [len(some) for some in found])
        flat = [row for some in found for row in some]
        vectors = np.array([vector.to_numpy() for _, vector in flat], np.float32).reshape(-1, self.dim)
        return rows, _ids(flat), vectors

    def _fetch(self, text: str, setting: str | None = None, **values: Any) -> list[Any]:
        with self._transaction() as connection:
            if setting is not None:
                connection.execute(setting)
            return list(connection.execute(self._sql(text), values, binary=True).fetchall())

    def _sql(self, text: str, **parts: Any) -> Any:
        sql = self._psycopg.sql
        names = {"table": sql.Identifier(self.place.name), "index": sql.Identifier(f"{self.place.name}_hnsw")}
        return sql.SQL(text).format(**names, **parts)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._lock:
            try:
                with self._connected().transaction():
                    yield self._connection
            except self._psycopg.errors.UniqueViolation as error:
                raise InputError(f"{self.place}: {error.diag.message_detail or error}: remove it first") from None
            except self._psycopg.Error as error:
                raise StoreError(f"PostgreSQL at {self.place}: {' '.join(str(error).split())}") from None

    def _connected(self) -> Any:
        # a connection that broke is made anew, by the call after the one that failed
        if self._connection is None or self._connection.closed:
            connection = self._psycopg.connect(self.place.address, autocommit=True, connect_timeout=CONNECT_SECONDS)
            try:
                connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
                self._register(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _import_psycopg() -> tuple[Any, Any]:
    try:
        import psycopg
        from pgvector.psycopg import register_vector
    except ImportError:
        raise MissingPackageError("psycopg is not installed: pip install 'twinpix[pgvector]'") from None
    return psycopg, register_vector


def _check(comment: str, place: Place, dim: int, fingerprint: str) -> None:
    try:
        about = json.loads(comment)
        held, known = about["fingerprint"], about["dim"]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{place}: the table {place.name} is not twinpix's: choose another ?name=") from None
    if held != fingerprint:
        raise FingerprintError(f"{place} holds vectors of encoder {held}, not {fingerprint}: choose another ?name=")
    if known != dim:
        raise InputError(f"{place} holds vectors of {known} values, not {dim}: choose another ?name=")


def _ids(rows: list[Any]) -> Ids:
    return np.array([row[0] for row in rows], np.int64)
