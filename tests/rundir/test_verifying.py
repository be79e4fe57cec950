"""`verify` finds every damage that is done to a run directory, and says of a good one that it is good."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.experiment.loading import load_config
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.rundir.verifying import Verdict, verify
from tests.rows import append_rows

WRITTEN = """\
name: line
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: a * x, parameters: {a: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 10}
"""


def make(root: Path, status: str = "completed", steps: int = 10, **fields: Any) -> Path:
    """A run directory as training writes it."""
    resolved = load_config(WRITTEN.encode()).resolved_text()
    digest = hashlib.sha256(resolved.encode()).hexdigest()
    with RunStore.create(root, "line", config_hash=digest, extra={"total_steps": 10}) as store:
        store.write_text("config.yaml", resolved)
        store.write_text("source/line.yaml", WRITTEN)
        store.write_text("source/overrides.txt", "lr=0.1\n")
        append_rows(store, [{"step": step, "loss": 1 / (step + 1)} for step in range(steps + 1)])
        store.log("warning: none")
        store.checkpoints().save(5, {"a": np.float32(1)}, {"more": 1})
        store.write_parameters({"a": np.float32(0.1), "b": np.array([[1.5, 2.0]])})
        store.write_arrays("best.npz", {"a": np.float32(0.25)})
        store.close(status, **({"steps": steps, "seconds": 0.5, "final": {"loss": 0.1}} | fields))
    return store.directory


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path)


def test_a_good_run_has_neither_problems_nor_notes(run: Path):
    verdict = verify(Run(run))
    assert (verdict.ok, verdict.problems, verdict.notes, verdict.status) == (True, [], [], "completed")


def test_a_running_run_is_good_at_every_moment(tmp_path: Path):
    with RunStore.create(tmp_path, "line") as store:
        assert verify(store.directory).ok
        append_rows(store, [{"step": 0, "loss": 1}])
        with (store.directory / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step":1,"lo')
        verdict = verify(store.directory)
        assert verdict.ok
        assert verdict.status == "running"
        store.close("failed", why="test")


def test_what_a_kill_leaves_is_a_note(run: Path):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(
        json.dumps(record | {"status": "running", "steps": None, "finished": None, "final": {}})
    )
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step":11,"lo')
    (run / ".tmp-run.json").write_text("{")
    verdict = verify(run)
    assert verdict.ok
    assert verdict.status == "lost"
    assert {note.file for note in verdict.notes} == {"run.json", "metrics.jsonl", ".tmp-run.json"}
    empty = run.parent / "2026-11-23T000000-line-0000"
    empty.mkdir()
    assert (verify(empty).ok, verify(empty).status) == (True, "lost")


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A damage: the file's bytes changed."""

    def damage(run: Path) -> None:
        path = next(run.glob(name))
        before = path.read_bytes()
        path.write_bytes(change(before))
        assert path.read_bytes() != before

    return damage


def record(**values: Any) -> Callable[[Path], None]:
    """A damage: run.json says something else."""
    return edit("run.json", lambda data: json.dumps(json.loads(data) | values).encode())


def replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


def link(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run.parent / "secret").write_bytes((run / name).read_bytes())
        (run / name).unlink()
        (run / name).symlink_to(run.parent / "secret")

    return damage


def parameters(**arrays: Any) -> Callable[[Path], None]:
    return lambda run: np.savez(run / "parameters.npz", **arrays)


LAST_ROW = b'{"step":10'
FLIPPED = replace(b"\x00\x00\xf8\x3f", b"\x00\x00\xf8\x3e")
"""1.5 in float64 becomes another number."""

DAMAGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "record cut": (edit("run.json", lambda data: data[:-3]), "run.json", "strict JSON"),
    "record empty": (edit("run.json", lambda data: b""), "run.json", "strict JSON"),
    "record of another program": (edit("run.json", lambda data: b'{"a": 1}'), "run.json", "schema_version"),
    "record newer": (record(schema_version=99), "run.json", "newer gdrun"),
    "key twice": (edit("run.json", replace(b"{", b'{"name": "x",')), "run.json", "twice"),
    "NaN": (edit("run.json", replace(b'"loss": 0.1', b'"loss": NaN')), "run.json", "not JSON"),
    "no record": (lambda run: (run / "run.json").unlink(), "", ""),
    "wrong steps": (record(steps=9), "run.json", "9 steps, but its schedule has 10"),
    "negative steps": (record(steps=-1, status="stopped", stopped_by="loss"), "run.json", "not between"),
    "no steps": (record(steps=None), "run.json", "no number of steps"),
    "no end": (record(finished=None), "run.json", "no time"),
    "stopped by nothing": (record(status="stopped"), "run.json", "no rule"),
    "diverged nowhere": (record(status="diverged"), "run.json", "diverged"),
    "diverged, it says completed": (record(diverged={"step": 3}), "run.json", "diverged"),
    "failed for no reason": (record(status="failed"), "run.json", "nothing says why"),
    "success with nan": (record(final={"loss": "nan"}), "run.json", "final loss of nan"),
    "config changed": (edit("config.yaml", replace(b"0.1", b"0.2")), "config.yaml", "hash"),
    "config cut": (edit("config.yaml", lambda data: data[: len(data) // 2]), "config.yaml", "hash"),
    "config not loading": (edit("config.yaml", replace(b"steps: 10", b"stepps: 10")), "config.yaml", "does not load"),
    "no config": (lambda run: (run / "config.yaml").unlink(), "config.yaml", "missing"),
    "source not UTF-8": (edit("source/line.yaml", lambda data: b"\xff\xfe"), "source/line.yaml", "UTF-8"),
    "line lost": (edit("metrics.jsonl", replace(b'{"step":3', b'{"stop":3')), "metrics.jsonl", "1 line that are no"),
    "row not strict": (edit("metrics.jsonl", replace(b"0.5", b"NaN")), "metrics.jsonl", "1 line that are no"),
    "steps fall": (edit("metrics.jsonl", replace(b'{"step":3', b'{"step":1')), "metrics.jsonl", "1 comes after step 2"),
    "step twice": (edit("metrics.jsonl", replace(b'{"step":3', b'{"step":2')), "metrics.jsonl", "2 comes after step 2"),
    "torn end": (edit("metrics.jsonl", lambda data: data[:-4]), "metrics.jsonl", "torn"),
    "last row missing": (
        edit("metrics.jsonl", lambda data: data[: data.rindex(b'{"step":10')]),
        "metrics.jsonl",
        "last row",
    ),
    "row too many": (edit("metrics.jsonl", lambda data: data + b'{"step":11}\n'), "metrics.jsonl", "last row"),
    "arrays cut": (edit("parameters.npz", lambda data: data[:-20]), "parameters.npz", ""),
    "a bit of the arrays": (
        edit("parameters.npz", FLIPPED),
        "parameters.npz",
        "",
    ),
    "nan saved": (parameters(a=np.float32("nan")), "parameters.npz", "not finite"),
    "others": (parameters(a=np.float32(3)), "parameters.json", "not those"),
    "objects": (parameters(a=np.array([None])), "parameters.npz", "Object arrays"),
    "no parameters": (lambda run: (run / "parameters.npz").unlink(), "parameters.npz", "missing"),
    "parameters.json cut": (edit("parameters.json", lambda data: data[:-4]), "parameters.json", "strict JSON"),
    "best cut": (edit("best.npz", lambda data: data[:-9]), "best.npz", ""),
    "checkpoint flipped": (
        edit("checkpoints/*.npz", lambda data: data[:50] + b"!" + data[51:]),
        "checkpoints/",
        "hash",
    ),
    "checkpoint renamed": (
        lambda run: (p := next((run / "checkpoints").iterdir())).rename(str(p).replace("0005-", "0006-")),
        "checkpoints/",
        "step",
    ),
    "config a link": (link("config.yaml"), "config.yaml", "symbolic link"),
    "record a link": (link("run.json"), "run.json", "symbolic link"),
    "a fifo": (lambda run: __import__("os").mkfifo(run / "pipe"), "pipe", "neither"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda name: name.replace(" ", "-"))
def test_each_damage_is_found_in_its_file(run: Path, damage: str):
    do, file, message = DAMAGES[damage]
    do(run)
    verdict = verify(run)
    if damage == "no record":
        assert verdict.status == "lost", "as after a kill before the first record"
        return
    assert not verdict.ok
    hits = [one for one in verdict.problems if one.file.startswith(file) and re.search(message, one.message)]
    assert hits, verdict.problems


@pytest.mark.parametrize("name", ["parameters.npz", "best.npz", "checkpoints/*.npz", "config.yaml"])
def test_no_flipped_bit_of_a_file_with_a_hash_or_checksum_goes_unseen(run: Path, name: str):
    """Sampled. Bits of a zip that no reader looks at (times, the system) may flip: what is read is the same then."""
    path = next(run.glob(name))
    whole = path.read_bytes()
    arrays = name in ("parameters.npz", "best.npz")
    before = Run(run).arrays(name) if arrays else {}
    draw = random.Random(7)
    for at in draw.sample(range(len(whole)), min(len(whole), 60)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        if verify(run).ok:
            assert arrays, at
            after = Run(run).arrays(name)
            assert after.keys() == before.keys()
            assert all(after[key].tobytes() == before[key].tobytes() for key in before)


def test_a_file_cut_anywhere_is_found(run: Path):
    for name in ("run.json", "metrics.jsonl", "parameters.npz", "config.yaml"):
        path = run / name
        whole = path.read_bytes()
        for at in range(0, len(whole) - 2, max(len(whole) // 25, 1)):
            path.write_bytes(whole[:at])
            assert not verify(run).ok, (name, at)
        path.write_bytes(whole)
    assert verify(run).ok


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("stopped", {"stopped_by": "loss_below", "why": "below"}),
        ("interrupted", {"stopped_by": "signal"}),
        ("diverged", {"diverged": {"step": 6, "quantity": "loss"}, "final": {"loss": "nan"}}),
        ("failed", {"why": "a bug"}),
    ],
)
def test_every_end_that_is_told_truly_is_good(tmp_path: Path, status: str, fields: dict[str, Any]):
    assert verify(make(tmp_path, status, steps=5, **fields)).problems == []


def test_what_is_no_run_directory_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "absent", "link"):
        verdict = verify(tmp_path / name)
        assert not verdict.ok, name


def test_hostile_words_in_a_record_are_told_escaped(run: Path):
    record(status="\x1b[31mgood\n")(run)
    verdict = verify(run)
    assert not verdict.ok
    assert all(one.message.isprintable() for one in verdict.problems)


def test_a_thousand_problems_are_not_all_told(run: Path):
    for number in range(150):
        (run / f"link{number}").symlink_to("nowhere")
    assert len(verify(run).problems) == 100
    assert isinstance(verify(run), Verdict)
