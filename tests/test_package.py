"""The wheel and its metadata: what people install."""

from __future__ import annotations

import ast
import hashlib
import os
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from gdrun.version import __version__

ROOT = Path(__file__).resolve().parent.parent

NAMES = {
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "annotated_types": "annotated-types",
    "pydantic_core": "pydantic",  # a part of it that is installed by itself
    "typing_extensions": "typing-extensions",
    "PIL": "pillow",
    "dask": "distributed",
    "IPython": "",  # asked for only where it runs already
}
"""Import name -> name of the distribution, where they differ."""


build = runpy.run_path(str(ROOT / "scripts" / "build.py"))["build"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build sdist, wheel and the wheel of gdrun-core, without network."""
    return build(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def wheel(distributions: list[Path]) -> Path:
    return distributions[1]


def test_the_wheel_has_the_version_of_the_one_place_that_says_it(wheel: Path) -> None:
    assert wheel.name == f"gdrun-{__version__}-py3-none-any.whl"


def test_two_builds_have_the_same_bytes(distributions: list[Path], tmp_path: Path) -> None:
    for first, second in zip(distributions, build(tmp_path), strict=True):
        assert first.name == second.name
        assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_it_holds_the_gallery_the_starters_the_schema_the_type_marker_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"gdrun/gallery/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    starters = {f"gdrun/cli/starters/{path.name}" for path in (ROOT / "gdrun/cli/starters").iterdir()}
    assert shipped | starters | {"gdrun/py.typed", "gdrun/gallery/data/rents.csv", "gdrun/gdrun.schema.json"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_its_gallery_is_used_outside_a_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "gdrun", "validate", "gallery:pi", "gallery:rents"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "gallery:pi: ok\ngallery:rents: ok\n")


def test_gdrun_core_is_the_same_files_with_tensorflow_as_an_extra(distributions: list[Path]) -> None:
    wheel, core = map(zipfile.ZipFile, distributions[1:])
    files = [{name for name in each.namelist() if name.startswith("gdrun/")} for each in (wheel, core)]
    assert files[0] == files[1]
    texts = [each.read(next(name for name in each.namelist() if name.endswith("/METADATA"))) for each in (wheel, core)]
    needed, lines = (text.decode().replace("'", '"').splitlines() for text in texts)
    assert "Name: gdrun-core" in lines
    training = ("Requires-Dist: tensorflow<", "Requires-Dist: keras<")
    assert [line for line in lines if line.startswith(training)] == [
        f'{line}; extra == "tensorflow"' for line in needed if line.startswith(training)
    ]


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {"".join(c if c.isalnum() or c in "-_" else " " for c in line).split()[0].lower() for line in lines}
    undeclared = {
        (name, str(path.relative_to(ROOT)))
        for path in (ROOT / "gdrun").rglob("*.py")
        for name in _imported(path)
        if name not in sys.stdlib_module_names and name != "gdrun"
        if (NAMES.get(name, name).lower() or "gdrun") not in declared | {"gdrun"}
    }
    assert not undeclared


def _imported(path: Path) -> set[str]:
    """Return the top-level names of what a file imports, inside functions and by `require`, too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "require"
            and isinstance(node.args[0], ast.Constant)
        ):
            names.add(str(node.args[0].value).partition(".")[0])
    return names
