"""How fast gdrun sweeps, beside its peers in the same run.

    python benchmarks/sweep.py [--quick] [--only lanes,command,many,network,overhead,engines] [--rounds N] [--json FILE]

lanes     1000 learning rates x 1000 steps of a linear regression: nanoseconds a lane-step, compiling left out, beside
          JAX's vmap(scan), and a few trials of Keras's fit and of a compiled tape step, extrapolated
command   the whole command `gdrun sweep` with 1000 rates, against `import tensorflow`
many      100,000 rates: seconds and peak memory
network   64 rates of a 64-32-10 network as lanes, against 64 runs with one program, one after the other
overhead  seconds a trial where the work is nothing, the start included: Hydra's multirun with its basic launcher and
          Optuna's own loop
engines   10,000 trials of one step on each engine, and 16 of them, the engines taking turns: the whole command, what a
          trial adds, and the tables compared byte by byte; SLURM where its commands are, for which
          `python -m tests.sweeping.slurm_cluster python benchmarks/sweep.py --only engines` makes a cluster

Prints a table each; repetitions of peers alternate; numbers are medians. Needs the `bench` extra; peers whose library
is missing are left out and said so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measure import environment

PARTS = ("lanes", "command", "many", "network", "overhead", "engines")
LINE = """
data: {kind: formula, inputs: {x: "linspace(-1, 1, 100)"}, target: 3*x + 2, noise: "normal(0, 0.1)"}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: STEPS}
record: {every: [0]}
"""
NETWORK = """
data: {kind: formula, inputs: {x: "normal(0, 1, [640, 64])"}, target: "floor(uniform(0, 10, 640))"}
model: {kind: mlp, hidden: [32], activation: relu, outputs: 10}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
optimizer: {kind: adam, learning_rate: 0.001}
schedule: {steps: 200, batch_size: 64}
record: {every: [0]}
"""


def alternating(peers: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return name -> the values of `rounds` calls, the peers taking turns."""
    values: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, call in peers.items():
            values[name].append(call())
    return values


def shown(values: dict[str, list[float]], unit: str, against: str) -> None:
    """Print medians, spans and ratios to `against`."""
    base = statistics.median(values[against])
    print(f"\n| peer | median {unit} | fastest to slowest | {against} / it |\n|---|---:|---:|---:|")
    for name, samples in values.items():
        middle = statistics.median(samples)
        print(f"| {name} | {middle:.3g} | {min(samples):.3g} to {max(samples):.3g} | {base / middle:.3g} |")


def lanes(rounds: int, count: int, steps: int) -> dict[str, Any]:
    """1000 learning rates of the line."""
    import numpy as np

    rates = np.geomspace(1e-5, 0.9, count)
    peers: dict[str, Callable[[], float]] = {}
    try:
        # First: gdrun sets flags for XLA in the environment, which are not to touch JAX's.
        peers["JAX vmap(scan), losses kept"] = jax_lanes(rates, steps)
    except ImportError as error:
        print(f"JAX is left out: {error}")
    peers["gdrun lanes"] = gdrun_lanes(LINE.replace("STEPS", str(steps)), count, steps)
    peers["compiled tape step, a loop over 3 trials (extrapolated)"] = tape_trials(rates[:3], steps)
    peers["Keras fit, a loop over 2 trials (extrapolated)"] = keras_trials(rates[:2], steps)
    values = alternating(peers, rounds)
    print(f"\n## {count} learning rates x {steps} steps, nanoseconds a lane-step")
    shown(values, "ns", "gdrun lanes")
    return values


def gdrun_lanes(text: str, count: int, steps: int) -> Callable[[], float]:
    """Return what trains the lanes again and gives nanoseconds a lane-step; the program is compiled."""
    from gdrun.engine.device import import_tensorflow

    import_tensorflow()
    from gdrun.engine.lane_drive import Finals, drive_lanes
    from gdrun.sweeping.groups import group_trials
    from gdrun.sweeping.lanes import build_group, lane_program
    from gdrun.sweeping.plan import plan_trials

    spec = plan_trials(text.encode(), [f"lr=log:1e-5:0.9:{count}"])
    (group,) = group_trials(spec)
    (inputs,) = build_group(spec, group)
    shared = lane_program(spec, inputs.built)

    def run() -> float:
        began = time.perf_counter()
        for _ in drive_lanes(shared, inputs.lanes, Finals(count)):
            pass
        return (time.perf_counter() - began) / count / steps * 1e9

    run()
    return run


