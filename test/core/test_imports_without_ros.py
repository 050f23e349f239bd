"""The core imports without ROS 2, and what runs on a robot imports without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Import every module of the packages named, in a fresh process in which some modules do not exist.
IMPORT_ALL = """
import importlib, pkgutil, sys

packages, absent = (argument.split(",") for argument in sys.argv[1:3])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} must not be needed here", name=name)

sys.meta_path.insert(0, Absent())
for package in packages:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                missing = (error.name or "").split(".")[0]
                if missing not in OPTIONAL and (missing, module.name) not in ONLY_THERE:
                    raise
"""

ROS = "rclpy,kp3d_ros,ament_index_python,geometry_msgs,sensor_msgs,std_msgs,tf2_ros,vision_msgs"
DEVELOPMENT = "torch,lightning,numba,matplotlib,webdataset,trimesh,PIL,onnx"
OPTIONAL = {"tensorrt", "openvino", "polygraphy"}
# Modules that rewrite graphs for other precisions and engines, imported by nothing until wanted.
ONLY_THERE = {
    ("onnx", f"kp3d_core.inference.engines.{module}")
    for module in ("cast_first", "half", "nvidia.parts", "nvidia.split", "signed")
}


def _import_all(packages: str, absent: str) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            f"OPTIONAL, ONLY_THERE = {OPTIONAL}, {ONLY_THERE}\n{IMPORT_ALL}",
            packages,
            absent,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_core_imports_without_ros():
    pytest.importorskip("torch")
    _import_all("kp3d_core", ROS)


def test_run_time_imports_without_torch_and_development_packages():
    _import_all("kp3d_core.inference,kp3d_core.geometry,kp3d_core.offline", f"{ROS},{DEVELOPMENT}")


def test_command_line_starts_without_torch():
    code = (
        "import sys; sys.modules.update(torch=None, lightning=None, rclpy=None);"
        "from kp3d_core.cli.main import main; sys.argv = ['kp3d', '--help']; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "render" in result.stdout
