"""`kp3d bench node`: how it searches and judges, and that it measures the real node."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app
from kp3d_core.inference import CameraModel
from kp3d_ros.bench.node_bench import Trial, bench_node, summary_of, why_not_sustained
from kp3d_ros.bench.rates import highest_rate
from kp3d_ros.bench.settings import NodeBenchSettings, parse_resolutions
from kp3d_ros.demo import scene
from kp3d_ros.memory import reuse_large_buffers

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core/inference"))
from node_rig import pose  # noqa: E402
from tiny_model import draw_scene, write_tiny_model  # noqa: E402


@pytest.mark.parametrize("limit_hz", [31.0, 47.0, 60.0, 139.0, 420.0])
def test_search_finds_the_limit(limit_hz: float) -> None:
    asked = []

    def sustained(rate_hz: float) -> float | None:
        asked.append(rate_hz)
        return rate_hz if rate_hz <= limit_hz else None

    found = highest_rate(sustained, lowest_hz=30.0, highest_hz=480.0)

    assert limit_hz / 1.06 <= found <= limit_hz
    assert len(asked) < 20


def test_search_ends_at_its_bounds() -> None:
    assert highest_rate(lambda rate: rate, lowest_hz=30.0, highest_hz=400.0) == 400.0
    assert highest_rate(lambda rate: rate, lowest_hz=30.0, highest_hz=30.0) == 30.0
    assert highest_rate(lambda rate: None, lowest_hz=30.0, highest_hz=400.0) == 0.0


def test_one_hiccup_is_forgiven() -> None:
    trials: dict[float, int] = {}

    def sustained(rate_hz: float) -> float | None:
        trials[rate_hz] = trials.get(rate_hz, 0) + 1
        return None if trials[rate_hz] == 1 else rate_hz

    assert highest_rate(sustained, lowest_hz=30.0, highest_hz=120.0) == 120.0


def trial(sent: int = 100, received: int = 100, rate_hz: float = 30.0) -> Trial:
    latencies = tuple(float(i + 1) for i in range(received))
    return Trial(sent, received, received, rate_hz, latencies, engine_ms=20.0, processing_ms=24.0)


def test_what_counts_as_sustained() -> None:
    assert why_not_sustained(trial(received=95), 30.0) == ""
    assert why_not_sustained(trial(received=94), 30.0) == "the node lost images"
    assert why_not_sustained(trial(rate_hz=28.0), 30.0) == (
        "the simulated camera could not send faster"
    )


def test_overhead_is_all_but_the_engine() -> None:
    summary = summary_of(trial())

    assert summary["latency_ms_p50"] == 50.5
    assert summary["overhead_ms_p50"] == 30.5
    assert summary["own_ms_p50"] == 4.0
    assert (summary["frames_in"], summary["frames_processed"]) == (100, 100)
    assert math.isnan(summary_of(trial(received=0))["latency_ms_p99"])


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="seconds must be positive, got -1. highest_rate_hz must"):
        NodeBenchSettings(seconds=-1.0, highest_rate_hz=3.0)
    with pytest.raises(ValueError, match="resolutions must be WIDTHxHEIGHT .*, got '640'"):
        parse_resolutions("640")
    assert parse_resolutions("640x480, 1920x1080") == ((640, 480), (1920, 1080))


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)

    result = CliRunner().invoke(app, ["bench", "node"])

    assert result.exit_code == 1
    assert "Source ROS 2 and the workspace of kp3d_ros" in " ".join(result.output.split())


def test_memory_is_kept_on_linux() -> None:
    assert reuse_large_buffers()


class Discs:
    """A film of the discs that the tiny model sees, for the simulated camera."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self.size_wh = size_wh
        camera = CameraModel(scene.camera_intrinsics(size_wh), *size_wh)
        self._images = [
            draw_scene(camera, pose(0.3 + 0.02 * i, (0.0, 0.0, 2.0)), 0.3) for i in range(3)
        ]
        self.boxes = []
        for image in self._images:
            rows, columns = np.nonzero(image.any(axis=2))
            size = (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
            self.boxes.append((int(columns.min()), int(rows.min()), *size))

    def __len__(self) -> int:
        return len(self._images)

    def image(self, index: int) -> np.ndarray:
        return self._images[index]


def test_measures_the_real_node(tmp_path: Path) -> None:
    settings = NodeBenchSettings(
        model=str(write_tiny_model(tmp_path / "tiny.onnx")),
        threads=1,
        resolutions=((640, 480),),
        rate_hz=10.0,
        highest_rate_hz=10.0,
        seconds=2.5,
        trial_s=0.5,
        baseline_s=0.01,
    )

    result = bench_node(settings, make_film=Discs)

    assert json.loads(json.dumps(result)) is not None
    assert result["kind"] == "node"
    assert result["peak_gflops"] > 0
    assert result["baseline"]["p50_ms"] > 0
    assert result["engine"].startswith("onnxruntime")
    assert result["machine"]["rclpy"]
    measured = result["resolutions"]["640x480"]
    assert measured["frames_in"] == 25
    # How many and how fast is for an idle machine to say.
    assert 1 <= measured["frames_processed"] <= 25
    assert measured["frames_with_object"] >= 1
    assert 0 < measured["engine_ms_p50"] < measured["latency_ms_p50"] <= measured["latency_ms_p99"]
    assert measured["overhead_ms_p50"] > 0
    assert measured["own_ms_p50"] > 0
    assert result["start_s"] == measured["start_s"] > 0
    assert 50 < result["rss_mb"] == measured["rss_mb"] < 2000
