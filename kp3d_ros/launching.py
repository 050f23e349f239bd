"""The node's parameters as arguments of launch files; needs neither ROS nor `launch`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from kp3d_ros.settings import Settings, item_kind

_KEEP = "Empty: as in params_file."
_LIST = "In YAML, for example {}."
_EXAMPLES = {float: "'[0, 0.87, 0.5]'", str: '\'["car=car@4.5", "mug=mug.onnx@0.12"]\''}
_SIM_TIME = "use_sim_time"


def parameter_arguments() -> dict[str, str]:
    """Description of each launch argument that sets the parameter of the same name."""
    arguments = {}
    for field in dataclasses.fields(Settings):
        is_list = isinstance(field.default, tuple)
        form = [_LIST.format(_EXAMPLES[item_kind(field.default)])] if is_list else []
        arguments[field.name] = " ".join([field.metadata["description"], *form, _KEEP])
    arguments[_SIM_TIME] = f"Take the time from /clock: true or false. {_KEEP}"
    return arguments


def parameter_values(texts: Mapping[str, str]) -> dict[str, Any]:
    """Values of parameters as users write them on the command line.

    What cannot be what it should be stays as it is: the node says what is wrong with it.

    Args:
        texts: by parameter; empty ones are left out.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    return {
        name: _value(text, defaults.get(name, False))
        for name, text in texts.items()
        if text.strip()
    }


def _value(text: str, default: Any) -> Any:
    if isinstance(default, str):
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    is_real = item_kind(default) is float
    if isinstance(default, tuple):
        items = value if isinstance(value, list) else [value]
        # Launch wants one type in a list: [0, 0.87, 0.5] has two.
        numbers = is_real and all(type(item) in (int, float) for item in items)
        return [float(item) if numbers else item for item in items]
    return float(value) if is_real and type(value) is int else value
