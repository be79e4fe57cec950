"""Checkpoints: whole or absent, checked before use, an older one in place of a damaged one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir.checkpoint import Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path)


def save(checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        checkpoints.save(step, {"a": np.full(3, step, np.float32)}, {"epoch": step / 2})


def steps(checkpoints: Checkpoints) -> list[int]:
    return [item.step for item in checkpoints.list()]


def test_what_was_saved_is_loaded(checkpoints: Checkpoints):
    arrays: dict[str, Any] = {
        "parameter.a": np.float64(np.pi),
        "optimizer/m": np.arange(6, dtype=np.float32).reshape(2, 3),
    }
    checkpoints.save(1000, arrays, {"rng": [1, 2**63], "loss": float("nan")})
    loaded = checkpoints.load_newest()
    assert loaded is not None
    assert loaded.step == 1000
    assert loaded.meta == {"rng": [1, 2**63], "loss": "nan"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == np.asarray(array).dtype
    assert checkpoints.warnings == []


def test_the_name_tells_the_step_and_the_hash_of_the_bytes(tmp_path: Path, checkpoints: Checkpoints):
    save(checkpoints, 7)
    (path,) = (tmp_path / "checkpoints").iterdir()
    match = re.fullmatch(r"step-0*7-([0-9a-f]{32})\.npz", path.name)
    assert match
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(match[1])
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["a"].tolist() == [7, 7, 7]


def test_the_newest_two_are_kept_unless_told_otherwise(tmp_path: Path, checkpoints: Checkpoints):
    save(checkpoints, 1, 2, 3)
    assert steps(checkpoints) == [2, 3]
    save(Checkpoints(tmp_path, keep=1), 4)
    assert steps(checkpoints) == [4]
    save(Checkpoints(tmp_path, keep=3), 5, 6, 7, 8)
    assert steps(checkpoints) == [6, 7, 8]


def test_saving_a_step_again_leaves_one_of_it(checkpoints: Checkpoints):
    save(checkpoints, 1, 2, 2)
    checkpoints.save(2, {"a": np.zeros(1)}, {})
    assert steps(checkpoints) == [1, 2]
    loaded = checkpoints.load_newest()
    assert loaded is not None
    assert loaded.arrays["a"].tolist() == [0]


def test_there_may_be_none(checkpoints: Checkpoints):
    assert checkpoints.list() == ()
    assert checkpoints.load_newest() is None


def test_a_damaged_newest_one_is_passed_over_with_a_warning_wherever_it_is_damaged(
    tmp_path: Path, checkpoints: Checkpoints
):
    save(checkpoints, 1, 2)
    path = tmp_path / checkpoints.list()[-1].name
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged if position % 2 else whole[:position])
        checkpoints.warnings.clear()
        loaded = checkpoints.load_newest()
        assert loaded is not None
        assert loaded.step == 1
        (warning,) = checkpoints.warnings
        assert "damaged" in warning
        assert "older" in warning


def test_after_going_back_the_damaged_later_one_does_not_push_out_the_new_ones(
    tmp_path: Path, checkpoints: Checkpoints
):
    save(checkpoints, 10, 20)
    (tmp_path / checkpoints.list()[-1].name).write_bytes(b"torn")
    save(checkpoints, 15)
    assert steps(checkpoints) == [10, 15]


def test_if_none_is_whole_it_is_an_error_that_says_so(tmp_path: Path, checkpoints: Checkpoints):
    save(checkpoints, 1, 2)
    for item in checkpoints.list():
        (tmp_path / item.name).write_bytes(b"")
    with pytest.raises(RunDirectoryError, match="none of the checkpoints") as caught:
        checkpoints.load_newest()
    assert caught.value.hint


def test_a_foreign_file_with_a_right_hash_is_refused(tmp_path: Path, checkpoints: Checkpoints):
    save(checkpoints, 1)
    for data in (b"not a zip", (tmp_path / checkpoints.list()[0].name).read_bytes()):
        digest = hashlib.sha256(data).hexdigest()[:32]
        (tmp_path / f"checkpoints/step-{2:012d}-{digest}.npz").write_bytes(data)
        with pytest.raises(RunDirectoryError, match="not one of gdrun's"):
            checkpoints.load(checkpoints.list()[-1])
        assert checkpoints.load_newest().step == 1  # type: ignore[union-attr]
        save(checkpoints, 1)
        assert steps(checkpoints) == [1]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, checkpoints: Checkpoints):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints" / "step-1.npz").write_text("mine")
    save(checkpoints, 1, 2, 3)
    assert (tmp_path / "checkpoints" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "checkpoints" / "step-1.npz").read_text() == "mine"
