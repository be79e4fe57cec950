"""Names in a runs root: ids that sort and are unique, and what a reference means."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.errors import RunDirectoryError, UsageError
from gdrun.rundir.layout import default_runs_root, find_run, is_run_id, iterate_runs, new_run_id
from gdrun.rundir.run_info import RunInfo
from gdrun.text import safe_text

NOON = datetime(2026, 11, 23, 0, 33, 18, tzinfo=UTC)


def make(root: Path, name: str, *, age: int = 0) -> Path:
    directory = root / name
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(RunInfo(id=name, status="completed").to_text())
    (directory / ".lock").touch()
    os.utime(directory / ".lock", ns=(10**18 - age, 10**18 - age))
    return directory


def test_an_id_is_utc_sortable_and_ends_in_a_token():
    assert new_run_id("pi", NOON, "7f3a") == "2026-11-23T003318-pi-7f3a"
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    assert new_run_id("pi", elsewhere, "7f3a") == "2026-11-23T003318-pi-7f3a"
    assert is_run_id(new_run_id("a.b_c-1", NOON))


@given(st.text(max_size=70))
def test_a_name_either_makes_an_id_or_is_refused(name: str):
    try:
        run_id = new_run_id(name, NOON)
    except RunDirectoryError as error:
        refused = error.message
        assert safe_text(refused) == refused
    else:
        assert is_run_id(run_id)
        assert "/" not in run_id


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 65, "a\n", "\x1b[31m"])
def test_a_hostile_name_is_refused(name: str):
    with pytest.raises(RunDirectoryError):
        new_run_id(name, NOON)


def test_runs_come_oldest_first_and_nothing_else_comes(tmp_path: Path):
    second = make(tmp_path, "2026-11-23T003319-b-0000")
    first = make(tmp_path, "2026-11-23T003318-z-ffff")
    (tmp_path / "2026-11-23T003320-killed-0000").mkdir()
    (tmp_path / "latest").symlink_to(second.name)
    (tmp_path / "2026-11-23T003321-link-0000").symlink_to(first)
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("x")
    make(tmp_path / ".trash", "2026-11-23T003318-t-0000")
    assert list(iterate_runs(tmp_path)) == [first, second, tmp_path / "2026-11-23T003320-killed-0000"]
    assert list(iterate_runs(tmp_path / "absent")) == []


def test_within_a_second_the_order_is_that_of_the_claims(tmp_path: Path):
    late = make(tmp_path, "2026-11-23T003318-pi-0000", age=1)
    early = make(tmp_path, "2026-11-23T003318-pi-ffff", age=2)
    assert list(iterate_runs(tmp_path)) == [early, late]
    assert find_run(tmp_path, "latest") == late


def test_a_renamed_run_is_found_and_stands_where_its_time_puts_it(tmp_path: Path):
    renamed = make(tmp_path, "good-one")  # claimed in 2001
    newest = make(tmp_path, "2026-11-23T003318-pi-7f3a")
    assert list(iterate_runs(tmp_path)) == [renamed, newest]
    assert find_run(tmp_path, "good-one") == renamed


def test_a_root_that_is_no_folder_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunDirectoryError, match="cannot list"):
        list(iterate_runs(tmp_path / "file"))


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "runs"
    a = make(root, "2026-11-22T000000-pi-aaaa")
    b = make(root, "2026-11-23T000000-pi-bbbb")
    c = make(root, "2026-11-23T000001-pi-cccc")
    (root / "latest").symlink_to(a.name)  # stale; not what `latest` goes by
    assert find_run(root, "latest") == find_run(root, "latest~0") == c
    assert find_run(root, "latest~2") == a
    assert find_run(root, b.name) == b
    assert find_run(root, "2026-11-22") == a
    assert find_run(root, str(a)) == a
    assert find_run(root, str(root / "latest")) == a
    monkeypatch.chdir(root)
    assert find_run(tmp_path / "elsewhere", "./" + c.name) == Path(c.name)
    assert find_run(tmp_path / "elsewhere", c.name) == Path(c.name)
    monkeypatch.chdir(c)
    assert find_run(tmp_path / "elsewhere", ".").samefile(c)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("2026-11-23", "start of 2 runs"),
        ("latest~3", "holds 3 runs"),
        ("2026-11-23T000001-pi-ccc0", "no run"),
        ("latest~", "no run"),
        ("", "no run"),
        ("./absent", "no run directory"),
        ("pi", "no run 'pi'"),
        ("\x1b[31m", "no run"),
        ("a\0b/c", "no run directory"),
    ],
)
def test_a_reference_that_means_nothing_or_too_much_is_a_usage_error(tmp_path: Path, reference: str, message: str):
    for name in ("2026-11-22T000000-pi-aaaa", "2026-11-23T000000-pi-bbbb", "2026-11-23T000001-pi-cccc"):
        make(tmp_path, name)
    with pytest.raises(UsageError, match=message) as caught:
        find_run(tmp_path, reference)
    assert caught.value.message.isprintable()
    if reference.endswith("ccc0") or reference == "pi":
        assert caught.value.hint == "did you mean '2026-11-23T000001-pi-cccc'?"


def test_a_path_of_something_else_is_a_run_directory_error(tmp_path: Path):
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        find_run(tmp_path, str(tmp_path))


def test_the_runs_root_is_the_variables_or_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GDRUN_RUNS", raising=False)
    assert default_runs_root() == Path("runs")
    monkeypatch.setenv("GDRUN_RUNS", "/elsewhere")
    assert default_runs_root() == Path("/elsewhere")
