"""Jobs of a SLURM that is really there: submitted, preempted, refused, gathered."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from gdrun.cli import main
from gdrun.cli.arguments import cluster_of
from gdrun.config.plugins import load_plugins
from gdrun.engine import device
from gdrun.errors import ConfigError, ExitCode, RunDirectoryError, UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.rundir.store import RunStore
from gdrun.sweeping import slurm as slurm_module
from gdrun.sweeping.executors import InProcess
from gdrun.sweeping.groups import TrialGroup, parts_of
from gdrun.sweeping.results import BlockResult, Hooks
from gdrun.sweeping.run import gather, resume, sweep
from gdrun.sweeping.slurm import Job, SlurmOptions, is_queued, read_options
from gdrun.sweeping.trials import SweepSpec

from ..test_docs import ROOT, blocks
from . import slurm_cluster

RUN = InProcess.run
FILES = ("trials.csv", "curves.npz", "parameters.npz")
LONG = 40_000_000
CONFIG = """\
compile: graph
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x)}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 1}}
optimizer: sgd
schedule: {steps: 20}
sweep:
  over: {lr: "log:1e-3:1:8"}
"""

LOOKING = """\
import os, pathlib
import gdrun.plugin as gd

if "SLURM_JOB_ID" in os.environ:
    pathlib.Path({file!r}).write_text(os.environ["CUDA_VISIBLE_DEVICES"])


@gd.loss("unused")
def unused(prediction, target):
    return target
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster of two nodes, and the environment for it."""
    pytest.importorskip("submitit")
    if why := slurm_cluster.why_not():
        pytest.skip(f"there is no SLURM to test with: {why}")
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.cluster(folder) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rates.yaml").write_text(CONFIG)
    return tmp_path


def until(condition: Callable[[], object], seconds: float = 900) -> None:
    """Wait for what jobs do, so long that only a hang reaches the limit."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def in_two(trials: Sequence[int], then: Callable[[], object]) -> Callable[..., Iterator[BlockResult]]:
    """Return `InProcess.run` that trains these trials, calls `then`, and unless it is to stop trains the others."""

    def run(self: InProcess, spec: SweepSpec, groups: Sequence[TrialGroup], hooks: Hooks) -> Iterator[BlockResult]:
        yield from RUN(self, spec, parts_of(groups, np.asarray(trials)), hooks)
        then()
        others = np.setdiff1d(np.concatenate([group.trials for group in groups]), trials)
        yield from RUN(self, spec, parts_of(groups, others), hooks)

    return run


