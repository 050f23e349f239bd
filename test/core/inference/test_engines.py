"""Choosing an engine, and what ONNX Runtime returns."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
from tiny_model import write_tiny_model

from kp3d_core.inference import Engine, create_engine, engine_names, load_model
from kp3d_core.inference.outputs import output_shapes


def test_shapes_and_types(engine):
    for batch in (1, 3):
        outputs = engine.run(np.zeros((batch, 128, 128, 3), np.uint8))
        assert outputs.keys() == output_shapes(6).keys()
        for name, shape in output_shapes(6).items():
            assert outputs[name].shape == (batch, *shape)
            assert outputs[name].dtype == np.float32


def test_a_batch_is_its_images(engine):
    images = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), np.uint8)
    together = engine.run(images)
    for i in range(4):
        alone = engine.run(images[i : i + 1])
        for name, values in together.items():
            assert np.allclose(values[i], alone[name][0], rtol=1e-4, atol=1e-3)


def test_a_view_of_an_array_is_accepted(engine):
    images = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 6), np.uint8)
    outputs = engine.run(images[..., ::2])
    expected = engine.run(images[..., ::2].copy())
    assert np.array_equal(outputs["scale"], expected["scale"])


def test_names(model):
    assert "onnxruntime" in engine_names()
    engine = create_engine(model, threads=1)
    assert isinstance(engine, Engine)
    assert engine.name.startswith("onnxruntime ")
    assert engine.device == "cpu (1 thread)"
    assert create_engine(model, "onnxruntime", threads=2).device == "cpu (2 threads)"


def test_default_threads_leave_cores_to_others(model):
    assert create_engine(model).device in ("cpu (1 thread)", "cpu (2 threads)")


@pytest.mark.parametrize(
    ("name", "threads", "message"),
    [
        ("onnx", None, "engine must be auto or one of onnxruntime.*, got 'onnx'"),
        ("auto", 0, "threads must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(model, name, threads, message):
    with pytest.raises(ValueError, match=message):
        create_engine(model, name, threads=threads)


def test_missing_library_says_what_to_install(model, monkeypatch):
    def fail(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", fail)
    for name in ("auto", "onnxruntime"):
        with pytest.raises(ValueError, match="onnxruntime cannot .* pip install onnxruntime"):
            create_engine(model, name)


def test_graph_that_contradicts_its_declaration_is_refused(model, tmp_path):
    """Free lengths pass the check of the file; the first run finds them out."""
    other = load_model(write_tiny_model(tmp_path / "small.onnx", input_size=64))
    layout = model.keypoints
    fewer = dataclasses.replace(layout, names=layout.names[:5])
    with pytest.raises(
        ValueError, match=r"keypoints_uv of shape \(1, 6, 2\), expected \(1, 5, 2\)"
    ):
        create_engine(dataclasses.replace(other, keypoints=fewer))
