"""Engines on their devices, and torch beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kp3d_core.benchmark.contenders import all_contenders, create_contender, create_torch
from kp3d_core.inference import Engine, load_model
from kp3d_core.inference.engines import EngineOptions, why_unavailable
from kp3d_core.inference.outputs import output_shapes


def test_names():
    assert all_contenders() == ("tensorrt", "onnxruntime", "onnxruntime:cuda", "openvino", "torch")


def test_an_engine_on_its_usual_device():
    options = EngineOptions(threads=1, precision="fp32")
    engine = create_contender("onnxruntime", load_model("car"), options)
    assert engine.device == "cpu (1 thread)"


@pytest.mark.skipif(not why_unavailable("onnxruntime", "cuda"), reason="CUDA is here")
def test_a_device_that_is_not_there_is_not_another_one():
    with pytest.raises(ValueError, match="onnxruntime: device cuda needs"):
        create_contender("onnxruntime:cuda", load_model("car"), EngineOptions(precision="fp32"))


def test_torch_answers_as_an_engine():
    threads = torch.get_num_threads()
    engine = create_torch("fast", 64, True, EngineOptions(threads=threads + 1, precision="fp32"))
    assert isinstance(engine, Engine)
    outputs = engine.run(np.zeros((2, 64, 64, 3), np.uint8))
    shapes = output_shapes(20)
    assert {n: v.shape for n, v in outputs.items()} == {n: (2, *s) for n, s in shapes.items()}
    assert torch.get_num_threads() == threads  # what runs afterwards computes as before
    with pytest.raises(ValueError, match="torch is measured in fp32 only, got int8"):
        create_torch("fast", 64, True, EngineOptions(precision="int8"))