def signalling(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def killed_once(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcess, "run", in_two(range(3), signalling(signal.SIGINT)))
        directory = sweep(CONFIG.encode(), runs_dir=tmp_path_factory.mktemp("killed")).directory
    # As a kill leaves it: the table may be older than the results.
    (directory / "trials.csv").unlink()
    info = directory / "run.json"
    info.write_text(info.read_text().replace('"status": "interrupted"', '"status": "running"'))
    return directory


@pytest.fixture
def killed(config: Path, killed_once: Path) -> Run:
    """A sweep that began in this process, without a scheduler, and was killed when it had three of its eight trials."""
    run = Run(shutil.copytree(killed_once, config / "runs" / killed_once.name))
    assert run.status is Status.LOST
    return run


@pytest.fixture(scope="module")
def one(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep, trained by one process."""
    return sweep(CONFIG.encode(), runs_dir=tmp_path_factory.mktemp("one")).directory


def assert_same(directory: Path, other: Path) -> None:
    assert Run(directory).status is Status.COMPLETED
    for name in FILES:
        assert (directory / name).read_bytes() == (other / name).read_bytes(), name


def numbers(run: Run) -> list[int]:
    return [trial["trial"] for trial in Run(run.directory).trials]


@pytest.mark.usefixtures("slurm")
def test_what_a_killed_sweep_lacks_is_an_array_of_jobs_seen_from_elsewhere_and_has_the_bytes_of_one_process(
    killed: Run, one: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = killed.directory
    # Imported by the jobs, which have a folder of this machine in common with this process.
    (config / "look.py").write_text(LOOKING.format(file=str(config / "gpus")))
    resume_there = ["resume", str(directory), "--cluster", "slurm", "--detach", "--plugin", "look.py"]
    assert main([*resume_there, "--slurm", "setup=[exit 3]"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.strip() == str(directory)
    assert "submitted as job " in said.err
    assert f"`gdrun gather {directory}`" in said.err
    assert Run(directory).status is Status.SUBMITTED
    assert numbers(killed) == [0, 1, 2]
    # Watching ends with the jobs; these failed before they began.
    assert main(["watch", str(directory)]) == ExitCode.DONE
    why = f"its jobs have ended without 5 trials: see {directory}/jobs/slurm, then `gdrun resume {directory}`"
    assert why in capsys.readouterr().err
    assert main(["gather", str(directory)]) == ExitCode.DISK
    assert "lacks 5 trials" in capsys.readouterr().err

    options = ["--slurm", "array=2", "--slurm", "gpus=1", "--plugin", "look.py"]
    assert main(["resume", str(directory), *options, "--detach"]) == ExitCode.DONE
    for arguments in (resume_there, ["resume", str(directory), "--jobs", "2"]):
        assert main(arguments) == ExitCode.REFUSED
        assert "are still queued" in capsys.readouterr().err
    until(lambda: not is_queued(Run(directory).value("jobs")["id"]))
    assert [part.value("part") for part in sorted(Run(directory).parts, key=numbers)] == [[3, 4], [5, 6, 7]]
    assert numbers(killed) == list(range(8))
    assert (config / "gpus").read_text() == "0", "as SLURM says"
    assert main(["watch", str(directory)]) == main(["verify", str(directory)]) == ExitCode.DONE
    assert f"its jobs are through: `gdrun gather {directory}`" in capsys.readouterr().err
    assert main(["show", str(directory)]) == ExitCode.DONE
    assert "8 total, 8 completed" in capsys.readouterr().out
    # Nothing is left to submit.
    assert main(["resume", str(directory)]) == ExitCode.DONE
    assert_same(directory, one)
    assert not (directory / "jobs").exists()


@pytest.mark.usefixtures("tensorflow", "slurm")
def test_a_run_that_is_preempted_saves_is_queued_again_and_can_be_resumed_elsewhere(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Long enough to be caught, and short enough to be ended: ten million steps a second with XLA.
    text = CONFIG.partition("sweep:")[0].replace("graph", "xla").replace("steps: 20", f"steps: {LONG}")
    (config / "long.yaml").write_text(text + "record: {every: 500000}\n")
    assert main(["train", "long.yaml", "--cluster", "slurm", "--detach"]) == ExitCode.DONE
    directory = Path(capsys.readouterr().out.strip())
    job = Run(directory).value("jobs")["id"]
    assert Run(directory).status is Status.SUBMITTED
    steps = [0]
    # For another job SLURM preempts it, by SIGTERM, and queues it again; after SIGUSR1, in good time, gdrun does.
    for preempt, number in (
        (["sbatch", "--partition=urgent", "--nodes=2", "--output=/dev/null", "--wrap=true"], signal.SIGTERM),
        (["scancel", "--signal=USR1", job], signal.SIGUSR1),
    ):
        until(lambda: Run(directory).status is Status.RUNNING and (Run(directory).get("steps") or 0) > steps[-1])
        subprocess.run(preempt, check=True)
        until(lambda: Run(directory).status is Status.SUBMITTED)
        saved = Run(directory).info
        assert saved.signal == number
        assert steps[-1] < (saved.steps or 0) < LONG
        assert is_queued(job)
        steps.append(saved.steps or 0)
    # It has begun again by itself once; now it is resumed here.
    subprocess.run(["scancel", job], check=True)
    until(lambda: not is_queued(job))
    assert resume(directory).status is Status.COMPLETED
    assert [entry["step"] for entry in Run(directory).info.resumed] == steps
    assert main(["verify", str(directory)]) == ExitCode.DONE


def submitted(run: Run, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Return the job for what is left of a sweep, as if SLURM had it."""
    with RunStore.open(run.directory) as store:
        store.close(Status.SUBMITTED, extra={"jobs": {"id": "1", "options": {}}})
    # Threads cannot be set any more in this process.
    monkeypatch.setitem(device._configured, "threads", 1)
    return Job(run.directory.absolute(), [3, 4, 5, 6, 7], load_plugins(()), None, SlurmOptions())


def test_a_part_that_is_preempted_goes_on_with_what_it_has(
    killed: Run, one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job of what is left of a sweep, called here: SIGTERM comes after its first two trials; it is called again."""
    directory, job = killed.directory, submitted(killed, monkeypatch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcess, "run", in_two([3, 4], signalling(signal.SIGTERM)))
        job()
    (part,) = Run(directory).parts
    assert (part.status, part.info.signal) == (Status.INTERRUPTED, signal.SIGTERM)
    assert Run(directory).status is Status.SUBMITTED
    assert numbers(killed) == [3, 4]
    job()
    (part,) = Run(directory).parts
    assert [entry["trials"] for entry in part.info.resumed] == [2]
    assert_same(gather([directory]).directory, one)


def test_a_job_with_several_gpus_has_a_worker_for_each(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    stub = SimpleNamespace(status=Status.COMPLETED)
    monkeypatch.setattr(slurm_module, "sweep", lambda *arguments, **how: calls.append(how) or stub)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    for cpus, gpus in ((8, 2), (8, 0), (1, 2)):
        Job(config, [0, 1], load_plugins(()), "gpu", SlurmOptions(cpus=cpus, gpus=gpus))()
    assert [(how["jobs"], how["threads"], how["device"]) for how in calls] == [
        (2, 4, "gpu"),
        (1, 8, "gpu"),
        (2, 1, "gpu"),
    ]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,6"


@pytest.mark.parametrize("logs", [True, False], ids=["of the part", "of all"])
def test_a_job_whose_disk_is_full_fails_and_what_it_kept_is_not_trained_again_elsewhere(
    killed: Run, one: Path, monkeypatch: pytest.MonkeyPatch, logs: bool
) -> None:
    directory, write, written = killed.directory, os.write, list[str]()

    def refused(descriptor: int, data: bytes) -> int:
        written.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        if logs and "/jobs/" not in written[-1]:
            return write(descriptor, data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = submitted(killed, monkeypatch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcess, "run", in_two([3, 4], lambda: patch.setattr(os, "write", refused)))
        with pytest.raises(RunDirectoryError, match="No space left on device") as caught:
            job()
    assert caught.value.exit_code == ExitCode.DISK
    assert written
    assert (caught.value.message in (directory / "log.txt").read_text()) == logs
    assert Run(directory).status is Status.SUBMITTED
    assert [part.status for part in Run(directory).parts] == [Status.LOST]
    with pytest.raises(RunDirectoryError, match="lacks 3 trials"):
        gather([directory])
    assert_same(resume(directory, jobs=1).directory, one)
    assert [entry["trials"] for entry in Run(directory).info.resumed] == [5]


def block(first_line: str) -> str:
    """Return the block of docs/cluster.md that begins so."""
    return next(block.text for block in blocks(ROOT / "docs" / "cluster.md") if block.text.startswith(first_line))


@pytest.mark.usefixtures("tensorflow", "slurm")
def test_the_array_of_the_page_trains_parts_that_are_gathered(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    script = (
        block("#!/bin/bash").replace("1-50", "1-2").replace("/50", "/2").replace("=4", "=1").replace("--threads 4", "")
    )
    (config / "array.sh").write_text(script)
    done = subprocess.run(["sbatch", "--parsable", "array.sh"], check=True, capture_output=True, text=True)
    until(lambda: not is_queued(done.stdout.strip()))
    assert main(["gather", "parts/1", "parts/2"]) == ExitCode.DONE
    directory = Path(capsys.readouterr().out.strip())
    assert [trial["trial"] for trial in Run(directory).trials] == list(range(8))


@pytest.mark.usefixtures("tensorflow")
def test_the_matrix_of_the_page_trains_parts_that_are_gathered(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = yaml.safe_load(block("# sweep-workflow.yaml"))["jobs"]
    lines = {
        name: [step["run"].split() for step in job["steps"] if step.get("run", "").startswith("gdrun")]
        for name, job in jobs.items()
    }
    (line,) = lines["part"]
    assert jobs["part"]["strategy"]["matrix"]["part"] == [1, 2, 3, 4]
    for part in (1, 2):  # of as many: each traces its program
        text = " ".join(line).replace("${{ matrix.part }}/4", f"{part}/2").replace("--threads 2", "-q")
        assert main(text.replace("parts", f"parts/{part}").split()[1:]) == ExitCode.DONE
    capsys.readouterr()
    (line,) = lines["gather"]
    assert line[1:] == ["gather", "parts/*"]
    assert main(["gather", *map(str, sorted(Path("parts").glob("*")))]) == ExitCode.DONE
    directory = Path(capsys.readouterr().out.strip())
    assert [trial["trial"] for trial in Run(directory).trials] == list(range(8))


@pytest.mark.usefixtures("tensorflow", "slurm")
def test_a_partition_that_does_not_exist_is_refused_and_nothing_is_left(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("sweep", "train"):
        assert main([command, "rates.yaml", "--cluster", "slurm", "--slurm", "partition=nope"]) == ExitCode.RESOURCE
        error = capsys.readouterr().err
        assert "Invalid partition name specified" in error
        assert "sinfo lists its partitions" in error
    assert not (config / "runs").exists()


@pytest.mark.usefixtures("tensorflow", "slurm")
def test_jobs_that_fail_before_they_begin_are_said_to_have_ended(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --detach the commands wait for them."""
    failing = ["rates.yaml", "--cluster", "slurm", "--slurm", "setup=[exit 3]"]
    assert main(["sweep", *failing, "--runs-dir", "sweeps"]) == ExitCode.DISK
    (directory,) = Path("sweeps").glob("2*")
    error = capsys.readouterr().err
    assert f"{directory} lacks 8 trials" in error
    assert f"gdrun resume {directory}" in error
    assert main(["train", *failing]) == ExitCode.DISK
    (directory,) = Path("runs").glob("2*")
    error = capsys.readouterr().err
    assert f"the job of {directory} has ended before the run did" in error
    assert f"see {directory}/jobs/slurm, then `gdrun resume {directory} --cluster slurm`" in error
    assert main(["show", "--json", str(directory)]) == ExitCode.DONE
    why = f"its jobs have ended: see {directory}/jobs/slurm, then `gdrun resume {directory}`"
    assert json.loads(capsys.readouterr().out)["run"]["why"] == why
    # Where SLURM cannot be asked, nothing is said, and nothing submitted.
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["show", "--json", str(directory)]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["run"]["why"] is None
    assert main(["resume", str(directory)]) == ExitCode.RESOURCE
    assert "there is no SLURM here" in capsys.readouterr().err


@pytest.mark.usefixtures("tensorflow")
def test_without_slurm_or_its_extra_it_says_so(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["sweep", "rates.yaml", "--cluster", "slurm"]) == ExitCode.RESOURCE
    assert "there is no SLURM here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["sweep", "rates.yaml", "--cluster", "slurm"]) == ExitCode.RESOURCE
    assert "pip install 'gdrun[slurm]'" in capsys.readouterr().err
    assert not (config / "runs").exists()


def test_options_come_from_a_file_and_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text("partition: long\ncpus: 4\nsetup: [module load cuda]\n")
    options = read_options([str(file), "cpus=8", "memory=4GB"])
    assert options == SlurmOptions(partition="long", cpus=8, memory="4GB", setup=("module load cuda",))
    with pytest.raises(ConfigError) as caught:
        read_options(["cpuss=2", "minutes=x"])
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].hint == "did you mean 'cpus'?"
    with pytest.raises(UsageError, match="nope"):
        read_options([str(tmp_path / "nope.yaml")])


def test_a_file_of_a_dask_scheduler_names_its_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"type": "Scheduler", "address": "tcp://127.0.0.1:8786"}')
    assert cluster_of(None, file, None, detach=False) == "tcp://127.0.0.1:8786"
    for text in ("{}", "[", "[]"):
        file.write_text(text)
        with pytest.raises(UsageError, match="no address is in it"):
            cluster_of(None, file, None, detach=False)
    with pytest.raises(UsageError, match="No such file"):
        cluster_of(None, tmp_path / "none", None, detach=False)
    with pytest.raises(UsageError, match="two ways"):
        cluster_of("local:2", file, None, detach=False)


def test_python_leaves_slurm_to_the_command_line(config: Path) -> None:
    for call in (sweep, resume):
        with pytest.raises(UsageError, match="from the command line"):
            call("rates.yaml", cluster="slurm")
    assert not (config / "runs").exists()


def test_options_of_jobs_without_slurm_are_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["train", "rates.yaml", "--detach"], ["sweep", "rates.yaml", "--slurm", "cpus=2"]):
        assert main(arguments) == ExitCode.REFUSED
        assert "goes with --cluster slurm" in capsys.readouterr().err
    assert main(["sweep", "rates.yaml", "--cluster", "slurm", "--jobs", "2"]) == ExitCode.REFUSED
    assert main(["train", "rates.yaml", "--cluster", "slurm", "--smoke"]) == ExitCode.REFUSED
