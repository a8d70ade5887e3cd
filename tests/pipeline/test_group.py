"""Groups don't chain, and don't depend on the order of anything."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from twinpix.pipeline.group import star_groups
from twinpix.pipeline.report import Group

Links = dict[tuple[str, str], float]


def groups(links: Links, names: str | list[str]) -> tuple[Group, ...]:
    row = {name: k for k, name in enumerate(names)}
    pairs = [(row[a], row[b], d) for (a, b), d in links.items()]
    i, j, d = (np.array([pair[k] for pair in pairs]) for k in range(3))
    paths = [Path("/", name) for name in names]
    return star_groups(paths, i.astype(np.intp), j.astype(np.intp), d.astype(np.float32))


def shown(found: tuple[Group, ...]) -> list[str]:
    return ["".join(path.name for path in group.files) for group in found]


def distance(links: Links, a: str, b: str) -> float | None:
    return links.get((a, b), links.get((b, a)))


def random_links(seed: int, n: int = 60, k: int = 120) -> tuple[Links, list[str]]:
    dice = np.random.default_rng(seed)
    names = [f"{x:02}" for x in range(n)]
    pairs = {tuple(sorted(dice.choice(names, 2, replace=False).tolist())) for _ in range(k)}
    return {(a, b): float(dice.uniform(0, 1)) for a, b in sorted(pairs)}, names


def test_nothing() -> None:
    assert groups({}, "abc") == ()


def test_one_pair() -> None:
    (group,) = groups({("b", "a"): 0.25}, "ab")
    assert (shown((group,)), group.max_l2_distance) == (["ab"], 0.25)


def test_members_are_ordered_by_distance_to_the_representative() -> None:
    (group,) = groups({("m", "a"): 0.3, ("m", "b"): 0.1, ("m", "c"): 0.2}, "abcm")
    assert shown((group,)) == ["mbca"]
    assert group.max_l2_distance == pytest.approx(0.3)


def test_a_chain_of_26_is_not_one_group() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    links: Links = dict.fromkeys(pairwise(letters), 0.1)
    found = groups(links, letters)
    assert max(len(group.files) for group in found) <= 3
    for group in found:
        assert all(distance(links, group.files[0].name, other.name) is not None for other in group.files[1:])


def test_larger_groups_come_first() -> None:
    found = groups({("a", "b"): 0.1, ("x", "y"): 0.1, ("x", "z"): 0.1}, "abxyz")
    assert shown(found) == ["xyz", "ab"]


@pytest.mark.parametrize("seed", range(8))
def test_no_file_in_two_groups_and_every_member_near_its_representative(seed: int) -> None:
    links, names = random_links(seed)
    found = groups(links, names)
    files = [path for group in found for path in group.files]
    assert len(files) == len(set(files))
    for group in found:
        gaps = [distance(links, group.files[0].name, other.name) for other in group.files[1:]]
        assert None not in gaps
        assert group.max_l2_distance == pytest.approx(max(gap for gap in gaps if gap is not None))


@pytest.mark.parametrize("seed", range(8))
def test_a_pair_left_apart_has_an_end_in_another_group(seed: int) -> None:
    links, names = random_links(seed)
    grouped = {path.name for group in groups(links, names) for path in group.files}
    assert all(a in grouped or b in grouped for a, b in links)


@pytest.mark.parametrize("seed", range(8))
def test_independent_of_the_order_of_input(seed: int) -> None:
    links, names = random_links(seed)
    expected = groups(links, names)
    dice = np.random.default_rng(seed)
    for _ in range(5):
        order = dice.permutation(names).tolist()
        shuffled = dice.permutation(np.array(list(links), dtype=object)).tolist()
        turned = {((a, b) if dice.random() < 0.5 else (b, a)): links[a, b] for a, b in shuffled}
        assert groups(turned, order) == expected


def test_what_a_group_leaves_apart_is_beside_it() -> None:
    first, second = groups({("a", "b"): 0.1, ("b", "c"): 0.2, ("c", "d"): 0.3, ("d", "e"): 0.4}, "abcde")
    assert shown((first, second)) == ["bac", "de"]
    assert [(k.member.name, k.other.name) for k in first.links] == [("c", "d")]
    assert [(k.member.name, k.other.name) for k in second.links] == [("d", "c")]
    assert first.links[0].l2_distance == pytest.approx(0.3)


def test_a_link_to_a_file_in_no_group() -> None:
    (group,) = groups({("a", "b"): 0.1, ("b", "c"): 0.2, ("c", "d"): 0.3}, "abcd")
    assert shown((group,)) == ["bac"]
    assert [(k.member.name, k.other.name) for k in group.links] == [("c", "d")]


@pytest.mark.parametrize("seed", range(4))
def test_every_pair_is_in_a_group_or_a_link(seed: int) -> None:
    links, names = random_links(seed)
    found = groups(links, names)
    together = {frozenset((a.name, b.name)) for g in found for a in g.files for b in g.files if a != b}
    apart = {frozenset((k.member.name, k.other.name)) for g in found for k in g.links}
    pairs = {frozenset(pair) for pair in links}
    assert apart == pairs - together
