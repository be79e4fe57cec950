"""`extends:` one parent, in the same git checkout or below the working directory."""

from __future__ import annotations

import pytest

from gdrun.errors import ConfigError
from gdrun.experiment.loading import load_config
from tests.experiment.texts import LINE, line


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "base.yaml").write_text(LINE + "name: base\ndescription: of the base\nexpect: {status: completed}\n")
    return tmp_path


def load(folder, text, name="child.yaml"):
    (folder / name).write_text(text)
    return load_config(folder / name)


def refusal(folder, text):
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    (problem,) = caught.value.problems
    return problem


def test_sections_merge_deeply_and_what_is_personal_is_not_inherited(folder):
    config = load(folder, "extends: base.yaml\noptimizer: {momentum: 0.5}\n")
    assert config.experiment.optimizer.learning_rate == 0.1
    assert config.experiment.optimizer.momentum == 0.5
    assert config.experiment.name == "child"
    assert config.experiment.description == ""
    assert config.experiment.expect.status is None
    assert [name.rpartition("/")[2] for name, _ in config.files] == ["child.yaml", "base.yaml"]


def test_another_kind_replaces_its_section(folder):
    config = load(folder, "extends: base.yaml\noptimizer: {kind: adam}\nloss: half_mse\n")
    assert config.experiment.optimizer.learning_rate == 0.001
    assert config.experiment.loss.factor == 0.5


def test_lists_are_replaced_and_epochs_take_the_place_of_steps(folder):
    config = load(folder, "extends: base.yaml\ndata: {inputs: {x: [1, 2]}, target: [1, 2]}\nschedule: {epochs: 2}\n")
    assert config.experiment.data.inputs["x"] == (1, 2)
    assert config.experiment.schedule.steps is None


def test_null_deletes(folder):
    config = load(folder, "extends: base.yaml\nloss: null\noptimizer: {learning_rate: null}\n")
    assert config.experiment.loss is None
    assert config.experiment.optimizer.learning_rate == 0.01


def test_mistakes_of_the_parent_are_located_in_the_parent(folder):
    (folder / "base.yaml").write_text(line(seed="x"))
    problem = refusal(folder, "extends: base.yaml\n")
    assert problem.place.source.endswith("base.yaml")


def test_data_files_of_a_parent_below_are_beside_the_parent(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "base.yaml").write_text(line(data="{kind: csv, path: d.csv, inputs: [x], target: y}"))
    assert load(folder, "extends: sub/base.yaml\n").experiment.data.path == "sub/d.csv"


def test_parameters_that_a_parent_below_starts_from_are_beside_the_parent(folder):
    (folder / "sub").mkdir()
    model = "model: {kind: formula, formula: s**2, parameters: {s: 1}, from: start.npz}\n"
    (folder / "sub" / "base.yaml").write_text(f"{model}optimizer: sgd\nschedule: {{steps: 3}}\n")
    assert load(folder, "extends: sub/base.yaml\n").experiment.model.starts() == {("from",): "sub/start.npz"}


@pytest.mark.parametrize(
    ("parent", "words"),
    [
        ("../base.yaml", "outside the config's git checkout and the working directory"),
        ("../../missing.yaml", "outside the config's git checkout"),
        ("/etc/base.yaml", "relative to this one"),
        ("~/base.yaml", "relative to this one"),
        ("missing.yaml", "no such file"),
        ("base.txt", "YAML file"),
        ("link.yaml", "YAML file"),
        ("child.yaml", "extends itself"),
        ("'[a.yaml]'", "YAML file"),
        ("[base.yaml]", "one file"),
        ("3", "one file"),
        ("outside.yaml", "outside the config's git checkout"),
        ("pipe.yaml", "a pipe"),
        ("folder.yaml", "a folder"),
        ("list.yaml", "not a mapping"),
    ],
)
def test_other_parents_are_refused_at_the_key(folder, parent, words, tmp_path_factory):
    import os

    elsewhere = tmp_path_factory.mktemp("elsewhere") / "base.yaml"
    elsewhere.write_text(LINE)
    (folder / "outside.yaml").symlink_to(elsewhere)
    (folder / "notes.txt").write_text("secret")
    (folder / "link.yaml").symlink_to("notes.txt")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "list.yaml").write_text("[1]")
    problem = refusal(folder, f"seed: 1\nextends: {parent}\n")
    assert words in problem.message
    assert problem.place.line == 2


@pytest.mark.parametrize("git", ["folder", "file"])
def test_a_parent_may_be_anywhere_in_the_same_git_checkout(folder, git):
    (folder / ".git").mkdir() if git == "folder" else (folder / ".git").write_text("gitdir: elsewhere")
    (folder / "base.yaml").write_text(line(data="{kind: csv, path: d.csv, inputs: [x], target: y}"))
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "middle.yml").write_text("extends: base.yaml\nseed: 5\n")
    config = load(folder, "extends: ../../middle.yml\n", "a/b/child.yaml")
    assert config.experiment.seed == 5
    assert config.experiment.data.path == "../../d.csv"


def test_another_checkout_is_outside(folder):
    for name in ("mine", "theirs"):
        (folder / name / ".git").mkdir(parents=True)
    (folder / "theirs" / "base.yaml").write_text("SECRET: [")
    (folder / "mine" / "child.yaml").write_text("extends: ../theirs/base.yaml\n")
    with pytest.raises(ConfigError, match="outside the config's git checkout") as caught:
        load_config(folder / "mine" / "child.yaml")
    assert "SECRET" not in str(caught.value)


def test_a_link_in_the_checkout_that_leads_out_of_it_is_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "base.yaml").write_text(LINE)
    (folder / ".git").mkdir()
    (folder / "linked").symlink_to(elsewhere)
    problem = refusal(folder, "extends: linked/base.yaml\n")
    assert "outside" in problem.message
    assert "a link leads there" in problem.hint
    assert str(elsewhere) not in problem.message + problem.hint
    (folder / "linked").unlink()
    (folder / "linked").mkdir()
    (folder / "linked" / "base.yaml").write_text(LINE)
    load(folder, "extends: linked/base.yaml\n")


def test_a_parent_outside_is_found_from_a_folder_that_holds_both_as_the_hint_says(folder, monkeypatch):
    (folder / "sub").mkdir()
    (folder / "sub" / "child.yaml").write_text("extends: ../base.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load_config(folder / "sub" / "child.yaml")
    assert "run gdrun in a folder that holds both" in caught.value.problems[0].hint
    monkeypatch.chdir(folder)
    assert load_config("sub/child.yaml").experiment.name == "child"


def test_a_circle_of_parents_is_refused(folder):
    (folder / "a.yaml").write_text("extends: b.yaml\n")
    (folder / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(ConfigError, match="extends itself"):
        load_config(folder / "a.yaml")


def test_a_text_without_a_file_cannot_extend():
    with pytest.raises(ConfigError, match="only a file"):
        load_config(b"extends: base.yaml\n")
