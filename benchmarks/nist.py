"""How many certified digits gdrun's methods find on NIST's nonlinear regression problems.

    python benchmarks/nist.py DIR [--only Misra1a,Lanczos3] [--optimizer lbfgs] [--json FILE]

DIR holds the .dat files of NIST's Statistical Reference Datasets (27 problems, each with two starting points) from
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml. Each start becomes a config in a temporary folder and is run by
`gdrun.train`; SciPy's least_squares runs beside it, or for lbfgs and cg its L-BFGS-B or CG with exact gradients. Prints
a Markdown table of digits: the log relative error of the worst parameter, 11 at most, since so many are certified.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ENOUGH = 6.0
"""Digits that count as solved."""
MOST = 11.0
"""Digits that are certified."""


@dataclass(frozen=True)
class Problem:
    """One of NIST's files; numbers as they are written there."""

    name: str
    level: str
    formula: str
    """Of x (or x1, x2) and the parameters b1, b2, ..."""
    target: str
    """y, or a formula of it."""
    columns: dict[str, tuple[str, ...]]
    """y, x, ..."""
    starts: tuple[dict[str, str], ...]
    certified: dict[str, float]

    def config(self, start: int, optimizer: str) -> str:
        """Return the experiment as YAML."""
        inputs = {name: values for name, values in self.columns.items() if name != "y"}
        lines = [
            f"description: NIST {self.name}, start {start + 1}",
            "precision: float64",
            f"constants: {{y: {_listed(self.columns['y'])}}}",
            "data:",
            "  kind: formula",
            "  inputs:",
            *(f"    {name}: {_listed(values)}" for name, values in inputs.items()),
            f"  target: {self.target}",
            "model:",
            "  kind: formula",
            f'  formula: "{self.formula}"',
            f"  parameters: {{{', '.join(f'{name}: {value}' for name, value in self.starts[start].items())}}}",
            "loss: sse",
            f"optimizer: {optimizer}",
            "schedule: {steps: 10000, stop: {parameters_unchanged: true}}",
        ]
        return "\n".join(lines) + "\n"

    def digits(self, found: dict[str, Any]) -> float:
        """Return the log relative error of the worst parameter."""
        worst = max(abs(float(found[name]) - value) / abs(value) for name, value in self.certified.items())
        return 0.0 if not np.isfinite(worst) else float(np.clip(-np.log10(max(worst, 10**-MOST)), 0.0, MOST))

    def residuals(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return parameters, (P,) -> residuals, (N,), in NumPy: for SciPy."""
        values = {name: np.array(column, float) for name, column in self.columns.items()}
        names: dict[str, Any] = {name: getattr(np, name) for name in ("exp", "cos", "sin", "arctan", "log", "pi")}
        model = compile(self.formula, self.name, "eval")
        target = eval(self.target, names, values)

        def residuals(parameters: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                given = dict(zip(self.certified, parameters, strict=True))
                return eval(model, names, values | given) - target

        return residuals


def read_problem(path: Path) -> Problem:
    """Return the problem of one file. The file's head says in which lines its parts are."""
    text = path.read_text()
    lines = text.splitlines()
    first, last = _line_range(text, "Certified Values")
    rows = [re.match(r"\s*(b\d+)\s*=\s*(\S+)\s+(\S+)\s+(\S+)", line) for line in lines[first - 1 : last]]
    parameters = [row.groups() for row in rows if row is not None]
    begin, end = _line_range(text, "Data")
    data = list(zip(*(line.split() for line in lines[begin - 1 : end] if line.strip()), strict=True))
    names = ("y", "x") if len(data) == 2 else ("y", *(f"x{k}" for k in range(1, len(data))))
    model = " ".join(lines[next(i for i, line in enumerate(lines) if line.startswith("Model:")) : first - 1])
    target, formula = re.search(r"(log\[y\]|\by)\s*=\s*(.*?)\s*\+\s*e\b", model).groups()  # type: ignore[union-attr]
    level = re.search(r"(\w+) Level of Difficulty", text)
    return Problem(
        name=path.stem,
        level=level.group(1).lower() if level else "",
        formula=_formula(formula),
        target=_formula(target),
        columns=dict(zip(names, data, strict=True)),
        starts=tuple({row[0]: row[k] for row in parameters} for k in (1, 2)),
        certified={row[0]: float(row[3]) for row in parameters},
    )


def _line_range(text: str, what: str) -> tuple[int, int]:
    found = re.search(rf"^\s*{what}\s+\(lines\s+(\d+)\s+to\s+(\d+)\)", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"the file does not say in which lines '{what}' are: is it one of NIST's?")
    return int(found.group(1)), int(found.group(2))


def _formula(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("[", "(").replace("]", ")"))


def _listed(values: Sequence[str]) -> str:
    return f"[{', '.join(values)}]"


def run_gdrun(problem: Problem, start: int, folder: Path, optimizer: str) -> dict[str, Any]:
    """Return digits, steps, seconds and how the run ended."""
    import gdrun

    path = folder / f"{problem.name.lower()}-{start + 1}.yaml"
    path.write_text(problem.config(start, optimizer))
    began = time.perf_counter()
    run = gdrun.train(path, runs_dir=folder / "runs")
    seconds = time.perf_counter() - began
    return {
        "digits": problem.digits(run.parameters),
        "steps": run.info.steps,
        "stopped_by": run.info.stopped_by,
        "seconds": seconds,
    }


SCIPY: dict[str, dict[str, Any]] = {
    "lm": {"method": "lm"},
    "lm tight": {"method": "lm", "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 100_000},
    "trf tight": {"method": "trf", "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 10_000},
}
"""SciPy's least_squares: with its defaults, and as tight as it goes with columns scaled."""


def run_scipy(problem: Problem, start: int, settings: dict[str, Any]) -> float:
    """Return the digits of scipy.optimize.least_squares; 0 where it raises."""
    from scipy.optimize import least_squares

    begin = np.array([float(value) for value in problem.starts[start].values()])
    try:
        with np.errstate(all="ignore"):
            found = least_squares(problem.residuals(), begin, **settings).x
    except (ValueError, np.linalg.LinAlgError):
        return 0.0
    return problem.digits(dict(zip(problem.certified, found, strict=True)))


def run_scipy_minimize(problem: Problem, start: int, method: str) -> float:
    """Return the digits of scipy.optimize.minimize on the sum of squares, its gradient by complex steps."""
    from scipy.optimize import minimize

    residuals = problem.residuals()
    begin = np.array([float(value) for value in problem.starts[start].values()])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        steps = 1e-200j * np.eye(len(parameters))
        value = residuals(parameters)
        slopes = np.array([residuals(parameters + step).imag / 1e-200 for step in steps])
        return float(np.sum(value**2)), 2 * slopes @ value

    options = {"maxiter": 10_000, "gtol": 1e-14} | ({"ftol": 0.0} if method == "L-BFGS-B" else {})
    with np.errstate(all="ignore"):
        found = minimize(loss, begin, jac=True, method=method, options=options)
    return problem.digits(dict(zip(problem.certified, found.x, strict=True)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every start and print the table."""
    options = _options(arguments)
    problems = [read_problem(path) for path in sorted(options.directory.glob("*.dat"))]
    problems = [problem for problem in problems if options.only is None or problem.name in options.only]
    if not problems:
        raise SystemExit(f"no problems in {options.directory}")
    method = {"lbfgs": "L-BFGS-B", "cg": "CG"}.get(options.optimizer)
    peers: dict[str, Callable[[Problem, int], float]] = {
        name: partial(run_scipy, settings=settings) for name, settings in SCIPY.items()
    }
    if method is not None:
        peers = {method: partial(run_scipy_minimize, method=method)}
    header = ("problem", "level", "start", "gdrun", "steps", *(f"SciPy {name}" for name in peers))
    print("|".join(("", *header, "")))
    print("|".join(("", *(["---"] * len(header)), "")))
    rows = []
    with tempfile.TemporaryDirectory(prefix="gdrun-nist-") as folder:
        for problem in problems:
            for start in range(len(problem.starts)):
                row = {"problem": problem.name, "level": problem.level, "start": start + 1}
                row |= run_gdrun(problem, start, Path(folder), options.optimizer)
                row |= {name: run(problem, start) for name, run in peers.items()}
                rows.append(row)
                digits = [f"{row[name]:.1f}" for name in peers]
                cells = (problem.name, problem.level, start + 1, f"{row['digits']:.1f}", row["steps"], *digits)
                print("|".join(("", *map(str, cells), "")), flush=True)
    _summarise(rows, list(peers))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def _summarise(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> None:
    solved = {name: sum(row[name] >= ENOUGH for row in rows) for name in ("digits", *peers)}
    names = {"digits": "gdrun", **{name: f"SciPy {name}" for name in peers}}
    print(
        f"\nStarts solved to {ENOUGH:g} digits, of {len(rows)}: "
        + ", ".join(f"{names[n]} {k}" for n, k in solved.items())
    )
    at_rest = sum(row["stopped_by"] == "parameters_unchanged" for row in rows)
    print(f"gdrun came to rest by itself in {at_rest}; {sum(row['seconds'] for row in rows):.0f} s in all.")
    print(f"Aim: all {len(rows)}: {'met' if solved['digits'] == len(rows) else 'NOT MET'}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--only", type=lambda text: set(text.split(",")), help="names of problems, comma-separated")
    parser.add_argument("--optimizer", default="levenberg_marquardt", choices=["levenberg_marquardt", "lbfgs", "cg"])
    parser.add_argument("--json", type=Path, help="write the rows there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
