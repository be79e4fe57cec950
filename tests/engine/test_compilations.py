"""Every family of models is traced and compiled once a program, over many steps and chunks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]

TAIL = "optimizer: {kind: adam, learning_rate: 0.01}\nschedule: {steps: 14, batch_size: 8}\nrecord: {every: 3}\n"
EVEN = TAIL.replace("batch_size: 8", "batch_size: 10")
IMAGES = "data: {kind: npz, path: images.npz, inputs: [x], target: y}\n"
ROWS = "data: {kind: npz, path: rows.npz, inputs: [x], target: y}\n"
POINTS = "data: {kind: npz, path: points.npz, inputs: [x]}\n"
BINARY = "loss: {kind: binary_crossentropy, from_logits: true}\n"
FAMILIES = {
    "line": ROWS + "model: linear\n" + TAIL,
    "mlp": ROWS + "model: {kind: mlp, hidden: [4]}\n" + BINARY + "metrics: [accuracy]\n" + TAIL,
    "large mlp": ROWS + "model: {kind: mlp, hidden: [64, 64]}\n" + BINARY + EVEN,
    "cnn": IMAGES
    + "model: {kind: layers, layers: [{kind: conv2d, filters: 2, kernel_size: 3}, flatten, {kind: dense, units: 1}]}\n"
    + BINARY
    + TAIL,
    "lstm": IMAGES.replace("images", "series")
    + "model: {kind: layers, layers: [{kind: lstm, units: 3}, {kind: dense, units: 1}]}\n"
    + BINARY
    + EVEN,
    "normalisation": ROWS
    + "model: {kind: layers, layers: [{kind: dense, units: 3}, batch_normalization, {kind: dropout, rate: 0.2}, "
    + "{kind: dense, units: 1}]}\n"
    + BINARY
    + TAIL,
    "gaussian process": POINTS
    + "define: {L: 'cholesky(exp(-s * (x[:, None] - x)**2) + 0.1 * eye(20))'}\n"
    + "model: {kind: formula, formula: sum(log(diag_part(L))), parameters: {s: 1}}\n"
    + TAIL.replace(", batch_size: 8", ""),
    "slopes of a network": POINTS
    + 'define: {u: net(x), slope: "grad(u, x)"}\n'
    + "model: {kind: formula, formula: mean((slope - x)**2), networks: {net: {kind: mlp, hidden: [3]}}}\n"
    + TAIL.replace(", batch_size: 8", ""),
    "a step for each row of weights": POINTS
    + """
define:
  copies: tile([net], [20, 1])
  points: expand_dims(x, 1)
  fast: "copies - 0.1 * grad(sum((net(points, weights=copies) - points)**2), copies)"
model:
  kind: formula
  formula: mean((net(points, weights=fast) - points)**2) + 0.01 * sum(many**2)
  networks: {net: linear}
  parameters: {many: {init: ones, shape: [110]}}
"""
    + TAIL.replace(", batch_size: 8", ""),
    "long loop": POINTS
    + "define: {z: {start: 1.0 * a, repeat: z - 0.01 * a * z, times: 20}}\n"
    + "model: {kind: formula, formula: z**2, parameters: {a: 1}}\n"
    + TAIL.replace(", batch_size: 8", ""),
    "levenberg-marquardt": ROWS
    + "model: {kind: formula, formula: 'w * sum(x, axis=1) + b', parameters: {w: 0, b: 0}}\n"
    + "optimizer: levenberg_marquardt\nschedule: {steps: 14}\nrecord: {every: 3}\n",
}
"""20 examples in batches of 8: the last batch of an epoch is smaller, and has a copy of the step of its own.

Those that XLA compiles for long have batches of 10, without such a copy.
"""


def train_all(folder: Path) -> None:
    """Train every family in chunks of 4 steps, and print how often each program was traced and how it runs."""
    from gdrun import load_config, prepare
    from gdrun.engine.drive import Pace, drive

    Pace.next_steps = lambda self: 4  # type: ignore[method-assign]
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 20)
    for file, shape in (("images", (20, 6, 6, 1)), ("rows", (20, 3)), ("series", (20, 4, 2)), ("points", (20,))):
        np.savez(folder / f"{file}.npz", x=draw.normal(size=shape).astype("f"), y=y)
    results = {}
    for name, text in FAMILIES.items():
        path = folder / f"{name.replace(' ', '-')}.yaml"
        path.write_text(text)
        built = prepare(load_config(path)).built
        reports = list(drive(built.program, built.state, built.setting, built.data, built.rows, built.windows))
        results[name] = (len(reports), built.program.num_traces, built.compile)
    print(json.dumps(results))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Counter[str]]:
    """Family -> (chunks, traces, mode), and traced function -> programs that XLA compiled for it.

    A process of its own: XLA reads where it writes its programs to once, before the first one.
    """
    folder = tmp_path_factory.mktemp("compilations")
    flags = f"--xla_dump_to={folder / 'programs'} --xla_dump_hlo_as_text --xla_dump_hlo_module_re=.*traced.*"
    code = "import sys, pathlib, tests.engine.test_compilations as t; t.train_all(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "XLA_FLAGS": flags, "TF_XLA_FLAGS": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    programs = [file.name for file in (folder / "programs").glob("*before_optimizations.txt")]
    names = Counter(re.search(r"inference_\w*?traced_\d+", name)[0] for name in programs)  # type: ignore[index]
    return json.loads(done.stdout.splitlines()[-1]), names


def test_every_family_is_traced_once(trained):
    assert trained[0].keys() == FAMILIES.keys()
    for name, (chunks, traces, _) in trained[0].items():
        assert (chunks, traces) == (4, 1), name


def test_every_program_is_compiled_once(trained):
    families, programs = trained
    assert len(programs) == sum(mode == "xla" for _, _, mode in families.values())
    assert set(programs.values()) == {1}, programs


def test_what_xla_is_slow_at_runs_as_a_graph(trained):
    assert {name for name, (_, _, mode) in trained[0].items() if mode == "graph"} == {"cnn", "gaussian process"}
