"""What an uploaded picture is to those that lie near it: the same verdict as of `is-duplicate`, pair by pair."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from twinpix.encoder.errors import ImageError
from twinpix.encoder.pairs import Parts
from twinpix.pipeline.decisions import Content, Decisions, Verdict, pair_of
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.relation.kinds import Kind, Relation
from twinpix.pipeline.relation.pairs import relation_of_looks
from twinpix.pipeline.second_look.delicate import Glance, glance_at, need_a_look
from twinpix.pipeline.second_look.look import Look, look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.parts import have_something_in_common, parts
from twinpix.pipeline.second_look.verify import Examination, examine
from twinpix.pipeline.service.collection import Near
from twinpix.pipeline.service.rows import StoredFile

GONE = "its file is gone, has changed, or can't be read: judged by the distance alone"
OUT_OF_TIME = "there was no time left to look at it: judged by the distance alone"
DISMISSED = "a person has called these two different"


@dataclass(frozen=True)
class Judged:
    """A near picture, and what the upload is to it.

    Attributes:
        near: the picture.
        is_duplicate: whether both are one picture, edited.
        outcome: of the second look; None where none was needed or wanted.
        relation: what the two are to one another, the upload as the query; None where nobody looked.
        note: what the verdict rests on, where that is less than usual.
    """

    near: Near
    is_duplicate: bool
    outcome: Outcome | None = None
    relation: Relation | None = None
    note: str = ""


class Upload:
    """An uploaded picture, looked at as closely as it takes, and only once.

    Attributes:
        data: of the file.
        content: hash of it, 16 bytes.
    """

    def __init__(self, data: bytes, content: bytes) -> None:
        self.data, self.content = data, content

    @cached_property
    def glance(self) -> Glance:
        """Whether even the nearest of its neighbours need a second look."""
        return glance_at(self.data)

    @cached_property
    def parts(self) -> Parts:
        """A coarse look."""
        return parts(self.data)

    @cached_property
    def look(self) -> Look:
        """A close look."""
        return look(self.data)


@dataclass(frozen=True)
class Judge:
    """Tells duplicates from other pictures.

    Attributes:
        limit: how near they must be.
        verify: whether near pictures get a second look.
        decisions: of people: what they have called different is no duplicate.
        deadline: by the monotonic clock; what has not been looked at by then is judged by its distance.
        parts: a coarse look at a file.
    """

    limit: Limits
    verify: bool
    decisions: Decisions
    deadline: float
    parts: Callable[[StoredFile], Parts]

    def judge(self, upload: Upload, near: Iterable[Near]) -> Iterator[Judged]:
        """Pictures within the threshold, in their order."""
        for one in near:
            yield self._dismissed(upload, self._one(upload, one))

    def _dismissed(self, upload: Upload, found: Judged) -> Judged:
        if not self.decisions.verdicts or found.near.content == upload.content:
            return found
        own = Content(upload.content.hex(), len(upload.data))
        pairs = [pair_of(own, Content(found.near.content.hex(), file.stamp.size)) for file in found.near.files]
        if not any(self.decisions.verdicts.get(pair) is Verdict.DIFFERENT for pair in pairs):
            return found
        return Judged(found.near, False, found.outcome, found.relation, DISMISSED)

    def _one(self, upload: Upload, near: Near) -> Judged:
        if near.content == upload.content:
            identical = Judged(near, True, None, Relation(Kind.IDENTICAL_FILE))
            return identical if near.readable else self._unseen(near, GONE)
        if not self.verify:
            return Judged(near, self.limit.accept(near.distance, None))
        file = near.readable
        if file is None:
            return self._unseen(near, GONE)
        if time.monotonic() > self.deadline:
            return self._unseen(near, OUT_OF_TIME)
        try:
            return self._seen(upload, near, file)
        except ImageError:
            return self._unseen(near, GONE)

    def _unseen(self, near: Near, note: str) -> Judged:
        outcome = None if near.distance <= self.limit.sure else Outcome.UNCLEAR
        return Judged(near, self.limit.accept(near.distance, outcome), None, None, note)

    def _seen(self, upload: Upload, near: Near, file: StoredFile) -> Judged:
        path, is_beyond = file.path, near.distance > self.limit.unverified
        if is_beyond and not have_something_in_common(upload.parts, self.parts(file), near.distance):
            return Judged(near, False, Outcome.REFUTED, Relation(Kind.DIFFERENT))
        looks = upload.look, look(path)
        if near.distance <= self.limit.sure and not need_a_look(upload.glance, glance_at(path)):
            seen, outcome = examine(*looks), None
        else:
            seen = examine(*looks, near.distance > self.limit.far)
            outcome = seen.outcome
        is_duplicate = self.limit.accept(near.distance, outcome)
        return Judged(near, is_duplicate, outcome, _relation(upload, path, looks, seen))


def _relation(upload: Upload, path: Path, looks: tuple[Look, Look], seen: Examination) -> Relation | None:
    try:
        return relation_of_looks(upload.data, path, looks, seen)
    except ImageError:
        return None
