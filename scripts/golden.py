"""Record what gdrun computes and prints, and compare two recordings: the guard of a refactor.

Usage: python scripts/golden.py record DIRECTORY [CONFIG ...]
       python scripts/golden.py compare BEFORE AFTER

A recording holds the runs of all shipped configs (rows, arrays, final values), the table of each shipped sweep, every
`--help`, the JSON Schema and the resolved configs. It is made on one machine and compared there: it is not an oracle.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
GDRUN = [sys.executable, "-m", "gdrun"]


def record(directory: Path, configs: list[str]) -> None:
    """Write a recording of this checkout into `directory`, which must not exist."""
    (directory / "texts").mkdir(parents=True)
    _record_texts(directory / "texts")
    paths = configs or sorted(str(path) for path in (ROOT / "configs").glob("*.yaml"))
    _gdrun("train", *paths, "--runs-dir", str(directory / "runs"), output=directory / "texts" / "train.txt")
    for path in paths:
        if "sweep" in yaml.safe_load(Path(path).read_text()):
            name = Path(path).stem
            _gdrun(
                "sweep", path, "--runs-dir", str(directory / "sweeps"), output=directory / "texts" / f"sweep-{name}.txt"
            )


def _record_texts(directory: Path) -> None:
    listed = json.loads(_gdrun("schema"))
    (directory / "schema.json").write_text(json.dumps(listed, indent=1, sort_keys=True))
    top = _gdrun("--help")
    (directory / "help.txt").write_text(top)
    for command in _commands():
        (directory / f"help-{command}.txt").write_text(_gdrun(command, "--help"))
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        (directory / f"resolved-{path.stem}.yaml").write_text(_gdrun("explain", str(path)))


def _commands() -> list[str]:
    code = "from gdrun.cli.app import GROUPS; print(*(name for group in GROUPS.values() for name in group))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.split()


def _gdrun(*arguments: str, output: Path | None = None) -> str:
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*GDRUN, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment)
    if output is not None:
        output.write_text(f"exit {done.returncode}\n")
        if done.returncode:
            print(done.stderr[-2000:])
    return done.stdout


def compare(before: Path, after: Path) -> list[str]:
    """Return what differs between two recordings, a line each."""
    differences = []
    left_files, right_files = _files(before), _files(after)
    for name in sorted(left_files.keys() | right_files.keys()):
        if name not in left_files or name not in right_files:
            differences.append(f"{name}: only in {before if name in left_files else after}")
        elif _content(left_files[name]) != _content(right_files[name]):
            differences.append(f"{name}: differs")
    return differences


def _files(root: Path) -> dict[str, Path]:
    """Return the files of a recording by their names, run directories without the time and the random end of theirs."""
    names = {}
    for path in root.rglob("*"):
        if path.is_file() and not {"latest", "checkpoints"} & set(path.relative_to(root).parts):
            relative = str(path.relative_to(root))
            names[re.sub(r"\d{4}-\d\d-\d\dT\d{6}-(\S+?)-[0-9a-f]{4}(?=/)", r"\1", relative)] = path
    return names


def _content(path: Path) -> Any:
    """What of a file must stay: all of it, without times, versions and places."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            members = {name: np.asarray(arrays[name]) for name in arrays.files if not name.startswith("meta")}
            return {name: (value.dtype.str, value.shape, value.tobytes()) for name, value in members.items()}
    if path.name == "run.json":
        data = json.loads(path.read_text())
        return json.dumps(data.get("final", data.get("summary")), sort_keys=True)
    if path.suffix in (".txt", ".yaml", ".json", ".csv", ".jsonl"):
        return re.sub(r"\S*/configs/", "configs/", path.read_text()) if path.name != "log.txt" else None
    return None


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record(Path(sys.argv[2]), sys.argv[3:])
    elif sys.argv[1:2] == ["compare"]:
        found = compare(Path(sys.argv[2]), Path(sys.argv[3]))
        print("\n".join(found) or "no difference")
        sys.exit(bool(found))
    else:
        sys.exit(__doc__)
