"""README and docs are true: their configs run, their command lines do what is shown, their links lead somewhere.

Conventions of the pages:

- every ```yaml block is a whole config that runs; one that begins with the comment `# NAME.yaml` is also a file of that
  name for the command lines and configs below it on the page; a ```yml block is such a file with mistakes in it
- every `$ gdrun ...` line of a ```console block is run, in a folder that is empty at first; `$ echo $?` says which exit
  code is expected of it (0 where it is left out); the lines below it must be printed, in this order. `...` stands for
  any lines. Numbers, run ids and spaces may differ.
- a picture of a page that a command of the page draws shows what it drew; `python scripts/pictures.py` brings
  all of them up to date
- every ```python block is run, the blocks of a page one after the other.
"""

from __future__ import annotations

import importlib.util
import io
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gdrun.cli import main
from gdrun.cli.app import GROUPS
from gdrun.errors import ExitCode
from gdrun.exports.data import FORMATS
from gdrun.plots import KINDS
from gdrun.rundir.run_info import RunInfo, Status

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RECIPES = ROOT / "docs" / "recipes.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
NUMBER = re.compile(r"-?[\d.]+").findall
NOT_USED_YET: set[ExitCode] = set()
"""Exit codes that no command ends with so far."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int

    @property
    def lines(self) -> list[str]:
        """Its lines, without what surrounds it in a list."""
        return self.text.splitlines()


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    language, start, inside = "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.fullmatch(r"\s*```(\w*)", line)
        if fence and not start:
            language, start, inside = fence[1], number, []
        elif fence:
            yield Block(language, "\n".join(inside) + "\n", start)
            start = 0
        elif start:
            inside.append(line)
    assert not start, f"{page.name}: the block of line {start} has no end"


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^\s*```.*?^\s*```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command line of a page and what the page shows of it."""

    arguments: list[str]
    shown: list[str]
    code: int
    line: int


def commands(block: Block) -> Iterator[Command]:
    """Yield the gdrun command lines of a console block; other programs' are left alone."""
    parts: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.lines, block.line + 1):
        if line.startswith("$ "):
            parts.append((number, line[2:], []))
        elif parts:
            parts[-1][2].append(line)
    for at, (number, text, shown) in enumerate(parts):
        if text.split()[0] != "gdrun":
            continue
        assert not re.search(r"[|<>&;$`]", text), f"line {number}: this test runs no shell"
        after = parts[at + 1] if at + 1 < len(parts) else None
        code = int(after[2][0]) if after and after[1] == "echo $?" else 0
        yield Command(shlex.split(text, comments=True)[1:], shown, code, number)


