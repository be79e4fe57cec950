"""Kill training runs with SIGKILL at random moments, resume them, and compare the bits with a run that was left alone.

    python scripts/kill_loop.py --trials 20 --seed 1

Each trial trains one experiment in processes of their own, kills each after a random time, resumes until the run is
complete, and verifies the run directory after every kill. Everything that was reported as saved has to be there, and
parameters.npz and metrics.jsonl have to be those of the run that was left alone, byte for byte. Prints a line a trial.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """\
data: {kind: formula, inputs: {x: "linspace(-1, 1, 50)"}, target: x**3, noise: "normal(0, 0.1)", validation: 0.2}
model: {kind: mlp, hidden: [8], activation: tanh, outputs: 1}
optimizer: {kind: adam, learning_rate: 0.01, use_ema: true}
schedule: {epochs: EPOCHS, batch_size: 7}
compile: graph
checkpoint: {every_seconds: 0.2}
"""
KEPT = ("parameters.npz", "metrics.jsonl", "config.yaml")


def gdrun(arguments: Sequence[str], folder: Path, **options: object) -> subprocess.Popen[str]:
    """Start `gdrun ARGUMENTS` in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.Popen(
        [sys.executable, "-m", "gdrun", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that has to end well, and return what it printed."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, f"exit code {process.returncode}\n{err[-3000:]}"
    return out.strip()


def rows_size(runs: Path) -> int:
    """Return how large the metrics are."""
    return sum(path.stat().st_size for path in runs.glob("2*/metrics.jsonl"))


def kill_after_progress(process: subprocess.Popen[str], runs: Path, seconds: float) -> bool:
    """Kill a process some seconds after it has written its first rows; return whether it was there to be killed."""
    deadline, before = time.monotonic() + 300, rows_size(runs)
    while process.poll() is None and time.monotonic() < deadline and rows_size(runs) == before:
        time.sleep(0.01)
    time.sleep(seconds)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def check(runs: Path) -> None:
    """What a kill has left is whole."""
    from gdrun.rundir.verifying import verify

    for path in runs.glob("2*"):
        if (path / "run.json").exists():
            assert not verify(path).problems, verify(path).problems


def trial(folder: Path, whole: dict[str, bytes], config: Path, draw: random.Random, kills: int) -> int:
    """Train with up to `kills` kills; return how many there were."""
    runs, killed = folder / "runs", 0
    process = gdrun(["train", "-q", str(config)], folder)
    for _ in range(kills):
        alive = kill_after_progress(process, runs, draw.uniform(0, 1.5))
        killed += alive
        check(runs)
        if not alive:
            break
        process = gdrun(["resume", "-q"], folder)
    else:
        finish(process)
    (directory,) = runs.glob("2*")
    for name, data in whole.items():
        assert (directory / name).read_bytes() == data, f"{name} of {directory} is another one"
    check(runs)
    return killed


def loop(*, trials: int, seed: int, kills: int, epochs: int = 1500) -> int:
    """Do the trials; return how many kills were survived."""
    draw, total = random.Random(seed), 0
    with TemporaryDirectory(prefix="gdrun-kills-") as name:
        folder = Path(name)
        config = folder / "config-of-all.yaml"
        config.write_text(CONFIG.replace("EPOCHS", str(epochs)))
        began = time.monotonic()
        whole = folder / finish(gdrun(["train", "-q", str(config), "--runs-dir", "whole"], folder))
        expected = {name: (whole / name).read_bytes() for name in KEPT}
        print(f"left alone: {time.monotonic() - began:.1f} s")
        for number in range(trials):
            place = folder / f"trial-{number}"
            place.mkdir()
            killed = trial(place, expected, config, draw, kills)
            total += killed
            print(f"seed {seed}, trial {number}: {killed} kills survived, same bits", flush=True)
    return total


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--kills", type=int, default=4, help="at most, in each trial")
    parser.add_argument("--epochs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = loop(trials=options.trials, seed=options.seed, kills=options.kills, epochs=options.epochs)
    print(f"{total} kills survived")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
