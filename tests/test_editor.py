"""What an editor shows of a config: completion, hover and diagnostics of the YAML language server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdrun.cli import main

ROOT = Path(__file__).resolve().parent.parent
SERVER = shutil.which("yaml-language-server", path=str(ROOT / "build/node/node_modules/.bin")) or shutil.which(
    "yaml-language-server"
)
pytestmark = pytest.mark.skipif(SERVER is None, reason="npm's yaml-language-server is not installed")


class Editor:
    """A client of the language server, with one file open."""

    def __init__(self, path: Path) -> None:
        assert SERVER is not None
        self._process = subprocess.Popen([SERVER, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._uri, self._last = path.as_uri(), 0
        self.diagnostics: list[Any] = []
        self.ask("initialize", processId=None, rootUri=path.parent.as_uri(), capabilities={})
        self._send(method="initialized", params={})
        settings = {"yaml": {"completion": True, "hover": True, "validate": True, "schemaStore": {"enable": False}}}
        self._send(method="workspace/didChangeConfiguration", params={"settings": settings})
        document = {"uri": self._uri, "languageId": "yaml", "version": 1, "text": path.read_text()}
        self._send(method="textDocument/didOpen", params={"textDocument": document})

    def ask(self, method: str, **params: Any) -> Any:
        """Return the server's answer; keep the diagnostics that come before it."""
        self._last += 1
        self._send(id=self._last, method=method, params=params)
        return self._receive(lambda message: message.get("id") == self._last and "method" not in message)["result"]

    def at(self, method: str, line: int, character: int) -> Any:
        """Return the server's answer about a place, counted from 0."""
        position = {"line": line, "character": character}
        return self.ask(f"textDocument/{method}", textDocument={"uri": self._uri}, position=position)

    def wait_for_diagnostics(self) -> list[str]:
        """Return the messages of the file's diagnostics."""
        if not self.diagnostics:
            self._receive(lambda message: bool(self.diagnostics))
        return [diagnostic["message"] for diagnostic in self.diagnostics]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _send(self, **message: Any) -> None:
        content = json.dumps({"jsonrpc": "2.0"} | message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._process.stdin.flush()

    def _receive(self, is_it: Any) -> Any:
        assert self._process.stdout is not None
        while True:
            length = 0
            while (line := self._process.stdout.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name == b"Content-Length" else length
            assert length, "the server ended"
            message = json.loads(self._process.stdout.read(length))
            if message.get("method") == "textDocument/publishDiagnostics":
                self.diagnostics = message["params"]["diagnostics"]
            elif "method" in message and "id" in message:  # a request of the server's: about settings, capabilities
                items = message["params"].get("items", []) if isinstance(message["params"], dict) else []
                self._send(id=message["id"], result=[None for _ in items])
            if is_it(message):
                return message


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """An editor that has opened what `gdrun init` wrote, with two lines added."""
    path = tmp_path_factory.mktemp("editor") / "formula.yaml"
    assert main(["init", "formula", "-o", str(path)]) == 0
    text = path.read_text().replace("optimizer: {kind: adam, ", "optimizer:\n  kind: adam\n  learning_rte: 1\n  ")
    path.write_text(text.replace("learning_rate: 0.05}", "learning_rate: 0.05\n  b"))
    opened = Editor(path)
    yield opened
    opened.close()


def line_of(editor: Editor, text: str) -> int:
    from urllib.parse import urlsplit

    lines = Path(urlsplit(editor._uri).path).read_text().splitlines()
    return next(number for number, line in enumerate(lines) if line.strip().startswith(text))


def test_a_typo_is_underlined(editor: Editor) -> None:
    assert any("learning_rte" in message for message in editor.wait_for_diagnostics())


def test_a_key_shows_its_documentation(editor: Editor) -> None:
    shown = editor.at("hover", line_of(editor, "learning_rate"), 4)
    assert "Step size." in json.dumps(shown)


def test_keys_of_the_kind_are_completed(editor: Editor) -> None:
    answer = editor.at("completion", line_of(editor, "b"), 3)
    labels = {item["label"] for item in (answer["items"] if isinstance(answer, dict) else answer)}
    assert {"beta_1", "beta_2"} <= labels
