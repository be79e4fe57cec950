"""`gdrun init`: every starter is sound, and nothing is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

import gdrun.cli.init
from gdrun.cli.init import KINDS, MODELINE, PLUGIN
from gdrun.experiment.gallery import descriptions, gallery
from gdrun.experiment.loading import load_config


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_is_a_valid_commented_config_with_a_description_and_expectations(gdrun, kind):
    result = gdrun("init", kind)
    assert (result.code, result.out) == (0, f"{kind}.yaml\n")
    experiment = load_config(f"{kind}.yaml").experiment
    assert experiment.description
    assert "expect" in experiment.model_fields_set
    assert Path(f"{kind}.yaml").read_text().startswith("# ")


def test_every_starter_file_has_a_kind():
    folder = Path(gdrun.cli.init.__file__).parent / "starters"
    assert {path.stem for path in folder.glob("*.yaml")} == set(KINDS)


def test_the_list_names_every_kind(gdrun):
    names = [line.split()[0] for line in gdrun("init", "--list").out.splitlines()]
    assert names == [*KINDS, PLUGIN, *(f"gallery:{name}" for name in gallery())]


def test_every_config_of_the_gallery_has_a_line_on_what_it_shows():
    assert all(descriptions().values())
    assert descriptions()["pi"] == load_config("gallery:pi").experiment.description


def test_a_config_of_the_gallery_is_named_wherever_a_config_is(gdrun):
    from gdrun.analysis.evaluation_point import config_or_run
    from gdrun.analysis.grad_arguments import is_source

    assert "(gallery:pi:" in gdrun("explain", "gallery:pi", "optimizer.kind").out
    assert config_or_run("gallery:pi") == "gallery:pi"  # `stability`, `plot --from`
    assert is_source("gallery:pi")  # `grad`
    assert "gdrun train gallery:pi" in gdrun("gallery:pi").err


def test_a_config_of_the_gallery_comes_with_its_data(gdrun):
    assert gdrun("init", "rents", "-o", "mine/flats.yaml").out == "mine/flats.yaml\n"
    assert gdrun("validate", "mine/flats.yaml").code == 0
    assert load_config("mine/flats.yaml").experiment.model == load_config("gallery:rents").experiment.model


def test_a_config_with_a_plugin_comes_with_it_and_the_line_that_trains_it_works(gdrun):
    result = gdrun("init", PLUGIN, "-o", "mine/q.yaml")
    assert (result.out, result.err) == ("mine/q.yaml\n", "now: gdrun train mine/q.yaml --plugin mine/quantiles.py\n")
    assert gdrun("validate", *result.err.split()[3:]).code == 0


@pytest.mark.parametrize("name", ["gallery:pie", "gallery:", "gallery:../../etc/passwd"])
def test_a_name_that_is_not_in_the_gallery_is_refused(gdrun, name):
    result = gdrun("validate", name)
    assert (result.code, result.out) == (2, "")
    assert "the gallery has no config" in result.err


def test_the_csv_starter_brings_its_data(gdrun):
    gdrun("init", "csv")
    assert Path("csv-example.csv").is_file()


@pytest.mark.parametrize("taken", ["csv.yaml", "csv-example.csv"])
def test_no_file_is_replaced_and_none_half_written(gdrun, taken):
    Path(taken).write_text("mine")
    result = gdrun("init", "csv")
    assert result.code == 2
    assert "exists" in result.err
    assert Path(taken).read_text() == "mine"
    assert [path.name for path in Path().iterdir()] == [taken]


def test_a_dangling_link_is_not_followed(gdrun):
    Path("formula.yaml").symlink_to("elsewhere.yaml")
    assert gdrun("init").code == 2
    assert not Path("elsewhere.yaml").exists()


def test_it_can_be_written_elsewhere_or_to_stdout(gdrun):
    assert gdrun("init", "mlp", "-o", "deep/er/net.yaml").out == "deep/er/net.yaml\n"
    assert MODELINE + gdrun("init", "mlp", "-o", "-").out == Path("deep/er/net.yaml").read_text()


def test_a_misspelt_kind_is_refused_with_the_one_that_was_meant(gdrun):
    result = gdrun("init", "clasifier")
    assert result.code == 2
    assert "'classifier'" in result.err


def test_a_folder_that_cannot_be_made_is_exit_5(gdrun):
    Path("file").write_text("")
    assert gdrun("init", "mlp", "-o", "file/net.yaml").code == 5
