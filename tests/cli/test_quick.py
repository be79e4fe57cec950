"""Plain values pass without pydantic and are what typer makes of them; all others are typer's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from gdrun.cli.quick import quicken


def called(arguments: list[str], *, quick: bool) -> tuple[Any, list[Any]]:
    """(exit code, what the function got) of a command with a parameter of each kind."""
    got: list[Any] = []

    def function(
        names: Annotated[list[str] | None, typer.Argument()] = None,
        text: Annotated[str | None, typer.Option()] = None,
        path: Annotated[Path | None, typer.Option()] = None,
        count: Annotated[int | None, typer.Option(min=2)] = None,
        rate: Annotated[float, typer.Option()] = 0.5,
        many: Annotated[list[str] | None, typer.Option()] = None,
    ) -> None:
        got.extend([names, text, path, count, rate, many])

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(function)
    command = get_command(app)
    if quick:
        for param in command.params:
            quicken(param)
    try:
        command(arguments)
    except SystemExit as end:
        return end.code, got
    return None, got


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["a", "b"], ["--text", ""], ["--path", "x/../y"], ["--count", "7"], ["--count", "1"], ["--count", "x"],
        ["--count", "-3"], ["--count", "1e3"], ["--count", " 4"], ["--count", "٣"], ["--rate", "0.25"], ["--rate", "x"],
        ["--many", "a", "--many", "b"], ["--text"], ["--count", "9" * 30],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_quick_way_gives_what_typer_gives(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    slow = called(arguments, quick=False), capsys.readouterr()
    quick = called(arguments, quick=True), capsys.readouterr()
    assert quick == slow
    assert list(map(type, quick[0][1])) == list(map(type, slow[0][1]))
