"""What people and programs see of the classic metrics: every value on the metric's own, named scale."""

from __future__ import annotations

import json
from collections.abc import Sequence

from twinpix.pipeline.classic.compare import Comparison, LeftOut
from twinpix.pipeline.classic.scan import MetricReport
from twinpix.pipeline.decisions import decisions_path, read_decisions
from twinpix.pipeline.show import damage_line, left_out, message, safe, skipped_lines, working_folder


def comparison(said: Comparison, as_json: bool) -> None:
    """The outcome of `twinpix compare --metric NAME`."""
    if as_json:
        print(json.dumps({"schema": 1, **_comparison_dict(said)}))
        return
    print(f"{_verdict(said)}: {said.metric} {said.value:{said.form}}, threshold {said.threshold:{said.form}} "
          f"({said.scale})")  # fmt: skip


def comparisons(said: Sequence[Comparison], missing: Sequence[LeftOut], as_json: bool) -> None:
    """The outcome of `twinpix compare --metric all`."""
    if as_json:
        reasons = [{"metric": entry.metric, "reason": entry.reason} for entry in missing]
        print(json.dumps({"schema": 1, "metrics": [_comparison_dict(row) for row in said], "left_out": reasons}))
        return
    wide = max(len(row.metric) for row in said)
    print(f"{'metric':{wide}}  {'value':>8}  {'threshold':>9}  {'verdict':15}  scale")
    for row in said:
        value, threshold = f"{row.value:{row.form}}", f"{row.threshold:{row.form}}"
        print(f"{row.metric:{wide}}  {value:>8}  {threshold:>9}  {_verdict(row):15}  {row.scale}")
    for entry in missing:
        message(f"left out: {entry.metric}: {entry.reason}")


def _comparison_dict(said: Comparison) -> dict[str, object]:
    return {
        "metric": said.metric,
        "scale": said.scale,
        "value": said.value,
        "threshold": said.threshold,
        "duplicate": said.is_duplicate,
    }


def _verdict(said: Comparison) -> str:
    return "duplicate" if said.is_duplicate else "not a duplicate"


def report(outcome: MetricReport, as_json: bool) -> None:
    """The outcome of `find-duplicates --metric NAME`."""
    if as_json:
        print(json.dumps(report_dict(outcome)))
        return
    base = working_folder()
    for number, group in enumerate(outcome.groups, 1):
        print(f"Group {number}: {len(group.files)} files, {outcome.metric} up to {group.farthest:{outcome.form}}")
        for path in group.files:
            print(f"  {safe(path.relative_to(base) if path.is_relative_to(base) else path)}")
        print()
    skipped_lines(outcome.skipped)
    damage_line(decisions_path(), read_decisions().damaged)
    print(_summary(outcome))
    print(f"{outcome.metric}: threshold {outcome.threshold:{outcome.form}} ({outcome.scale}); no second look, "
          f"and no estimate of false pairs")  # fmt: skip


def report_dict(outcome: MetricReport) -> dict[str, object]:
    """Schema 1, with the metric's values in place of L2 distances."""
    return {
        "schema": 1,
        "metric": outcome.metric,
        "scale": outcome.scale,
        "threshold": outcome.threshold,
        "fingerprint": outcome.fingerprint,
        "images": outcome.images,
        "dismissed": outcome.dismissed,
        "matches": [{"query": str(m.query), "reference": str(m.reference), "value": m.value} for m in outcome.matches],
        "groups": [{"files": [str(f) for f in g.files], "farthest_value": g.farthest} for g in outcome.groups],
        "skipped": [{"path": str(s.path), "reason": s.reason, "message": s.message} for s in outcome.skipped],
    }


def _summary(outcome: MetricReport) -> str:
    groups, spare = len(outcome.groups), sum(len(group.files) - 1 for group in outcome.groups)
    found = f"{groups} group{'s' * (groups != 1)}, {spare} duplicate{'s' * (spare != 1)}" if groups else "no duplicates"
    return f"{outcome.images} images, {found}, {len(outcome.skipped)} files skipped{left_out(outcome.dismissed)}"
