"""A model whose answers are known, and cameras to look through."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests of other packages share tiny_model, too

from tiny_model import write_tiny_model  # noqa: E402

from kp3d_core.inference import CameraModel, Engine, Model, create_engine, load_model  # noqa: E402

K = np.array([[500.0, 0, 321.3], [0, 505.0, 237.2], [0, 0, 1]])
CAMERAS = {
    "pinhole": CameraModel(K, 640, 480),
    "narrow": CameraModel(np.array([[1000.0, 0, 322.6], [0, 1010, 234.4], [0, 0, 1]]), 640, 480),
    "plumb_bob": CameraModel(K, 640, 480, (-0.28, 0.09, 0.001, -0.0008, -0.01)),
    "rational": CameraModel(
        K, 640, 480, (0.4, 0.1, 1e-4, 2e-4, 0.01, 0.75, 0.2, 0.02), "rational_polynomial"
    ),
    "fisheye": CameraModel(K, 640, 480, (0.05, -0.01, 0.003, -0.001), "equidistant"),
}


@pytest.fixture(params=CAMERAS, scope="session")
def camera(request: pytest.FixtureRequest) -> CameraModel:
    """Each kind of camera in turn."""
    return CAMERAS[request.param]


@pytest.fixture(scope="session")
def pinhole() -> CameraModel:
    """A camera without distortion."""
    return CAMERAS["pinhole"]


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def model(tiny_path: Path) -> Model:
    """The tiny model."""
    return load_model(tiny_path)


@pytest.fixture(scope="session")
def engine(model: Model) -> Engine:
    """The tiny model in ONNX Runtime."""
    return create_engine(model, threads=1)
