"""Report -> plan: what stays is chosen by the keep rules, and only what is surely the same picture goes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.encoder.find import is_passing
from twinpix.pipeline.act.keep import DEFAULT, Ranked, parse_keep
from twinpix.pipeline.act.links import links_below
from twinpix.pipeline.act.partners import is_raw, partners_of, shot
from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.act.state import State, Unusable, state_at
from twinpix.pipeline.act.sure import Seen, Sureness
from twinpix.pipeline.act.told import Told
from twinpix.pipeline.decisions import read_decisions
from twinpix.pipeline.report import Group, Match, Report
from twinpix.pipeline.threads import cores

Roots = Sequence[str | os.PathLike[str]]
NOBODY = State(0, 0, 0, 0, 0, 0, "")


@dataclass(frozen=True)
class Candidate:
    """A file of a group, read.

    Attributes:
        rank: by the keep rules.
        seen: what it is now, and what a second look sees of it.
        partners: what goes with it.
        is_reference: lies in a reference folder.
        trouble: why it can neither go nor stand in for another; empty if it can.
        link: a symbolic link that leads to it, and would lead nowhere.
        is_unpacked: was taken out of an archive: it does neither, and a person may still call it different.
    """

    path: Path
    rank: Ranked
    seen: Seen
    partners: tuple[Partner, ...]
    is_reference: bool
    trouble: str
    link: Path | None = None
    is_unpacked: bool = False


@dataclass(frozen=True)
class Chosen:
    """What becomes of a candidate, and what stays instead; `doubt` leaves it to a person."""

    candidate: Candidate
    goes: bool
    why: str
    doubt: bool = False
    instead: Path | None = None


def make_plan(
    report: Report,
    keep: str = DEFAULT,
    references: Roots = (),
    *,
    roots: Roots = (),
    since_ns: int | None = None,
    unpacked: Path | None = None,
    links: Mapping[Path, Path] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Propose for each group of a report what stays and what goes. Nothing is touched.

    A file goes only if another that stays has the same bytes, or shows the same picture for sure: a second look
    confirms it, and neither is cropped or recoloured. All else stays, with the doubt in words, for a person to decide.

    Args:
        report: of `find_duplicates`, over the roots and the references.
        keep: rules, the first that can tell two files apart decides: resolution, format, size, oldest, newest, path.
        references: folders whose files never go, and are kept rather than others.
        roots: the folders that were searched; the quarantine is put outside them.
        since_ns: when the search began, ns since 1970: what changed later is left alone.
        unpacked: absolute, a folder with pictures that were taken out of archives since then: they have not changed.
        links: files that a symbolic link leads to, each with that link; None: they are looked for below the roots.
        workers: threads; all cores by default.
        progress: called with the number of groups done, and of all.

    Raises:
        InputError: an unknown rule, a folder that is not there, or one that lies in a reference folder, or the user's
            decisions can't be read.
    """
    rules, (searched, kept_whole), decisions = parse_keep(keep), check_folders(roots, references), read_decisions()
    linked = links_below([*searched, *kept_whole]) if links is None else links
    matches = defaultdict[Path | str, list[Match]](list)
    for match in report.matches:
        matches[match.query].append(match)

    def plan_group(group: Group) -> PlannedGroup:
        candidates = [
            replace(_read(path, rules, (), None), is_unpacked=True)
            if unpacked and path.is_relative_to(unpacked)
            else replace(_read(path, rules, kept_whole, since_ns), link=linked.get(path))
            for path in group.files
        ]
        among = [match for path in group.files for match in matches.get(path, ())]
        return _planned(group, _choose(candidates, among, Told(group, among, decisions)))

    groups = _in_parallel(plan_group, report.groups, workers, progress)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return Plan(groups, searched, kept_whole, rules, made)


