"""Choosing an engine, and refusing what cannot run."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import re
from types import SimpleNamespace

import onnxruntime
import pytest
from tiny_model import write_tiny_model

from kp3d_core.inference import Engine, Model, create_engine, engine_names, engines, load_model
from kp3d_core.inference.engines import (
    EngineUnavailable,
    cpu,
    why_unavailable,
)
from kp3d_core.inference.engines.cuda_driver import NO_DRIVER, missing_gpu
from kp3d_core.inference.engines.onnxruntime_engine import OnnxRuntimeEngine
from kp3d_core.inference.engines.precision import in_precision


def test_names(model):
    assert "onnxruntime" in engine_names()
    engine = create_engine(model, "onnxruntime", threads=1, pin_threads=True)
    assert isinstance(engine, Engine)
    assert engine.name.startswith("onnxruntime ")
    assert engine.device == "cpu (1 thread)"
    assert engine.precision == "fp32"
    assert (
        create_engine(model, "onnxruntime", threads=2, pin_threads=True).device == "cpu (2 threads)"
    )


def test_default_threads_leave_cores_to_others(model):
    assert create_engine(model, "onnxruntime").device in ("cpu (1 thread)", "cpu (2 threads)")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("onnx", {}, "engine must be auto or one of .*onnxruntime.*, got 'onnx'"),
        ("auto", {"threads": 0}, "threads must be at least 1, got 0"),
        ("auto", {"device": "gpu"}, "device must be one of auto, cpu, cuda, got 'gpu'. Check"),
        ("auto", {"batches": ()}, r"batches must be one or more positive sizes, got \(\)"),
        ("auto", {"batches": (0, 4)}, r"positive sizes, got \(0, 4\)"),
        (
            "auto",
            {"precision": "half"},
            "precision must be auto or one of fp32, fp16, int8, got 'half'",
        ),
        (
            "auto",
            {"precision": "int8"},
            "int8 needs a calibrated file beside .*kp3d package",
        ),
    ],
)
def test_bad_arguments_are_refused(model, name, options, message):
    with pytest.raises(ValueError, match=message):
        create_engine(model, name, **options)


def test_precision_is_not_raised_again(model):
    half = dataclasses.replace(model, precision="fp16")
    with pytest.raises(ValueError, match="fp32 must be made of a model file in fp32, got tiny in"):
        create_engine(half, precision="fp32")


@pytest.fixture
def with_int8(model):
    """A model with a file in int8 beside it, evaluated on the same views."""

    def make(loss_deg: float | None, views: str = "car-1") -> Model:
        def metrics(median: float) -> dict[str, object]:
            data = {"first": "car-0", "last": views}
            return {"rotation_deg": {"median": median}, "pairs": 9, "data": data}

        own = metrics(5.0) | {"data": {"first": "car-0", "last": "car-1"}}
        int8 = dataclasses.replace(
            model, precision="int8", metrics={} if loss_deg is None else metrics(5.0 + loss_deg)
        )
        return dataclasses.replace(model, metrics=own, int8=int8)

    return make


@pytest.mark.parametrize(
    ("loss_deg", "views", "instructions", "expected"),
    [
        (0.05, "car-1", "avx2 avx512_vnni", "int8"),
        (-0.05, "car-1", "avx2 avx_vnni", "int8"),
        (0.15, "car-1", "avx512_vnni", "fp32"),  # costs too much
        (0.05, "car-2", "avx512_vnni", "fp32"),  # measured on other views
        (None, "car-1", "avx512_vnni", "fp32"),  # not measured
        (0.05, "car-1", "avx avx2", "int8"),  # without VNNI engines take care of overflows
        (0.05, "car-1", "sse4_2 avx", "fp32"),  # not faster there
        (0.05, "car-1", "asimd asimddp", "fp32"),  # not measured there
    ],
)
def test_default_precision(with_int8, monkeypatch, loss_deg, views, instructions, expected):
    monkeypatch.setattr(cpu, "cpu_info", lambda key: instructions if key == "flags" else "")
    loaded = with_int8(loss_deg, views)
    assert create_engine(loaded, "onnxruntime").precision == expected
    assert create_engine(loaded, "onnxruntime", precision=None).precision == "fp32"
    assert create_engine(loaded, "onnxruntime", precision="int8").precision == "int8"
    # What int8 costs on a GPU was not measured.
    assert in_precision(loaded, "auto", on_cpu=False) == (loaded, "fp32")


def test_missing_library_says_what_to_install(model, monkeypatch):
    def fail(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    for name, remedy in (
        ("onnxruntime", "pip install onnxruntime"),
        ("openvino", r"pip install 'kp3d\[openvino\]'"),
        ("tensorrt", "install NVIDIA's TensorRT 10 or 11"),
    ):
        for asked in (name, "auto"):
            with pytest.raises(ValueError, match=f"{name}: it cannot be imported .*{remedy}"):
                create_engine(model, asked)


class Broken:
    """Stands for the module of an optional engine that fails in one of the ways there are."""

    def __init__(self, built: Exception | None = None, run: Exception | None = None) -> None:
        self.TensorRtEngine = self
        self.name, self.device, self.precision = "broken", "nowhere", "fp32"
        self.built, self.ran = built, run

    def __call__(self, model: object, options: object) -> Broken:
        if self.built is not None:
            raise self.built
        return self

    def run(self, images: object) -> None:
        assert self.ran is not None
        raise self.ran

    def check_machine(self, device: str) -> None:
        pass


@pytest.mark.parametrize(
    ("broken", "asked_for", "reason"),
    [
        (ImportError("libnvinfer.so.10: not there"), ValueError, "libnvinfer.so.10: not there"),
        (OSError("libcudart.so.12: not there"), ValueError, "libcudart.so.12: not there"),
        (Broken(EngineUnavailable("no GPU was found.")), ValueError, "no GPU was found."),
        (Broken(ValueError("could not parse the network")), ValueError, "could not parse the netw"),
        (Broken(RuntimeError("cudaMalloc failed: 2.")), ValueError, "cudaMalloc failed: 2."),
        (Broken(AttributeError("no IRuntimeConfig")), AttributeError, "no IRuntimeConfig"),
        (Broken(run=RuntimeError("it could not run.")), ValueError, "it could not run."),
    ],
)
def test_auto_goes_on_whatever_an_optional_engine_does(
    model, monkeypatch, caplog, broken, asked_for, reason
):
    real = importlib.import_module

    def import_module(name: str) -> object:
        if not name.endswith("nvidia.engine"):
            return real(name)
        if isinstance(broken, Exception):
            raise broken
        return broken

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    monkeypatch.setattr(engines, "_told", set())
    for _ in range(2):
        assert create_engine(model, threads=1).name.startswith("onnxruntime ")
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("Engine tensorrt: ")
    assert reason in told
    assert told.endswith("takes over.")
    with pytest.raises(asked_for, match=reason):
        create_engine(model, "tensorrt")


@pytest.mark.parametrize(
    ("missing", "level"), [(NO_DRIVER, logging.INFO), ("the driver sees no GPU", logging.WARNING)]
)
def test_that_there_is_no_gpu_is_a_warning_only_where_one_is_expected(
    model, monkeypatch, caplog, missing, level
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(engines, "missing_gpu", lambda: missing)
    monkeypatch.setattr(engines, "_told", set())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            create_engine(model, threads=1)
    (told,) = caplog.records
    assert told.levelno == level
    assert f"{missing}. Check `nvidia-smi`. onnxruntime" in told.getMessage()
    with pytest.raises(ValueError, match=missing):
        create_engine(model, device="cuda")


def test_auto_does_not_build_again_what_failed_before(model, monkeypatch):
    asked = []

    def build(chosen: object, options: engines.EngineOptions) -> None:
        asked.append(options.builds_again)
        raise ValueError("could not build it")

    real = importlib.import_module
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: (
            SimpleNamespace(TensorRtEngine=build) if name.endswith("nvidia.engine") else real(name)
        ),
    )
    monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    create_engine(model, threads=1)
    with pytest.raises(ValueError, match="could not build it"):
        create_engine(model, "tensorrt")
    assert asked == [False, True]


def test_what_is_not_installed_is_no_news(model, monkeypatch, caplog):
    real = importlib.import_module

    def import_module(name: str) -> object:
        if name.endswith("nvidia.engine"):
            raise ModuleNotFoundError("No module named 'tensorrt'")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert create_engine(model, threads=1).name.startswith("onnxruntime ")
    assert not caplog.records


def test_errors_of_the_default_engine_are_not_hidden(model, monkeypatch):
    def fail(self, images):
        raise ValueError("the file is wrong")

    monkeypatch.setattr(OnnxRuntimeEngine, "run", fail)
    with pytest.raises(ValueError, match="the file is wrong"):
        create_engine(model)


@pytest.mark.skipif(
    not importlib.util.find_spec("tensorrt_rtx_bindings"), reason="needs TensorRT for RTX"
)
@pytest.mark.parametrize("driver_is_asked", [True, False])
def test_tensorrt_without_a_gpu_leaves_the_robot_with_an_engine(
    model, caplog, monkeypatch, driver_is_asked
):
    """The real library, which imports on every machine and runs on few."""
    if not missing_gpu():
        pytest.skip("this machine has a GPU")
    if not driver_is_asked:  # then the library is imported, and asks itself
        monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    reason = why_unavailable("tensorrt")
    says = "device cuda needs an NVIDIA GPU, but th" if driver_is_asked else "no usable NVIDIA GPU"
    assert reason.startswith(says)
    monkeypatch.setattr(engines, "_told", set())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert create_engine(model, threads=1).name.startswith("onnxruntime ")
    level = logging.INFO if driver_is_asked else logging.WARNING
    assert {record.levelno for record in caplog.records} == {level}
    (told,) = [record.getMessage() for record in caplog.records]
    assert reason in told
    with pytest.raises(ValueError, match="No inference engine is available. tensorrt: "):
        create_engine(model, "tensorrt")


def test_devices(model, monkeypatch):
    assert why_unavailable("onnxruntime") == why_unavailable("onnxruntime", "cpu") == ""
    assert create_engine(model, device="cpu", threads=1).device == "cpu (1 thread)"
    with pytest.raises(ValueError, match="device of openvino must be auto or cpu, got 'cuda'. Cha"):
        create_engine(model, "openvino", device="cuda")
    with pytest.raises(ValueError, match="device of tensorrt must be auto or cuda, got 'cpu'"):
        create_engine(model, "tensorrt", device="cpu")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    needs = (
        r"device cuda needs onnxruntime-gpu, this is onnxruntime .* with CPUExecutionProvider\. "
    )
    assert re.match(needs, why_unavailable("onnxruntime", "cuda"))
    for name in ("onnxruntime", "auto"):  # asked for by name, the CPU is no way out
        with pytest.raises(ValueError, match=needs):
            create_engine(model, name, device="cuda")


def test_a_cuda_that_does_not_start_is_not_the_cpu(model, monkeypatch):
    """ONNX Runtime goes on without a provider that fails, and says so on stderr only."""
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    if missing_gpu():
        needs = "device cuda needs an NVIDIA GPU, but th.* NVIDIA driver.*. Check `nvidia-smi`."
        with pytest.raises(ValueError, match=needs):
            create_engine(model, "onnxruntime", device="cuda")
    monkeypatch.setattr(engines, "missing_gpu", lambda: "")
    real = onnxruntime.InferenceSession
    asked = []

    def session(graph, options, providers):
        asked.append([p if isinstance(p, str) else p[0] for p in providers])
        return real(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(ValueError, match="could not start CUDA and would run on the CPU. Check"):
        create_engine(model, "onnxruntime", device="cuda")
    assert asked == [both]


def test_graph_that_contradicts_its_declaration_is_refused(model, tmp_path):
    """Free lengths pass the check of the file; the first run finds them out."""
    other = load_model(write_tiny_model(tmp_path / "small.onnx", input_size=64))
    layout = model.keypoints
    fewer = dataclasses.replace(layout, names=layout.names[:5])
    message = r"keypoints_uv of shape \(1, 6, 2\), expected \(1, 5, 2\)"
    for name in ("onnxruntime", "openvino"):
        if importlib.util.find_spec(name):
            with pytest.raises(ValueError, match=message):
                create_engine(dataclasses.replace(other, keypoints=fewer), name)
