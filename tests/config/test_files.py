"""Only regular files are read, and nothing waits."""

from __future__ import annotations

import os
import socket

import pytest

from gdrun.config.document import MAX_BYTES
from gdrun.errors import ConfigError, UsageError
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE
from tests.hang import no_hang


def refusal(path) -> UsageError:
    with no_hang(), pytest.raises(UsageError) as caught:
        load_config(path)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "p.yaml")
    assert "a pipe" in refusal(tmp_path / "p.yaml").message


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/tty", "/dev/null"])
def test_devices_are_refused(device):
    if os.path.exists(device):
        assert "a device" in refusal(device).message


def test_folders_sockets_and_links_in_circles_are_refused(tmp_path):
    assert "a folder" in refusal(tmp_path).message
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert "a socket" in refusal(tmp_path / "s").message
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert "circle" in refusal(tmp_path / "a").message


def test_a_missing_file_names_the_one_that_was_meant(tmp_path):
    (tmp_path / "experiment.yaml").write_text(LINE)
    error = refusal(tmp_path / "experimnet.yaml")
    assert "no such file" in error.message
    assert "experiment.yaml" in error.hint


def test_names_that_are_no_paths_are_refused():
    assert "no path" in refusal("a\0b").message


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text(LINE)
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert load_config(tmp_path / "b.yaml").experiment.name == "b"


def test_a_large_file_is_refused_and_not_read_whole(tmp_path):
    with open(tmp_path / "large.yaml", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigError, match=f"{MAX_BYTES:,}"):
        load_config(tmp_path / "large.yaml")
