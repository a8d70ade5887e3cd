"""`twinpix bench`: the shipped encoder beside the hashes people use, on any folder."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.bench import measure
from twinpix.pipeline.bench.edits import CARD, OTHER, UNSEEN_FAMILIES
from twinpix.pipeline.show import message
from twinpix.pipeline.stream import encode_images

EDITS = (*CARD, *OTHER)

Row = tuple[str, list[str]]


def bench(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Photos that the encoder was not trained on.")],
    groups: Annotated[Path | None, typer.Option(help="A JSON file of known groups: same, view.")] = None,
    model: Annotated[Path | None, typer.Option(help="A .onnx encoder.", show_default="the shipped one")] = None,
    rate: Annotated[float, typer.Option(help="False-match rate for the edits.")] = 1e-5,
    limit: Annotated[int, typer.Option(help="Most pictures to edit.")] = 1500,
    json: Annotated[Path | None, typer.Option(help="Also write the numbers to this file.")] = None,
) -> int:
    """Measure the encoder, pHash and PDQ: known groups (with --groups), else edits made of the pictures.

    Without --groups DIR should hold different pictures; its near twins are left out.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    known = None if groups is None else _read_groups(groups)
    names, pictures = measure.load_folder(folder, None if groups else limit)
    message(f"{len(pictures)} pictures; the peers see them with the longer side at 512 px")
    encoder = load_encoder(model)
    methods = [measure.encoder_method(encoder, len(pictures)), *_peers()]
    name = f"twinpix {encoder.fingerprint[:6]}"
    if known is not None:
        embeddings = encode_images(folder, encoder=encoder)
        called = {name: measure.called_by_twinpix(encoder, folder, embeddings)}
        called[methods[0].name] = measure.called_by_twinpix(encoder, folder, embeddings, verify=False)
        called |= {m.name: measure.called_by_method(m, names, pictures) for m in methods[1:]}
        numbers = _show_groups({method: measure.score_groups(c, names, known) for method, c in called.items()})
    else:
        different = measure.without_twins(pictures)
        message(f"{len(pictures) - len(different)} near twins left out: they would count as false matches")
        recall = {m.name: measure.edit_recall(m, different, EDITS, rate) for m in methods}
        verified = measure.verified_recall(encoder, different, EDITS, rate)
        numbers = _show_edits({name: verified, **recall}, rate)
    if json is not None:
        json.write_text(jsonlib.dumps(numbers, indent=1) + "\n")
    return 0


def _peers() -> list[measure.Method]:
    methods = []
    optional: dict[str, Callable[[], measure.Method]] = {"bench": measure.phash_method, "pdq": measure.pdq_method}
    for extra, make in optional.items():
        try:
            methods.append(make())
        except ImportError as error:
            message(f"left out: {error.name} is not installed (pip install 'twinpix[{extra}]')")
    return methods


def _read_groups(path: Path) -> dict[str, Any]:
    try:
        groups = jsonlib.loads(path.read_text())
        return {"same": groups["same"], "view": groups["view"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of groups with `same` and `view` ({error})") from None


def _show_groups(scores: Mapping[str, measure.GroupScore]) -> dict[str, Any]:
    first = next(iter(scores.values()))
    rows: list[Row] = []
    for title, field in (("same", "found"), ("view", "wrong")):
        sources = sorted(getattr(first, field))
        rows += [(f"{title}: {s}", [_share(getattr(v, field)[s]) for v in scores.values()]) for s in sources]
        rows += [(f"{title}: all pairs", [_share(_total(getattr(v, field))) for v in scores.values()])]
    rows += [("unrelated pairs called", [_share(v.unrelated, digits=4) for v in scores.values()])]
    _print_table(list(scores), rows)
    return {name: {"same": s.found, "view": s.wrong, "unrelated": s.unrelated} for name, s in scores.items()}


def _total(counts: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(called for called, _ in counts.values()), sum(pairs for _, pairs in counts.values())


def _share(counts: tuple[int, int], digits: int = 1) -> str:
    called, pairs = counts
    return f"{called}/{pairs} {100 * called / max(1, pairs):.{digits}f} %"


def _show_edits(scores: Mapping[str, Mapping[str, float]], rate: float) -> dict[str, Any]:
    rows: list[Row] = []
    for part, edits in (("card", CARD), ("other", OTHER)):
        for edit in edits:
            mark = " (never trained on)" if edit.family in UNSEEN_FAMILIES else ""
            rows.append((edit.name + mark, [f"{100 * s[edit.name]:.1f} %" for s in scores.values()]))
        means = [sum(s[e.name] for e in edits) / len(edits) for s in scores.values()]
        rows.append((f"mean of {part} edits", [f"{100 * m:.1f} %" for m in means]))
    print(f"recall at false-match rate {rate:.0e}")
    _print_table(list(scores), rows)
    return {"false_match_rate": rate, "recall": scores}


def _print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    first = max(len(name) for name, _ in rows)
    widths = [max(len(c), *(len(cells[i]) for _, cells in rows)) for i, c in enumerate(columns)]
    for name, cells in [("", list(columns)), *rows]:
        print(f"{name:<{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
