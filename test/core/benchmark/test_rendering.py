"""`kp3d bench render`: measures whole data sets."""

import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from kp3d_core.benchmark import rendering
from kp3d_core.benchmark.machine import describe_machine
from kp3d_core.benchmark.rendering import RenderBenchSettings
from kp3d_core.cli.main import app


@pytest.fixture
def no_baseline(monkeypatch):
    """Leave the matrix product and the baseline to the tests of those."""
    start = {"kind": "render", "machine": describe_machine(), "threads": 1, "peak_gflops": 1.0,
             "baseline": {"p50_ms": 1.0}}  # fmt: skip

    def begin(kind, settings, **options):
        return start | {"settings": asdict(settings)}

    monkeypatch.setattr(rendering, "begin", begin)


def test_command_measures_every_size(tmp_path, no_baseline):
    path = tmp_path / "render.json"
    arguments = ["--categories", "car,chair", "--sizes", "16,32", "--jobs", "1"]
    arguments += ["--seconds", "0.05", "--light", "varied", "--json", str(path)]
    result = CliRunner().invoke(app, ["bench", "render", *arguments])
    assert result.exit_code == 0, result.output
    content = json.loads(path.read_text())
    rows = content["rows"]
    assert [(row["category"], row["image_size"]) for row in rows] == [
        ("car", 16), ("car", 32), ("chair", 16), ("chair", 32),
    ]  # fmt: skip
    for row in rows:
        assert row["images"] % 24 == 0
        assert row["seconds"] >= 0.05
        assert row["images_per_s"] == pytest.approx(row["images"] / row["seconds"])
    assert "`kp3d render --light varied`" in result.output
    assert f"| chair | 32 | 1 | {rows[-1]['images_per_s']:.0f} |" in result.output


def test_wrong_settings():
    message = "categories must be some of car, chair, mug, plane, got .*sizes must be positive"
    with pytest.raises(ValueError, match=message):
        RenderBenchSettings(categories=("boat",), sizes=(0,))
    with pytest.raises(ValueError, match="light must be one of overhead, varied, photographs"):
        RenderBenchSettings(light="neon")
