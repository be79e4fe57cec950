"""Draw the pictures of the docs anew, by their own commands: python scripts/pictures.py [NAME...]."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.test_docs import Reader, pictures  # noqa: E402


def main(names: list[str]) -> None:
    """Run the commands of each page, or of those named, and copy the pictures that they draw to their place."""
    for page in (ROOT / "docs" / "pictures.md", *sorted((ROOT / "docs" / "lessons").glob("*.md"))):
        if names and page.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as name:
            shutil.copytree(ROOT / "configs", Path(name, "configs"))
            os.chdir(name)
            Reader(page, Path(name)).read()
            for picture in pictures(page):
                shutil.copyfile(Path(picture).name, page.parent / picture)
            os.chdir(ROOT)
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
