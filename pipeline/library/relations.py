"""Relations that need not be found again: what a library's file of them says of the members of groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

from twinpix.pipeline.library.kept import Kept
from twinpix.pipeline.library.kept_file import KeptFile, record_of
from twinpix.pipeline.library.looks_file import LOOKS_FILE, looked_by
from twinpix.pipeline.library.place import RELATIONS
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.remembered import RELATIONS_VERSION, PathPair, Way

MOST = 467  # bytes of JSON; a relation of many boxes, which takes more, is found again each time


@cache
def related_by() -> bytes:
    """What decides a relation beside the pictures: the code that looks and relates, and what decodes for it."""
    return blake2b(b"relations %d, " % RELATIONS_VERSION + looked_by(), digest_size=8).digest()


# which way round the pair was looked at, and JSON: 512 bytes
RELATIONS_FILE = KeptFile(
    RELATIONS, b"twinpix: relations of pictures", record_of(("way", "u1"), ("said", f"S{MOST}")), related_by
)


class KeptRelations(Kept):
    """Relations of some files that were found before, and where new ones go."""

    file, what = RELATIONS_FILE, "relations"

    def __init__(self, folder: Path, paths: Sequence[Path], say: Callable[[str], None]) -> None:
        super().__init__(folder, paths, say)
        self._rows = {path: row for row, path in enumerate(paths)}
        columns = (self.records[name].tolist() for name in ("query", "reference", "way", "said"))
        self._said = {(query, reference, way): said for query, reference, way, said in zip(*columns, strict=True)}

    def known(self, pair: PathPair, way: Way) -> Relation | None:
        """As `RememberedRelations.known`."""
        query, reference = (self.contents[self._rows[path]] for path in pair)
        said = self._said.get((query, reference, int(way))) if query and reference else None
        return None if said is None else Relation.from_json(said)

    def keep(self, pair: PathPair, way: Way, relation: Relation) -> None:
        """As `RememberedRelations.keep`; after a few seconds it is on the disk."""
        said = relation.to_json().encode()
        if len(said) <= MOST:
            query, reference = (np.array([self._rows[path]]) for path in pair)
            self.add(query, reference, way=np.array([way], np.uint8), said=np.array([said], f"S{MOST}"))


KEPT_FILES = (LOOKS_FILE, RELATIONS_FILE)  # beside the library; nothing depends on them
