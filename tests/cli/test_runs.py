"""`ls`, `show`, `compare`, `diff`, `watch`, `verify`, `rm`, `restore`, `prune` as a person sees them."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from gdrun.cli import sparkline as sparklines
from gdrun.cli import tables
from gdrun.cli.sparkline import sparkline
from gdrun.experiment.loading import load_config
from gdrun.reporting.sections import round_steps
from gdrun.rundir.settings import flatten
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

START = datetime(2026, 11, 23, tzinfo=UTC)
EVIL = "\x1b[31m<b>[red]\u202e\nname"
CONFIG = """\
name: line
data: {kind: values, inputs: {x: [1, 2]}, target: [1, 2]}
model: {kind: formula, formula: a * x, parameters: {a: 0}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 3}
"""


def make(second: int = 0, name: str = "line", status: str = "completed", rows: Any = None, **fields: Any) -> Path:
    from gdrun.experiment.dump import plain

    loaded = load_config(CONFIG.encode(), fields.pop("overrides", ()))
    fields = {"settings": flatten(plain(loaded.experiment)), "precision": "float64", "device": "cpu"} | fields
    with RunStore.create(Path("runs"), name, now=START + timedelta(seconds=second), **fields) as store:
        store.write_text("config.yaml", loaded.resolved_text())
        store.write_text("source/line.yaml", CONFIG)
        append_rows(store, [{"step": step, "loss": 1 / (step + 1)} for step in range(4)] if rows is None else rows)
        store.write_parameters({"a": 2.5})
        store.close(status, **({"steps": 3, "seconds": 0.25, "final": {"loss": 0.25}} | fields))
    return store.directory


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_ls_shows_status_loss_and_what_differs(gdrun):
    make(0)
    make(1, overrides=["lr=0.2"])
    make(2, "other", "diverged", diverged={"step": 1, "quantity": "loss"})
    result = gdrun("ls")
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0].split() == ["run", "age", "status", "steps", "time", "loss", "differs"]
    assert [line.split()[-1] for line in lines[1:]] == ["lr=0.1", "lr=0.2", "0.25"]
    assert "diverged" in lines[3]
    assert "\x1b" not in result.out


def test_ls_filters_sorts_and_takes_columns(gdrun):
    for second, rate in enumerate((0.3, 0.1, 0.2)):
        make(second, overrides=[f"lr={rate}"])
    lines = gdrun("ls", "--filter", "lr > 0.1", "--sort", "-lr", "--columns", "lr,status,age").out.splitlines()
    assert lines[0].split() == ["id", "lr", "status", "age"]
    assert [line.split()[1] for line in lines[1:]] == ["0.3", "0.2"]
    assert len(gdrun("ls", "-n", "1").out.splitlines()) == 2
    assert len(gdrun("ls", "-n", "0").out.splitlines()) == 4


def test_ls_json_is_one_document_with_all_that_is_known(gdrun):
    make(0, overrides=["lr=0.2"])
    broken = make(1)
    (broken / "run.json").write_text("{")
    document = json.loads(gdrun("ls", "--json").out)
    first, second = document["runs"]
    assert (document["total"], document["runs_root"]) == (2, "runs")
    assert (first["status"], first["loss"], first["settings"]["optimizer.learning_rate"]) == ("completed", 0.25, 0.2)
    assert second["status"] == "corrupt"
    assert "strict JSON" in second["why"]
    columns = json.loads(gdrun("ls", "--json", "--columns", "lr").out)["runs"]
    assert [row["lr"] for row in columns] == [0.2, None]


def test_ls_tells_what_is_wrong_with_one_run_and_lists_the_others(gdrun):
    make(0)
    broken = make(1)
    (broken / "run.json").write_text("[")
    lines = gdrun("ls").out.splitlines()
    assert "corrupt" in lines[2]
    assert "run.json is corrupt" in lines[2]
    assert "completed" in lines[1]


def test_ls_of_nothing_says_so_and_is_exit_0(gdrun):
    result = gdrun("ls")
    assert (result.code, result.out) == (0, "")
    assert "gdrun train CONFIG" in result.err
    make()
    assert "fits the filter" in gdrun("ls", "--filter", "loss > 5").err
    assert json.loads(gdrun("ls", "--json", "--filter", "loss > 5").out)["runs"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter", "losss < 1"], "did you mean 'loss'?"),
        (["--filter", "loss <"], "in the filter"),
        (["--sort", "los"], "did you mean 'loss'?"),
        (["--columns", "los"], "did you mean 'loss'?"),
        (["--limit", "-1"], "limit"),
    ],
)
def test_ls_refuses_what_it_cannot_mean(gdrun, arguments, message):
    make()
    result = gdrun("ls", *arguments)
    assert result.code == 2
    assert message in result.err


@pytest.fixture
def hostile() -> Path:
    """A run whose every text tries to fool the terminal."""
    rows = [{"step": step, "loss": 1.0 - step / 10, EVIL: float(step), "text": EVIL} for step in range(4)]
    facts = {
        "description": EVIL, "why": EVIL, "device": EVIL, "warnings": (EVIL,), "command": (EVIL,),
        "final": {"loss": 0.5, EVIL: 1.0, "w": {EVIL: EVIL}}, "settings": {EVIL: EVIL, "optimizer.learning_rate": 0.1},
        "versions": {EVIL: EVIL}, "host": {"name": EVIL, "processor": EVIL}, "git": {"commit": EVIL, "branch": EVIL},
        "best": {"metric": EVIL, "value": EVIL, "step": EVIL},
    }  # fmt: skip
    directory = make(0, rows=rows, **facts)
    (directory / "source" / EVIL.replace("\n", "")).write_text(EVIL)
    record = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps(record | {"name": EVIL, "started": EVIL}, indent=2))
    return directory


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"], ["ls", "--columns", "name,description,why,device,lr"], ["ls", "--json"], ["show"], ["show", "--json"],
        ["show", "--files"], ["show", "--config"], ["compare", "latest", "latest~1"], ["diff", "latest", "latest~1"],
        ["verify", "latest"], ["verify", "--all", "--json"], ["watch"], ["watch", "--json"], ["rm", "--yes", "latest"],
        ["restore"], ["prune", "--older", "0s", "--dry-run"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_nothing_hostile_reaches_the_terminal(gdrun, hostile, arguments):
    other = make(1)
    if arguments[0] == "compare":
        (other / "run.json").write_text((hostile / "run.json").read_text().replace("0.5", "0.75"))
    result = gdrun(*arguments)
    assert result.code in (0, 5), result.err
    for text in (result.out, result.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nname" not in text, "a line break came through"


BROKEN = {
    "empty": {}, "no record": {"config.yaml": b"name: a\n"}, "empty record": {"run.json": b""},
    "half a record": {"run.json": b'{"schema_version": 1, "na'}, "foreign": {"run.json": b'{"hello": 1}'},
    "odd types": {"run.json": b'{"schema_version": 1, "final": {"loss": {"a": 1}}, "best": {"value": []}, "steps": 3}'},
    "odd values": {
        "run.json": b'{"schema_version":1,"status":"completed","steps":3,"seconds":"nan","started":"x",'
        b'"diverged":{"step":{}},"settings":{"a":{"b":1},"c":null,"d":[[]]},"trials":3,"axes":[3],"versions":{"a":null},"total_steps":"many"}'
    },
    "odd sweep": {
        "run.json": b'{"schema_version":1,"kind":"sweep","trials":[],"axes":{},"prediction":3}', "trials.csv": b"\xff"
    },
    "odd rows": {
        "run.json": b'{"schema_version": 1, "status": "completed"}',
        "metrics.jsonl": b'{"step":0,"loss":"x","w":[1,[2]]}\n{"step":1,"loss":{"re":1}}\n\xff\n{"step":1e400}\n',
    },
    "folders": {"run.json/x": b"", "metrics.jsonl/x": b"", "config.yaml/x": b"", "trials.csv/x": b""},
    "nul": {"run.json": b"\0" * 100, "metrics.jsonl": b"\0" * 100},
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN, ids=lambda name: name.replace(" ", "-"))
def test_broken_directories_are_told_and_end_no_command_with_a_bug(gdrun, kind):
    make(0)
    directory = Path("runs/2026-11-23T000100-broken-0000")
    directory.mkdir()
    for name, data in BROKEN[kind].items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    commands = [
        ["ls"], ["ls", "--json"], ["ls", "--filter", "loss < 1", "--sort", "steps"], ["show"], ["show", "--json"],
        ["compare", "latest", "latest~1"], ["compare", "latest", "latest~1", "--json"], ["diff", "latest", "latest~1"],
        ["watch"], ["watch", "--json"], ["verify", "latest"], ["verify", "--all", "--json"], ["show", "--config"],
        ["prune", "--keep-best", "1", "--dry-run"], ["rm", "latest", "--yes"], ["restore"], ["restore", "--all"],
    ]  # fmt: skip
    for arguments in commands:
        result = gdrun(*arguments)
        assert result.code in (0, 2, 5), (arguments, result.err)
        assert "bug in gdrun" not in result.err, (arguments, result.err)
        if "--json" in arguments:
            json.loads(result.out)


def test_show_has_every_section_and_its_json_every_fact(gdrun):
    directory = make(overrides=["lr=0.2"])
    out = gdrun("show").out
    for words in ("completed", "config", "values", "metrics", "environment", "files", "defaults: ", "steps 0 to 3"):
        assert words in out, words
    assert "optimizer.learning_rate  0.2" in out
    facts = json.loads(gdrun("show", directory.name[:13], "--json").out)["run"]
    assert (facts["id"], facts["metrics"]["loss"]["best"]) == (directory.name, 0.25)
    assert gdrun("show", "--config").out.encode() == (directory / "config.yaml").read_bytes()
    assert f"{len(CONFIG)}\tsource/line.yaml" in gdrun("show", "--files").out.splitlines()


def test_show_takes_the_end_of_an_id(gdrun):
    directory = make()
    assert directory.name in gdrun("show", directory.name[-4:]).out
    assert directory.name in gdrun("show", f"line-{directory.name[-4:]}").out
    assert gdrun("show", "nothing").code == 2


def test_show_at_steps_has_their_rows_in_full_digits(gdrun):
    rows = [
        {"step": step, "loss": np.float32(0.1) * step, "W": np.asarray([step, 0.2], np.float32)}
        | ({"loss_before": np.float32(0.3)} if step else {})
        for step in (0, 10, 20)
    ]
    with RunStore.create(Path("runs"), "rows", precision="float32") as store:
        append_rows(store, rows)
        store.close("completed", steps=20)
    assert [line.split() for line in gdrun("show", "--at", "0,20").out.splitlines()] == [
        ["step", "loss", "W", "loss_before"],
        ["0", "0", "[0,", "0.2]"],
        ["20", "2", "[20,", "0.2]", "0.3"],
    ]
    found = json.loads(gdrun("show", "--at", "10", "--json").out)["rows"]
    assert found == [{"step": 10, "loss": 1.0, "W": [10.0, 0.2], "loss_before": 0.3}]
    missing = gdrun("show", "--at", "0,13")
    assert missing.code == 2
    assert "no row at step 13" in missing.err
    assert "the nearest are 10 and 20" in missing.err
    assert gdrun("show", "--at", "x").code == 2


def test_show_over_steps_has_numpys_statistics_of_the_rows_that_have_the_column(gdrun):
    losses = [8.0, 1.0, 4.0, 2.5, 100.0]
    with RunStore.create(Path("runs"), "rows", precision="float64") as store:
        append_rows(store, [{"step": 10 * k, "loss": x} | ({"mae": x} if k % 2 else {}) for k, x in enumerate(losses)])
        store.close("completed", steps=40)
    found = json.loads(gdrun("show", "--over", "10:30", "--json").out)["statistics"]
    for name, values in (("loss", losses[1:4]), ("mae", [1.0, 2.5])):
        expected = {word: getattr(np, word)(values) for word in ("mean", "median", "std", "min", "max")}
        assert found[name] == pytest.approx({"rows": len(values), **expected})
    assert gdrun("show", "--over", "10:30").out.splitlines()[1].split()[:4] == ["loss", "3", "2.5", "2.5"]
    assert "the rows are of steps 0 to 40" in gdrun("show", "--over", "41:50").err
    assert gdrun("show", "--over", "x").code == 2


def test_a_hundred_thousand_rows_are_shown_in_few_lines(gdrun):
    rows = {"step": np.arange(100_000), "loss": np.random.default_rng(0).random(100_000)}
    with RunStore.create(Path("runs"), "long", precision="float64") as store:
        store.append_columns(rows | {"gradient_norm": rows["loss"], "learning_rate": np.full(100_000, 0.1)})
        store.close("completed", steps=99_999)
    result = gdrun("show")
    assert "100000 rows" in result.out.replace(",", "")
    assert len(result.out.splitlines()) < 100


def test_show_of_a_sweep_ranks_its_trials(gdrun):
    extra = {
        "axes": [{"key": "optimizer.learning_rate", "values": [0.1, 0.2, 3.0]}],
        "metric": "loss", "direction": "minimize",
        "trials": {"total": 3, "completed": 2, "stopped": 0, "diverged": 1, "failed": 0, "missing": 0},
        "prediction": {"limit": 2.0, "why": "2 over the greatest curvature"},
    }  # fmt: skip
    with RunStore.create(Path("runs"), "line", kind="sweep") as store:
        store.write_text("config.yaml", CONFIG)
        store.write_text("source/line.yaml", CONFIG)
        text = "trial,optimizer.learning_rate,status,stopped_by,steps,loss,best_loss,best_step,diverged_at,why\n"
        text += "0,0.1,completed,,3,0.5,0.5,3,,\n1,0.2,completed,,3,0.25,0.25,3,,\n2,3.0,diverged,,2,9e30,1,0,2,\n"
        store.write_text("trials.csv", text)
        trials = np.arange(3)
        store.write_arrays("curves.npz", {"step": np.arange(4), "trial": trials, "loss": np.zeros((3, 4))})
        store.write_arrays("parameters.npz", {"trial": trials, "a": np.zeros(3)})
        store.close(
            "completed", steps=8, final={"loss": 0.25}, best={"trial": 1, "value": 0.25, "metric": "loss"}, extra=extra
        )
    out = gdrun("show").out
    assert "3 total, 2 completed, 1 diverged" in out
    assert "predicted limit 2: 2 over the greatest curvature" in out
    assert "0.2 did not diverge, 3 did" in out
    rows = [line.split() for line in out[out.index("the best of 3") :].splitlines()[2:4]]
    assert rows == [["1", "0.2", "0.25", "completed", "3", "0.25"], ["0", "0.1", "0.5", "completed", "3", "0.5"]]
    assert "sweep of 3 over lr (1 diverged)" in gdrun("ls").out
    assert gdrun("verify", "latest").code == 0
    broken = text.replace("1,0.2,completed", "0,0.2,completed")
    (store.directory / "trials.csv").write_text(broken)
    result = gdrun("verify", "latest")
    assert result.code == 5
    assert "rising order" in result.out
    assert gdrun("watch").code == 0


def test_compare_prints_markdown_and_csv(gdrun):
    for second, rate in enumerate((0.02, 0.1)):
        make(second, overrides=[f"lr={rate}"], final={"loss": rate / 3})
    names = [path.name for path in sorted(Path("runs").glob("2026*"))]
    rows = list(csv.reader(io.StringIO(gdrun("compare", *names, "--format", "csv").out)))
    assert rows[0] == ["name", *names]
    table = {row[0]: row[1:] for row in rows}
    assert table["optimizer.learning_rate"] == ["0.02", "0.1"]
    assert list(map(float, table["loss"])) == [0.02 / 3, 0.1 / 3]
    lines = gdrun("compare", *names, "--format", "markdown").out.splitlines()
    assert lines[1] == "|---|---:|---:|"
    assert "| loss | **0.00666667** | 0.0333333 |" in lines


def test_compare_fits_the_terminal_in_blocks(gdrun, monkeypatch):
    for second in range(10):
        make(second, overrides=[f"seed={second}"])
    references = [path.name for path in sorted(Path("runs").glob("2026*"))]
    piped = gdrun("compare", *references).out.splitlines()
    assert piped[0].split() == [f"line-{name[-4:]}" for name in references]
    monkeypatch.setattr(tables.terminal, "is_terminal", lambda name="stderr": True)
    monkeypatch.setenv("TERM", "dumb")
    narrow = gdrun("compare", *references).out
    assert max(map(len, narrow.splitlines())) <= 80
    assert sum(line.startswith("seed") for line in narrow.splitlines()) == 2
    assert gdrun("compare", references[0]).code == 2
    assert gdrun("compare", references[0], references[0]).code == 2


def test_over_seed_a_row_is_what_differs_in_the_seed_alone(gdrun):
    losses = [0.1, 0.5, 0.2, 0.4, 0.3]
    for seed, loss in enumerate(losses):
        make(seed, overrides=[f"seed={seed}"], final={"loss": loss})
    make(5, overrides=["lr=0.2"], final={"loss": 7.0}, status="diverged")
    head, first, second = gdrun("ls", "--over", "seed").out.splitlines()
    assert "the median (the middle half)" in head
    assert first.split()[1:6] == ["and", "4", "more", "5", "0"]
    assert "0.3 (0.2 to 0.4)" in first
    assert second.split()[1:3] == ["1", "1"]
    document = json.loads(gdrun("ls", "--over", "seed", "--json").out)
    assert [len(members) for members in document["members"]] == [5, 1]
    names = [path.name for path in sorted(Path("runs").glob("2026*"))]
    compared = gdrun("compare", *names, "--over", "seed").out.splitlines()
    assert compared[1].split() == ["seeds", "5", "1"]
    assert compared[2].split() == ["diverged", "0", "1"]
    assert "0.3 (0.142 to 0.458)" in gdrun("compare", *names, "--over", "seed", "--band", "deviation").out
    for arguments in (["--over", "lr"], ["--over", "seed", "--columns", "lr"], ["--band", "all"]):
        result = gdrun("ls", *arguments)
        assert result.code == 2
        assert "Traceback" not in result.err


def test_diff_says_where_the_losses_part(gdrun):
    make(0)
    make(1, overrides=["lr=0.2"], rows=[{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.75}])
    out = gdrun("diff", "latest~1", "latest").out
    assert "optimizer.learning_rate  0.1" in out
    assert "environment: the same" in out
    assert "part at step 1, of 2 rows" in out
    assert json.loads(gdrun("diff", "latest~1", "latest", "--json").out)["losses"]["first"]["b"] == 0.75


def test_watch_of_a_run_that_has_ended_shows_its_end(gdrun):
    directory = make()
    result = gdrun("watch")
    assert (result.code, result.out) == (0, f"runs/{directory.name}\n")
    assert "line completed" in result.err
    assert json.loads(gdrun("watch", "--json").out)["run"]["status"] == "completed"


def test_watch_follows_until_the_end_and_ctrl_c_leaves_the_run_alone(gdrun, monkeypatch):
    with RunStore.create(Path("runs"), "live", extra={"total_steps": 10}) as store:
        append_rows(store, [{"step": 5, "loss": 0.5, "parameters.a": 1.5}])
        monkeypatch.setattr("gdrun.cli.progress.FIRST_LINE_SECONDS", 0.0)
        monkeypatch.setattr(time, "sleep", lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt))
        # follow() has bound time.sleep as its default, so the interrupt is raised where the row is reported.
        monkeypatch.setattr("gdrun.cli.watch._report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        result = gdrun("watch")
        assert (result.code, result.out) == (0, "")
        assert f"{store.directory.name} is still running" in result.err
        store.close("completed", steps=10)


def test_verify_is_exit_5_and_names_file_and_problem(gdrun):
    good, bad = make(0), make(1)
    (bad / "config.yaml").write_text("name: [")
    result = gdrun("verify", "--all")
    assert result.code == 5
    assert f"ok  {good.name} (completed)" in result.out
    assert "config.yaml: it does not load" in result.out
    assert "2 runs in runs: 1 as they should be, 1 not" in result.err
    document = json.loads(gdrun("verify", "--all", "--json").out)
    assert [run["ok"] for run in document["runs"]] == [True, False]
    assert document["exit_code"] == 5
    assert gdrun("verify", good.name, "-q").out == ""
    assert gdrun("verify").code == 2
    assert gdrun("verify", "latest", "--all").code == 2


def test_rm_without_a_terminal_needs_yes(gdrun):
    directory = make()
    result = gdrun("rm", "latest")
    assert result.code == 2
    assert directory.exists()
    assert directory.name in result.err, "what would go is said all the same"


@pytest.mark.parametrize(
    ("answer", "gone"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_rm_asks_on_a_terminal(gdrun, monkeypatch, answer, gone):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    directory = make()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr("gdrun.cli.terminal.is_terminal", lambda name="stderr": True)
    monkeypatch.setenv("TERM", "dumb")
    assert gdrun("rm", "latest").code == 0
    assert directory.exists() is not gone


def test_the_trash_from_the_command_line(gdrun):
    first, second = make(0), make(1)
    assert json.loads(gdrun("rm", "latest", "--yes", "--json").out) == {"removed": [f"runs/.trash/{second.name}"]}
    assert second.name in gdrun("restore").out
    assert json.loads(gdrun("restore", "--json").out)["trash"][0]["id"] == second.name
    assert gdrun("restore", second.name[-4:]).out == f"{second}\n"
    assert gdrun("rm", "latest", "latest~1", "--yes").code == 0
    assert len(gdrun("restore", "--all").out.splitlines()) == 2
    assert gdrun("prune", "--older", "0s", "--keep-best", "1", "--yes").code == 0
    assert first.exists() != second.exists()
    assert gdrun("prune", "--trash").code == 2, "nobody said yes"
    assert json.loads(gdrun("prune", "--trash", "--yes", "--json").out) == {"deleted": 1}
    assert not Path("runs/.trash").exists()
    assert gdrun("prune").code == 2
    assert gdrun("prune", "--trash", "--older", "1d").code == 2


def test_rm_refuses_what_lies_elsewhere(gdrun):
    directory = make()
    assert gdrun("rm", f"./{directory}", "--runs-dir", "others", "--yes").code == 2
    assert directory.exists()


def test_a_sparkline_rises_where_the_numbers_do():
    assert sparkline(np.arange(8.0), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([1.0, 1.0])) == "▁▁"
    assert sparkline(np.array([]), 8) == ""
    assert sparkline(np.array([0.0, np.nan, 1.0]), 3) == "▁x█"
    assert sparkline(np.full(3, np.nan), 3) == "xxx"
    assert sparkline(np.array([1e-6, 1e-3, 1.0]), 3) == "▁▅█", "logarithms where the range is wide"
    assert len(sparkline(np.arange(1000.0), 24)) == 24
    assert set(sparkline(np.array([-1e308, 1e308]), 2)) == {"▁", "█"}


def test_a_sparkline_is_ascii_where_the_terminal_is(monkeypatch):
    monkeypatch.setattr(sparklines.terminal, "stream", lambda name: io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert sparkline(np.arange(8.0), 8).isascii()


def test_round_steps_are_few_rising_and_end_with_the_last():
    for steps in (np.arange(1), np.arange(3), np.arange(1001), np.arange(0, 10**6, 7), np.array([5, 900, 10**15])):
        rows = round_steps(steps, 12)
        assert rows == sorted(set(rows))
        assert len(rows) <= 12
        assert (rows[0], rows[-1]) == (0, len(steps) - 1)


def test_a_table_is_cut_where_it_may_be_and_counts_columns_of_wide_characters():
    rows = [["a", "日本語" * 20], ["bb", "x"]]
    lines = tables.table(rows, ["n", "text"], flexible=1, width=20)
    assert [cell_len(str(line)) <= 20 for line in lines] == [True] * 3
    assert str(lines[1]).endswith("…")
    assert tables.table([]) == []
