"""The page of figures: everything measured is on it, nothing else."""

import json

import pytest
from typer.testing import CliRunner

from kp3d_core.cli.main import app

FIGURES = {"p50_ms": 3.0, "p99_ms": 4.0, "runs": 9, "images_per_s": 333.3, "gflop_per_image": 1.5,
           "gflops": 50.0}  # fmt: skip


def run(**limits):
    rows = [
        {"network": "fast", "input_size": 64, "engine": "onnxruntime", "name": "onnxruntime 1.32",
         "device": "cpu", "precision": "int8", "batch": batch, **FIGURES, "p50_ms": batch * 0.5}
        for batch in (1, 16)
    ]  # fmt: skip
    return {
        "settings": {"threads": 2},
        "machine": {"cpu": "Test CPU", "instructions": ["avx2"], "limits": limits, "python": "3.11",
                    "load_before": 0.25, "commit": "abcdef0123456789", "created": "2026-11-22T10"},
        "peak_gflops": 100.0,
        "missing": {},
        "baseline": {"input_size": 128, "batch": 1, **FIGURES, "p50_ms": 140.0},
        "dope_shaped": {"batch": 1, **FIGURES, "p50_ms": 2345.6},
        "rows": rows,
        "ratios": {"fast_best_speedup": 280.0, "batch16_over_batch1": 16.0},
    }  # fmt: skip


@pytest.fixture
def page(tmp_path):
    files = []
    for name, content in (("a", run()), ("b", run(ONEDNN_MAX_CPU_ISA="AVX2"))):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    output = tmp_path / "docs" / "performance.md"
    output.parent.mkdir()
    result = CliRunner().invoke(app, ["bench", "report", *map(str, files), "-o", str(output)])
    assert result.exit_code == 0, result.output
    return output


def test_page_has_every_row_of_every_run(page):
    text = page.read_text()
    assert "## Test CPU, 2 threads\n" in text
    assert "## Test CPU, 2 threads, `ONEDNN_MAX_CPU_ISA=AVX2`\n" in text
    assert text.count("| fast | 64 | onnxruntime 1.32 | int8 | 16 | 8.00 |") == 2
    assert text.count("| baseline | 128 | PyTorch eager | fp32 | 1 | 140.00 |") == 2
    assert text.count("| DOPE-shaped | 640x480 | onnxruntime | fp32 | 1 | 2345.60 |") == 2
    assert "| `fast`, best CPU engine, over the baseline | 280 |" in text
    assert "load before the run 0.25" in text
    assert "50%" in text  # of peak


def test_plot_is_beside_the_page(page):
    assert "images/performance.svg" in page.read_text()
    assert (page.parent / "images" / "performance.svg").read_text().startswith("<?xml")


def test_missing_file_is_one_line(tmp_path):
    result = CliRunner().invoke(app, ["bench", "report", str(tmp_path / "gone.json")])
    assert result.exit_code == 1
    assert "gone.json" in result.output
