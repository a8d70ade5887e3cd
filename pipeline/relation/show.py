"""What people and programs see of an explanation."""

from __future__ import annotations

from twinpix.pipeline import show
from twinpix.pipeline.classic import show as classic_show
from twinpix.pipeline.relation.explain import Explanation


def explanation(told: Explanation, as_json: bool) -> None:
    """The outcome of `is-duplicate --explain`."""
    if as_json:
        show.print_json({**show.pair_dict(told.match), "explanation": told.to_dict()})
        return
    print(f"{told.sentence}.\n")
    show.pair(told.match, as_json=False)
    for reason in told.reasons:
        print(f"  {reason}")
    print()
    classic_show.comparisons(told.metrics, told.left_out, as_json=False)
