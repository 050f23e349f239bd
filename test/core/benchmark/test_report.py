"""What a benchmark prints: everything measured is there, as Markdown for the page of figures."""

import pytest
from rich.console import Console

from kp3d_core.benchmark.report import section
from kp3d_core.cli import measuring

FIGURES = {"p50_ms": 3.0, "p99_ms": 4.0, "runs": 9, "images_per_s": 333.3, "gflop_per_image": 1.5,
           "gflops": 50.0}  # fmt: skip


def common(kind, **limits):
    machine = {
        "cpu": "Test CPU",
        "instructions": ["avx2"],
        "limits": limits,
        "python": "3.11",
        "load_before": 0.25,
        "commit": "abcdef0123456789",
        "created": "2026-11-22T10",
    }
    baseline = {"input_size": 128, "batch": 1, **FIGURES, "p50_ms": 140.0}
    return {"kind": kind, "threads": 2, "machine": machine, "peak_gflops": 100.0,
            "baseline": baseline}  # fmt: skip


def engine_run(**limits):
    named = {"name": "onnxruntime 1.32", "precision": "int8", **FIGURES}
    rows = [
        {"network": "fast", "input_size": 64, "engine": "onnxruntime", "device": "cpu", **named,
         "batch": batch, "p50_ms": batch * 0.5}
        for batch in (1, 16)
    ]  # fmt: skip
    return {
        **common("engine", **limits),
        "missing": {"fast in int8 on tensorrt": "tensorrt: no GPU."},
        "rows": rows,
        "objects": [{"objects": count, **named} for count in (1, 16)],
        "ratios": {"fast_best_speedup": 280.0, "batch16_over_batch1": 16.0},
    }


NODE = {
    **common("node"),
    "settings": {"model": "/home/robot/car_int8.onnx"},
    "engine": "onnxruntime 1.32",
    "device": "cpu (2 threads)",
    "precision": "int8",
    "resolutions": {
        "640x480": {"rate_hz": 30.0, "overhead_ms_p50": 2.5, "own_ms_p50": 1.25,
                    "engine_ms_p50": 3.0, "latency_ms_p50": 5.5, "latency_ms_p99": 7.75,
                    "frames_in": 300, "frames_processed": 299, "frames_with_object": 299,
                    "max_rate_hz": 144.4, "max_rate_limit": "the node lost images",
                    "start_s": 1.5, "rss_mb": 201.0},
    },
    "start_s": 1.5,
    "rss_mb": 201.0,
}  # fmt: skip
TRAIN = {
    **common("train"),
    "rows": [
        {"config": name, "precision": "fp32", "input_size": 64, "images_per_step": 64,
         "images_per_s": rate, "step_ms": 400.0, "data_wait_share": 0.01}
        for name, rate in (("fast.yaml", 180.0), ("paper.yaml", 1.5))
    ],
    "ratios": {"train_over_plain": 120.0},
}  # fmt: skip
RENDER = {
    **common("render"),
    "settings": {"views": 24},
    "rows": [{"category": "car", "image_size": 128, "jobs": 2, "images_per_s": 321.0}],
}


def test_engines():
    text = section(engine_run())
    assert text.startswith("### Test CPU, 2 threads\n")
    assert "load before the run 0.25" in text
    assert "| fast | 64 | onnxruntime 1.32 | int8 | 16 | 8.00 |" in text
    assert "| baseline | 128 | PyTorch eager | fp32 | 1 | 140.00 |" in text
    assert "| 16 | onnxruntime 1.32 | int8 | 3.00 | 4.00 |" in text
    assert "| `fast`, best CPU engine, over the baseline | 280 |" in text
    assert "50%" in text  # of peak
    assert "Not measured: tensorrt: no GPU." in text


def test_what_limited_a_run_is_named():
    text = section(engine_run(ONEDNN_MAX_CPU_ISA="AVX2"))
    assert text.startswith("### Test CPU, 2 threads, `ONEDNN_MAX_CPU_ISA=AVX2`\n")


def test_what_was_not_measured_is_not_told():
    result = engine_run() | {"missing": {}}
    del result["objects"]
    text = section(result)
    assert "From one camera image" not in text
    assert "Not measured" not in text


def test_node():
    text = section(NODE)
    assert "| 640x480 | 5.50 | 7.75 | 3.00 | 2.50 | 1.25 | 299 of 300 | 144 | 1.50 | 201 |" in text
    assert "Model `car_int8.onnx` on onnxruntime 1.32, cpu (2 threads)" in text
    assert "The search for the highest rate ended: 640x480: the node lost images." in text


def test_training_and_rendering():
    text = section(TRAIN)
    assert "| `fast.yaml` | fp32 | 64 | 64 | 180.0 | 400 | 1.0% |" in text
    assert "120 times as many" in text
    assert "| car | 128 | 2 | 321 |" in section(RENDER)


@pytest.mark.parametrize("result", [engine_run(), NODE, TRAIN, RENDER], ids=lambda r: r["kind"])
def test_tables_are_tables(result):
    lines = section(result).splitlines()
    for above, line in zip(lines, lines[1:], strict=False):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|"), line


@pytest.mark.parametrize("terminal", [False, True])
def test_a_benchmark_prints_its_section_and_keeps_all_figures(
    tmp_path, capsys, monkeypatch, terminal
):
    console = Console
    monkeypatch.setattr(
        measuring, "Console", lambda **options: console(**options, force_terminal=terminal)
    )
    told = []

    def measure(settings, on_progress):
        on_progress("a step")
        told.append(settings)
        return TRAIN | {"machine": TRAIN["machine"] | {"cpu": "CPU [x]"}}

    measuring.run_benchmark(measure, "settings", tmp_path / "train.json")
    assert told == ["settings"]
    shown = capsys.readouterr().out
    for text in ("CPU [x]", "step [ms]", "180.0"):  # brackets are no markup
        assert text in shown
    assert ("| `fast.yaml` |" in shown) is not terminal
    assert '"images_per_s": 180.0' in (tmp_path / "train.json").read_text()
