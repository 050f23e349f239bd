"""`kp3d bench engine`: what it measures with, and that it measures at all."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kp3d_core.benchmark.engines import EngineBenchSettings, ratios
from kp3d_core.benchmark.machine import describe_machine, peak_gflops
from kp3d_core.benchmark.networks import model_of, multiplications, random_graph
from kp3d_core.benchmark.timing import measure
from kp3d_core.cli.main import app
from kp3d_core.inference import shipped_models


def row(network, engine, precision, batch, p50_ms, device="cpu (2 threads)"):
    return {
        "network": network,
        "engine": engine,
        "precision": precision,
        "batch": batch,
        "p50_ms": p50_ms,
        "device": device,
    }


def test_ratios_are_of_the_best_rows_of_this_run():
    result = {
        "baseline": {"p50_ms": 100.0},
        "rows": [
            row("fast", "onnxruntime", "fp32", 1, 4.0),
            row("fast", "onnxruntime", "int8", 1, 2.0),
            row("fast", "onnxruntime", "int8", 16, 25.0),
            row("fast", "openvino", "int8", 1, 1.0),
            row("fast", "openvino", "int8", 16, 8.0),
            row("fast", "tensorrt", "fp16", 1, 0.1, device="Orin (compute capability 8.7)"),
            row("paper", "openvino", "int8", 1, 10.0),
            row("paper", "onnxruntime", "fp32", 1, 50.0),
        ],
    }
    assert ratios(result) == {
        "fast_best_speedup": 100.0,  # a GPU is no CPU engine
        "fast_onnxruntime_speedup": 50.0,
        "paper_best_speedup": 10.0,
        "batch16_over_batch1": 8.0,
    }
    result["rows"] = result["rows"][:1]
    assert ratios(result) == {"fast_best_speedup": 25.0, "fast_onnxruntime_speedup": 25.0}


def test_latency_counts_every_call():
    calls = []
    latency = measure(lambda: calls.append(1), 0.05)
    assert len(calls) == latency.runs + 3
    assert latency.runs >= 5
    assert 0 < latency.p50_ms <= latency.p99_ms < 50


def test_arithmetic_of_the_papers_networks():
    # Twelve 3x3 convolutions each at full resolution, then the heads.
    size = 32

    def trunk(channels_in, channels):
        return 9 * (channels_in * channels + 11 * channels**2)

    expected = size**2 * (trunk(4, 64) + 9 * 64 * 20 + trunk(3, 32) + 9 * 32 * 2)
    graph = random_graph("paper", size, mirror=False)
    assert multiplications(model_of(graph, "paper").data) == expected


def test_machine_is_described():
    machine = describe_machine()
    assert machine["cores"] >= 1
    assert machine["cpu"]
    assert machine["torch"] == torch.__version__
    assert json.dumps(machine)


def test_peak_is_that_of_this_processor():
    threads = torch.get_num_threads()
    # From a busy, slow core to many fast ones.
    assert 0.1 < peak_gflops(1, 0.1) < 1e4
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batches": (1, 4)}, "batches must contain 1 and 16"),
        ({"engines": ("onnx",)}, "engines must be some of .*, got"),
        ({"precisions": ("fp8",)}, "precisions must be some of fp32, fp16, int8"),
        ({"engines": ("openvino",)}, "onnxruntime and fp32 must be among them"),
        ({"threads": 0, "seconds": -1.0}, "threads and seconds must be positive, got 0 and -1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EngineBenchSettings(**settings)


@pytest.mark.slow
@pytest.mark.skipif("car" not in shipped_models(), reason="no car model is shipped")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_command_measures_and_writes_all_ratios(tmp_path):
    path = tmp_path / "engine.json"
    arguments = ["bench", "engine", "--seconds", "0.05", "--threads", "1", "--json", str(path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    content = json.loads(path.read_text())
    assert set(content["ratios"]) == {
        "fast_best_speedup",
        "fast_onnxruntime_speedup",
        "paper_best_speedup",
        "batch16_over_batch1",
    }
    assert all(np.isfinite(value) and value > 0 for value in content["ratios"].values())
    for figures in (content["baseline"], *content["rows"]):
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        assert figures["gflop_per_image"] > 0
    assert {"onnxruntime"} <= {row["engine"] for row in content["rows"]}
    assert "baseline" in result.output
    assert [row["objects"] for row in content["objects"]][:5] == [1, 2, 4, 8, 16]
