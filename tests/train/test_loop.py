"""The training loop on a tiny network: progress, checkpoints, schedules, and that it learns."""

from __future__ import annotations

import copy
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import Architecture, CopyNet
from twinpix.train import loop, stream
from twinpix.train.data import Batch, Pictures
from twinpix.train.export import load_weights, save_weights
from twinpix.train.loop import Machine, State, progress, rate_at, size_at, start, train, update_average
from twinpix.train.losses import LOSSES, Bank
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures
from twinpix.train.validate import Validation, embed

CPU = torch.device("cpu")
HERE = Machine("cpu", workers=0)


class NoValidation:
    """Stands in where recall is not what is tested."""

    def line(self, net: nn.Module, px: int) -> str:
        return f"at {px} px"


QUICK: Validation = NoValidation()  # type: ignore[assignment]


def silent(text: str) -> None:
    pass


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def losses_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """(loss, pair cosine) of each step to come."""
    seen: list[tuple[float, float]] = []
    step = loop._step

    def noted(*arguments: object) -> tuple[float, float]:
        seen.append(step(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(loop, "_step", noted)
    return seen


def test_run_to_the_end(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, lines = losses_of(monkeypatch), list[str]()
    net = train(tiny, toy, QUICK, tmp_path / "work", HERE, lines.append)
    assert len(steps) == 8  # 2 epochs of 64 pictures in batches of 16
    assert not net.training
    assert lines == ["epoch 1: at 32 px", "epoch 2: at 32 px"]
    assert embed(net, toy.pixels[:3]).norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    again = train(tiny, toy, QUICK, tmp_path / "work", HERE, silent)  # all done: nothing more to do
    assert len(steps) == 8
    assert same_weights(again, net)


def test_same_seed_same_network(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    one = replace(tiny, epochs=1)
    runs = [train(replace(one, seed=s), toy, QUICK, tmp_path / str(i), HERE, silent) for i, s in enumerate((0, 0, 1))]
    vectors = [embed(net, toy.pixels[:8]) for net in runs]
    assert torch.allclose(vectors[0], vectors[1], atol=1e-3)
    assert not torch.allclose(vectors[0], vectors[2], atol=1e-1)


def test_progress_line(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0.0, 60.0)  # every look at the clock is a minute later
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    lines: list[str] = []
    train(replace(tiny, epochs=20), toy, QUICK, tmp_path, HERE, lines.append)
    form = re.compile(
        r"epoch (\d+) 32 px +([\d.]+)% loss (-?[\d.]+) pair cosine (-?[\d.]+) (\d+) images/s ETA (\d+) min"
    )
    found = [match for line in lines if (match := form.fullmatch(line))]
    assert len(found) == 80
    assert [int(m[1]) for m in found] == [(i + 1) // 4 for i in range(80)]
    assert {m[5] for m in found} == {"1"}  # 2 x 16 views a minute: 0.53 images/s
    for i, match in enumerate(found[20:], 20):
        assert float(match[2]) == pytest.approx(100 * i / 80, abs=0.06)
        assert abs(int(match[6]) - (80 - i)) <= 5  # minutes


def test_no_progress_line_before_20_seconds(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    lines: list[str] = []
    train(replace(tiny, epochs=1), toy, QUICK, tmp_path, HERE, lines.append)
    assert lines == ["epoch 1: at 32 px"]


def test_checkpoints_come_by_the_clock_too(
    toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(0.0, 61.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    saved: list[int] = []
    save = State.save

    def noted(state: State, path: Path, origin: str) -> None:
        saved.append(state.step)
        save(state, path, origin)

    monkeypatch.setattr(State, "save", noted)
    train(replace(tiny, epochs=1, batch=8), toy, QUICK, tmp_path, HERE, silent)
    assert saved == [2, 4, 6, 8, 8]  # every two minutes, and at the end of the epoch
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


CHILD = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from twinpix.encoder.network import Architecture
from twinpix.train import loop
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures
class NoValidation:
    def line(self, net, px): return ""
step = loop._step
def slow(*arguments):
    time.sleep(0.1)
    return step(*arguments)
loop._step, loop.CHECKPOINT_SECONDS = slow, 0.0
recipe = eval(sys.argv[2])
loop.train(recipe, render_pictures(64, 48, seed=1), NoValidation(), Path(sys.argv[1]), loop.Machine("cpu", 0), print)
"""


def test_killed_run_goes_on(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, checkpoint = replace(tiny, epochs=25), tmp_path / "checkpoint.pt"
    command = [sys.executable, "-c", CHILD, str(tmp_path), repr(recipe)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end, done = time.monotonic() + 60, 0
        while done < 6 and time.monotonic() < end and child.poll() is None:  # into the second epoch
            time.sleep(0.05)
            if checkpoint.exists():
                done = torch.load(checkpoint, weights_only=True)["clock"][0]
        assert child.poll() is None, child.communicate()[1].decode()
    finally:
        child.kill()
        child.communicate()
    parts = torch.load(checkpoint, weights_only=True)
    done, seconds = parts["clock"]
    epoch = done // 4
    assert 6 <= done < 100 and seconds > 0

    loaded: list[State] = []
    load = State.load

    def noted(state: State, path: Path, origin: str) -> None:
        load(state, path, origin)
        loaded.append(copy.deepcopy(state))

    monkeypatch.setattr(State, "load", noted)
    steps, lines = losses_of(monkeypatch), list[str]()
    net = train(recipe, toy, QUICK, tmp_path, HERE, lines.append)
    assert lines[0].startswith(f"going on from {checkpoint}: epoch {epoch}, ")
    assert len(steps) == 100 - done  # no step is done twice
    (state,) = loaded
    assert (state.step, state.seconds) == (done, seconds)
    for name, value in state.net.state_dict().items():
        assert torch.equal(value, parts["net"][name])
    for name, value in state.average.state_dict().items():
        assert torch.equal(value, parts["average"][name])
    assert torch.equal(state.bank.embeddings, parts["bank"][0])
    moments = state.optimizer.state_dict()["state"]
    assert moments and all(float(m["step"]) == done for m in moments.values())
    assert torch.load(checkpoint, weights_only=True)["clock"][0] == 100
    assert not same_weights(net, state.average)


def test_checkpoint_of_another_recipe_is_refused(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    train(replace(tiny, epochs=1), toy, QUICK, tmp_path, HERE, silent)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="of another recipe, data or --init: pass another --work folder"):
        train(replace(tiny, epochs=1, koleo=0.5), toy, QUICK, tmp_path, HERE, silent)
    with pytest.raises(InputError, match="of another recipe, data or --init"):
        train(replace(tiny, epochs=1), replace(toy, names=toy.names[::-1]), QUICK, tmp_path, HERE, silent)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_damaged_checkpoint_is_a_named_error(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"checkpoint\.pt: not a readable checkpoint"):
        train(tiny, toy, QUICK, tmp_path, HERE, silent)


def test_failed_save_leaves_the_earlier_checkpoint(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, path = start(tiny, CPU, None), tmp_path / "checkpoint.pt"
    state.save(path, "a run")
    before = path.read_bytes()

    def torn(parts: object, to: Path) -> None:
        to.write_bytes(b"half a checkp")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(KeyboardInterrupt):
        state.save(path, "a run")
    assert path.read_bytes() == before


def test_average_is_a_moving_one() -> None:
    torch.manual_seed(0)
    kept, net = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    for module in (kept, net):
        for value in module.state_dict().values():
            value.copy_(torch.rand(value.shape) * 10)
    kept.num_batches_tracked.fill_(3)  # type: ignore[union-attr]
    net.num_batches_tracked.fill_(8)  # type: ignore[union-attr]
    names = ("weight", "bias", "running_mean", "running_var")
    expected = {n: 0.9 * kept.state_dict()[n] + 0.1 * net.state_dict()[n] for n in names}
    source = copy.deepcopy(net)
    update_average(kept, net, 0.9)
    for name in names:
        assert torch.allclose(kept.state_dict()[name], expected[name]), name
    assert kept.state_dict()["num_batches_tracked"] == 8
    assert same_weights(net, source)


def test_average_tracks_the_network(
    toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decays: list[float] = []
    expected: list[dict[str, torch.Tensor]] = []

    def noted(average: nn.Module, net: nn.Module, decay: float) -> None:
        last = expected[-1] if expected else {k: v.clone() for k, v in average.named_parameters()}
        expected.append({k: decay * last[k] + (1 - decay) * v.detach() for k, v in net.named_parameters()})
        decays.append(decay)
        update_average(average, net, decay)

    monkeypatch.setattr(loop, "update_average", noted)
    net = train(replace(tiny, epochs=4, average=0.5), toy, QUICK, tmp_path, HERE, silent)
    assert decays == pytest.approx([min(0.5, (1 + i) / (10 + i)) for i in range(16)])  # young averages move faster
    for name, value in net.named_parameters():
        assert torch.allclose(value, expected[-1][name], atol=1e-5), name


def test_learning_rate_schedule() -> None:
    rates = [rate_at(i / 1000) for i in range(1001)]
    assert rates[0] == 0
    assert rates[15] == pytest.approx(0.5)
    assert rates[30] == pytest.approx(1, abs=0.01) == max(rates)
    assert rates[500] == pytest.approx(0.51)
    assert rates[1000] == pytest.approx(0.02)
    assert rates[:31] == sorted(rates[:31])
    assert rates[31:] == sorted(rates[31:], reverse=True)


def test_learning_rate_reaches_the_optimizer(
    toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    step = loop._step

    def noted(state: State, forward: nn.Module, recipe: Recipe, batch: Batch, done: float) -> tuple[float, float]:
        outcome = step(state, forward, recipe, batch, done)
        used.append(state.optimizer.param_groups[0]["lr"])
        assert {group["lr"] for group in state.optimizer.param_groups} == {used[-1]}
        return outcome

    monkeypatch.setattr(loop, "_step", noted)
    train(tiny, toy, QUICK, tmp_path, HERE, silent)
    assert used == pytest.approx([1.5e-3 * rate_at(i / 8) for i in range(8)])


def test_progress_by_steps_or_by_the_clock(tiny: Recipe) -> None:
    state = start(tiny, CPU, None)
    state.step, state.seconds = 4, 90
    assert progress(state, tiny, 64) == 0.5
    assert progress(state, replace(tiny, minutes=6.0), 64) == 0.25
    state.step, state.seconds = 99, 999
    assert progress(state, tiny, 64) == 1
    assert progress(state, replace(tiny, minutes=6.0), 64) == 1


def test_views_grow(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(tiny, small_size=32, size=48, small_share=0.6)
    state = start(recipe, CPU, None)
    for step, px in ((0, 32), (4, 32), (5, 48), (8, 48)):
        state.step = step
        assert size_at(state, recipe, 64) == px
    seen: list[int] = []
    step_ = loop._step

    def noted(state: State, forward: nn.Module, recipe: Recipe, batch: Batch, done: float) -> tuple[float, float]:
        seen.append(batch.first.shape[-1])
        return step_(state, forward, recipe, batch, done)

    monkeypatch.setattr(loop, "_step", noted)
    lines: list[str] = []
    train(recipe, toy, QUICK, tmp_path, HERE, lines.append)
    assert seen == [32] * 5 + [48] * 3
    assert lines[-1].endswith("at 48 px")


def test_minutes_end_the_run(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0.0, 10.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    steps = losses_of(monkeypatch)
    train(replace(tiny, minutes=1.0), toy, QUICK, tmp_path, HERE, silent)
    assert len(steps) == 6


@pytest.mark.parametrize("loss", ["infonce", "margin", "triplet"])
def test_every_loss_goes_down(
    loss: str, toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = losses_of(monkeypatch)
    # no bank: it adds negatives as it fills, and the loss would rise with them
    recipe = replace(tiny, loss=loss, epochs=20, batch=32, bank=0, koleo=0.0, learning_rate=5e-3)
    train(recipe, toy, QUICK, tmp_path, HERE, silent)
    values = torch.tensor(steps)[:, 0]
    assert values.isfinite().all()
    assert values[-8:].mean() < 0.8 * values[:4].mean()


def test_training_brings_copies_closer_than_others(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    originals, copies = (Validation(toy)._views(kind, 32) for kind in ("none", "card"))

    def misses(net: CopyNet) -> float:
        cosine = embed(net, copies) @ embed(net, originals).T
        closer = (cosine > cosine.diagonal()[:, None]).float()
        return float(closer.mean())  # share of other pictures that lie closer to a copy than its original

    before = misses(start(tiny, CPU, None).average)
    net = train(replace(tiny, epochs=40, koleo=0.1, learning_rate=5e-3), toy, QUICK, tmp_path, HERE, silent)
    assert misses(net) < 0.6 * before


def test_recall_after_each_epoch(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    lines: list[str] = []
    train(tiny, toy, Validation(render_pictures(24, 48, 9)), tmp_path, HERE, lines.append)
    form = r"epoch {}: recall at FMR 1e-04 zoom [01]\.\d+ jitter [01]\.\d+ salt [01]\.\d+ card [01]\.\d+ hard [01]\.\d+"
    assert len(lines) == 2
    for i, line in enumerate(lines, 1):
        assert re.fullmatch(form.format(i), line), line


def test_recall_is_that_of_a_plain_count(toy: Pictures, tiny: Recipe) -> None:
    validation, net = Validation(toy), start(tiny, CPU, None).average
    originals = embed(net, validation._views("none", 32)).double().tolist()
    copies = embed(net, validation._views("jitter", 32)).double().tolist()

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    # 64 x 63 pairs allow none at 1e-4, so the closest one is the threshold
    threshold = max(cosine(a, b) for a, b in itertools.combinations(originals, 2))
    found = sum(cosine(a, b) > threshold for a, b in zip(originals, copies, strict=True)) / 64
    assert validation.recall(net, 32)["jitter"] == pytest.approx(found, abs=1 / 64 + 1e-9)


def test_twins_are_validated_once() -> None:
    pictures = render_pictures(6, 48, 0)
    twins = replace(pictures, identity=torch.tensor([0, 0, 2, 3, 2, 5]))
    assert torch.equal(Validation(twins).pixels, pictures.pixels[[0, 2, 3, 5]])


def test_fine_tuning_starts_from_the_weights(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    source = start(replace(tiny, seed=5), CPU, None).net
    save_weights(source, tmp_path / "w.safetensors")
    weights = load_weights(tmp_path / "w.safetensors")
    state = start(tiny, CPU, weights)
    assert same_weights(state.net, source) and same_weights(state.average, source)
    assert not same_weights(start(tiny, CPU, None).net, source)
    still = replace(tiny, epochs=1, learning_rate=0.0)  # so that only batch statistics move
    net = train(still, toy, QUICK, tmp_path / "work", HERE, silent, weights)
    for (name, new), old in zip(net.named_parameters(), source.parameters(), strict=True):
        assert torch.allclose(new, old, atol=1e-6), name


def test_weights_of_another_shape_are_refused(tiny: Recipe) -> None:
    other = CopyNet(Architecture(4, (4, 6, 8, 10), (2, 2, 2, 1), (0, 1, 0, 1), 16, 3)).state_dict()
    with pytest.raises(InputError, match="--init"):
        start(tiny, CPU, other)
    with pytest.raises(InputError, match="--init"):
        start(tiny, CPU, {"something": torch.zeros(2)})


def test_weight_decay_spares_norms_and_biases(tiny: Recipe) -> None:
    state = start(tiny, CPU, None)
    decayed, spared = state.optimizer.param_groups
    assert decayed["weight_decay"] == tiny.weight_decay and spared["weight_decay"] == 0
    assert {p.ndim for p in spared["params"]} == {1}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(state.net.parameters()))


def test_few_pictures_take_smaller_batches(
    toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Pictures(toy.pixels[:9], toy.identity[:9], toy.names[:9], 0)
    steps = losses_of(monkeypatch)
    train(replace(tiny, epochs=1), few, QUICK, tmp_path / "few", HERE, silent)
    assert len(steps) == 2  # 4 pairs each
    one = Pictures(toy.pixels[:1], toy.identity[:1], toy.names[:1], 0)
    with pytest.raises(InputError, match="at least two pictures"):
        train(tiny, one, QUICK, tmp_path / "one", HERE, silent)


def test_bank_fills_and_keeps_its_size(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    train(replace(tiny, epochs=3), toy, QUICK, tmp_path, HERE, silent)
    embeddings, identity = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["bank"]
    assert embeddings.shape == (64, 16) and len(identity) == 64
    assert set(identity.tolist()) <= set(toy.identity.tolist())


@pytest.mark.parametrize("name", ["infonce", "margin", "triplet"])
def test_every_loss_knows_the_twins_in_batch_and_memory(
    name: str, toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, Bank]] = []
    loss = LOSSES[name]

    def noted(
        first: torch.Tensor, second: torch.Tensor, identity: torch.Tensor, bank: Bank, **options: float
    ) -> object:
        seen.append((identity, bank))
        return loss(first, second, identity, bank, **options)

    monkeypatch.setitem(LOSSES, name, noted)  # type: ignore[arg-type]
    twins = replace(toy, identity=toy.identity // 2 * 2)  # pictures 0 and 1 are one, 2 and 3, ...
    train(replace(tiny, loss=name), twins, QUICK, tmp_path, HERE, silent)
    (before, _), (after, bank) = seen[-2:]
    assert not (before % 2).any() and not (after % 2).any() and len(before) == 16
    assert torch.equal(bank.identity[:32], before.repeat(2))  # both views of the last batch are in front
    assert len(bank.identity) == len(bank.embeddings) == 64


def test_runs_without_validation(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    lines: list[str] = []
    train(replace(tiny, epochs=1), toy, None, tmp_path, HERE, lines.append)
    assert lines == []


# Where the views are made


def test_device_decides_who_makes_the_views() -> None:
    assert Machine("cuda").batched
    assert not Machine("cpu").batched
    assert Machine("cpu", views="batched").batched
    assert not Machine("cuda", views="workers").batched


@pytest.mark.parametrize("kind", ["batched", "workers"])
@pytest.mark.parametrize("preset", ["card", "hard"])
def test_loop_runs_with_either_kind_of_views(
    kind: str, preset: str, toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    for name in ("batched_batches", "cpu_batches"):
        make = getattr(stream, name)

        def noted(*arguments: object, name: str = name, make=make) -> Iterator[Batch]:  # type: ignore[no-untyped-def]
            called.append(name)
            yield from make(*arguments)

        monkeypatch.setattr(stream, name, noted)
    steps, lines = losses_of(monkeypatch), list[str]()
    recipe = replace(tiny, preset=preset)
    train(recipe, toy, QUICK, tmp_path, Machine("cpu", 0, views=kind), lines.append)
    assert called == ["batched_batches" if kind == "batched" else "cpu_batches"] * 2
    assert len(steps) == 8 and torch.tensor(steps).isfinite().all()
    assert lines == ["epoch 1: at 32 px", "epoch 2: at 32 px"]


def test_batched_views_teach_too(toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = losses_of(monkeypatch)
    recipe = replace(tiny, epochs=20, batch=32, bank=0, koleo=0.0, learning_rate=5e-3)
    train(recipe, toy, QUICK, tmp_path, Machine("cpu", 0, views="batched"), silent)
    values = torch.tensor(steps)[:, 0]
    assert values[-8:].mean() < 0.8 * values[:4].mean()


def test_run_goes_on_with_the_other_kind_of_views(toy: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    recipe = replace(tiny, minutes=1e-4)
    train(recipe, toy, QUICK, tmp_path, HERE, silent)
    lines: list[str] = []
    train(recipe, toy, QUICK, tmp_path, Machine("cpu", 0, views="batched"), lines.append)
    assert lines[0].startswith("going on from")


@pytest.mark.parametrize("batched", [True, False])
def test_batches_cover_the_pictures_in_an_order_of_their_own(batched: bool, toy: Pictures) -> None:
    def order(seed: int) -> list[int]:
        made = list(stream.batches(toy, "card", 32, 16, seed, 0, batched))
        assert len(made) == 4
        assert all(b.first.shape == b.second.shape == (16, 3, 32, 32) for b in made)
        return [int(i) for b in made for i in b.identity]

    assert sorted(order(1)) == toy.identity.tolist()
    assert order(1) != order(2)
    assert order(1) == order(1)


def test_worker_processes_make_different_views(toy: Pictures) -> None:
    same = Pictures(toy.pixels[:1].expand(32, -1, -1, -1), torch.arange(32), toy.names[:32], 0)
    made = list(stream.batches(same, "card", 32, 8, 0, 2, False))
    views = torch.cat([b.first for b in made] + [b.second for b in made]).flatten(1)
    assert len(made) == 4
    assert len(views.unique(dim=0)) == 64  # type: ignore[no-untyped-call]
