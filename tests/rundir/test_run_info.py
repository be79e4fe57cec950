"""run.json: a run info comes back as it was, foreign and damaged ones are told apart."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.layout import SCHEMA_VERSION
from gdrun.rundir.run_info import WRITTEN_STATUSES, RunInfo, Status, missing, now_text

FULL = RunInfo(
    id="2026-11-23T003318-pi-7f3a",
    name="pi",
    description="recover pi",
    status="diverged",
    stopped_by="non_finite",
    why="loss is nan at step 3",
    signal=15,
    started="2026-11-23T00:33:18.000Z",
    finished="2026-11-23T00:33:19.000Z",
    seconds=1.25,
    steps=3,
    epochs=0.15,
    resumed=({"step": 2},),
    command=("gdrun", "train"),
    versions={"python": "3.11", "tensorflow": None},
    distributions={"numpy": "2.0.0"},
    variables={"XLA_FLAGS": "--x"},
    host={"name": "box"},
    git={"commit": "f" * 40},
    device="cpu",
    threads=2,
    precision="float64",
    compile="xla",
    seeds={"seed": 0},
    config_hash="sha256:00",
    settings={"optimizer.learning_rate": 0.1, "model.hidden": [16, 16]},
    plugins={"p.py": "sha256:00"},
    data={"/d.csv": "sha256:00"},
    phases=({"begins": 0, "epoch": 0, "ended": "steps"},),
    final={"loss": "nan", "gradient": missing("unused")},
    best={"step": 1, "value": 0.5},
    diverged={"step": 3, "quantity": "loss"},
    warnings=("one",),
    tags=("baseline",),
    notes=({"when": "2026-11-23T00:33:18.123Z", "text": "good"},),
    **{"future": [1, 2]},
)


def test_a_record_comes_back_as_it_was():
    for record in (FULL, RunInfo()):
        assert RunInfo.from_text(record.to_text().encode(), path="run.json") == record


def test_every_field_is_filled_in_the_example():
    defaults = RunInfo()
    unset = [
        name
        for name in RunInfo.model_fields
        if name not in ("schema_version", "kind") and getattr(FULL, name) == getattr(defaults, name)
    ]
    assert unset == []


def test_keys_of_a_later_version_are_kept():
    text = json.dumps({"schema_version": 1, "name": "pi", "invented_later": {"a": 1}})
    record = RunInfo.from_text(text.encode(), path="run.json").updated(status="completed")
    assert json.loads(record.to_text())["invented_later"] == {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"steps": "three"},
        {"steps": True},
        {"steps": 1.5},
        {"name": None},
        {"seconds": "fast"},
        {"final": []},
        {"command": "gdrun"},
        {"status": "lost"},
        {"status": "\x1b[31m"},
        {"status": None},
        {"schema_version": None},
        {"schema_version": "1"},
        {"schema_version": 0},
        {"schema_version": True},
    ],
)
def test_a_field_of_a_wrong_type_is_corrupt_and_the_message_is_safe(change: dict):
    text = json.dumps(RunInfo().to_json() | change).encode()
    with pytest.raises(RunDirectoryError, match="corrupt") as caught:
        RunInfo.from_text(text, path="some/run.json")
    assert "some/run.json" in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b'{"a": NaN}', b"\xff", b'{"a":' * 10**5])
def test_what_is_not_a_record_is_corrupt(text: bytes):
    with pytest.raises(RunDirectoryError, match="corrupt"):
        RunInfo.from_text(text, path="run.json")


def test_a_newer_schema_is_told_as_such():
    text = json.dumps({"schema_version": SCHEMA_VERSION + 1, "status": "levitating"}).encode()
    with pytest.raises(RunDirectoryError, match="newer gdrun") as caught:
        RunInfo.from_text(text, path="run.json")
    assert caught.value.hint == "upgrade gdrun"


def test_only_what_a_writer_can_know_is_a_written_status():
    names = ["completed", "diverged", "failed", "interrupted", "running", "stopped", "submitted"]
    assert sorted(WRITTEN_STATUSES) == names
    for status in (Status.LOST, "corrupt", "nonsense"):
        with pytest.raises(ValueError, match="not a status"):
            RunInfo().updated(status=status)


def test_a_field_cannot_hide_in_extra():
    with pytest.raises(ValueError, match="steps"):
        RunInfo().updated(extra={"steps": 3})


def test_an_infinite_number_of_seconds_is_a_text():
    record = RunInfo.from_text(RunInfo().updated(seconds=float("inf")).to_text().encode(), path="run.json")
    assert record.seconds == math.inf
    assert record.to_json()["seconds"] == "inf"


def test_times_are_utc():
    assert now_text(datetime(2026, 11, 23, 0, 33, 18, 123456, tzinfo=UTC)) == "2026-11-23T00:33:18.123Z"
    assert now_text().endswith("Z")
