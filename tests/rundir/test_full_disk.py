"""A disk that is really full: a small file system of its own, where the kernel lets us make one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import life

ROOT = Path(__file__).resolve().parents[2]


def on_disk_of(kilobytes: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Live a run's life on a new file system, then show run.json as it is there."""
    inside = f"mount -t tmpfs -o size={kilobytes}k none {folder} || exit 99; "
    inside += f"{sys.executable} -m tests.rundir.life {folder}; code=$?; cat {folder}/2*/run.json >&2; exit $code"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", inside], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here")
def test_it_is_exit_5_with_path_and_reason_and_nothing_is_called_saved_that_is_not(tmp_path: Path) -> None:
    if on_disk_of(1000, tmp_path).returncode:
        pytest.skip("file systems cannot be made here")
    codes = set()
    for kilobytes in (4, 8, 12, 16, 20, 24, 28, 32, 36, 40):
        done = on_disk_of(kilobytes, tmp_path)
        codes.add(done.returncode)
        if done.returncode == 0:
            assert "closed" in done.stdout
            assert '"status": "completed"' in done.stderr
            continue
        assert done.returncode == 5, done.stderr
        assert "closed" not in done.stdout
        assert f"{tmp_path}" in done.stdout.splitlines()[-1]
        assert "No space left on device" in done.stdout.splitlines()[-1]
        assert '"completed"' not in done.stderr
    assert codes == {0, 5}
    assert not any(tmp_path.iterdir())
    assert life.CONFIG
