"""How long `gdrun ls`, `show` and `compare` take beside 10,000 runs.

    python benchmarks/runs.py [--runs 10000] [--rounds 7] [--rows 100000] [--json FILE]

Generates run directories in a temporary folder: each with a run.json as `gdrun train` writes it, three experiments with
different settings, a few percent diverged, a few killed. One more run has many rows. Then whole processes are measured,
in turns. Prints median, fastest and slowest wall-clock seconds and the median processor seconds as a Markdown table,
beside those of a Python process that only imports what every command imports.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from measure import environment, say

from gdrun.experiment.dump import plain
from gdrun.experiment.loading import load_config
from gdrun.rundir.environment import describe_environment
from gdrun.rundir.layout import new_run_id
from gdrun.rundir.run_info import RunInfo, now_text
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore

HERE = Path(__file__).parent
CONFIGS = ("moons", "pi", "early-stopping")
START = datetime(2026, 1, 1, tzinfo=UTC)

BARE = "nothing but Python"
IMPORTS = "Python, json, typer"


def generate(root: Path, count: int) -> None:
    """Make `count` run directories, a minute apart."""
    draw = random.Random(0)
    records = []
    for name in CONFIGS:
        loaded = load_config(HERE.parent / "configs" / f"{name}.yaml")
        facts = describe_environment(command=["gdrun", "train", f"configs/{name}.yaml"])
        settings = flatten(plain(loaded.experiment))
        records.append((loaded, RunInfo(name=name, **facts, settings=settings, precision="float32", device="cpu")))
    for number in range(count):
        loaded, record = records[number % len(records)]
        now = START + timedelta(minutes=number)
        directory = root / new_run_id(record.name, now, f"{number % 65536:04x}")
        directory.mkdir(parents=True)
        chance, loss = draw.random(), draw.lognormvariate(-3, 2)
        status = "diverged" if chance < 0.03 else "running" if chance < 0.04 else "completed"
        ended = {} if status == "running" else {"finished": now_text(now), "steps": 1000, "seconds": 1.5}
        record = record.updated(
            id=directory.name,
            started=now_text(now),
            status=status,
            settings=dict(record.settings) | {"optimizer.learning_rate": draw.lognormvariate(-3, 1), "seed": number},
            final={"loss": "nan" if status == "diverged" else loss, "gradient_norm": loss / 2} if ended else {},
            diverged={"step": 12, "quantity": "loss"} if status == "diverged" else None,
            **ended,
        )
        (directory / "run.json").write_text(record.to_text())
        (directory / "config.yaml").write_text(loaded.resolved_text() if number % 100 == 0 else "name: x\n")
        (directory / ".lock").touch()


def generate_long(root: Path, rows: int) -> str:
    """Make the newest run, with many rows; return its id."""
    loaded = load_config(HERE.parent / "configs" / "moons.yaml")
    now = START + timedelta(days=3650)
    steps = np.arange(rows)
    noise = np.random.default_rng(0).random(rows).astype(np.float32)
    settings = flatten(plain(loaded.experiment))
    with RunStore.create(root, "long", now=now, precision="float32", settings=settings) as store:
        store.write_text("config.yaml", loaded.resolved_text())
        store.write_bytes("source/moons.yaml", loaded.files[0][1])
        rate = np.full(rows, 0.01, np.float32)
        store.append_columns({"step": steps, "loss": noise, "gradient_norm": noise * 2, "learning_rate": rate})
        store.write_parameters({"w": np.zeros(10, np.float32)})
        store.close("completed", steps=rows - 1, seconds=60.0, final={"loss": float(noise[-1])})
    return store.directory.name


def commands(root: Path, long: str) -> dict[str, list[str]]:
    """Return what is measured: name -> command line."""
    gdrun = [sys.executable, "-m", "gdrun"]
    at = ["--runs-dir", str(root)]
    ids = sorted(name for name in os.listdir(root) if "moons" in name)
    return {
        BARE: [sys.executable, "-c", "pass"],
        IMPORTS: [sys.executable, "-c", "import json, typer, typer.core, typer.main"],
        "gdrun ls -n 50": [*gdrun, "ls", "-n", "50", *at],
        "gdrun ls": [*gdrun, "ls", *at],
        "gdrun ls --filter, --sort": [*gdrun, "ls", "--filter", "lr > 0.1 and loss < 0.01", "--sort", "loss", *at],
        "gdrun ls --json": [*gdrun, "ls", "--json", *at],
        "gdrun show ID": [*gdrun, "show", ids[0], *at],
        "gdrun show, many rows": [*gdrun, "show", long, *at],
        "gdrun compare, 2 runs": [*gdrun, "compare", ids[0], ids[1], *at],
        "gdrun compare, 20 runs": [*gdrun, "compare", *ids[:20], *at],
    }


def measure(root: Path, long: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return (wall-clock, processor) seconds of each command, one a round; all run once before, to fill caches."""
    times: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds + 1):
        for name, command in commands(root, long).items():
            began = time.perf_counter()
            process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
            if number:
                times.setdefault(name, []).append((seconds, usage.ru_utime + usage.ru_stime))
        say(f"round {number} of {rounds}")
    return times


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gdrun-benchmark-") as folder:
        root = Path(folder)
        say(f"making {options.runs:,} runs and one of {options.rows:,} rows")
        generate(root, options.runs)
        long = generate_long(root, options.rows)
        times = measure(root, long, options.rounds)
    base = statistics.median(wall for wall, _ in times[IMPORTS])
    print(f"{options.runs:,} runs; {options.rows:,} rows; {options.rounds} rounds; seconds\n")
    print("| process | median | fastest | slowest | processor | over the imports |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, samples in times.items():
        walls, processor = [wall for wall, _ in samples], statistics.median(used for _, used in samples)
        median = statistics.median(walls)
        columns = f"{median:.3f} | {min(walls):.3f} | {max(walls):.3f} | {processor:.3f} | {median / base:.1f} x"
        print(f"| {name} | {columns} |")
    if options.json:
        options.json.write_text(json.dumps({"runs": options.runs, "rows": options.rows, "seconds": times}, indent=2))


if __name__ == "__main__":
    main()
