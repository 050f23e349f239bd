"""The run time stays small: it loads where there is no torch, no ROS and no training code."""

from __future__ import annotations

import subprocess
import sys

_FOREIGN = (
    "torch", "rclpy", "onnx", "openvino", "tensorrt", "tensorrt_rtx_bindings", "cuda.bindings",
    "scipy", "numba",
    "matplotlib", "trimesh", "webdataset",
    "kp3d_core.models", "kp3d_core.rendering", "kp3d_core.data", "kp3d_core.training",
)  # fmt: skip


def _loaded(statement: str) -> set[str]:
    """Which of the foreign modules a fresh process has after a statement."""
    script = f"{statement}\nimport sys\nprint(*[m for m in {_FOREIGN!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(result.stdout.split())


def test_inference_imports_nothing_foreign():
    assert _loaded("import kp3d_core.inference") == set()


def test_this_test_would_notice():
    assert _loaded("import scipy") == {"scipy"}