def masked(text: str) -> list[str]:
    """Return the lines of `text` without what differs from run to run and from machine to machine."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d{6}-([a-z0-9._-]+)-[0-9a-f]{4}", r"RUN-\1", text)
    text = re.sub(r"(?<![\w.])-?\d[\d.,_]*(e[-+]?\d+)?(?![\w])", "#", text)
    text = re.sub(r"# (us|ms|s|min)\b", "# s", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def assert_shown(shown: list[str], printed: str, where: str) -> None:
    """Every shown line was printed, in this order."""
    rest = iter(masked(printed))
    for line in masked("\n".join(shown)):
        if line != "...":
            assert any(line == other for other in rest), f"{where}: this is not printed (here):\n{line}\n---\n{printed}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: an empty one, as outside of a checkout, and no settings of the person's own."""
    for name in ("NO_COLOR", "FORCE_COLOR", "GDRUN_RUNS", "GDRUN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    # The help wraps to the terminal's width.
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reader:
    """Does what a page says, from top to bottom."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "docs"}

    def read(self) -> None:
        """Do everything that the page shows."""
        doing = {
            "yaml": self.run_config,
            "yml": self.write_file,
            "console": self.run_commands,
            "python": self.run_python,
        }
        for block in blocks(self.page):
            doing.get(block.language, lambda block: None)(block)

    def write_file(self, block: Block) -> Path:
        name = re.match(r"# ([\w.-]+\.yaml)$", block.lines[0])
        path = self.folder / (name[1] if name else f"line-{block.line}.yaml")
        path.write_text(block.text)
        return path

    def run_config(self, block: Block) -> None:
        """A few steps: whatever can be refused is refused by then. Eagerly, as tracing takes longer than they do."""
        from gdrun.experiment.loading import load_config
        from gdrun.training.prepare import prepare
        from gdrun.training.train import execute

        path = self.write_file(block)
        execute(prepare(load_config(path, ["compile=eager"]), smoke=True), keep=False, command=["test"])

    def run_commands(self, block: Block) -> None:
        for command in commands(block):
            where = f"{self.page.name}:{command.line}"
            printed = io.StringIO()
            # One stream for both, so that the page can show what a terminal shows.
            with redirect_stdout(printed), redirect_stderr(printed):
                code = main(command.arguments)
            assert code == command.code, f"{where} ends with {code}\n{printed.getvalue()}"
            assert_shown(command.shown, printed.getvalue(), where)

    def run_python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(self.page), "exec")
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            exec(code, self.names)


@pytest.mark.parametrize("page", [page for page in PAGES if page != RECIPES], ids=lambda page: page.name)
def test_what_a_page_shows_is_what_happens(page: Path, folder: Path, tensorflow: Any) -> None:
    Reader(page, folder).read()
    for name in pictures(page):
        same = assert_same_movie if name.endswith(".gif") else assert_same_picture
        same(page.parent / name, folder / Path(name).name)


def pictures(page: Path) -> list[str]:
    """Return the pictures of a page that its commands draw, by their paths from the page."""
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"^!\[.*?\]\(([\w/-]+\.(?:svg|gif))\)$", text, flags=re.MULTILINE)
    return [path for path in paths if f"-o {Path(path).name}\n" in text]


def assert_same_movie(known: Path, drawn: Path) -> None:
    """Two GIFs have as many frames of one size, and a last frame that looks alike."""
    from PIL import Image, ImageChops, ImageStat

    with Image.open(known) as first, Image.open(drawn) as second:
        assert (first.size, first.n_frames) == (second.size, second.n_frames), "run: python scripts/pictures.py"
        first.seek(first.n_frames - 1)
        second.seek(second.n_frames - 1)
        off = ImageStat.Stat(ImageChops.difference(first.convert("L"), second.convert("L"))).mean[0]
    assert off < 4, "run: python scripts/pictures.py"


def assert_same_picture(known: Path, drawn: Path) -> None:
    """Two pictures have the same words and numbers, and lines that begin and end at the same places.

    What lies between may differ by how another matplotlib simplifies a line.
    """
    (words, ends), (other_words, other_ends) = map(words_and_ends, (known.read_text(), drawn.read_text()))
    assert words == other_words, "run: python scripts/pictures.py"
    assert len(ends) == len(other_ends)
    for path, other in zip(ends, other_ends, strict=True):
        assert other == pytest.approx(path, abs=2), "run: python scripts/pictures.py"


def words_and_ends(picture: str) -> tuple[list[str], list[list[float]]]:
    """Return the words of an SVG of matplotlib, and the first and last point of each of its lines."""
    lines = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: #', picture)
    points = [line.strip().splitlines() for line in lines]
    return re.findall(r"<!-- (.*?) -->", picture), [
        [float(number) for end in (line[0], line[-1]) for number in NUMBER(end)] for line in points
    ]


def test_every_lesson_has_a_picture_and_an_answer() -> None:
    lessons = sorted((ROOT / "docs" / "lessons").glob("*.md"))
    assert len(lessons) == 5
    for page in lessons:
        assert pictures(page)
        assert "## The answer" in page.read_text(encoding="utf-8")
    assert {path.name for path in (ROOT / "docs" / "lessons").glob("*.svg")} == {
        name for page in lessons for name in pictures(page)
    }


def test_another_curve_is_another_picture() -> None:
    known = ROOT / "docs" / "lessons" / "edge-losses.svg"
    assert_same_picture(known, known)
    with pytest.raises(AssertionError):
        assert_same_picture(known, ROOT / "docs" / "lessons" / "momentum-losses.svg")


def test_recipes_meet_what_they_expect(folder: Path, tensorflow: Any) -> None:
    from gdrun.checking.check import check

    reader = Reader(RECIPES, folder)
    for block in blocks(reader.page):
        if block.language == "console":
            reader.run_commands(block)
            continue
        checked = check(reader.write_file(block), ["compile=graph"])
        assert all(row.ok for row in checked.rows), (block.line, [row for row in checked.rows if not row.ok])


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ +(.+?) *$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    # Code such as `blocks[0](x)` is no link.
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(page))):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        if name in ("api.md", "gallery.md"):  # made with the site, and checked there
            continue
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in headings(other), f"{page.name} links to {target}"


def test_the_home_page_links_to_every_page_and_the_readme_to_the_home_page() -> None:
    home = ROOT / "docs" / "index.md"
    links = set(re.findall(r"\]\(([\w/-]+\.md)", prose(home))) - {"api.md", "gallery.md"}
    assert links == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page not in (README, home)}
    assert "](docs/index.md)" in prose(README)


def test_the_readme_fits_on_a_screen() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 45


@pytest.fixture(scope="module")
def reference() -> Any:
    """scripts/reference.py as a module."""
    spec = importlib.util.spec_from_file_location("scripts_reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for themselves
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["reference.md", "formulas.md"])
def test_the_generated_pages_are_up_to_date(name: str, reference: Any) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == reference.PAGES[name](), "run: python scripts/reference.py"


def test_the_files_and_packages_that_development_names_exist() -> None:
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+(?:\.py|/))`", text)) - {"cli/NAME.py"}
    below = [ROOT, ROOT / "gdrun", ROOT / "tests" / "optimizers"]
    assert not [name for name in named if not any((folder / name).exists() for folder in below)]
    packages = {f"{path.parent.name}/" for path in (ROOT / "gdrun").glob("*/__init__.py")}
    assert packages <= named


COMMANDS = [name for group in GROUPS.values() for name in group]


def test_the_commands_that_exist_are_listed() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `gdrun ([\w-]+)", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = re.search(rf"^## gdrun {name}$(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    assert main([name, "--help"]) == 0
    entries = re.findall(r"^  (-.*?)(?:  |$)", capsys.readouterr().out, flags=re.MULTILINE)
    options = {option for entry in entries for option in re.findall(r"(?<!\S)-{1,2}[\w-]+", entry)}
    known = set(re.findall(r"`(-{1,2}[\w-]+)", section[1]))
    assert options - {"-h", "--help"} == known


@pytest.mark.parametrize(("page", "names"), [("pictures.md", KINDS), ("command-line.md", FORMATS)])
def test_every_kind_of_picture_and_every_format_is_documented(page: str, names: Mapping[str, Any]) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert not [name for name in names if f"`{name}`" not in text and f"--kind {name}" not in text]


def test_exit_codes_are_listed() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert codes == set(ExitCode) - NOT_USED_YET


def test_what_run_json_holds_and_the_statuses_are_documented() -> None:
    text = (ROOT / "docs" / "run-directory.md").read_text(encoding="utf-8")
    for name in [name for name in RunInfo.model_fields if name != "extra"] + [status.value for status in Status]:
        assert f"`{name}`" in text, name


def test_masking_keeps_what_matters() -> None:
    assert masked("  loss   0.25\n\n  time  820 ms") == ["loss #", "time # s"]
    assert masked("runs/2026-11-23T003318-pi-7f3a at w0 float64 x[1]") == ["runs/RUN-pi at w0 float64 x[#]"]
    with pytest.raises(AssertionError):
        assert_shown(["a", "b"], "b\na\n", "here")
    assert_shown(["a", "...", "c"], "a\nb\nc\n", "here")
