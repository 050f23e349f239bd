"""A model whose answers are known, and cameras to look through.

Imports of the package stand in the fixtures: jaxtyping's checks must be installed before them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from kp3d_core.inference import CameraModel, Engine, Model

sys.path.insert(0, str(Path(__file__).parent))  # tests of other packages share tiny_model, too

# A busy machine is no failure.
settings.register_profile("kp3d", deadline=None)
settings.load_profile("kp3d")

K = np.array([[500.0, 0, 321.3], [0, 505.0, 237.2], [0, 0, 1]])
CAMERAS = {
    "pinhole": (K,),
    "narrow": (np.array([[1000.0, 0, 322.6], [0, 1010, 234.4], [0, 0, 1]]),),
    "plumb_bob": (K, (-0.28, 0.09, 0.001, -0.0008, -0.01)),
    "rational": (K, (0.4, 0.1, 1e-4, 2e-4, 0.01, 0.75, 0.2, 0.02), "rational_polynomial"),
    "fisheye": (K, (0.05, -0.01, 0.003, -0.001), "equidistant"),
}


def _make_camera(name: str) -> CameraModel:
    from kp3d_core.inference import CameraModel

    intrinsics, *distortion = CAMERAS[name]
    return CameraModel(intrinsics, 640, 480, *distortion)


@pytest.fixture(params=CAMERAS, scope="session")
def camera(request: pytest.FixtureRequest) -> CameraModel:
    """Each kind of camera in turn."""
    return _make_camera(request.param)


@pytest.fixture(scope="session")
def pinhole() -> CameraModel:
    """A camera without distortion."""
    return _make_camera("pinhole")


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the tiny model."""
    from tiny_model import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def model(tiny_path: Path) -> Model:
    """The tiny model."""
    from kp3d_core.inference import load_model

    return load_model(tiny_path)


@pytest.fixture(scope="session")
def engine(model: Model) -> Engine:
    """The tiny model in ONNX Runtime."""
    from kp3d_core.inference import create_engine

    return create_engine(model, "onnxruntime", threads=1)
