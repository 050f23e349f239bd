"""`kp3d robustness`: options and errors."""

import pytest

from kp3d_core.inference import shipped_models


def test_a_part_that_does_not_exist(kp3d, tmp_path):
    output = kp3d("robustness", "car", "--output", tmp_path, "--only", "weather", code=1)
    assert "parts must be some of backgrounds" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")
def test_one_part_alone(kp3d, tmp_path):
    options = ["--only", "backgrounds", "--instances", 1, "--views", 2]
    output = kp3d("robustness", "car", "--output", tmp_path, *options)
    assert "textured, light" in output
    assert "mean [deg]" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "backgrounds.png",
        "robustness.json",
        "robustness.md",
    ]
