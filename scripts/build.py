"""Build everything that is published: gdrun's sdist and wheel, and gdrun-core, the same files without TensorFlow.

python scripts/build.py [FOLDER]     (dist)
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
CORE = "gdrun-core"


def core_config() -> dict[str, Any]:
    """Return pyproject.toml of gdrun-core: TensorFlow and Keras are an extra; extras for work on gdrun are left out."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = config["project"]
    training = [line for line in project["dependencies"] if line.startswith(("tensorflow", "keras"))]
    extras = project["optional-dependencies"]
    project["name"] = CORE
    project["dependencies"] = [line for line in project["dependencies"] if line not in training]
    extras["tensorflow"] = training
    for name in ("bench", "dev", "docs"):  # work on gdrun itself
        del extras[name]
    return config


def build(folder: Path) -> list[Path]:
    """Write the distributions into `folder` and return their paths."""
    builders = [SdistBuilder(str(ROOT)), WheelBuilder(str(ROOT)), WheelBuilder(str(ROOT), config=core_config())]
    return [Path(path) for builder in builders for path in builder.build(directory=str(folder), versions=["standard"])]


if __name__ == "__main__":
    for path in build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")):
        print(path)