def jax_lanes(rates: Any, steps: int) -> Callable[[], float]:
    """The same by JAX: a scan of value_and_grad and SGD, under vmap and jit."""
    import jax
    import jax.numpy as jnp

    x = jnp.linspace(-1.0, 1.0, 100)
    y = 3 * x + 2

    def loss(parameters: Any) -> Any:
        return jnp.mean((parameters[0] * x + parameters[1] - y) ** 2)

    def train(rate: Any) -> Any:
        def step(parameters: Any, _: Any) -> Any:
            value, gradient = jax.value_and_grad(loss)(parameters)
            return tuple(p - rate * g for p, g in zip(parameters, gradient, strict=True)), value

        return jax.lax.scan(step, (jnp.zeros(()), jnp.zeros(())), None, length=steps)

    compiled = jax.jit(jax.vmap(train))
    rates = jnp.asarray(rates)

    def run() -> float:
        began = time.perf_counter()
        jax.block_until_ready(compiled(rates))
        return (time.perf_counter() - began) / len(rates) / steps * 1e9

    run()
    return run


def tape_trials(rates: Any, steps: int) -> Callable[[], float]:
    """A Python loop over trials, each a Python loop over one tf.function step."""
    import numpy as np
    import tensorflow as tf

    x = tf.constant(np.linspace(-1, 1, 100), tf.float32)
    y = 3 * x + 2
    w, b, rate = tf.Variable(0.0), tf.Variable(0.0), tf.Variable(0.0)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((w * x + b - y) ** 2)
        for variable, gradient in zip((w, b), tape.gradient(loss, (w, b)), strict=True):
            variable.assign_sub(rate * gradient)

    def run() -> float:
        began = time.perf_counter()
        for value in rates:
            w.assign(0.0), b.assign(0.0), rate.assign(value)
            for _ in range(steps):
                step()
        return (time.perf_counter() - began) / len(rates) / steps * 1e9

    step()
    return run


def keras_trials(rates: Any, steps: int) -> Callable[[], float]:
    """A Python loop over trials, each a model and a `fit` of its own: one epoch of so many equal batches."""
    import keras
    import numpy as np
    import tensorflow as tf

    x = np.linspace(-1, 1, 100).astype("float32")[:, None]
    batches = tf.data.Dataset.from_tensors((x, 3 * x + 2)).repeat(steps)

    def run() -> float:
        began = time.perf_counter()
        for rate in rates:
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
            model.compile(keras.optimizers.SGD(float(rate)), "mse")
            model.fit(batches, verbose=0)
        return (time.perf_counter() - began) / len(rates) / steps * 1e9

    return run


def seconds_of(command: list[str], folder: Path) -> tuple[float, float]:
    """Return (seconds, peak megabytes) of a process."""
    timed = (
        "import resource, subprocess, sys, time; began = time.perf_counter(); "
        "code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, code)"
    )
    whole = [sys.executable, "-c", timed, *command]
    out = subprocess.run(whole, cwd=folder, env=environment(), capture_output=True, text=True, check=True).stdout
    seconds, megabytes, code = out.split()
    if int(code) not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return float(seconds), float(megabytes)


