"""What the page may ask and do, by name: each takes plain values and gives plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from twinpix.encoder.contained import Decoders
from twinpix.encoder.door import decode_in
from twinpix.encoder.errors import InputError
from twinpix.pipeline.report import Group
from twinpix.pipeline.review.acting import carry_out, last_apply, take_back
from twinpix.pipeline.review.pictures import SIDES, Pictures
from twinpix.pipeline.review.placement import place
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.review.tell import group_dict, overview, plan_dict, rows
from twinpix.pipeline.review.work import Job, Work

MOST_ROWS = 200
Asked = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Answers the page.

    Attributes:
        answers: what can be asked; nothing changes by it.
        acts: what can be done.
    """

    def __init__(self, review: Review) -> None:
        self.review, self.work, self._decoders = review, Work(), Decoders()
        self.pictures = Pictures(review.files)
        self.answers: dict[str, Callable[[Asked], Any]] = {
            "overview": lambda asked: self._overview(),
            "groups": self._groups,
            "group": self._group,
            "next": self._next,
            "placement": self._placement,
            "plan": lambda asked: plan_dict(review, review.plan()),
            "work": lambda asked: self.work.state(),
        }
        self.acts: dict[str, Callable[[Asked], Any]] = {
            "choose": self._choose,
            "part": self._part,
            "undo": self._undo,
            "threshold": self._threshold,
            "sure": self._sure,
            "apply": self._apply,
            "restore": self._restore,
        }
        self._applied = self._last_apply()
        self._place = lru_cache(512)(place)

    def contained(self, call: Callable[P, T]) -> Callable[P, T]:
        """The same, with pictures decoded in processes of their own: a bad file can't end the server."""

        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            decode_in(self._decoders)
            return call(*args, **kwargs)

        return run

    def close(self) -> None:
        """End those processes."""
        self._decoders.close()

    def picture(self, name: str, size: str) -> bytes:
        """A JPEG.

        Raises:
            KeyError: there is no such picture, or no such size.
            ImageError: it can't be read.
        """
        if size not in SIDES:
            raise KeyError(size)
        return self.pictures.jpeg(self.pictures.path(name), size)

    def _overview(self) -> dict[str, Any]:
        return {**overview(self.review), "applied": self._applied}

    def _groups(self, asked: Asked) -> Any:
        start, count = int(asked["start"]), min(MOST_ROWS, int(asked["count"]))
        return {"groups": rows(self.review, self.pictures, max(0, start), max(0, count))}

    def _group(self, asked: Asked) -> Any:
        if "at" not in asked:
            return group_dict(self.review, self.pictures, self._named(asked))
        at = int(asked["at"])
        if not 0 <= at < len(self.review.groups):
            raise InputError("there is no such group")
        return group_dict(self.review, self.pictures, self.review.groups[at])

    def _named(self, asked: Asked) -> Group:
        return self.review.group(self.pictures.path(str(asked["id"])))

    def _next(self, asked: Asked) -> Any:
        return {"at": self.review.next_open(max(-1, int(asked["after"])))}

    def _placement(self, asked: Asked) -> Any:
        upper, lower = (self.pictures.path(str(asked[key])) for key in ("upper", "lower"))
        found = self._place(upper, lower)
        return {"matrix": found.matrix.tolist(), "found": found.found, "mirrored": found.mirrored}

    def _choose(self, asked: Asked) -> Any:
        group, going = self._named(asked), self._paths(asked["going"])
        if "shown" in asked:  # of a large group; what the person has not seen is as it was
            shown = set(self._paths(asked["shown"]))
            unseen = (file for file in self.review.planned(group).files if file.path not in shown)
            going += [file.path for file in unseen if self.review.goes(file)]
        self.review.choose(group, going)
        return self._changed(group)

    def _paths(self, names: Any) -> list[Path]:
        return [self.pictures.path(str(name)) for name in names]

    def _part(self, asked: Asked) -> Any:
        group, one = self._named(asked), asked.get("file")
        self.review.part(group, None if one is None else self.pictures.path(str(one)))
        return self._changed(group)

    def _undo(self, asked: Asked) -> Any:
        touched = self.review.undo()
        group = None if touched is None else self.review.group_with(touched)
        return self._changed(group) if group else {"overview": self._overview()}

    def _threshold(self, asked: Asked) -> Any:
        value = asked["value"]
        self.review.set_threshold(None if value is None else float(value))
        return {"overview": self._overview()}

    def _changed(self, group: Group) -> Any:
        return {"overview": self._overview(), "group": group_dict(self.review, self.pictures, group)}

    def _sure(self, asked: Asked) -> Any:
        def accept(progress: Callable[[int, int], None]) -> Any:
            return {"groups": self.review.choose_sure(progress)}

        self.work.start("sure", self.contained(accept))
        return self.work.state()

    def _apply(self, asked: Asked) -> Any:
        agreed = str(asked["agreed"])
        return self._move("apply", lambda progress: carry_out(self.review, agreed, progress))

    def _restore(self, asked: Asked) -> Any:
        return self._move("restore", lambda progress: take_back(self.review, progress))

    def _last_apply(self) -> int:
        # how many files it moved; 0: there is none
        journal = last_apply(self.review)
        return 0 if journal is None else len(journal.entries)

    def _move(self, name: str, job: Job) -> Any:
        def moved(progress: Callable[[int, int], None]) -> Any:
            try:
                return job(progress)
            finally:
                self._applied = self._last_apply()

        self.work.start(name, self.contained(moved))
        return self.work.state()
