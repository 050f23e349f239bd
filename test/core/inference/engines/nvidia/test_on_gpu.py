"""TensorRT on a real GPU; skipped elsewhere. `test_conformance.py` compares its answers there."""

from __future__ import annotations

import time

import numpy as np
import pytest

from kp3d_core.inference import create_engine, load_model
from kp3d_core.inference.engines import why_unavailable

pytestmark = pytest.mark.gpu


def test_second_start_takes_the_engine_from_the_cache(tmp_path):
    if reason := why_unavailable("tensorrt"):
        pytest.skip(reason)
    model = load_model("car")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        engine = create_engine(model, "tensorrt", cache=tmp_path, batches=(1, 4))
        seconds.append(time.perf_counter() - start)
    assert len(list(tmp_path.glob("*.engine"))) == 1
    assert seconds[1] < seconds[0] / 3
    images = np.zeros((6, model.input_size, model.input_size, 3), np.uint8)
    assert engine.run(images)["score"].shape == (6, model.keypoints.count)