def _in_parallel(
    plan_group: Callable[[Group], PlannedGroup],
    groups: Sequence[Group],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[PlannedGroup, ...]:
    from twinpix.pipeline.second_look.look_again import one_thread_each

    planned: list[PlannedGroup] = []
    if not groups:
        return ()
    with one_thread_each(), ThreadPoolExecutor(workers or cores(), "twinpix") as pool:
        for group in pool.map(plan_group, groups):
            planned.append(group)
            if progress is not None:
                progress(len(planned), len(groups))
    return tuple(planned)


def check_folders(roots: Roots, references: Roots) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Both, absolute and without symbolic links.

    Raises:
        InputError: one is not there, or what was searched lies in a reference folder or a trash, where nothing may go.
    """
    searched, references_too = _folders(roots), _folders(references)
    for root in searched:
        if is_passing(root):
            said = "lies in a quarantine, trash, snapshot or cache, or in twinpix's data folder"
            raise InputError(f"{root}: {said}, in which nothing is touched")
        if any(root.is_relative_to(reference) for reference in references_too):
            raise InputError(f"{root}: lies in a reference folder, in which nothing is touched")
    return searched, references_too


def _folders(roots: Roots) -> tuple[Path, ...]:
    folders = tuple(Path(os.path.realpath(root)) for root in roots)
    for given, folder in zip(roots, folders, strict=True):
        if not folder.exists():
            raise InputError(f"{os.fspath(given)}: no such folder")
    return folders


def _read(path: Path, rules: Sequence[str], references: Sequence[Path], since_ns: int | None) -> Candidate:
    trouble, state = "", NOBODY
    partners: tuple[Partner, ...] = ()
    try:
        state = state_at(path)
        partners = tuple(_partner(other) for other in partners_of(path))
        if since_ns is not None and state.ctime_ns > since_ns:
            trouble = "changed since it was searched"
    except Unusable as error:
        trouble = str(error)
    is_reference = any(path.is_relative_to(folder) for folder in references)
    return Candidate(path, Ranked(path, rules), Seen(path, state), partners, is_reference, trouble)


def _partner(path: Path) -> Partner:
    try:
        state = state_at(path)
    except Unusable as error:
        raise Unusable(error.reason, f"its partner {path.name}: {error}") from None
    return Partner(path, state.size, state.mtime_ns, state.content)


def _choose(candidates: Sequence[Candidate], among: Iterable[Match], told: Told) -> list[Chosen]:
    sound = _ordered([c for c in candidates if not (c.trouble or c.is_unpacked)])
    sureness = Sureness([c.seen for c in sound], among, told)
    chosen: list[Chosen] = []
    staying: list[Candidate] = []
    for unit in _units(sound):
        some = _choose_unit(unit, staying, sureness)
        chosen += some
        staying += [one.candidate for one in some if not one.goes]
    chosen += [Chosen(c, False, "stays: in an archive") for c in candidates if c.is_unpacked and not c.trouble]
    return chosen + [Chosen(c, False, f"stays: {c.trouble}", doubt=True) for c in candidates if c.trouble]


def _ordered(loose: Sequence[Candidate]) -> list[Candidate]:
    # the best first; of those with the same bytes first what has tags, which the others have lost
    best = dict[str, tuple[object, ...]]()
    for c in sorted(loose, key=lambda c: c.rank.order):
        best.setdefault(c.seen.state.content, c.rank.order)
    return sorted(
        loose,
        key=lambda c: (
            not c.is_reference,
            best[c.seen.state.content],
            c.rank.is_fleeting,
            -len(c.seen.labels),
            c.rank.order,
        ),
    )


def _units(ordered: Sequence[Candidate]) -> list[list[Candidate]]:
    """RAW and JPEG of one shot go or stay together; all others alone."""
    with_raw = {shot(c.path) for c in ordered if is_raw(c.path)}
    units: dict[object, list[Candidate]] = {}
    for c in ordered:
        units.setdefault(shot(c.path) if shot(c.path) in with_raw else c.path, []).append(c)
    return list(units.values())


def _choose_unit(unit: Sequence[Candidate], staying: Sequence[Candidate], sureness: Sureness) -> list[Chosen]:
    if any(c.is_reference for c in unit):
        return [Chosen(c, False, "stays: in a reference folder") for c in unit]
    if not staying:
        return [Chosen(c, False, "stays: the best by the keep rules") for c in unit]
    chosen = [_choose_one(c, staying, sureness) for c in unit]
    if all(one.goes for one in chosen) or not any(one.goes for one in chosen):
        return chosen
    return [
        Chosen(one.candidate, False, "stays: with the other file of its shot", doubt=True) if one.goes else one
        for one in chosen
    ]


def _choose_one(c: Candidate, staying: Sequence[Candidate], sureness: Sureness) -> Chosen:
    twin = next((s for s in staying if s.seen.state.identity == c.seen.state.identity), None)
    if twin is not None:
        return Chosen(c, False, f"stays: the same file as {twin.path} by another name; removing it would free nothing")
    doubt = ""
    for s in staying:
        verdict = sureness.of(c.seen, s.seen)
        if verdict.sure:
            return _without_loss(c, s, staying, verdict.words)
        doubt = doubt or verdict.words
    return Chosen(c, False, f"stays: not sure: {doubt}", doubt=True)


def _without_loss(c: Candidate, stays: Candidate, staying: Sequence[Candidate], words: str) -> Chosen:
    if c.link is not None:
        return Chosen(c, False, f"stays: the symbolic link {c.link} leads to it", doubt=True)
    held = {partner.content for s in staying for partner in s.partners}
    alone = next((partner for partner in c.partners if partner.content not in held), None)
    if alone is not None:
        why = f"stays: its partner {alone.path.name} has no copy beside what stays"
        return Chosen(c, False, why, doubt=True)
    preferred = "in a reference folder" if stays.is_reference else _preferred(stays, c)
    return Chosen(c, True, f"goes: {words}; {stays.path} is kept ({preferred})", instead=stays.path)


def _preferred(stays: Candidate, c: Candidate) -> str:
    if len(stays.seen.labels) > len(c.seen.labels) and stays.seen.state.content == c.seen.state.content:
        return "it has tags, a comment or a rating"
    return stays.rank.against(c.rank)


def _planned(group: Group, chosen: Sequence[Chosen]) -> PlannedGroup:
    doubts = [one for one in chosen if one.doubt]
    files = sorted(chosen, key=lambda one: one.goes)
    return PlannedGroup(
        tuple(_file(one) for one in files), not doubts, _because(group, chosen, doubts), group.max_l2_distance
    )


def _because(group: Group, chosen: Sequence[Chosen], doubts: Sequence[Chosen]) -> str:
    contents = {one.candidate.seen.state.content for one in chosen}
    alike = "the same bytes" if len(contents) == 1 else f"L2 distance up to {group.max_l2_distance:.3f}"
    if not doubts:
        return alike
    return f"{alike}; look at it: {_count(doubts)} may differ in more than its file"


def _count(doubts: Iterable[Chosen]) -> str:
    names = [one.candidate.path.name for one in doubts]
    return names[0] if len(names) == 1 else f"{len(names)} files"


def _file(one: Chosen) -> PlannedFile:
    c, state = one.candidate, one.candidate.seen.state
    return PlannedFile(c.path, one.goes, one.why, state.size, state.mtime_ns, "" if c.trouble else state.content,
                       c.partners, one.instead)  # fmt: skip
