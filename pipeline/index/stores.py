"""Opening an index that is kept in a vector store: in Milvus, a file or a server, or in PostgreSQL with pgvector."""

from __future__ import annotations

from twinpix.pipeline.index.place import MILVUS, parse_place
from twinpix.pipeline.index.stored import StoredIndex


def open_index(url: str, dim: int, fingerprint: str) -> StoredIndex:
    """The index at a URL; made, if there is none of that name.

    Args:
        url: `FILE.db` or `http://[USER:PASSWORD@]HOST:19530` for Milvus, `postgresql://…` for pgvector (whatever libpq
            takes). `?name=NAME` (`twinpix`) tells one index from another in the same store; `index=exact` compares
            with every vector, `hnsw` is for millions of them, and misses some.
        dim: length of a vector.
        fingerprint: of the encoder.

    Raises:
        InputError: the URL can't be understood, or what is there is not what it asks for.
        FingerprintError: it holds another encoder's vectors.
        StoreError: the store can't be reached, or refuses.
        MissingPackageError: the extra `milvus` or `pgvector` is not installed.
    """
    place = parse_place(url)
    if place.store == MILVUS:
        from twinpix.pipeline.index.milvus import MilvusIndex

        return MilvusIndex(place, dim, fingerprint)
    from twinpix.pipeline.index.pgvector import PgVectorIndex

    return PgVectorIndex(place, dim, fingerprint)
