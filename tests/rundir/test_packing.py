"""Runs packed into a zip file, and read from it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.listing import runs
from gdrun.rundir.lock import WriterLock
from gdrun.rundir.packing import pack
from gdrun.rundir.run import load_run
from gdrun.rundir.store import RunStore
from tests.rows import append_rows


def make(root: Path, name: str) -> Path:
    with RunStore.create(root, name) as store:
        store.write_text("config.yaml", f"name: {name}\n")
        append_rows(store, [{"step": 0, "loss": 1.0}])
        store.close(status="completed", steps=0)
    return store.directory


def files(directory: Path) -> dict[str, bytes]:
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def test_what_was_packed_is_read_with_the_same_bytes(tmp_path: Path) -> None:
    directories = [make(tmp_path / "runs", name) for name in ("one", "two")]
    pack(directories, tmp_path / "kept.zip")
    assert [run.id for run in runs(tmp_path / "kept.zip")] == [path.name for path in directories]
    for directory in directories:
        assert files(load_run(directory.name, tmp_path / "kept.zip").directory) == files(directory)
    assert load_run("latest", tmp_path / "kept.zip").metrics["loss"].tolist() == [1.0]


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    directory = make(tmp_path / "runs", "one")
    for name in ("a.zip", "b.zip"):
        pack([directory], tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_run_that_is_being_written_is_refused_and_no_file_is_left(tmp_path: Path) -> None:
    directory = make(tmp_path / "runs", "one")
    lock = WriterLock(directory)
    try:
        with pytest.raises(RunDirectoryError, match="busy"):
            pack([directory], tmp_path / "kept.zip")
    finally:
        lock.release()
    assert not list(tmp_path.glob("*kept.zip"))


@pytest.mark.parametrize("name", ["../outside", "/outside", "run/../../outside"])
def test_a_zip_file_that_would_write_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "strange.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(RunDirectoryError, match="was not made by gdrun pack"):
        runs(tmp_path / "strange.zip")
    assert not (tmp_path / "outside").exists()


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("run/config.yaml")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "strange.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(RunDirectoryError, match="was not made by gdrun pack"):
        runs(tmp_path / "strange.zip")


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 torn"])
def test_a_damaged_zip_file_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "torn.zip").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"torn\.zip is no readable zip file"):
        runs(tmp_path / "torn.zip")
