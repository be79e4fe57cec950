"""Searches: proposals and outcomes, the end of a search that was killed, and the lanes that are dropped at a rung."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiment.texts import LINE

pytest.importorskip("optuna")

from gdrun.errors import ConfigError, Problem, ResourceError
from gdrun.rundir.store import RunStore
from gdrun.sweeping.executors import cut
from gdrun.sweeping.groups import TrialGroup
from gdrun.sweeping.optuna_sampler import Sampler, TrialOutcome, batch_size, check_installed
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.results import BlockResult, Hooks
from gdrun.sweeping.search import outcomes, search
from gdrun.sweeping.store import SweepStore, load_parts
from gdrun.sweeping.trials import SweepSpec

SPACE = ("lr=loguniform:1e-4:1", "momentum=uniform:0:0.99")
Objective = Callable[..., float]


def bowl(rate: float, momentum: float) -> float:
    """Least at a rate of 0.01 and a momentum of 0.5, where it is 0."""
    return (math.log10(rate) + 2) ** 2 + (momentum - 0.5) ** 2


def searched(kind: str, *space: str, trials: int = 48, text: str = LINE, **options: Any) -> SweepSpec:
    return plan_trials(text.encode(), space or SPACE, search=kind, trials=trials, **options)


def with_search(search: str, more: str = "") -> str:
    return LINE + f"sweep: {{search: {search}{more}}}\n"


class Computed:
    """An executor that trains nothing: a trial's loss is a function of its values. None: it fails; nan: it diverges."""

    def __init__(self, objective: Callable[..., float | None], *, most: int | None = None) -> None:
        self.objective = objective
        self.most = most
        self.ran: list[int] = []

    def run(self, spec: SweepSpec, groups: Sequence[TrialGroup], hooks: Hooks) -> Iterator[BlockResult]:
        for group in groups:
            if hooks.should_stop() or (self.most is not None and len(self.ran) >= self.most):
                return
            self.ran += group.trials.tolist()
            yield self.result(group.trials, [self.objective(*spec.values(trial)) for trial in group.trials.tolist()])

    @staticmethod
    def result(trials: np.ndarray, values: Sequence[float | None]) -> BlockResult:
        status = [
            "failed" if value is None else "completed" if math.isfinite(value) else "diverged" for value in values
        ]
        count = len(trials)
        loss = np.asarray([math.nan if value is None else value for value in values])
        return BlockResult(
            trials=trials, status=status, stopped_by=["steps"] * count, steps=np.full(count, 10),
            diverged_at=np.full(count, -1), diverged=[""] * count, why=[""] * count,
            values={"loss": loss, "best_loss": loss / 2, "accuracy": -loss},
        )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[SweepSpec, SweepStore]]:
    """Carry a search out: run(spec, executor) -> the spec with its rows, and the store. Once more: it goes on."""

    def carry_out(
        spec: SweepSpec, executor: Any, *, name: str = "one", hooks: Hooks | None = None
    ) -> tuple[SweepSpec, SweepStore]:
        directory = next(iter((tmp_path / name).glob("2*")), None)
        again = directory is not None
        files = RunStore.open(directory) if directory is not None else RunStore.create(tmp_path / name, "line")
        store = SweepStore(files, spec, load_parts(files, np.arange(len(spec))))
        assert again or not store.table.blocks
        spec = search(spec, executor, hooks or Hooks(), store, store.keep, failed_again=True)
        store.spec = spec
        store.write_table()
        files.leave()
        return spec, store

    return carry_out


def table_of(store: SweepStore) -> bytes:
    return (store._store.directory / "trials.csv").read_bytes()


def best(store: SweepStore) -> float:
    found = store.table.best("loss", maximize=False)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("kind", ["tpe", "random", "cmaes", "qmc"])
def test_the_same_search_gives_the_same_table_byte_for_byte(kind, run):
    _, one = run(searched(kind), Computed(bowl), name="one")
    _, other = run(searched(kind), Computed(bowl), name="other")
    assert table_of(one) == table_of(other)
    assert len(one.table.done) == 48


def test_another_seed_gives_other_trials(run):
    one, _ = run(searched("tpe"), Computed(bowl), name="one")
    other, _ = run(searched("tpe", *SPACE, "seed=1"), Computed(bowl), name="other")
    assert one.values(0) != other.values(0)


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
def test_what_is_told_leads_nearer_to_the_least_than_chance(kind, run):
    def distance(sampler: str) -> float:
        found = []
        for seed in range(3):
            spec = searched(sampler, *SPACE, f"seed={seed}", trials=96)
            found.append(math.log10(best(run(spec, Computed(bowl), name=f"{sampler}{seed}")[1])))
        return sum(found) / len(found)

    assert distance(kind) < distance("random") - 0.5