def command(rounds: int, steps: int) -> dict[str, Any]:
    """The whole command against the import that it cannot do without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "line.yaml").write_text(LINE.replace("STEPS", str(steps)).replace("record: {every: [0]}\n", ""))
        sweep = [sys.executable, "-m", "gdrun", "sweep", "line.yaml", "lr=log:1e-5:1:1000", "-q"]
        peers = {
            "gdrun sweep, 1000 rates": lambda: seconds_of(sweep, folder)[0],
            "import tensorflow": lambda: seconds_of([sys.executable, "-c", "import tensorflow"], folder)[0],
        }
        values = alternating(peers, rounds)
    whole, alone = (statistics.median(values[name]) for name in peers)
    print(f"\n## The whole command, {steps} steps: {whole:.2f} s, the import alone {alone:.2f} s")
    shown(values, "s", "import tensorflow")
    return values


def many(count: int, steps: int) -> dict[str, Any]:
    """Very many lanes in bounded memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "line.yaml").write_text(LINE.replace("STEPS", str(steps)).replace("record: {every: [0]}\n", ""))
        rates = f"lr=log:1e-5:1:{count}"
        seconds, megabytes = seconds_of([sys.executable, "-m", "gdrun", "sweep", "line.yaml", rates, "-q"], folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
    print(f"\n## {count:,} rates x {steps} steps: {seconds:.1f} s, peak {megabytes:.0f} MB, {size:.0f} MB written")
    return {"seconds": seconds, "megabytes": megabytes}


def network(rounds: int, count: int) -> dict[str, Any]:
    """Lanes of a small network against runs one after the other, both compiled once."""
    from gdrun.engine.device import import_tensorflow

    import_tensorflow()
    from gdrun.engine.drive import drive
    from gdrun.engine.lane_drive import Finals, drive_lanes
    from gdrun.sweeping.groups import group_trials
    from gdrun.sweeping.lanes import build_group, lane_program, single
    from gdrun.sweeping.plan import plan_trials

    spec = plan_trials(NETWORK.encode(), [f"lr=log:1e-4:1e-2:{count}"])
    (group,) = group_trials(spec)
    (inputs,) = build_group(spec, group)
    shared, built = lane_program(spec, inputs.built), inputs.built

    def together() -> float:
        began = time.perf_counter()
        for _ in drive_lanes(shared, inputs.lanes, Finals(count)):
            pass
        return time.perf_counter() - began

    def one_by_one() -> float:
        began = time.perf_counter()
        for place in range(count):
            one = single(inputs.lanes, place)
            for _ in drive(built.program, one.state, one.setting, one.data, built.rows, built.windows):
                pass
        return time.perf_counter() - began

    together(), one_by_one()
    values = alternating({"lanes": together, "one after the other": one_by_one}, rounds)
    ratio = statistics.median(values["one after the other"]) / statistics.median(values["lanes"])
    print(f"\n## A 64-32-10 network, {count} rates x 200 steps: lanes {ratio:.2f} times as fast (aim: 2)")
    shown(values, "s", "lanes")
    return values


def overhead(count: int) -> dict[str, Any]:
    """Seconds a trial of runners whose job is nothing."""
    results: dict[str, Any] = {}
    job = "import hydra\n@hydra.main(version_base=None)\ndef main(c): pass\nmain()\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.py").write_text(job)
        values = ",".join(map(str, range(count)))
        try:
            whole, _ = seconds_of([sys.executable, "job.py", "-m", f"+x={values}"], folder)
            results["Hydra multirun, basic launcher, the whole command"] = whole / count
        except RuntimeError as error:
            print(f"Hydra is left out: {error}")
        (folder / "line.yaml").write_text(LINE.replace("STEPS", "1"))
        rates = f"lr=log:1e-5:1:{count}"
        whole, _ = seconds_of([sys.executable, "-m", "gdrun", "sweep", "line.yaml", rates, "-q"], folder)
        results["gdrun sweep, one step each, the whole command"] = whole / count
    try:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        began = time.perf_counter()
        study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1, log=True), n_trials=count)
        results["Optuna's loop, random sampler, in memory"] = (time.perf_counter() - began) / count
    except ImportError as error:
        print(f"Optuna is left out: {error}")
    print(f"\n## Overhead a trial, {count} trials\n\n| runner | milliseconds a trial |\n|---|---:|")
    for name, seconds in results.items():
        print(f"| {name} | {1e3 * seconds:.3g} |")
    return results


def engines(rounds: int, count: int) -> dict[str, Any]:
    """Many short trials on each engine, and few, so that what a trial adds is known besides the start.

    Raises:
        RuntimeError: the tables of two engines differ.
    """
    choices: dict[str, list[str]] = {
        "one process": [],
        "--jobs 2": ["--jobs", "2"],
        "Dask, local:2": ["--cluster", "local:2"],
    }
    if shutil.which("sbatch"):
        choices["SLURM, two jobs"] = ["--cluster", "slurm", "--slurm", "array=2"]
    files: dict[str, dict[str, bytes]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "line.yaml").write_text(LINE.replace("STEPS", "1"))

        def seconds(number: int, engine: str) -> float:
            command = [sys.executable, "-m", "gdrun", "sweep", "line.yaml", f"lr=log:1e-5:1:{number}", "-q"]
            taken, _ = seconds_of([*command, *choices[engine]], folder)
            newest = (folder / "runs" / "latest").resolve()
            if number == count:
                files[engine] = {file: (newest / file).read_bytes() for file in ("trials.csv", "curves.npz")}
            shutil.rmtree(newest)
            return taken

        few = alternating({engine: partial(seconds, 16, engine) for engine in choices}, rounds)
        many = alternating({engine: partial(seconds, count, engine) for engine in choices}, rounds)
    print(f"\n## {count:,} trials of one step, seconds of the whole command")
    shown(many, "s", "one process")
    print("\n| engine | s, of 16 trials | us that a trial adds | bytes of one process |\n|---|---:|---:|---|")
    for engine in choices:
        start, whole = statistics.median(few[engine]), statistics.median(many[engine])
        same = files[engine] == files["one process"]
        print(f"| {engine} | {start:.1f} | {1e6 * (whole - start) / (count - 16):.0f} | {'yes' if same else 'NO'} |")
    if any(table != files["one process"] for table in files.values()):
        raise RuntimeError("the tables of two engines differ")
    return {"many": many, "few": few}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller, to see that it works")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    scale = 10 if given.quick else 1
    calls: dict[str, Callable[[], dict[str, Any]]] = {
        "lanes": lambda: lanes(given.rounds, 1000 // scale, 1000 // scale),
        "command": lambda: command(given.rounds, 1000),
        "many": lambda: many(100_000 // scale, 200),
        "network": lambda: network(given.rounds, 64),
        "overhead": lambda: overhead(200 // scale),
        "engines": lambda: engines(given.rounds, 10_000 // scale),
    }
    results = {part: calls[part]() for part in given.only.split(",")}
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
