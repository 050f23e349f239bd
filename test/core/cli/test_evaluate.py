"""`kp3d evaluate` on rendered objects, as they are and through a camera's faults."""

import json

import pytest


@pytest.mark.parametrize("options", [(), ("--sensor", "--precision", "fp32")])
def test_figures_are_shown_and_written(kp3d, large_cars, tmp_path, options):
    command = ("evaluate", "car", large_cars / "val", "--pairs", 3, "--output", tmp_path / "out")
    output = kp3d(*command, *options)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert f"car on {metrics['pairs']} pairs, {metrics['engine']['name']}" in output
    assert f"{metrics['rotation_deg']['median']:.2f}" in output
    assert metrics["pairs"] == 9
    assert metrics["sensor"] == ("--sensor" in options)
    assert (tmp_path / "out" / "failures.png").is_file()
