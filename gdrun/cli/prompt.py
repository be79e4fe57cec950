"""Prompt of `gdrun shell`: editing, history and completion, by prompt_toolkit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from .completion import complete_line


def open_prompt(
    prompt: str, history: Path | None, *, output: Output, input: Input | None = None
) -> Callable[[], str | None]:
    """Return a function that reads a line, None at the end: Ctrl-D. Ctrl-C empties the line.

    Args:
        history: the file that lines are kept in; None: they are kept while the process lives.
        output, input: where the prompt is drawn and read; None: stdin.
    """
    session: PromptSession[str] = PromptSession(
        prompt,
        history=InMemoryHistory() if history is None else FileHistory(str(history)),
        auto_suggest=AutoSuggestFromHistory(),
        completer=LineCompleter(),
        complete_while_typing=False,
        output=output,
        input=input,
    )

    def ask() -> str | None:
        while True:
            with suppress(KeyboardInterrupt):
                try:
                    return session.prompt()
                except EOFError:
                    return None

    return ask


class LineCompleter(Completer):
    """Completion of a command line as the system's shell has it; of file names where it has none."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what may stand in place of the word before the cursor."""
        *words, word = document.text_before_cursor.split(" ")
        words = [each for each in words if each]
        offers = complete_line(words[1:] if words[:1] == ["gdrun"] else words, word)
        yield from (Completion(offer, start_position=-len(word)) for offer in offers)
        if not offers and words:
            yield from _paths(word, complete_event)


def _paths(word: str, event: CompleteEvent) -> Iterator[Completion]:
    yield from PathCompleter(expanduser=True).get_completions(Document(word), event)
