"""How fast gdrun trains, beside its peers in the same run.

    python benchmarks/training.py [--quick] [--only line,mlp,process,memory] [--rounds N] [--json FILE]

Prints Markdown tables: microseconds a step for two workloads, seconds of whole commands, peak memory; then what was
aimed at and what came out. Every peer has its own process; repetitions of all peers alternate; numbers are medians.
Needs the `bench` extra: pip install -e '.[bench]'. A peer whose library is missing is left out and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from measure import Measured, measure_commands, measure_peers, peak_megabytes
from peers import line, mlp

PARTS = ("line", "mlp", "process", "memory")
CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True)
class Aim:
    """A ratio that is aimed at. `at_least` False: at most."""

    what: str
    measured: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it came out."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def row(self) -> tuple[str, ...]:
        """As a table shows it."""
        word = "at least" if self.at_least else "at most"
        return self.what, f"{word} {self.bound:g}", f"{self.measured:.3g}", "met" if self.met else "NOT MET"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for and print it."""
    options = _options(arguments)
    rounds = options.rounds or (2 if options.quick else 7)
    aims: list[Aim] = []
    raw: dict[str, Any] = {"machine": machine()}
    print(f"# Training speed\n\n{machine()}\n\nMedians of {rounds} rounds.\n")
    parts: dict[str, Callable[[], tuple[list[Aim], Any]]] = {
        "line": lambda: _workload("line", line.PEERS, _line_aims, rounds=rounds, quick=options.quick),
        "mlp": lambda: _workload("mlp", mlp.PEERS, _mlp_aims, rounds=rounds, quick=options.quick),
        "process": lambda: _processes(rounds),
        "memory": lambda: _memory(1 if options.quick else 3),
    }
    for name in options.only:
        found, raw[name] = parts[name]()
        aims += found
    print("## Aims\n")
    print(table(("ratio", "aim", "measured", ""), [aim.row() for aim in aims]))
    if options.json:
        options.json.write_text(json.dumps(raw, indent=1) + "\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps: shows that it works, no more")
    parser.add_argument("--only", type=lambda text: text.split(","), default=PARTS, metavar="PART,...")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 7, quick: 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample")
    options = parser.parse_args(arguments)
    unknown = set(options.only) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


_TITLES = {
    "line": "Linear regression, n = 100, full batch, gradient descent",
    "mlp": "MLP 784-128-10, 20,000 examples, batch 128, shuffled each epoch, Adam",
}


def _workload(
    name: str, peers: Mapping[str, type], aims: Callable[[dict[str, Measured]], list[Aim]], *, rounds: int, quick: bool
) -> tuple[list[Aim], Any]:
    measured = measure_peers(name, list(peers), rounds=rounds, quick=quick)
    here = {peer: result for peer, result in measured.items() if result.samples}
    own = here["gdrun"].microseconds
    rows = []
    for peer, result in here.items():
        fastest, slowest = result.spread
        rows.append(
            (
                peer,
                f"{result.microseconds:.3g}",
                f"{fastest:.3g} to {slowest:.3g}",
                f"{result.microseconds / own:.3g}",
                f"{result.steps:,}",
                f"{result.compile_seconds:.2f}",
                f"{result.loss:.6g}",
            )
        )
    print(f"## {_TITLES[name]}\n")
    head = ("peer", "us a step", "range", "times gdrun", "steps timed", "compile, s", "final loss")
    print(table(head, rows))
    for peer, result in measured.items():
        if result.missing:
            print(f"{peer} was left out: {result.missing}\n")
    if name == "line":
        print(f"Peers timed over fewer than {line.STEPS:,} steps are extrapolated: their time a step is constant.\n")
    return aims(here), {peer: vars(result) for peer, result in measured.items()}


def _line_aims(here: dict[str, Measured]) -> list[Aim]:
    own = here["gdrun"].microseconds
    aims = [Aim("line: eager tape / gdrun", here["eager tape"].microseconds / own, 500, True)]
    if "JAX scan + optax" in here:
        aims.append(Aim("line: gdrun / JAX scan", own / here["JAX scan + optax"].microseconds, 0.8, False))
    aims.append(Aim("line: gdrun with 2000 rows / without", here["gdrun, 2000 rows"].microseconds / own, 1.1, False))
    return aims


