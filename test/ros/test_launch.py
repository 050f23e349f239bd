"""The launch file `launch/detector.launch.py`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
from pathlib import Path

import pytest

from kp3d_ros.settings import Settings

LAUNCH_FILE = Path(__file__).parents[2] / "launch" / "detector.launch.py"


def test_every_parameter_it_sets_exists_in_the_node_with_that_type():
    # Read, not imported: the wheels of ROS 2 have no `launch`.
    (table,) = (
        node.value
        for node in ast.walk(ast.parse(LAUNCH_FILE.read_text()))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "PARAMETERS"
    )
    assert isinstance(table, ast.Dict)
    items = zip(table.keys, table.values, strict=True)
    sets = {ast.literal_eval(key): ast.unparse(value) for key, value in items if key}
    assert sets.pop("use_sim_time") == "bool"  # every node has it
    types = {f.name: type(f.default).__name__ for f in dataclasses.fields(Settings)}
    assert sets == {name: types[name] for name in sets}


def test_arguments_are_declared_with_descriptions():
    pytest.importorskip("launch_ros", reason="needs `launch`, which only a ROS 2 installation has")
    from launch.actions import DeclareLaunchArgument

    spec = importlib.util.spec_from_file_location("detector_launch", LAUNCH_FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().entities
    arguments = {e.name: e.description for e in entities if isinstance(e, DeclareLaunchArgument)}
    assert {"params_file", "model", "object_size", "image", "camera_info"} <= arguments.keys()
    assert all(arguments.values())
