"""Every command refuses, before its work, an output that would take something else away."""

import json

import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app

FILE_OUTPUT = {
    "bench engine": ["--json"],
    "bench node": ["--json"],
    "bench train": ["--json"],
    "bench render": ["--json"],
    "import": ["box", "--meshes", ".", "-o"],
    "weights": ["last.ckpt", "-o"],
    "demo": ["--rrd"],
}
FOLDER_OUTPUT = {
    "build": ["recipe.yaml", "-o"],
    "package": ["a.ckpt", "--train", "a", "--val", "b", "--test", "c", "--output"],
    "build-engine": ["car", "--parts"],
    "convert-tfrecords": ["records", "--category", "car", "-o"],
    "evaluate": ["car", "data", "--output"],
    "export-meshes": ["--category", "mug", "-o"],
    "infer": ["car", "photo.png", "-o"],
    "render": ["--category", "car", "--output"],
    "robustness": ["car", "--output"],
    "reproduce": ["table1", "--output"],
    "demo": ["--output"],
    "demo grasp": ["--output"],
    "new": ["mug", "--meshes", ".", "-o"],
}
INPUT_AS_OUTPUT = ["weights {0} -o {0}"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "options"), FILE_OUTPUT.items(), ids=list(FILE_OUTPUT))
def test_a_folder_is_no_file(kp3d, here, command, options):
    (here / "folder").mkdir()
    output = kp3d(*command.split(), *options, "folder", code=1)
    assert "folder must be a file to write, got a folder" in output


@pytest.mark.parametrize(("command", "options"), FOLDER_OUTPUT.items(), ids=list(FOLDER_OUTPUT))
def test_a_file_is_no_folder(kp3d, here, command, options):
    (here / "file").write_text("mine")
    (here / "photo.png").touch()
    output = kp3d(*command.split(), *options, "file", code=1)
    assert "file must be a folder, got a file" in output
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize("line", INPUT_AS_OUTPUT)
def test_what_is_read_is_not_written_over(kp3d, here, line):
    (here / "input").write_text(json.dumps("mine"))
    output = kp3d(*line.format("input").split(), code=1)
    assert "input must not be input, which is read: it would be lost" in output
    assert (here / "input").read_text() == '"mine"'


@pytest.mark.parametrize("command", ["render --category car", "reproduce table1"])
def test_a_folder_with_other_things_is_not_filled(kp3d, here, command):
    (here / "config.yaml").write_text("mine")
    output = kp3d(*command.split(), "--output", here, code=1)
    assert "must be empty or hold" in output
    assert "but it holds config.yaml" in output
    assert [(p.name, p.read_text()) for p in here.iterdir()] == [("config.yaml", "mine")]


def test_every_output_is_checked():
    """Each option and argument that names something to write is in the tables above."""
    import typer

    known = {*FILE_OUTPUT, *FOLDER_OUTPUT, "train", "finetune", "replay"}

    def below(command, words):
        children = getattr(command, "commands", {})
        for name, child in children.items():
            yield from below(child, (*words, name))
        if not children and {"output", "json_file", "parts", "rrd"} & {
            p.name for p in command.params
        }:
            yield " ".join(words)

    writing = set(below(typer.main.get_command(app), ()))
    assert writing <= known
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0