def test_trials_are_asked_for_in_batches_of_sixteen_and_all_at_once_where_nothing_is_learned():
    assert batch_size(searched("tpe")) == 16
    assert batch_size(searched("random")) >= 48
    assert batch_size(plan_trials(with_search("{kind: tpe, prune: true}").encode(), SPACE)) == 64
    assert batch_size(plan_trials(with_search("{kind: tpe, batch: 5}").encode(), SPACE)) == 5


def test_maximizing_a_metric_leads_to_where_it_is_largest(run):
    text = LINE + "metrics: [accuracy]\n"
    spec = searched("tpe", trials=96, text=text, metric="accuracy")
    assert spec.maximize
    _, store = run(spec, Computed(bowl))
    found = store.table.best("accuracy", maximize=True)
    assert found is not None
    assert found[1] > -0.02
    minimized = searched("tpe", trials=96, text=text, metric="accuracy", maximize=False)
    _, store = run(minimized, Computed(bowl), name="other")
    least = store.table.best("accuracy", maximize=False)
    assert least is not None
    assert least[1] < -3.5  # of at most 4.25, in a corner


def test_the_best_recorded_or_the_final_value_is_told(run):
    final = searched("tpe", trials=16)
    wanted = plan_trials(with_search("{kind: tpe}", ", value: best, trials: 16").encode(), SPACE)
    assert (final.ranked, wanted.ranked) == ("loss", "best_loss")
    _, store = run(final, Computed(bowl))
    trials = np.arange(16)
    told, of_best = outcomes(final, store.table, trials), outcomes(wanted, store.table, trials)
    assert [2 * one.value for one in of_best] == [one.value for one in told]


def test_what_diverges_is_told_as_the_worst_so_that_a_search_stays_away(run):
    def edge(rate: float, momentum: float) -> float:
        return bowl(rate, momentum) if rate < 0.02 else math.nan

    _, store = run(searched("tpe", trials=96), Computed(edge))
    diverged = np.concatenate([np.asarray(block.status) == "diverged" for block in store.table.blocks])
    assert diverged[:16].mean() > 0.2
    assert diverged[-32:].mean() < diverged[:16].mean()
    assert best(store) < 0.05


def test_every_kind_of_value_is_proposed_within_its_space():
    space = (
        "lr=loguniform:1e-3:1", "momentum=uniform:0.2:0.8", "steps=uniform:5:9", "optimizer.nesterov=true,false",
        "seed=1,2,4", "loss=mse,{kind: huber, delta: 0.5}",
    )  # fmt: skip
    spec = searched("tpe", *space)
    proposals = Sampler(spec)
    rows: list[Any] = []
    for _ in range(3):
        asked = proposals.ask(16)
        assert proposals.tell(asked, [TrialOutcome(row[0]) for row in asked])
        rows += asked
    rates, momenta, steps, nesterov, seeds, losses = zip(*rows, strict=True)
    assert all(1e-3 <= rate <= 1 and rate == float(f"{rate:.12g}") for rate in rates)
    assert all(0.2 <= value <= 0.8 for value in momenta)
    assert set(steps) <= set(range(5, 10))
    assert len(set(steps)) > 1
    assert all(type(value) is int for value in steps)
    assert set(nesterov) == {True, False}
    assert set(seeds) <= {1, 2, 4}
    assert {repr(loss) for loss in losses} == {repr("mse"), repr({"kind": "huber", "delta": 0.5})}
    experiment = spec.with_rows(rows).load(0).experiment
    assert experiment.optimizer.learning_rate == rates[0]
    assert experiment.schedule.steps == steps[0]


@pytest.mark.parametrize("kind", ["tpe", "random", "cmaes", "qmc"])
def test_a_space_with_an_end_is_gone_through_without_repeating(kind, run):
    spec = searched(kind, "lr=0.01,0.02,0.04,0.08", "steps=uniform:3:7", "momentum=0,0.5", trials=100)
    assert len(spec) == 40
    spec, store = run(spec, Computed(lambda rate, steps, momentum: rate * steps))
    assert len({spec.values(trial) for trial in range(40)}) == 40
    _, again = run(searched(kind, "lr=0.01,0.02,0.04,0.08", "steps=uniform:3:7", "momentum=0,0.5", trials=100),
                   Computed(lambda rate, steps, momentum: rate * steps), name="again")  # fmt: skip
    assert table_of(store) == table_of(again)


