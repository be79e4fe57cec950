"""Groups given to workers: what becomes of them when workers die, lie, have other versions or are not there.

The workers of most tests are made up; `test_real_workers` has real ones.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.config.plugins import load_plugins
from gdrun.errors import ExitCode, GdrunError, PluginError, ResourceError, UsageError
from gdrun.sweeping import dask_pool
from gdrun.sweeping.executors import (
    ALIGNMENT,
    ATTEMPTS,
    PIECE_OPERATIONS,
    InProcess,
    Workers,
    cut,
    make_executor,
    piece_size,
    problem,
)
from gdrun.sweeping.groups import TrialGroup, group_trials
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.results import BlockProgress, BlockResult, Hooks
from gdrun.sweeping.trials import SweepSpec
from gdrun.sweeping.worker import OtherVersions, Work, difference, gpu_of_worker, use_one_gpu, versions

LINE = b"""
data: {kind: formula, inputs: {x: "linspace(0, 1, 10)"}, target: 2*x}
model: {kind: formula, formula: w*x, parameters: {w: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 5}
"""


class Died(Exception):
    """What a future of `Pool` raises whose worker has died."""


class Pool:
    """Workers that do what `answer` says of (group, number of the call), all of those at work at the same time.

    Where one of them dies, the others do not finish either, as with a ProcessPoolExecutor.
    """

    device, threads, versions, loses_all_running = "cpu", 1, None, True
    worker_lost_error: type[BaseException] = Died

    def __init__(self, answer: Callable[[TrialGroup, int], list[BlockResult]], size: int = 2) -> None:
        self.size = size
        self.given: list[list[int]] = []
        self.recovered = 0
        self._answer = answer
        self._lock = threading.Lock()
        self._open: list[tuple[Future[list[BlockResult]], Any]] = []

    def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
        self.given.append(group.trials.tolist())
        future: Future[list[BlockResult]] = Future()
        try:
            result: Any = self._answer(group, len(self.given))
        except TimeoutError:
            return future  # never answers
        except BaseException as error:
            result = error
        with self._lock:
            self._open.append((future, result))
        threading.Timer(0.01, self._finish).start()
        return future

    def _finish(self) -> None:
        with self._lock:
            ended, self._open = self._open, []
        died = next((result for _, result in ended if isinstance(result, Died)), None)
        for future, result in ended:
            error = died or result
            if isinstance(error, BaseException):
                future.set_exception(error)
            else:
                future.set_result(result)

    def recover(self, error: BaseException) -> str:
        self.recovered += 1
        return "a worker died" if isinstance(error, Died) else f"a worker has {error}"

    def progress(self) -> BlockProgress | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    return plan_trials(LINE, ["optimizer.kind=sgd,adam,rmsprop,nadam"])


def whole(trials: np.ndarray) -> BlockResult:
    """Results as a worker sends them."""
    count = len(trials)
    return BlockResult(
        trials=trials, status=["completed"] * count, stopped_by=["steps"] * count, steps=np.full(count, 5),
        diverged_at=np.full(count, -1), diverged=[""] * count, why=[""] * count, values={"loss": np.ones(count)},
    )  # fmt: skip


def rows(workers: Workers, spec: SweepSpec, hooks: Hooks | None = None) -> dict[int, tuple[str, str]]:
    """Trial -> (status, why); each may come once."""
    found: dict[int, tuple[str, str]] = {}
    for block in workers.run(spec, group_trials(spec), hooks or Hooks()):
        for trial, status, why in zip(block.trials.tolist(), block.status, block.why, strict=True):
            assert trial not in found
            found[trial] = (status, why)
    return found


def test_groups_whose_worker_died_are_trained_again_and_no_others(spec: SweepSpec) -> None:
    def answer(group: TrialGroup, call: int) -> list[BlockResult]:
        if call == 2:
            raise Died
        return [whole(group.trials)]

    pool, warned = Pool(answer), list[str]()
    found = rows(Workers(pool), spec, Hooks(warn=warned.append))
    assert found == dict.fromkeys(range(4), ("completed", ""))
    assert pool.recovered == 1
    assert sorted(pool.given) == [[0], [0], [1], [1], [2], [3]]
    assert warned == ["a worker died; once more: 2 trials (0 to 1)"]


def test_a_group_that_kills_every_worker_fails_and_those_that_were_trained_beside_it_do_not(spec: SweepSpec) -> None:
    def answer(group: TrialGroup, call: int) -> list[BlockResult]:
        if group.trials[0] == 2:
            raise Died
        return [whole(group.trials)]

    pool = Pool(answer, size=4)
    found = rows(Workers(pool), spec)
    assert found.pop(2) == ("failed", f"a worker died, {ATTEMPTS} times")
    assert found == dict.fromkeys((0, 1, 3), ("completed", ""))
    assert pool.given.count([2]) == ATTEMPTS


def test_workers_that_come_later_get_work_and_those_that_leave_are_no_failures(spec: SweepSpec) -> None:
    """The pool has room for one group, then for three, then its workers leave with what they had, then for one."""
    at_work: list[int] = []

    class Elastic(Pool):
        def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
            at_work.append(len(self._open) + 1)
            self.size = 3 if len(self.given) == 0 else self.size
            return super().submit(work, group)

        def recover(self, error: BaseException) -> str:
            self.size = 1
            return super().recover(error)

    def answer(group: TrialGroup, call: int) -> list[BlockResult]:
        if call == 3:
            raise Died
        return [whole(group.trials)]

    pool = Elastic(answer, size=1)
    assert rows(Workers(pool), spec) == dict.fromkeys(range(4), ("completed", ""))
    assert max(at_work[:3]) > 1
    assert set(at_work[3:]) == {1}


@pytest.mark.parametrize(
    ("error", "status"),
    [(PluginError("it has changed"), ("failed", "it has changed")), (OtherVersions("gdrun 2"), None)],
)
def test_an_error_of_a_group_is_its_own(spec: SweepSpec, error: Exception, status: Any) -> None:
    """Other versions are another worker's chance."""

    def answer(group: TrialGroup, call: int) -> list[BlockResult]:
        if call == 1:
            raise error
        return [whole(group.trials)]

    found = rows(Workers(Pool(answer)), spec)
    assert found == {**dict.fromkeys(range(4), ("completed", "")), **({0: status} if status else {})}


@pytest.mark.parametrize("gone", [ResourceError("there is no GPU"), None])
def test_where_no_worker_can_work_the_sweep_ends(spec: SweepSpec, gone: ResourceError | None) -> None:
    class Cancelling(Pool):
        def submit(self, work: Work, group: TrialGroup) -> Future[list[BlockResult]]:
            future: Future[list[BlockResult]] = Future()
            if gone is None:
                future.cancel()
                future.set_running_or_notify_cancel()
            else:
                future.set_exception(gone)
            return future

    with pytest.raises(ResourceError, match="there is no GPU" if gone else "the cluster has gone"):
        rows(Workers(Cancelling(lambda group, call: [])), spec)


def test_a_stop_does_not_wait_for_workers(spec: SweepSpec) -> None:
    def never(group: TrialGroup, call: int) -> list[BlockResult]:
        raise TimeoutError

    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    assert rows(Workers(Pool(never)), spec, Hooks(should_stop=should_stop)) == {}
    assert len(asked) == 3


def test_each_trial_has_to_have_one_row_and_a_whole_one() -> None:
    group = TrialGroup(np.arange(4), ("rate",))
    good = whole(np.arange(4))
    assert problem([good], group) == ""
    assert problem([whole(np.arange(2)), whole(np.arange(2, 4))], group) == ""
    assert "other trials" in problem([], group)
    assert "other trials" in problem([whole(np.arange(5))], group)
    assert "other trials" in problem([good, whole(np.arange(1))], group)
    assert "no result" in problem(["results"], group)
    for damage in ({"status": ["completed"]}, {"status": ["fine"] * 4}, {"values": {"loss": np.ones(3)}}):
        block = whole(np.arange(4))
        block.__dict__.update(damage)
        assert "not whole" in problem([block], group)


def test_what_is_wrong_is_not_written_but_tried_again(spec: SweepSpec) -> None:
    pool = Pool(lambda group, call: [whole(group.trials + (call == 1))])
    assert rows(Workers(pool), spec) == dict.fromkeys(range(4), ("completed", ""))
    assert len(pool.given) == 5


def pieces_of(spec: SweepSpec, share: int) -> list[int]:
    pieces = cut(group_trials(spec), partial(piece_size, spec, share))
    assert np.array_equal(np.concatenate([piece.trials for piece in pieces]), np.arange(len(spec)))
    return [len(piece) for piece in pieces]


def test_groups_are_cut_by_whole_vectors_and_convolutions_trial_by_trial() -> None:
    spec = plan_trials(LINE, ["lr=log:1e-3:1:70"])
    assert pieces_of(spec, 24) == [2 * ALIGNMENT, 2 * ALIGNMENT, 70 - 4 * ALIGNMENT]
    layers = b"{kind: layers, layers: [{kind: conv1d, filters: 1, kernel_size: 2}, {kind: flatten}, {kind: dense}]}"
    convolution = LINE.replace(
        b"{kind: formula, formula: w*x, parameters: {w: 0}}", layers.replace(b"dense", b"dense, units: 1")
    )
    spec = plan_trials(convolution, ["lr=log:1e-3:1:7"])
    assert pieces_of(spec, 3) == [3, 3, 1]


def test_the_more_a_trial_costs_the_fewer_are_in_a_piece() -> None:
    spec = plan_trials(LINE, ["lr=log:1e-3:1:70"])
    half = replace(spec, steps_per_trial=1000, step_operations=PIECE_OPERATIONS / 32 / 1000 - 1000)
    assert pieces_of(half, 70) == [32, 32, 6]
    assert pieces_of(replace(half, steps_per_trial=10**9), 70) == [ALIGNMENT] * 4 + [6]


@pytest.mark.usefixtures("tensorflow")
def test_a_job_trains_pieces_so_that_it_loses_one_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(plan_trials(LINE, ["lr=log:1e-3:1:40"]), steps_per_trial=10**9)
    monkeypatch.setattr("gdrun.sweeping.lanes.run_group", lambda spec, group, hooks: [whole(group.trials)])
    for executor, sizes in ((make_executor(in_pieces=True), [16, 16, 8]), (make_executor(), [40])):
        assert [len(block) for block in executor.run(spec, group_trials(spec), Hooks())] == sizes


def test_workers_get_the_gpus_in_turn() -> None:
    assert [gpu_of_worker(number, ["0", "3"]) for number in range(5)] == ["0", "3", "0", "3", "0"]
    assert gpu_of_worker(2, []) is None


@pytest.mark.parametrize(
    ("device", "visible", "seen"), [("gpu", "4,5", "5"), ("auto", "4,5", "5"), ("gpu:1", "4,5", "4,5"), ("gpu", "", "")]
)
def test_a_worker_sees_its_gpu_alone_unless_one_is_named(
    device: str, visible: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    use_one_gpu(3, device)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


PLUGIN = """
import gdrun.plugin as gd
@gd.loss("{name}")
def loss(prediction, target):
    return (prediction - target) ** 2
"""


def test_workers_load_plugins_themselves_and_only_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN.format(name="mine"))
    plugins = load_plugins([path])
    config = LINE + b"loss: {kind: custom, name: mine}\n"
    data = Work.of(plan_trials(config, ["lr=0.1,0.2"], plugins=plugins), device="cpu", threads=1).spec
    again = pickle.loads(data)
    assert [plugin.digest for plugin in again.base.plugins.loaded] == [plugins.loaded[0].digest]
    assert again.load(1).experiment.optimizer.learning_rate == 0.2
    path.write_text(PLUGIN.format(name="mine") + "# other\n")
    with pytest.raises(PluginError, match="has changed"):
        pickle.loads(data)


def test_differences_of_versions_tell_both() -> None:
    here = versions()
    assert set(here) == {"python", "tensorflow", "keras", "numpy", "gdrun"}
    assert difference(here, dict(here)) == ""
    assert difference(here, {**here, "gdrun": "9.9"}) == f"gdrun 9.9 instead of {here['gdrun']}"
    assert difference({"keras": "3"}, {}) == "keras nowhere instead of 3"


def refused(**how: Any) -> GdrunError:
    with pytest.raises(GdrunError) as caught:
        make_executor(**how)
    return caught.value


def test_what_is_no_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("here", "local:0", "local:100000", "tcp://host", "http://host:1"):
        assert isinstance(refused(cluster=address), UsageError)
    assert isinstance(refused(cluster="local:2", jobs=2), UsageError)
    assert isinstance(refused(jobs=100_000), UsageError)
    monkeypatch.setitem(sys.modules, "distributed", None)
    error = refused(cluster="local:2")
    assert error.exit_code == ExitCode.RESOURCE
    assert error.hint == "pip install 'gdrun[dask]'"


def test_a_cluster_that_does_not_answer_leaves_no_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither where nothing listens nor where something does that says nothing."""
    pytest.importorskip("distributed")
    from gdrun.sweeping.run import sweep

    monkeypatch.setattr(dask_pool, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(dask_pool, "ANSWER_SECONDS", 0.2)
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        for one in (silent, closed):
            with pytest.raises(ResourceError, match="does not answer") as caught:
                sweep(
                    LINE, ["lr=0.1,0.2"], runs_dir=tmp_path / "runs", cluster=f"tcp://127.0.0.1:{one.getsockname()[1]}"
                )
            assert caught.value.exit_code == ExitCode.RESOURCE
    assert not (tmp_path / "runs").exists()


SEEDED = b"""
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x), noise: "normal(0, 0.1)"}
model: {kind: layers, layers: [{kind: dense, units: 8, activation: tanh}, {kind: dense, units: 1}]}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {epochs: 3, batch_size: 8}
"""


@pytest.mark.usefixtures("tensorflow")
def test_a_trial_has_the_same_bits_in_whatever_part_of_its_group_it_runs() -> None:
    """The parts have one seed each, and the last one a single trial; the whole has them all."""
    from gdrun.sweeping.results import TrialTable, csv_text, curve_arrays, parameter_arrays

    spec = plan_trials(SEEDED, ["seed=range:0:2", "lr=log:1e-3:1e5:9"])
    (group,) = group_trials(spec)
    parts = [group.subset(chosen) for chosen in (np.arange(9, 17), np.arange(9), np.asarray([17]))]

    def files(groups: list[TrialGroup]) -> tuple[Any, ...]:
        table = TrialTable(np.arange(len(spec)))
        for block in InProcess().run(spec, groups, Hooks()):
            table.add(block)
        columns = [spec.column(axis).tolist() for axis in range(len(spec.axes))]
        arrays = curve_arrays(table) | parameter_arrays(table)
        return (
            csv_text(table, [axis.key for axis in spec.axes], columns),
            list(arrays),
            [value.tobytes() for value in arrays.values()],
        )

    whole = files([group])
    assert "diverged" in whole[0]
    assert files(parts) == whole
