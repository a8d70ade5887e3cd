"""A review as the page sees it: plain values, files by their opaque names, texts harmless to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twinpix.pipeline.act.plan import Plan, PlannedFile
from twinpix.pipeline.relation.words import sentence, short
from twinpix.pipeline.report import Group, Match
from twinpix.pipeline.review.facts import differing, facts_of
from twinpix.pipeline.review.pictures import Pictures
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.show import safe

SHOWN_FILES = 100  # of a group


def overview(review: Review) -> dict[str, Any]:
    """What stands above the groups."""
    report = review.report
    return {
        "roots": [folder_name(root) for root in review.roots],
        "references": [folder_name(root) for root in review.references],
        "images": report.images,
        "groups": len(report.groups),
        "duplicates": report.duplicates,
        "counts": {name: review.counts[name] for name in ("open", "decided", "different")},
        "going": review.all_going,
        "firstOpen": review.next_open(-1),
        "skipped": len(report.skipped),
        "dismissed": report.dismissed,
        "keep": review.keep,
        "canUndo": bool(review.log.steps),
        "threshold": {
            "value": report.threshold,
            "usual": review.default_threshold,
            "loosest": review.loosest_threshold,
            "unverified": report.unverified_threshold,
            "falsePairs": report.expected_false_pairs,
            "calibratedOn": safe(report.calibrated_on),
        },
    }


def folder_name(folder: Path) -> str:
    """For people: `~` stands for their home."""
    home = Path.home()
    return safe(f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) and folder != home else folder)


def rows(review: Review, pictures: Pictures, start: int, count: int) -> list[dict[str, Any]]:
    """Some of the groups, in brief."""
    return [
        {
            "id": pictures.name(group.files[0]),
            "name": _name(group.files[0]),
            "files": len(group.files),
            "distance": group.max_l2_distance,
            "status": review.status(group),
        }
        for group in review.groups[start : start + count]
    ]


def group_dict(review: Review, pictures: Pictures, group: Group) -> dict[str, Any]:
    """All that the page shows of a group. What stays comes first."""
    planned = review.planned(group)
    files = planned.files[:SHOWN_FILES]
    known = [facts_of(file.path) for file in files]
    return {
        "id": pictures.name(group.files[0]),
        "at": review.position[group.files[0]],
        "status": review.status(group),
        "sure": planned.sure,
        "because": safe(planned.because),
        "distance": group.max_l2_distance,
        "more": len(planned.files) - len(files),
        "moreGoing": sum(review.goes(file) for file in planned.files[SHOWN_FILES:]),
        "differs": differing(known),
        "files": [
            {**_file(review, pictures, file, group), **_facts(one)} for file, one in zip(files, known, strict=True)
        ],
        "pairs": [_pair(pictures, match) for match in review.matches_of(group)],
    }


def _file(review: Review, pictures: Pictures, file: PlannedFile, group: Group) -> dict[str, Any]:
    path = file.path
    return {
        "id": pictures.name(path),
        "name": _name(path),
        "folder": folder_name(path.parent),
        "goes": review.goes(file),
        "proposed": file.goes,
        "why": safe(_with_names(file.why, group)),
        "apart": review.is_apart(path),
        "reference": any(path.is_relative_to(folder) for folder in review.references),
        "partners": [_name(partner.path) for partner in file.partners],
        **_relation(review, file.path, group),
    }


def _relation(review: Review, path: Path, group: Group) -> dict[str, str]:
    relation, first = review.related(group).get(path), _name(group.files[0])
    if relation is None:
        return {"relation": "", "sentence": ""}
    return {"relation": short(relation, first), "sentence": sentence(relation, first, _name(path))}


def _with_names(why: str, group: Group) -> str:
    for path in sorted(group.files, key=lambda path: -len(str(path))):
        why = why.replace(str(path), path.name)
    return why


def _facts(one: Any) -> dict[str, Any]:
    return {
        "pixels": one.pixels,
        "bytes": one.bytes,
        "format": one.format,
        "date": one.date,
        "camera": one.camera and safe(one.camera),
    }


def _pair(pictures: Pictures, match: Match) -> dict[str, Any]:
    return {
        "of": pictures.name(Path(match.query)),
        "and": pictures.name(Path(match.reference)),
        "distance": match.l2_distance,
        "look": match.second_look,
    }


def _name(path: Path) -> str:
    return safe(path.name)


def plan_dict(review: Review, plan: Plan) -> dict[str, Any]:
    """What a confirmation says; to give `agreed` back is to agree."""
    going = [file for group in plan.groups for file in group.files if file.goes]
    return {
        "agreed": plan.digest,
        "files": len(going),
        "partners": sum(len(file.partners) for file in going),
        "alone": len({partner.path for group in plan.groups for partner in group.alone}),
        "groups": len(plan.groups),
        "bytes": sum(file.size for file in going),
        "open": review.counts["open"],
        "names": [safe(file.path) for file in going[:50]],
    }
