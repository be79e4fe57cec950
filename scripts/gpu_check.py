"""Check of gdrun on a GPU: digits beside the processor's, speed, memory, and what happens where memory is not enough.

    python scripts/gpu_check.py [--device gpu:1]

Prints one page. A step's time is taken from two lengths of a run, so that compiling and starting are not in it. Exit
codes: 0 where the GPU agrees with the processor, 1 where something is wrong, 8 where there is no GPU. `--device cpu`
compares the processor with itself, to see that the script works.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = 8
TOLERANCE = 1e-3
"""Of final values and losses, relative: float32, summed in another order for so many steps."""
LINE = """
record: {every: [0]}
data: {kind: formula, inputs: {x: "linspace(-1, 1, 100)"}, target: 3*x + 2, noise: "normal(0, 0.1)"}
model: {kind: formula, formula: w*x + b, parameters: {w: 0, b: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
"""
MLP = """
record: {every: [0]}
data: {kind: formula, inputs: {x: "normal(0, 1, [6400, 64])"}, target: "floor(uniform(0, 10, 6400))"}
model: {kind: mlp, hidden: [256], activation: relu, outputs: 10}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {batch_size: 64}
"""
CNN = """
record: {every: [0]}
data: {kind: formula, inputs: {x: "normal(0, 1, [640, 16, 16, 1])"}, target: "floor(uniform(0, 10, 640))"}
model:
  kind: layers
  layers:
    - {kind: conv2d, filters: 16, kernel_size: 3, activation: relu}
    - flatten
    - {kind: dense, units: 10}
loss: {kind: sparse_categorical_crossentropy, from_logits: true}
optimizer: {kind: sgd, learning_rate: 0.01}
schedule: {batch_size: 64}
"""


@dataclass(frozen=True)
class Workload:
    """Something to train, so many steps and then three times as many."""

    name: str
    config: str
    steps: int
    rates: int = 0
    """Number of learning rates, as lanes of a sweep; 0: a run."""

    def train(self, device: str, steps: int, folder: Path) -> tuple[float, dict[str, np.ndarray]]:
        """Return the seconds and the final values on a device."""
        import gdrun

        settings = {"schedule.steps": steps}
        began = time.perf_counter()
        if self.rates:
            arguments = {"lr": f"log:1e-4:0.1:{self.rates}", **settings}
            run = gdrun.sweep(self.config.encode(), arguments, device=device, runs_dir=folder)
            values = {"loss": np.array([trial["loss"] for trial in run.trials])}
        else:
            run = gdrun.train(self.config.encode(), settings, device=device, runs_dir=folder)
            values = {"loss": np.array(run.final["loss"]), **run.parameters}
        return time.perf_counter() - began, values

    def measure(self, device: str, folder: Path) -> tuple[float, dict[str, np.ndarray]]:
        """Return the microseconds a step and the final values of the shorter training."""
        self.train(device, 1, folder)  # the first one in a process imports and fills caches
        short, values = self.train(device, self.steps, folder)
        long, _ = self.train(device, 3 * self.steps, folder)
        return 1e6 * (long - short) / (2 * self.steps), values


WORKLOADS = (
    Workload("line", LINE, 100_000),
    Workload("MLP 64-256-10", MLP, 2000),
    Workload("CNN 16x16", CNN, 200),
    Workload("line, 1024 lanes", LINE, 10_000, rates=1024),
)


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """Return the largest difference of values of one name, relative to the largest of that name."""
    apart = [np.max(np.abs(a[name] - b[name])) / max(float(np.max(np.abs(b[name]))), 1e-30) for name in b]
    return float(max(apart))


def out_of_memory(device: str, megabytes: float, folder: Path) -> tuple[int, str]:
    """Return the exit code and the message of a training that wants twice the memory of the GPU."""
    examples = 100_000
    hidden = int(2 * megabytes * 2**20 / 4 / examples)
    text = f"""
data: {{kind: formula, inputs: {{x: "linspace(-1, 1, {examples})"}}, target: x}}
model: {{kind: mlp, hidden: [{hidden}], activation: tanh, outputs: 1}}
optimizer: sgd
schedule: {{steps: 2}}
compile: graph
"""
    (folder / "large.yaml").write_text(text)
    command = [sys.executable, "-m", "gdrun", "train", "-q", "large.yaml", "--device", device]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip()[-500:]


def check(device: str) -> bool:
    """Print the page; return whether all is as it has to be."""
    from gdrun.engine.device import configure, import_tensorflow

    tf = import_tensorflow()
    chosen = configure(device=device)
    is_gpu = chosen.name.startswith("/GPU")
    fine = True
    print(f"# gdrun on {chosen.description}, TensorFlow {tf.__version__}, beside the processor\n")
    print("| | us a step, processor | us a step, device | off by | twice the same bits | peak MB |")
    print("|---|---:|---:|---:|---|---:|")
    with TemporaryDirectory(prefix="gdrun-gpu-") as name:
        folder = Path(name)
        for load in WORKLOADS:
            cpu, expected = load.measure("cpu", folder)
            if is_gpu:
                tf.config.experimental.reset_memory_stats(chosen.name[1:])
            gpu, values = load.measure(device, folder)
            _, again = load.train(device, load.steps, folder)
            same = all(np.array_equal(values[key], again[key]) for key in values)
            off = difference(values, expected)
            fine &= same and off < TOLERANCE
            peak = f"{megabytes_of(tf, chosen.name):.0f}" if is_gpu else "-"
            print(
                f"| {load.name} | {cpu:.3g} | {gpu:.3g} | {off:.1g} | {'yes' if same else 'NO'} | {peak} |", flush=True
            )
        if is_gpu:
            index = int(chosen.name.rpartition(":")[2])
            details = subprocess.run(
                ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", f"--id={index}"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            code, message = out_of_memory(device, float(details.stdout), folder)
            fine &= code == NO_GPU and "not enough memory" in message
            print(f"\nTwice the memory: exit code {code}, has to be {NO_GPU}\n{message}")
    wrong = f"SOMETHING IS WRONG: values may be off by {TOLERANCE}, bits have to be the same."
    print("\n" + ("All as it has to be." if fine else wrong))
    return fine


def megabytes_of(tf: Any, name: str) -> float:
    """Return the most memory that tensors took on a GPU since it was asked to count anew."""
    return tf.config.experimental.get_memory_info(name[1:])["peak"] / 2**20


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu")
    device = parser.parse_args().device
    from gdrun.errors import ResourceError

    try:
        return 0 if check(device) else 1
    except ResourceError as error:
        print(f"nothing was checked: {error.message}", file=sys.stderr)
        return NO_GPU


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
