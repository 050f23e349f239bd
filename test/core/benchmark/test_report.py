"""The page of figures: everything measured is on it, nothing else."""

import json

import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app

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
        "missing": {},
        "dope_shaped": {"batch": 1, **FIGURES, "p50_ms": 2345.6},
        "rows": rows,
        "input_sizes": [{"input_size": size, **named} for size in (64, 128)],
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
SHARES = {"data": 0.01, "forward": 0.3, "backward": 0.6}
TRAIN = {
    **common("train"),
    "rows": [
        {"config": name, "precision": "fp32", "input_size": 64, "images_per_step": 64,
         "images_per_s": rate, "step_ms": 400.0, "shares": SHARES}
        for name, rate in (("fast.yaml", 180.0), ("paper.yaml", 1.5))
    ],
    "ratios": {"train_over_plain": 120.0},
}  # fmt: skip
RENDER = {
    **common("render"),
    "settings": {"views": 24},
    "rows": [{"category": "car", "image_size": 128, "jobs": 2, "images_per_s": 321.0}],
    "blender": "Blender is not installed: no comparison with it.",
}


def write_page(folder, *runs):
    files = []
    for i, content in enumerate(runs):
        files.append(folder / f"{i}.json")
        files[-1].write_text(json.dumps(content))
    output = folder / "docs" / "performance.md"
    output.parent.mkdir()
    result = CliRunner().invoke(app, ["bench", "report", *map(str, files), "-o", str(output)])
    return output, result


@pytest.fixture
def page(tmp_path):
    limited = engine_run(ONEDNN_MAX_CPU_ISA="AVX2")
    output, result = write_page(tmp_path, engine_run(), NODE, TRAIN, limited, RENDER)
    assert result.exit_code == 0, result.output
    return output


def test_page_has_every_row_of_every_run(page):
    text = page.read_text()
    assert text.count("### Test CPU, 2 threads\n") == 4
    assert "### Test CPU, 2 threads, `ONEDNN_MAX_CPU_ISA=AVX2`\n" in text
    assert text.count("| fast | 64 | onnxruntime 1.32 | int8 | 16 | 8.00 |") == 2
    assert text.count("| baseline | 128 | PyTorch eager | fp32 | 1 | 140.00 |") == 2
    assert text.count("| DOPE-shaped | 640x480 | onnxruntime | fp32 | 1 | 2345.60 |") == 2
    assert "| `fast`, best CPU engine, over the baseline | 280 |" in text
    assert "load before the run 0.25" in text.replace("\n", " ")
    assert "50%" in text  # of peak
    assert "| 640x480 | 5.50 | 7.75 | 3.00 | 2.50 | 1.25 | 299 of 300 | 144 | 1.50 | 201 |" in text
    assert "Model `car_int8.onnx` on onnxruntime 1.32, cpu (2 threads)" in text
    assert "| `fast.yaml` | fp32 | 64 | 64 | 180.0 | 400 | 1.0% | 30.0% | 60.0% |" in text
    assert "120 times as many" in text
    assert "| car | 128 | 2 | 321 |" in text
    assert "Blender is not installed" in text


def test_tables_are_tables(page):
    lines = page.read_text().splitlines()
    for above, line in zip(lines, lines[1:], strict=False):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|"), line


def test_plots_are_beside_the_page(page):
    for name in ("performance_growth.svg", "performance_node.svg"):
        assert f"images/{name}" in page.read_text()
        assert (page.parent / "images" / name).read_text().startswith("<?xml")


def test_only_what_was_measured_is_on_the_page(tmp_path):
    output, result = write_page(tmp_path, RENDER)
    assert result.exit_code == 0, result.output
    assert "## Rendering" in output.read_text()
    assert "## Node" not in output.read_text()
    assert not list((output.parent / "images").iterdir())


def test_results_of_other_versions_are_refused(tmp_path):
    old = engine_run()
    del old["kind"]
    _, result = write_page(tmp_path, old)
    assert result.exit_code == 1
    assert "got kind None. Measure again with this version." in " ".join(result.output.split())


def test_missing_file_is_one_line(tmp_path):
    result = CliRunner().invoke(app, ["bench", "report", str(tmp_path / "gone.json")])
    assert result.exit_code == 1
    assert "gone.json" in result.output
