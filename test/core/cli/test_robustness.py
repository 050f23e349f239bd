"""`kp3d robustness`: options and errors."""

import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app
from kp3d_core.inference import shipped_models


def test_a_part_that_does_not_exist(tmp_path):
    result = CliRunner().invoke(
        app, ["robustness", "car", "--output", str(tmp_path), "--only", "weather"]
    )
    assert result.exit_code == 1
    assert "parts must be some of backgrounds" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")
def test_one_part_alone(tmp_path):
    options = ["--only", "backgrounds", "--instances", "1", "--views", "2"]
    result = CliRunner().invoke(app, ["robustness", "car", "--output", str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    assert "textured, light" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "backgrounds.png",
        "robustness.json",
        "robustness.md",
    ]
