"""docs/reliability.md names tests that exist, and the guards that they are about are what makes them pass."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import RunDirectoryError
from gdrun.rundir import checkpoint, store, strict_json
from gdrun.rundir.checkpoint import Checkpoints
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

from .faults import Faults, outcome

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def named() -> list[str]:
    """The tests that the page names."""
    return re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", named())
def test_a_named_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not function or re.search(rf"^(?:    )?(?:def {function}\(|{function} = )", text, flags=re.MULTILINE)


def test_every_sentence_has_a_test() -> None:
    tables = PAGE.read_text(encoding="utf-8").split("## Longer")[0]
    sentences = [line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| |")]
    assert len(sentences) == len(named())
    assert all("`tests/" in line for line in sentences)


# --- a test of the tests: without the guard, what the test asserts does not hold ------------------------------


def old_file_survives(folder: Path) -> None:
    """What tests/rundir/test_crash.py asserts of a write that a kill ends."""
    with RunStore.create(folder, "pi") as written:
        written.write_text("config.yaml", "old\n" * 100)
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, 1, "full", ("write",))
            outcome(lambda: written.write_text("config.yaml", "new\n" * 100))
        text = (written.directory / "config.yaml").read_text()
        written.abandon("full")
    assert text in ("old\n" * 100, "new\n" * 100)


def damage_is_seen(folder: Path) -> None:
    """What tests/rundir/test_checkpoint.py asserts of a damaged checkpoint."""
    checkpoints = Checkpoints(folder)
    for step in (1, 2):
        checkpoints.save(step, {"a": np.full(100, step, np.uint8)}, {})
    path = folder / checkpoints.list()[-1].name
    path.write_bytes(path.read_bytes().replace(bytes([2] * 100), bytes([3] * 100)))
    loaded = checkpoints.load_newest()
    assert loaded is not None
    assert loaded.step == 1


def second_writer_is_refused(folder: Path) -> None:
    """What tests/rundir/test_lock.py asserts."""
    first = RunStore.create(folder, "pi")
    try:
        with pytest.raises(RunDirectoryError):
            RunStore.open(first.directory).leave()
    finally:
        first.leave()


def flush_is_not_repeated(folder: Path) -> None:
    """What tests/rundir/test_crash.py asserts of a failed flush."""
    written = RunStore.create(folder, "pi")
    append_rows(written, [{"step": 0}])
    with pytest.MonkeyPatch.context() as patch:
        Faults(patch, 1, "broken", ("fsync",))
        assert outcome(written.sync) is not None
        second = outcome(written.sync)
    written.leave()
    assert second is not None


def json_is_strict(folder: Path) -> None:
    """What tests/rundir/test_strict_json.py asserts."""
    with pytest.raises(ValueError, match="not JSON"):
        strict_json.loads("NaN")


def without_atomic_writes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "replace", lambda *_, **__: None)
    real = store.replacing

    def straight(path: Path):  # type: ignore[no-untyped-def]
        path.write_text("")
        return real(path)

    patch.setattr(store, "replacing", straight)


def without_hashes(patch: pytest.MonkeyPatch) -> None:
    import zipfile

    patch.setattr(checkpoint, "_digest", lambda file: "0" * 32)
    patch.setattr(zipfile.ZipExtFile, "_update_crc", lambda self, data: None)


def without_locks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("gdrun.rundir.lock._take", lambda descriptor: True)


def without_distrust(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RunStore, "_broken", property(lambda self: None, lambda self, value: None), raising=False)


def without_strictness(patch: pytest.MonkeyPatch) -> None:
    import json

    patch.setattr(strict_json, "_DECODER", json.JSONDecoder())


GUARDS: dict[str, tuple[Callable[[Path], None], Callable[[pytest.MonkeyPatch], None]]] = {
    "files are written beside and renamed": (old_file_survives, without_atomic_writes),
    "checkpoints are hashed": (damage_is_seen, without_hashes),
    "a run directory is locked": (second_writer_is_refused, without_locks),
    "a broken store stays broken": (flush_is_not_repeated, without_distrust),
    "JSON is read strictly": (json_is_strict, without_strictness),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_the_guard_the_claim_fails(guard: str, tmp_path: Path) -> None:
    claim, removed = GUARDS[guard]
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    claim(tmp_path / "with")
    with pytest.MonkeyPatch.context() as patch:
        removed(patch)
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            claim(tmp_path / "without")
