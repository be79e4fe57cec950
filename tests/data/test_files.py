"""Claims about kinds of data that are read from files: training and `gdrun predict` know the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from gdrun.data import file_reader, file_suffixes
from gdrun.data.files import FileData
from gdrun.errors import UsageError
from tests.families import members

FILE_KINDS = {kind: section for kind, section in members("data").items() if issubclass(section, FileData)}


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_file_that_no_config_names_is_read_by_the_kind_of_its_suffix(kind):
    suffix = FILE_KINDS[kind].suffixes[0]
    section = file_reader(Path(f"examples{suffix}"), like=None, widths={"x": 1}, target=True)
    assert type(section) is FILE_KINDS[kind]
    assert (section.inputs, section.target) == ({"x": "x"}, "target")
    assert suffix in file_suffixes()


def test_another_suffix_is_refused_with_those_that_are_read():
    with pytest.raises(UsageError, match="cannot read examples from") as caught:
        file_reader(Path("examples.txt"), like=None, widths={"x": 1}, target=False)
    assert caught.value.hint == f"give a {file_suffixes()} file"
