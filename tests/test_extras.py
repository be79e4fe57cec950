"""Installations that lack packages, TensorFlow above all: what works, and what the rest says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gdrun.errors import ResourceError
from gdrun.extras import install_hint, require
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

ROOT = Path(__file__).resolve().parent.parent

WITHOUT_TENSORFLOW = """\
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import PathFinder

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in ("tensorflow", "keras"):
            return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed

from gdrun.cli import main

results = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
        code = main(arguments)
    results.append((code, out.getvalue()))
print(json.dumps(results))
"""

READING = [
    ["validate", "pi.yaml", "gallery:moons"],
    ["explain", "pi.yaml", "lr"],
    ["ls"],
    ["show", "latest"],
    ["compare", "latest", "latest~1"],
    ["diff", "latest", "latest~1"],
    ["verify", "latest"],
    ["plot", "latest", "-o", "loss.png"],
    ["report", "latest", "-o", "page.html"],
    ["export", "latest", "--to", "csv", "-o", "rows.csv"],
    ["tag", "latest", "good"],
    ["note", "latest", "seen"],
    ["pack", "latest", "-o", "runs.zip"],
]
COMPUTING = [
    ["train", "pi.yaml"],
    ["validate", "pi.yaml", "--plugin", "losses.py"],
    ["sweep", "pi.yaml", "lr=1e-5,2e-5"],
    ["check", "pi.yaml"],
    ["predict", "latest", "x=3"],
    ["evaluate", "latest"],
    ["grad", "x**2", "x=3"],
    ["check-grad", "pi.yaml"],
    ["stability", "pi.yaml"],
    ["lr", "pi.yaml"],
    ["export", "latest", "--model", "savedmodel", "-o", "model"],
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of each command, in a process without TensorFlow and a folder with two recorded runs."""
    folder = tmp_path_factory.mktemp("without")
    config = (ROOT / "configs" / "pi.yaml").read_text()
    (folder / "pi.yaml").write_text(config)
    (folder / "losses.py").write_text("import tensorflow as tf\n")
    for name in ("a", "b"):
        with RunStore.create(folder / "runs", name, settings={"seed": 0}) as store:
            store.write_text("config.yaml", config)
            store.write_text("source/pi.yaml", config)
            append_rows(store, [{"step": step, "loss": 2.0**-step} for step in range(5)])
            store.write_parameters({"a": 3.0})
            store.close("completed", steps=4, final={"loss": 0.0625})
    commands = READING + COMPUTING
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, json.dumps(commands)],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {" ".join(words): tuple(result) for words, result in zip(commands, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("command", [" ".join(words) for words in READING])
def test_what_reads_works_without_tensorflow(command: str, results: dict[str, tuple[int, str]]) -> None:
    code, output = results[command]
    assert code == 0, output


@pytest.mark.parametrize("command", [" ".join(words) for words in COMPUTING])
def test_what_computes_says_that_tensorflow_is_missing(command: str, results: dict[str, tuple[int, str]]) -> None:
    code, output = results[command]
    assert (code, "the package tensorflow, which is not installed\n  pip install 'gdrun" in output) == (8, True), output


def test_the_mend_names_the_distribution_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert install_hint("plot") == "pip install 'gdrun[plot]'"
    (tmp_path / "gdrun_core-1.dist-info").mkdir()
    (tmp_path / "gdrun_core-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: gdrun-core\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ResourceError, match="a page needs the package absent, which is not installed") as caught:
        require("absent.part", extra="report", what="a page")
    assert caught.value.hint == "pip install 'gdrun-core[report]'"
