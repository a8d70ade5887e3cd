"""Models: never mixed; a new one is seen once it has everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinpix.encoder.errors import FingerprintError
from twinpix.pipeline.library.generations import State
from twinpix.pipeline.library.library import Library

Shelf = Callable[..., Library]


def seen_by_default(library: Library) -> tuple[str, int]:
    found = Library(library.path).embeddings()
    return found.fingerprint, len(found.paths)


def states(library: Library) -> dict[str, tuple[State, int, int]]:
    return {m.fingerprint: (m.state, m.pictures, m.missing) for m in library.status().models}


def test_a_new_model_is_seen_when_it_has_everything(shelf: Shelf, photos: Path) -> None:
    old, new = shelf(fingerprint="old"), shelf(fingerprint="new")
    old.add(photos)
    assert new.add(photos / "new").encoded == 6
    assert seen_by_default(old) == ("old", 13)
    assert states(old) == {"old": (State.CURRENT, 12, 0), "new": (State.BEING_ENCODED, 6, 6)}
    partly = new.embeddings()
    assert (len(partly.paths), {s.reason for s in partly.skipped}) == (6, {"not_encoded", "corrupt"})
    assert new.add(photos).encoded == 6
    assert seen_by_default(old) == ("new", 13)
    assert states(old) == {"old": (State.PAST, 12, 0), "new": (State.CURRENT, 12, 0)}


def test_an_interrupted_new_model_changes_nothing_for_readers(shelf: Shelf, photos: Path) -> None:
    old, new = shelf(fingerprint="old"), shelf(fingerprint="new")
    old.add(photos)

    def interrupt() -> None:
        raise KeyboardInterrupt

    new.encoder.hook = interrupt  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        new.add(photos)
    assert seen_by_default(old) == ("old", 13)


def test_a_past_model_goes_when_compacted_and_an_unfinished_one_stays(shelf: Shelf, photos: Path) -> None:
    for name in ("old", "new"):
        shelf(fingerprint=name).add(photos)
    shelf(fingerprint="next").add(photos / "old")
    library = shelf(fingerprint="new")
    library.compact()
    assert {name: state for name, (state, _, _) in states(library).items()} == {
        "new": State.CURRENT,
        "next": State.BEING_ENCODED,
    }
    assert len(library.embeddings().paths) == 13
    assert library.check() == ()
    with pytest.raises(FingerprintError, match="holds nothing of encoder old, but of new, next"):
        shelf(fingerprint="old").embeddings()
