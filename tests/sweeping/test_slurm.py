"""Jobs of a SLURM that is really there: submitted, preempted, refused, gathered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from gdrun.cli import main
from gdrun.cli.arguments import cluster_of
from gdrun.errors import ConfigError, ExitCode, UsageError
from gdrun.rundir.run import Run
from gdrun.rundir.run_info import Status
from gdrun.sweeping.run import resume, sweep
from gdrun.sweeping.slurm import SlurmOptions, is_queued, read_options

from ..test_docs import ROOT, blocks
from . import slurm_cluster

FILES = ("trials.csv", "curves.npz", "parameters.npz")
LONG = 20_000_000
CONFIG = """\
compile: graph
data: {kind: formula, inputs: {x: "linspace(0, 1, 24)"}, target: sin(6*x)}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 1}}
optimizer: sgd
schedule: {steps: 20}
sweep:
  over: {lr: "log:1e-3:1:8"}
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


@pytest.mark.usefixtures("tensorflow", "slurm")
def test_a_submitted_sweep_is_seen_and_gathered_with_the_bytes_of_one_process(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rates.yaml", "--cluster", "slurm", "--slurm", "array=2", "--detach"]
    assert main(["sweep", *arguments]) == ExitCode.DONE
    said = capsys.readouterr()
    directory = Path(said.out.strip())
    assert "submitted as job " in said.err
    assert f"`gdrun gather {directory}`" in said.err
    submitted = Run(directory)
    # Before its jobs are through it is no sweep that could be gathered.
    assert main(["gather", str(directory)]) == ExitCode.DISK
    assert "gdrun resume" in capsys.readouterr().err
    until(lambda: not is_queued(submitted.value("jobs")["id"]))
    submitted = Run(directory)
    assert submitted.status is Status.SUBMITTED
    assert [trial["trial"] for trial in submitted.trials] == list(range(8))
    assert sorted(part.value("part") for part in submitted.parts) == ["1/2", "2/2"]
    assert main(["watch", str(directory)]) == main(["verify", str(directory)]) == ExitCode.DONE
    capsys.readouterr()
    assert main(["show", str(directory)]) == ExitCode.DONE
    assert "8 total, 8 completed" in capsys.readouterr().out
    assert main(["resume", str(directory)]) == ExitCode.DONE
    one = sweep("rates.yaml", runs_dir="one")
    for name in FILES:
        assert (directory / name).read_bytes() == (one.directory / name).read_bytes(), name
    assert Run(directory).status is Status.COMPLETED
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
    until(lambda: (Run(directory).get("steps") or 0) > 0)
    assert Run(directory).status is Status.RUNNING
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    until(lambda: Run(directory).status is Status.SUBMITTED)
    saved = Run(directory).info
    assert saved.signal == signal.SIGUSR1
    assert 0 < (saved.steps or 0) < LONG
    # SLURM lets a job rest for two minutes before it begins again: it is resumed here instead.
    assert is_queued(job)
    subprocess.run(["scancel", job], check=True)
    until(lambda: not is_queued(job))
    assert main(["resume", str(directory)]) == ExitCode.DONE
    assert Run(directory).status is Status.COMPLETED
    assert [entry["step"] for entry in Run(directory).info.resumed] == [0, saved.steps]
    assert main(["verify", str(directory)]) == ExitCode.DONE


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
    for part in jobs["part"]["strategy"]["matrix"]["part"]:
        (line,) = lines["part"]
        text = " ".join(line).replace("${{ matrix.part }}", str(part)).replace("--threads 2", "-q")
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
    assert main(["sweep", "rates.yaml", "--cluster", "slurm", "--slurm", "setup=[exit 3]", "--detach"]) == ExitCode.DONE
    directory = Path(capsys.readouterr().out.strip())
    why = f"its jobs have ended without 8 trials: see {directory}/jobs/slurm, then `gdrun resume {directory}`"
    # Watching ends with the jobs.
    assert main(["watch", str(directory)]) == ExitCode.DONE
    assert why in capsys.readouterr().err
    assert main(["show", "--json", str(directory)]) == ExitCode.DONE
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
