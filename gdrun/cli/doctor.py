"""`gdrun doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Any

from rich.text import Text

from gdrun.errors import ExitCode
from gdrun.extras import distribution, install_hint
from gdrun.machine import num_nvidia_gpus
from gdrun.rundir.environment import describe_host, package_versions
from gdrun.rundir.layout import default_runs_root
from gdrun.text import human_bytes, human_seconds
from gdrun.version import __version__

from . import session, terminal
from .arguments import Json, RunsDir
from .output import print_json

TRAINING = ("tensorflow", "keras")
NEEDED = (*TRAINING, "numpy", "typer", "pydantic", "pyyaml", "rich")

OPTIONAL = {
    "plot": ("matplotlib", "pictures"),
    "report": ("plotly", "pages"),
    "search": ("optuna", "searches"),
    "tensorboard": ("tensorboard", "TensorBoard files"),
    "dask": ("distributed", "clusters"),
    "slurm": ("submitit", "jobs of SLURM"),
    "sklearn": ("scikit-learn", "its data sets"),
    "pandas": ("pandas", "data frames"),
    "parquet": ("pyarrow", "Parquet files"),
    "mlflow": ("mlflow", "MLflow export"),
    "wandb": ("wandb", "W&B export"),
    "shell": ("prompt_toolkit", "the prompt of gdrun shell"),
}
"""Extra of gdrun -> (the package that it brings, what for); one that this gdrun does not offer is not looked for."""

OK, NOTE, BAD = "ok", "note", "bad"


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at and the verdict."""

    subject: str
    verdict: str
    """ "ok", "note" (works, but could be better) or "bad" (gdrun cannot work)."""
    state: str
    fix: str = ""


def command(runs_dir: RunsDir = None, as_json: Json = False) -> int:
    """Say what is installed here and what is missing.

    Exit code 8 if something that gdrun needs is not there.
    """
    checks = [_python(), *_packages(), _bytecode(), _machine(), _runs(runs_dir)]
    with session.quiet(), session.waiting("starting TensorFlow"):
        if distribution() == "gdrun" or find_spec("tensorflow"):
            checks += _tensorflow()
    code = ExitCode.RESOURCE if any(check.verdict == BAD for check in checks) else ExitCode.DONE
    if as_json:
        print_json({"findings": [asdict(check) for check in checks], "exit_code": int(code)})
        return code
    width = max(len(check.subject) for check in checks)
    marks = {OK: ("ok  ", "green"), NOTE: ("note", "yellow"), BAD: ("BAD ", "red")}
    for check in checks:
        fix = f"  ({check.fix})" if check.fix else ""
        terminal.data(Text.assemble(marks[check.verdict], f" {check.subject.ljust(width)}  {check.state}{fix}"))
    return code


def _python() -> Diagnosis:
    version = platform.python_version()
    new_enough = sys.version_info >= (3, 11)
    return Diagnosis(
        "python", OK if new_enough else BAD, f"{version} in {sys.prefix}", "" if new_enough else "needs 3.11"
    )


def _packages() -> list[Diagnosis]:
    try:
        extras = metadata.metadata(distribution()).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:  # run from a source tree
        extras = []
    checks = [Diagnosis("gdrun", OK, __version__)]
    missing = {name: (BAD, f"pip install {name}") for name in NEEDED}
    if distribution() == "gdrun-core":
        missing |= dict.fromkeys(TRAINING, (NOTE, f"training: {install_hint('tensorflow')}"))
    for extra, (name, use) in OPTIONAL.items():
        if extra in extras:
            missing[name] = NOTE, f"{use}: {install_hint(extra)}"
    versions = package_versions(tuple(missing))
    for name, (verdict, fix) in missing.items():
        version = versions[name]
        checks.append(Diagnosis(name, OK, version) if version else Diagnosis(name, verdict, "not installed", fix))
    return checks


def _bytecode() -> Diagnosis:
    """Look for compiled bytecode, without which TensorFlow takes 12 s to start instead of 4."""
    spec = find_spec("tensorflow")
    if spec is None or spec.origin is None:
        return Diagnosis("bytecode", NOTE, "unknown: no tensorflow")
    if os.path.exists(cache_from_source(spec.origin)):
        return Diagnosis("bytecode", OK, "compiled")
    if sys.dont_write_bytecode:
        fix = "unset PYTHONDONTWRITEBYTECODE, or run python -m compileall on site-packages"
        return Diagnosis("bytecode", NOTE, "not compiled: each start takes three times as long", fix)
    return Diagnosis("bytecode", NOTE, "not compiled yet: the next start is slow, those after it are not")


def _machine() -> Diagnosis:
    host = describe_host()
    memory = human_bytes(host["memory_bytes"]) if host["memory_bytes"] else "unknown"
    cores = f"{host['usable_cores']} of {host['cores']} cores"
    return Diagnosis("machine", OK, f"{host['processor']}, {cores}, {memory} memory, {host['system']}")


def _runs(runs_dir: Path | None) -> Diagnosis:
    """Look whether run directories can be written; leave nothing behind."""
    root = runs_dir or default_runs_root()
    place = root
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return Diagnosis("runs", BAD, f"{root} cannot be made: {place} is no directory", "--runs-dir DIR or GDRUN_RUNS")
    if not os.access(place, os.W_OK | os.X_OK):
        return Diagnosis("runs", BAD, f"{root}: {place} cannot be written to", "--runs-dir DIR or GDRUN_RUNS")
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    low = free < 100_000_000
    return Diagnosis("runs", NOTE if low else OK, f"{root}, {human_bytes(free)} free", "little space" if low else "")


def _tensorflow() -> list[Diagnosis]:
    from gdrun.engine.device import import_tensorflow

    began = time.monotonic()
    try:
        tf: Any = import_tensorflow()
    except Exception as error:  # a broken installation can raise anything
        return [Diagnosis("tensorflow starts", BAD, f"{type(error).__name__}: {error}", "reinstall tensorflow")]
    seconds = time.monotonic() - began
    checks = [Diagnosis("tensorflow starts", OK, f"in {human_seconds(seconds)}")]
    gpus = tf.config.list_physical_devices("GPU")
    for number, gpu in enumerate(gpus):
        details = tf.config.experimental.get_device_details(gpu)
        checks.append(Diagnosis(f"gpu:{number}", OK, str(details.get("device_name", gpu.name))))
    if not gpus:
        built = tf.test.is_built_with_cuda()
        fix = "" if not num_nvidia_gpus() else "pip install 'gdrun[gpu]'"
        state = "none seen by TensorFlow" + ("" if built else ", which is built without CUDA")
        checks.append(Diagnosis("gpu", NOTE if fix else OK, state, fix))
    return checks