def test_cmaes_refuses_words_with_their_place():
    with pytest.raises(ConfigError) as caught:
        searched("cmaes", "lr=0.1,0.2,0.4", "optimizer.nesterov=true,false")
    (problem,) = caught.value.problems
    assert "optimizer.nesterov" in problem.message
    assert problem.place is not None


def test_a_sampler_without_its_package_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ResourceError, match="torch, which is not installed"):
        check_installed("gp")
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ResourceError) as caught:
        check_installed("tpe")
    assert caught.value.hint == "pip install 'gdrun[search]'"


def test_optuna_says_nothing_and_keeps_its_level(capfd):
    logger = logging.getLogger("optuna")
    level = logger.level
    proposals = Sampler(searched("qmc"))
    proposals.tell(asked := proposals.ask(4), [TrialOutcome(math.nan)] * len(asked))
    assert capfd.readouterr() == ("", "")
    assert logger.level == level


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
@pytest.mark.parametrize("most", [1, 20])
def test_a_search_that_was_killed_goes_on_to_the_same_table(kind, most, run):
    spaces = ("lr=loguniform:1e-4:1", "momentum=uniform:0:0.99", "steps=5,6")  # two groups a batch
    _, whole = run(searched(kind, *spaces), Computed(lambda rate, momentum, steps: bowl(rate, momentum)), name="whole")
    first = Computed(lambda rate, momentum, steps: bowl(rate, momentum), most=most)
    run(searched(kind, *spaces), first, name="killed")
    second = Computed(lambda rate, momentum, steps: bowl(rate, momentum))
    _, store = run(searched(kind, *spaces), second, name="killed")
    assert sorted(first.ran + second.ran) == list(range(48))  # nothing twice
    assert table_of(store) == table_of(whole)


def test_failed_trials_are_told_as_the_worst_and_run_again_last(run):
    def fragile(rate: float, momentum: float) -> float | None:
        return None if momentum > 0.8 else bowl(rate, momentum)

    spec = searched("tpe", trials=32)
    _, store = run(spec, Computed(fragile, most=16), name="killed")
    failed = store.table.missing()[store.table.missing() < 16].tolist()
    assert failed
    again = Computed(bowl)
    after, _ = run(spec, again, name="killed")
    assert again.ran == [*range(16, 32), *failed]
    whole, _ = run(spec, Computed(lambda r, m: fragile(r, m)), name="whole")
    # What was asked for after the failures is what a search that was never stopped asks for.
    assert [after.values(trial) for trial in range(32)] == [whole.values(trial) for trial in range(32)]


def test_a_search_that_is_stopped_keeps_what_it_has(run):
    executor = Computed(bowl)
    hooks = Hooks(should_stop=lambda: len(executor.ran) >= 16)
    _, store = run(searched("tpe"), executor, hooks=hooks)
    assert len(store.table.done) == 16
    assert table_of(store).count(b"\n") == 17


def test_what_another_optuna_asked_for_is_kept_and_said(run, monkeypatch):
    spec = searched("tpe", trials=32)
    before, _ = run(spec, Computed(bowl, most=16), name="killed")
    import gdrun.sweeping.optuna_sampler as module

    seed = module.integer_seed
    monkeypatch.setattr(module, "integer_seed", lambda *arguments: seed(*arguments) + 1)
    said: list[str] = []
    after, _ = run(spec, Computed(bowl), name="killed", hooks=Hooks(warn=said.append))
    assert [after.values(trial) for trial in range(16)] == [before.values(trial) for trial in range(16)]
    assert len(said) == 1


def test_rows_that_the_config_refuses_fail_alone(run, monkeypatch):
    load = SweepSpec.load

    def refusing(self: SweepSpec, trial: int) -> Any:
        if self.values(trial)[0] is True:
            raise ConfigError((Problem("nesterov is refused today"),), source="line.yaml")
        return load(self, trial)

    spec = searched("random", "optimizer.nesterov=true,false", "momentum=uniform:0.5:0.9", trials=16)
    monkeypatch.setattr(SweepSpec, "load", refusing)
    spec, store = run(spec, Computed(lambda nesterov, momentum: momentum))
    failed = {trial for trial in range(16) if spec.values(trial)[0] is True}
    assert 0 < len(failed) < 16
    assert set(store.table.missing().tolist()) == failed
    assert len(store.table.done) == 16


def test_a_group_that_prunes_is_not_cut():
    whole, plain = TrialGroup(np.arange(64), ("rate",), indivisible=True), TrialGroup(np.arange(64), ("rate",))
    assert list(map(len, cut([whole], lambda group: 16))) == [64]
    assert list(map(len, cut([plain], lambda group: 16))) == [16] * 4