def _mlp_aims(here: dict[str, Measured]) -> list[Aim]:
    own = here["gdrun"].microseconds
    aims = [
        Aim("MLP: Keras fit / gdrun", here["Keras fit"].microseconds / own, 5, True),
        Aim("MLP: Keras fit, tuned / gdrun", here["Keras fit, tuned"].microseconds / own, 2.5, True),
    ]
    if "JAX scan + optax" in here:
        aims.append(Aim("MLP: gdrun / JAX + optax", own / here["JAX scan + optax"].microseconds, 1.0, False))
    return aims


def _gdrun() -> list[str]:
    """The installed command, else the module."""
    script = Path(sys.executable).with_name("gdrun")
    found = str(script) if script.exists() else shutil.which("gdrun")
    return [found] if found else [sys.executable, "-m", "gdrun"]


def _processes(rounds: int) -> tuple[list[Aim], Any]:
    pi = str(CONFIGS / "pi.yaml")
    tensorflow, light = "python -c 'import tensorflow'", "python -c 'import typer, pydantic, yaml'"
    train, show_help, validate = "gdrun train configs/pi.yaml", "gdrun --help", "gdrun validate configs/pi.yaml"
    with tempfile.TemporaryDirectory(prefix="gdrun-benchmark-") as runs:
        commands = {
            tensorflow: [sys.executable, "-c", "import tensorflow"],
            train: [*_gdrun(), "train", pi, "--runs-dir", runs],
            light: [sys.executable, "-c", "import typer, pydantic, yaml"],
            show_help: [*_gdrun(), "--help"],
            validate: [*_gdrun(), "validate", pi],
        }
        times = measure_commands(commands, rounds=rounds)
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    rows = [
        (f"`{name}`", f"{median[name]:.3f}", f"{min(seconds):.3f} to {max(seconds):.3f}")
        for name, seconds in times.items()
    ]
    print("## Whole processes\n")
    print(table(("command", "seconds", "range"), rows))
    aims = [
        Aim("gdrun train configs/pi.yaml / import tensorflow", median[train] / median[tensorflow], 1.25, False),
        Aim("gdrun --help / import typer, pydantic, yaml", median[show_help] / median[light], 1.5, False),
        Aim("gdrun validate / import typer, pydantic, yaml", median[validate] / median[light], 1.5, False),
    ]
    return aims, times


def _memory(rounds: int) -> tuple[list[Aim], Any]:
    """Peak memory of the MLP's training beside that of the imports alone."""
    with tempfile.TemporaryDirectory(prefix="gdrun-benchmark-") as folder:
        config = mlp.write_config(Path(folder), epochs=2)
        commands = {
            "import tensorflow": [sys.executable, "-c", "import tensorflow"],
            "import tensorflow, keras": [sys.executable, "-c", "import tensorflow, keras; keras.Model"],
            "gdrun train, MLP": [*_gdrun(), "train", str(config), "--runs-dir", f"{folder}/runs"],
            "gdrun train configs/pi.yaml": [
                *_gdrun(),
                "train",
                str(CONFIGS / "pi.yaml"),
                "--runs-dir",
                f"{folder}/runs",
            ],
        }
        peaks = {name: [peak_megabytes(command) for _ in range(rounds)] for name, command in commands.items()}
    median = {name: statistics.median(values) for name, values in peaks.items()}
    data = mlp.EXAMPLES * (mlp.FEATURES * 4 + 4) / 1e6
    parameters = (mlp.FEATURES + 1) * mlp.HIDDEN + (mlp.HIDDEN + 1) * mlp.CLASSES
    state = 3 * parameters * 4 / 1e6  # parameters and Adam's two moments, float32
    allowed = median["import tensorflow, keras"] + 3 * (data + state)
    print("## Peak memory\n")
    print(table(("command", "MB"), [(f"`{name}`", f"{value:.0f}") for name, value in median.items()]))
    print(f"The MLP's data are {data:.1f} MB and its state {state:.1f} MB; allowed: {allowed:.0f} MB.\n")
    return [
        Aim("MLP: peak memory / (imports + 3 (data + state))", median["gdrun train, MLP"] / allowed, 1.0, False)
    ], peaks


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned right."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]

    def text(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if k == 0 else ":") for k, w in enumerate(widths)) + "|"
    return "\n".join([text(head), rule, *map(text, rows)]) + "\n"


def machine() -> str:
    packages = []
    for name in ("tensorflow", "keras", "jax", "optax", "numpy"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    return f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {', '.join(packages)}."


if __name__ == "__main__":
    main()
