"""Hooks of the documentation site: links out of docs/ lead to the source; two pages, gallery and API, are generated."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from gdrun.experiment.gallery import descriptions, gallery

ROOT = Path(__file__).resolve().parents[1]
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
NUM_COLUMNS = 4
"""Of pictures on the gallery's page."""
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)")


def on_config(config: Any) -> Any:
    """Take the address of the source from the one place that has it."""
    config.repo_url, config.repo_name = SOURCE, "source"
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point links such as ../configs/pi.yaml, which work in a checkout, at the source."""
    return _OUTSIDE.sub(rf"]({SOURCE}/\1", markdown)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are generated."""
    for name, content in (("gallery.md", _gallery()), ("api.md", _api())):
        files.append(File.generated(config, name, content=content))
    return files


def _gallery() -> str:
    """Return the page with a picture of every shipped config, its line and its text."""
    texts = descriptions()
    parts = [
        "# Gallery\n",
        "Configs that are installed with gdrun. `gdrun train gallery:NAME` runs one, `gdrun init NAME` copies it, and\n"
        "`gdrun check gallery:NAME` holds it to the results that it states.\n",
    ]
    # scripts/thumbnails.py draws the pictures; the build refuses a config that has none.
    cells = [f"[![{name}](images/gallery/{name}.png){{width=180}}<br>{name}](#{name})" for name in texts]
    cells += [" "] * (-len(cells) % NUM_COLUMNS)
    rows = [f"| {' | '.join(row)} |" for row in zip(*[iter(cells)] * NUM_COLUMNS, strict=True)]
    parts += ["\n".join([f"|{' |' * NUM_COLUMNS}", f"|{'---|' * NUM_COLUMNS}", *rows, ""])]
    for name, path in gallery().items():
        parts += [f"## {name}\n", f"{texts[name]}\n", f"```yaml\n{path.read_text(encoding='utf-8')}```\n"]
    return "\n".join(parts)


def _api() -> str:
    """Return the page with every public name of `gdrun`, by the list that type checkers read."""
    public = re.findall(
        r"^from \.(\S+) import ([A-Za-z]\w*) as", (ROOT / "gdrun/__init__.pyi").read_text(), re.MULTILINE
    )
    parts = ["# Python API\n", "What `import gdrun` offers. [From Python](python.md) shows it in use.\n"]
    parts += [f"::: gdrun.{module}.{name}\n" for module, name in sorted(public, key=lambda pair: pair[1].lower())]
    return "\n".join(parts)
