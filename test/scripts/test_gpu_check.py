"""The bundle for a machine with a GPU: what can be checked of it without one."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts/gpu_check"


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"gpu_check_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_bundle, run = load("make_bundle"), load("run")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle with one small and one large file, split into parts of 1 kB."""
    monkeypatch.setattr(make_bundle, "PART_BYTES", 1000)
    monkeypatch.setattr(run, "HERE", tmp_path / "bundle")
    (tmp_path / "bundle/wheels").mkdir(parents=True)
    contents = {"kp3d.tar.gz": b"small", "wheels/large.whl": bytes(range(256)) * 10}
    files = []
    for name, content in contents.items():
        (tmp_path / "bundle" / name).write_bytes(content)
        files += make_bundle.split(tmp_path / "bundle" / name, tmp_path / "bundle")
    return tmp_path / "bundle", files, contents


def test_large_files_are_split_and_joined_again(bundle, tmp_path):
    folder, files, contents = bundle
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    parts = [f"wheels/large.whl.part00{i}" for i in range(3)]
    assert names == ["kp3d.tar.gz", *parts]
    assert max(path.stat().st_size for path in folder.rglob("*.part*")) == 1000
    joined = run.join_files(files, tmp_path / "work")
    for name, content in contents.items():
        assert (joined / name).read_bytes() == content


def test_a_bundle_that_was_not_copied_whole_is_noticed(bundle, tmp_path):
    folder, files, _ = bundle
    part = folder / "wheels/large.whl.part001"
    part.write_bytes(b"x" * 1000)
    with pytest.raises(SystemExit, match=r"wheels/large.whl is damaged. Copy the whole bundle"):
        run.join_files(files, tmp_path / "work")
    part.unlink()
    with pytest.raises(SystemExit, match="part001 is missing. Copy the whole bundle again."):
        run.join_files(files, tmp_path / "work")


@pytest.mark.skipif(not run.missing_gpu(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_does_nothing(tmp_path):
    shutil.copy(SCRIPTS / "run.py", tmp_path)
    done = subprocess.run(
        [sys.executable, tmp_path / "run.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == run.NO_GPU
    assert done.stdout.startswith("no GPU: ")
    assert "Nothing was installed or measured." in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["run.py"]


def test_another_python_is_refused():
    with pytest.raises(
        SystemExit, match=r"is for Python 2.7 on m68k, got 3\.\d+ on .* Run it with"
    ):
        run.check_python({"python": ["2", "7"], "machine": "m68k"})
    here = list(platform.python_version_tuple()[:2])
    run.check_python({"python": here, "machine": platform.machine()})


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
def test_requirements_are_those_of_the_project_with_onnxruntime_for_gpus():
    found = make_bundle.requirements(make_bundle.project_table())
    names = [make_bundle.name_of(line) for line in found]
    assert len(set(names)) == len(names)
    assert {"torch", "onnx", "numpy", "openvino", "cuda-bindings", "pytest", "numba"} <= set(names)
    assert {"tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu12-libs"} <= set(names)
    assert "onnxruntime" not in names
    assert "onnxruntime-gpu[cuda,cudnn]>=1.20" in found
    assert not [line for line in found if re.match(r"kp3d\b", line)]
    pins = make_bundle.constraints("onnxruntime==1.0; x\nonnx==1.2\n# of\n")
    assert list(pins) == ["onnx==1.2\n", "# of\n"]


def test_results_are_read(tmp_path):
    report = tmp_path / "conformance.xml"
    report.write_text(
        '<testsuites><testsuite tests="5" failures="1" errors="1" skipped="1">'
        '<testcase><skipped message="tensorrt on cuda: no"/></testcase></testsuite></testsuites>'
    )
    counted = run.count_tests(report)
    assert counted == {"passed": 2, "failed": 2, "skipped": 1, "skips": ["tensorrt on cuda: no"]}
    assert run.count_tests(tmp_path / "none.xml")["failed"] == 1
    row = {"network": "fast", "name": "torch 2", "precision": "fp32", "batch": 1, "p50_ms": 1.23456}
    rows = [row | {"device": "cuda"}]
    (tmp_path / "engine.json").write_text(
        json.dumps({"rows": rows, "missing": {"x": "no", "y": "no"}})
    )
    assert run.read_bench(tmp_path / "engine.json") == {
        "on_gpu": True,
        "p50_ms": {"fast, torch 2 on cuda, fp32, batch 1": 1.235},
        "missing": {"no": ["x", "y"]},
    }
    assert not run.read_bench(tmp_path / "none.json")["on_gpu"]
