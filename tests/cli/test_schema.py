"""`gdrun schema`."""

from __future__ import annotations

import json
from pathlib import Path

from gdrun.experiment.schema import schema


def test_stdout_is_the_json_schema(gdrun):
    result = gdrun("schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == schema()


def test_it_can_be_written_to_a_file(gdrun):
    result = gdrun("schema", "-o", "editor/gdrun.schema.json")
    assert result.out == ""
    assert json.loads(Path("editor/gdrun.schema.json").read_text()) == schema()
