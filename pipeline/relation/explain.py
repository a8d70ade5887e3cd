"""Why are these two called duplicates, or not? The relation in one sentence, how sure that is, and by what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.calibrations import in_force, is_calibrated
from twinpix.pipeline.classic.compare import Comparison, LeftOut, compare_by_all
from twinpix.pipeline.decisions import read_decisions
from twinpix.pipeline.duplicates import compare
from twinpix.pipeline.limits import SURE
from twinpix.pipeline.relation.kinds import Kind, Relation
from twinpix.pipeline.relation.pairs import examine_either_way, relation_of_looks
from twinpix.pipeline.relation.words import sentence
from twinpix.pipeline.report import Match
from twinpix.pipeline.second_look.delicate import have_same_bytes
from twinpix.pipeline.second_look.look import Look, look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import Examination, examine

OUTCOMES = {
    Outcome.CONFIRMED: "confirms that both are one picture",
    Outcome.LIKELY: "finds that the detail which is left agrees",
    Outcome.REFUTED: "finds other details, or details in other places",
    Outcome.UNCLEAR: "finds too little to compare",
    Outcome.ANIMATED: "finds that one has several frames or pages, and the other has not",
}
UNALIGNED = {
    Outcome.CONFIRMED: "neither has any detail, and their levels are the same",
    Outcome.LIKELY: "their thumbnails are the same down to the finest structure",
    Outcome.REFUTED: "however they are laid on one another, their details are not the same",
    Outcome.UNCLEAR: "their details can't be laid on one another, and are too few to tell them apart",
    Outcome.ANIMATED: "one has several frames or pages, and the other has not",
}
OTHER_WORDS = "but other words stand at one place of them"


@dataclass(frozen=True, eq=False)
class Explanation:
    """What there is to say of a pair.

    Attributes:
        match: the verdict, as of `compare`.
        relation: what the two are to one another.
        sentence: the same in words, names included; harmless to show.
        reasons: how sure the verdict is, and why: lines for people.
        false_match_rate: how often two different pictures lie as near as these, 0..1, by the calibration in force;
            None if there is none, or if they lie farther apart than it goes.
        metrics: what each classic metric says, on its own scale.
        left_out: the metrics that can't be used here, and why.
        examination: what the second look found. Unlike `match.second_look` it is always there.
        looks: what it looked at.
        sources: the two images, as they were given.
    """

    match: Match
    relation: Relation
    sentence: str
    reasons: tuple[str, ...]
    false_match_rate: float | None
    metrics: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    examination: Examination = field(repr=False)
    looks: tuple[Look, Look] = field(repr=False, compare=False)
    sources: tuple[ImageLike, ImageLike] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sentence": self.sentence,
            "relation": self.relation.to_dict(),
            "reasons": list(self.reasons),
            "false_match_rate": self.false_match_rate,
            "second_look": str(self.examination.outcome),
            "metrics": [
                {"metric": m.metric, "scale": m.scale, "value": m.value, "threshold": m.threshold,
                 "duplicate": m.is_duplicate}
                for m in self.metrics
            ],
            "left_out": [{"metric": entry.metric, "reason": entry.reason} for entry in self.left_out],
        }  # fmt: skip

    def save(self, target: str | os.PathLike[str]) -> None:
        """Write a picture of it, `.png` or `.html`: both images, the crop box, and the aligned difference.

        Raises:
            InputError: an unknown ending, or the file can't be written.
            ImageError: an image can't be read any more.
        """
        from twinpix.pipeline.relation.picture import write_picture

        write_picture(cast(Any, self), Path(target))


def explain(
    query: ImageLike,
    reference: ImageLike,
    threshold: float | None = None,
    encoder: Encoder | None = None,
    verify: bool | None = None,
    animated_with_stills: bool = False,
) -> Explanation:
    """What two images are to one another, and why they are called duplicates or not.

    Args:
        query, reference, threshold, encoder, verify, animated_with_stills: as of `compare`, whose verdict it is.

    Raises:
        ImageError: one of them can't be used.
        InputError: the threshold lies outside 0..2.
    """
    encoder = encoder or load_encoder()
    match = compare(query, reference, threshold, encoder, verify, animated_with_stills)
    looks = look(query), look(reference)
    seen = examine_either_way(query, reference, looks)
    if match.second_look not in (None, seen.outcome):  # one way round it is a copy, and the other way not
        seen = examine(*looks)
    if have_same_bytes(query, reference):
        relation = Relation(Kind.IDENTICAL_FILE)
    else:
        relation = relation_of_looks(query, reference, looks, seen)
    curve = in_force(encoder).calibration if is_calibrated(encoder) else None
    # farther apart than the curve goes nobody knows how many lie
    rate = curve.rate(match.l2_distance) if curve and match.l2_distance <= curve.distances[-1] else None
    said, left_out = compare_by_all(query, reference)
    return Explanation(
        match=match,
        relation=relation,
        sentence=sentence(relation, *names(match)),
        reasons=(
            *_said_by_a_person(match),
            *_reasons(match, seen, rate, _harmless(in_force(encoder)) if rate is not None else ""),
        ),
        false_match_rate=rate,
        metrics=said,
        left_out=left_out,
        examination=seen,
        looks=looks,
        sources=(query, reference),
    )


def names(match: Match) -> tuple[str, str]:
    """What to call the two: their file names, or their paths where those are the same."""
    from twinpix.pipeline.show import safe  # with it comes rich, which `import twinpix` does not load

    pair = match.query, match.reference
    short = [safe(one.name) if isinstance(one, Path) else safe(one) for one in pair]
    return (short[0], short[1]) if short[0] != short[1] else (safe(pair[0]), safe(pair[1]))


def _harmless(calibrated_on: object) -> str:
    from twinpix.pipeline.show import safe

    return safe(str(calibrated_on))


def _said_by_a_person(match: Match) -> Iterator[str]:
    pair = [one for one in (match.query, match.reference) if isinstance(one, Path)]
    decisions = read_decisions()
    if len(pair) == 2 and decisions.apart(pair):
        yield "you have called these two different: find-duplicates, plan and review leave the pair out"
    elif len(pair) == 2 and decisions.together(pair):
        yield "you have called these two one picture"


def _reasons(match: Match, seen: Examination, rate: float | None, calibrated_on: str) -> Iterator[str]:
    if rate is not None:
        yield f"of different pictures, {_one_in(rate)} lies as near as this; calibrated on {calibrated_on}"
    yield f"a second look {OUTCOMES[seen.outcome]}: {_evidence(seen)}"
    if match.second_look is None:
        yield _why_not_asked(match)
    elif match.second_look in (Outcome.UNCLEAR, Outcome.LIKELY):
        yield f"what it can't settle counts as a duplicate up to a distance of {match.unverified_threshold:.3f} or so"


def _one_in(rate: float) -> str:
    if rate <= 0:
        return "hardly any pair"
    return f"about 1 pair in {1 / rate:,.0f}" if rate < 0.1 else f"{rate:.0%} of the pairs"


def _evidence(seen: Examination) -> str:
    finding = seen.finding
    if finding is None:
        return UNALIGNED[seen.outcome]
    alignment, agreement = finding.alignment, finding.agreement
    how = (
        "laid on one another as they are"
        if alignment.is_in_place
        else f"aligned by {alignment.inliers} of {alignment.matches} local features"
    )
    beside = "" if seen.borders == (None, None) else "without borders "
    words = f", {OTHER_WORDS}" if seen.say_otherwise else ""
    return (
        f"{beside}{how}, {agreement.agreeing:.0%} of {agreement.tiles} tiles show the same "
        f"(median correlation {agreement.median:.2f}), {finding.motion:.2f} px out of place{words}"
    )


def _why_not_asked(match: Match) -> str:
    if match.l2_distance > match.threshold:
        return "the verdict did not ask it: the distance is beyond the threshold"
    if match.l2_distance <= SURE:
        return "the verdict did not need it: so near, pairs are sure"
    return "the verdict did not ask it: the threshold was taken at its word"
