"""The launch file `launch/detector.launch.py`, and the arguments that it takes."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from kp3d_ros.launching import parameter_arguments, parameter_values
from kp3d_ros.settings import Settings

ROOT = Path(__file__).parents[2]
LAUNCH_FILE = ROOT / "launch" / "detector.launch.py"


def test_every_parameter_is_an_argument_with_a_description() -> None:
    arguments = parameter_arguments()

    names = {field.name for field in dataclasses.fields(Settings)}
    assert arguments.keys() == names | {"use_sim_time"}
    assert "Empty: as in params_file." in arguments["gravity"]
    assert "In YAML, for example '[0, 0.87, 0.5]'" in arguments["gravity"]


def test_what_the_pages_recommend_is_an_argument() -> None:
    """In the README's table, in the table of parameters, and on the lines to copy."""
    text = "\n".join((ROOT / page).read_text() for page in ("README.md", "docs/node.md"))
    readme = re.findall(r"^\| `(\w+)` \| [^|]*\| [A-Z]", text, re.MULTILINE)
    page = text.partition("<!-- parameters: ")[2].partition("<!-- end of parameters -->")[0]
    table = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    lines = re.findall(r"\b(\w+):=", "\n".join(re.findall(r"ros2 launch.*", text)))
    topics = {"image", "camera_info", "detections", "depth"}

    assert {"use_depth", "object_size"} <= {*readme}
    assert {"use_depth", "gravity", "region", "max_objects", "models"} <= {*table}
    assert "object_size" in lines
    assert {*readme, *table, *lines} - topics <= parameter_arguments().keys()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", "7", "7"),
        ("object_size", "4", 4.0),
        ("object_size", "4.5", 4.5),
        ("max_objects", "3", 3),
        ("use_depth", "true", True),
        ("use_sim_time", "false", False),
        ("gravity", "[0, 0.87, 0.5]", [0.0, 0.87, 0.5]),
        ("region", "[10, 20, 300, 200]", [10.0, 20.0, 300.0, 200.0]),
        ("models", '["car=car@4.5", "mug=/m.onnx@0.12"]', ["car=car@4.5", "mug=/m.onnx@0.12"]),
        ("models", "car=car@4.5", ["car=car@4.5"]),
        # What cannot be right is left for the node to complain about.
        ("object_size", "large", "large"),
        ("region", "[a, 1]", ["a", 1]),
        ("gravity", "[0, 1", "[0, 1"),
    ],
)  # fmt: skip
def test_values_on_the_command_line(name: str, text: str, value: Any) -> None:
    (result,) = parameter_values({name: text, "engine": ""}).items()

    assert result == (name, value)
    assert type(result[1]) is type(value)


def test_launch_file_declares_them() -> None:
    pytest.importorskip("launch_ros", reason="needs `launch`, which only a ROS 2 installation has")
    from launch.actions import DeclareLaunchArgument

    spec = importlib.util.spec_from_file_location("detector_launch", LAUNCH_FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().entities
    arguments = {e.name: e.description for e in entities if isinstance(e, DeclareLaunchArgument)}
    assert {"params_file", "image", "camera_info", *parameter_arguments()} <= arguments.keys()
    assert all(arguments.values())
