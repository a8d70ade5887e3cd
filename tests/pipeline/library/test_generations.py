"""Models: never mixed; a new one is seen once it has everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twinpix.encoder.errors import FingerprintError, InputError
from twinpix.pipeline.library import generations, taken
from twinpix.pipeline.library.errors import LibraryError
from twinpix.pipeline.library.generations import State
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.stream import encode_images

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


def test_a_model_that_was_taken_stays_whatever_is_scanned(shelf: Shelf, photos: Path, tmp_path: Path, tiny: Any,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(generations, "SHIPPED", ("shipped",))
    (tmp_path / "none").mkdir()
    for name in ("shipped", "own"):
        shelf(fingerprint=name).add(photos)
    for folder in (tmp_path / "none", photos):
        encode_images(folder, encoder=tiny("shipped"), library=Library(shelf().path))
    assert states(shelf()) == {"shipped": (State.PAST, 12, 0), "own": (State.CURRENT, 12, 0)}


@pytest.mark.parametrize("by", ["scan", "add"])
def test_the_shipped_model_takes_the_place_of_an_earlier_one(
    shelf: Shelf, photos: Path, tiny: Any, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(fingerprint="earlier").add(photos)
    monkeypatch.setattr(generations, "SHIPPED", ("earlier", "shipped"))
    for folder, seen in ((photos / "new", "earlier"), (photos, "shipped")):
        if by == "scan":
            encode_images(folder, encoder=tiny("shipped"), library=Library(shelf().path))
        else:
            shelf(fingerprint="shipped").add(folder)
        assert seen_by_default(shelf()) == (seen, 13)


def test_a_model_tried_out_first_is_not_the_current_one(shelf: Shelf, photos: Path) -> None:
    tried = shelf(fingerprint="tried")
    encode_images(photos, library=tried)
    assert states(tried) == {"tried": (State.BEING_ENCODED, 12, 0)}
    assert len(tried.embeddings().paths) == 13
    with pytest.raises(LibraryError, match=r"only of models that were tried out \(tried\)"):
        Library(tried.path).embeddings()
    shelf(fingerprint="own").add(photos / "old")
    assert seen_by_default(tried) == ("own", 7)
    assert tried.forget_model("tried") == 12
    assert states(tried) == {"own": (State.CURRENT, 6, 0)} and tried.check() == ()


def test_only_a_model_that_is_not_current_can_be_forgotten(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    for name, said in (("tiny", "current one"), ("other", "nothing of model other, but of tiny")):
        with pytest.raises(InputError, match=said):
            library.forget_model(name)
    assert seen_by_default(library) == ("tiny", 13)


def test_what_a_model_gives_no_numbers_for_does_not_hold_it_up(shelf: Shelf, photos: Path, fine_clock: None) -> None:
    shelf(fingerprint="old").add(photos)
    new, odd = shelf(fingerprint="new"), photos / "old" / "02.png"
    new.encoder.numberless = new.encoder.prepare(odd)  # type: ignore[attr-defined]
    assert ("no_embedding", odd) in [(s.reason, s.path) for s in new.add(photos / "old").skipped]
    new.add(photos)
    assert states(new) == {"old": (State.PAST, 12, 0), "new": (State.CURRENT, 11, 0)}
    assert ("no_embedding", odd) in [(s.reason, s.path) for s in new.embeddings().skipped]
    assert odd in shelf(fingerprint="old").embeddings().paths, "of the other model it is sound"
    seen = new.encoder.encoded  # type: ignore[attr-defined]
    new.compact()
    assert ("no_embedding", odd) in [(s.reason, s.path) for s in new.add(photos).skipped]
    assert new.encoder.encoded == seen, "once is enough"  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["forget-missing", "remove"])
def test_forgetting_what_a_new_model_lacks_finishes_it(shelf: Shelf, photos: Path, how: str) -> None:
    shelf(fingerprint="old").add(photos)
    (photos / "new" / "07.png").unlink()
    new = shelf(fingerprint="new")
    new.add(photos)
    encode_images(photos, library=shelf(fingerprint="tried"))
    assert seen_by_default(new) == ("old", 13)
    forgetful = Library(new.path)
    if how == "remove":
        assert forgetful.remove(photos / "new" / "07.png") == 1
    else:
        assert len(forgetful.forget_missing().paths) == 1
    assert seen_by_default(new) == ("new", 12)


def test_readers_without_a_model_of_their_own_load_the_current_one(
    shelf: Shelf, photos: Path, tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {str(tmp_path / "own.onnx"): tiny("own")}
    monkeypatch.setattr(taken, "load_encoder", files.__getitem__)
    shelf(fingerprint="old").add(photos)
    (own,) = files.values()
    own.path = tmp_path / "own.onnx"
    Library(shelf().path, own).add(photos)
    library = Library(shelf().path)
    library.compact()
    assert library.search(photos / "old" / "03.png", 1).fingerprint == "own"
    assert library.duplicates(threshold=0.01, verify=False).fingerprint == "own"
    assert library.add(photos).encoded == 0
    own.fingerprint = "another"
    with pytest.raises(FingerprintError, match=r"model is own, and .*own\.onnx is gone or another one: name that"):
        Library(shelf().path).search(photos / "old" / "03.png", 1)
