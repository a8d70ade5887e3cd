"""`twinpix calibrate`: what a distance means on your own pictures."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show

if TYPE_CHECKING:
    from twinpix.encoder.calibration import Calibration
    from twinpix.encoder.protocol import Encoder
    from twinpix.pipeline.calibration.promise import Promise
    from twinpix.pipeline.calibration.study import Study
    from twinpix.pipeline.decisions import Decisions

LIBRARIES = (1_000, 10_000, 100_000, 1_000_000)


def calibrate(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR...", help="Your pictures: at least 200 different ones.")
    ] = None,
    model: Annotated[Path | None, typer.Option("--model", help="A .onnx encoder.", show_default="shipped")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write an HTML page to look at.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=200, help="Use a random choice of so many files.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, but keep the calibration in force.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Measure on DIR whether the calibration in force keeps its promise.")
    ] = False,
    show_own: Annotated[bool, typer.Option("--show", help="Print the calibration in force.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Remove your own calibration: the model's counts.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    from_decisions: Annotated[
        bool,
        typer.Option(
            "--from-decisions",
            help="Count what you decided in `twinpix review`; without DIR on the library's pictures.",
        ),
    ] = False,
) -> int:
    """Measure what a distance means on your own pictures, without labels, and use that from then on.

    Pictures that are there twice are found and left out first. The outcome is kept in your data folder, and every
    command uses it in place of the calibration inside the model. Look at the page: its closest pairs should be
    different pictures.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder

    encoder = load_encoder(model)
    wanted = [name for name, on in (("--check", check), ("--show", show_own), ("--forget", forget)) if on]
    if len(wanted) > 1:
        raise InputError(f"{' and '.join(wanted)}: one at a time")
    if wanted and from_decisions:
        raise InputError(f"{wanted[0]}: --from-decisions has nothing to do with it")
    if wanted and (dry_run or output is not None):
        raise InputError(f"{wanted[0]}: {'--dry-run' if dry_run else '--output'} has nothing to do with it")
    if folders and (show_own or forget):
        raise InputError(f"{wanted[0]} takes no DIR: it is about the calibration in force, whatever the pictures")
    if forget:
        return _forget(encoder, json)
    if show_own:
        return _show(encoder, json)
    decisions = _decisions() if from_decisions else None
    if not folders and from_decisions:
        folders = _library_pictures()
    if not folders:
        raise InputError("name at least one folder of pictures (or --show, --forget)")
    if check:
        return _check(folders, encoder, limit, json)
    return _calibrate(folders, encoder, output, limit, dry_run, json, decisions)


def _decisions() -> Decisions:
    from twinpix.pipeline.decisions import decisions_path, read_decisions

    decisions = read_decisions()
    show.damage_line(decisions_path(), decisions.damaged)
    if not decisions.verdicts:
        raise InputError("--from-decisions: nothing is decided yet: `twinpix review DIR` asks, and keeps what you say")
    return decisions


def _library_pictures() -> list[Path]:
    from twinpix.pipeline.library.library import Library

    with Library() as library:
        return [path for path in library.embeddings().paths if path.is_file()]


def _calibrate(
    folders: list[Path], encoder: Encoder, output: Path | None, limit: int, dry_run: bool, json: bool,
    decisions: Decisions | None,
) -> int:  # fmt: skip
    from twinpix.pipeline.calibration.calibrations import check_store, keep_calibration
    from twinpix.pipeline.calibration.gather import gather
    from twinpix.pipeline.calibration.page import check_page, write_page
    from twinpix.pipeline.calibration.study import study
    from twinpix.pipeline.progress import progress_meter

    if output is not None:
        check_page(output)
    if not dry_run:
        check_store(encoder)
    with progress_meter() as meter:
        gathered = gather(*folders, encoder=encoder, limit=limit, progress=meter, decisions=decisions)
    found = study(gathered, encoder)
    if output is not None:
        write_page(output, found, encoder.name)
        show.message(f"wrote {output}: look at the closest pairs")
    if json:
        print(jsonlib.dumps(study_dict(found, encoder)))
    else:
        _print_study(found)
    show.skipped_lines(found.skipped)
    if dry_run:
        show.message("not kept (--dry-run)")
    else:
        path = keep_calibration(encoder, found.calibration)
        show.message(f"in force from now on for this encoder: {path}; `twinpix calibrate --forget` removes it")
    return show.scan_exit_code(found.skipped)


def _forget(encoder: Encoder, json: bool) -> int:
    from twinpix.pipeline.calibration.calibrations import forget_calibration, own_path

    gone = forget_calibration(encoder)
    if json:
        print(jsonlib.dumps({"schema": 1, "removed": gone}))
    show.message("removed: the model's own counts again" if gone else f"there is none: {own_path(encoder.fingerprint)}")
    return 0


