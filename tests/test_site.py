"""The documentation site builds without a warning: no broken link or anchor, no page outside the navigation."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("material", reason="the documentation site needs the extra docs")

from mkdocs.commands.build import build
from mkdocs.config import load_config

import gdrun
from gdrun.experiment.gallery import gallery

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def test_every_page_of_docs_is_on_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_the_gallery_shows_every_shipped_config(site: Path) -> None:
    headings = re.findall(r'<h2 id="([^"]+)"', (site / "gallery.html").read_text(encoding="utf-8"))
    assert headings == list(gallery())


def test_every_picture_of_the_gallery_is_of_a_shipped_config(site: Path) -> None:
    # The strict build refuses the other way round: a config without a picture.
    assert {path.stem for path in (site / "images/gallery").iterdir()} == set(gallery())


def test_every_public_function_is_on_the_page_of_the_api(site: Path) -> None:
    text = unescape((site / "api.html").read_text(encoding="utf-8"))
    names = {match.rpartition(".")[2] for match in re.findall(r'id="(gdrun\.[\w.]+)"', text)}
    assert set(gdrun.__all__) - {"__version__"} <= names


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for page in site.glob("*.html"):
        assert not re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="https?://', page.read_text("utf-8")
        )
