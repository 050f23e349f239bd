"""Choosing an engine, and refusing what cannot run."""

from __future__ import annotations

import dataclasses
import importlib.util
from types import SimpleNamespace

import pytest
from tiny_model import write_tiny_model

from kp3d_core.inference import Engine, Model, create_engine, engine_names, load_model
from kp3d_core.inference.engines import EngineUnavailable, cpu
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
            "int8 needs a calibrated file beside .*kp3d quantize MODEL.onnx",
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
    for name, remedy in (
        ("onnxruntime", "pip install onnxruntime"),
        ("openvino", r"pip install 'kp3d\[openvino\]'"),
        ("tensorrt", "install NVIDIA's TensorRT 10 or 11"),
    ):
        for asked in (name, "auto"):
            with pytest.raises(ValueError, match=f"{name} cannot be imported .*{remedy}"):
                create_engine(model, asked)


def test_auto_takes_the_next_engine_where_one_cannot_run(model, monkeypatch):
    real = importlib.import_module

    def without_gpu(name: str) -> object:
        if not name.endswith("nvidia.engine"):
            return real(name)

        def fail(model: object, options: object) -> None:
            raise EngineUnavailable("no NVIDIA GPU was found.")

        return SimpleNamespace(TensorRtEngine=fail)

    monkeypatch.setattr(importlib, "import_module", without_gpu)
    assert create_engine(model).name.startswith("onnxruntime ")
    with pytest.raises(ValueError, match="available. tensorrt: no NVIDIA GPU was found"):
        create_engine(model, "tensorrt")


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