def _show(encoder: Encoder, json: bool) -> int:
    from twinpix.pipeline.calibration.calibrations import in_force

    found = in_force(encoder)
    if json:
        print(jsonlib.dumps({"schema": 1, "own": found.is_own, "calibration": found.calibration.to_dict()}))
        return 0
    print(f"calibrated on {show.safe(str(found))}")
    _print_thresholds(found.calibration)
    return 0


def _check(folders: list[Path], encoder: Encoder, limit: int, json: bool) -> int:
    from twinpix.pipeline.calibration.alikeness import alikeness
    from twinpix.pipeline.calibration.calibrations import in_force
    from twinpix.pipeline.calibration.gather import gather
    from twinpix.pipeline.calibration.promise import check_promise
    from twinpix.pipeline.progress import progress_meter

    found = in_force(encoder)
    with progress_meter() as meter:
        gathered = gather(*folders, encoder=encoder, limit=limit, progress=meter)
    measured = gathered.measure()
    alike = alikeness(gathered.vectors[measured.rows], found.calibration)
    rows = check_promise(found.calibration.raised(alike), measured)
    if json:
        values = [asdict(row) | {"measured": row.measured, "interval": row.interval} for row in rows]
        facts = {"schema": 1, "own": found.is_own, "pictures": len(measured.rows), "alikeness": alike}
        print(jsonlib.dumps({**facts, "rates": values}))
    else:
        print(f"calibrated on {show.safe(str(found))}")
        print(f"checked on {show.safe(gathered.source)}, {len(measured.rows)} different pictures, "
              f"{alike:.1f} times as alike: thresholds follow that")  # fmt: skip
        _print_promises(rows)
    show.skipped_lines(gathered.skipped)
    return show.scan_exit_code(gathered.skipped)


def _print_promises(rows: tuple[Promise, ...]) -> None:
    print(f"{'promised':>8}  {'measured':>8}  {'95 % interval':>18}  {'factor':>6}  false pairs")
    for row in rows:
        low, high = row.interval
        print(f"{row.promised:8.0e}  {row.measured:8.1e}  {low:8.1e}..{high:8.1e}  "
              f"{row.measured / row.promised:6.2g}  {row.seen} of {row.pairs}: {row.verdict}")  # fmt: skip


def study_dict(found: Study, encoder: Encoder) -> dict[str, Any]:
    """Schema 1."""
    pairs = {name: [_pair_dict(pair) for pair in getattr(found, name)] for name in ("closest", "excluded")}
    return {
        "schema": 1,
        "fingerprint": encoder.fingerprint,
        "images": found.images,
        "calibration": found.calibration.to_dict(),
        "classes": found.classes,
        "growth": {f"{share:g}": count for share, count in found.growth.items()},
        "recall": found.recall,
        "decided": dict(zip(("different", "same"), found.decided, strict=True)),
        **pairs,
        "skipped": [{"path": str(s.path), "reason": s.reason, "message": s.message} for s in found.skipped],
    }


def _pair_dict(pair: Any) -> dict[str, Any]:
    return asdict(pair) | {"first": str(pair.first), "second": str(pair.second)}


def _print_study(found: Study) -> None:
    curve = found.calibration
    print(f"{found.images} pictures, {len(found.excluded)} left out as copies, {curve.pictures} different ones: "
          + ", ".join(f"{n} {kind}" for kind, n in found.classes.items()))  # fmt: skip
    if any(found.decided):
        print("your decisions: {} pairs count as different, {} as one picture".format(*found.decided))
    if curve.second_look and curve.second_look.confirmed:
        look = curve.second_look
        print(f"a second look takes {look.confirmed} of the {look.pairs:,} nearest pairs of different pictures for one")
    _print_thresholds(curve)
    share = ", ".join(f"{count:.0f} in {part:.0%}" for part, count in found.growth.items())
    print(f"false pairs at a rate of 1e-3, by share of the files: {share} (as the square, if neighbours are no twins)")
    for one in curve.classes:
        print(f"{one.source}: {one.pictures} pictures, false-match rate {one.rate(curve.threshold(1e-4)):.1e} "
              f"where all together have 1e-4")  # fmt: skip
    small = [f"{n} {kind}" for kind, n in found.classes.items() if kind not in {one.source for one in curve.classes}]
    if small:
        print(f"no curve of their own, too few: {', '.join(small)}")
    if found.recall:
        mean = [sum(column) / len(column) for column in zip(*found.recall.values(), strict=True)]
        print("edited copies found without a second look, at rates of 1e-4, 1e-5, 1e-6: "
              + ", ".join(f"{share:.1%}" for share in mean))  # fmt: skip


def _print_thresholds(curve: Calibration) -> None:
    print(f"seen down to a rate of {curve.measured_from:.1e}, extrapolated to {curve.rates[0]:.1e}")
    for images in LIBRARIES:
        limit = curve.library_threshold(images)
        clamped = ", the strictest that the curve supports" if curve.is_clamped(images) else ""
        print(f"  {images:>9,} images: L2 {limit:.3f} unverified, {curve.candidate_threshold(images):.3f} with a "
              f"second look{clamped}")  # fmt: skip
