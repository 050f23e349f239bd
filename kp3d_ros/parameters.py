"""The node's parameters: each declared once, with default, description, range and whether fixed."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

_TYPES = {
    bool: ("true or false", Parameter.Type.BOOL),
    int: ("an integer", Parameter.Type.INTEGER),
    float: ("a number", Parameter.Type.DOUBLE),
    str: ("a string", Parameter.Type.STRING),
    tuple: ("a list of numbers", Parameter.Type.DOUBLE_ARRAY),
}
_NOT_OURS = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Beginnings of the names that ROS itself declares in every node."""


def _parameter(
    default: Any,
    description: str,
    within: tuple[float, float] | None = None,
    *,
    fixed: bool = False,
) -> Any:
    """One parameter; `within` holds the smallest and largest value, `fixed` means read-only."""
    metadata = {"description": description, "within": within, "fixed": fixed}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Values of all parameters; the field's name is the parameter's name."""

    model: str = _parameter(
        "car", "Model file (.onnx), or the name of a model that comes with kp3d.", fixed=True
    )
    engine: str = _parameter(
        "auto", "What runs the model: 'auto' or the name of an inference engine.", fixed=True
    )
    precision: str = _parameter(
        "",
        "Precision to run the model in: fp32, fp16 or int8. Empty = the model file's own.",
        fixed=True,
    )
    threads: int = _parameter(
        0, "CPU threads of the inference engine; 0 = the engine's own choice.", (0, 256), fixed=True
    )
    object_size: float = _parameter(
        0.0,
        "Longest dimension of the object [m]. 0 = not known: results are up to scale and say so.",
        (0.0, 1000.0),
        fixed=True,
    )
    object_name: str = _parameter(
        "",
        "Name of the object in TF: frames <name>_reference and <name>. Empty = category of the "
        "model.",
        fixed=True,
    )
    rectified: bool = _parameter(
        False, "The image is rectified: use P of CameraInfo and no distortion."
    )
    region: tuple[float, ...] = _parameter(
        (0.0, 0.0, 0.0, 0.0),
        "Where to look for the object first: x, y, width, height [px]. All 0 = the whole image.",
    )
    detection_class: str = _parameter(
        "", "Use only detections with this class_id from the topic 'detections'. Empty = any class."
    )
    detections_required: bool = _parameter(
        False,
        "Look for the object only where a detection is, never in 'region' or the whole image.",
    )
    detection_max_age: float = _parameter(
        1.0,
        "Detections whose stamp is further from that of the image are not used [s].",
        (0.0, 60.0),
    )
    gravity: tuple[float, ...] = _parameter(
        (0.0, 0.0, 0.0),
        "Direction of gravity in the camera's optical frame (x right, y down, z forward), any "
        "length. Makes the result independent of the camera's roll and tilt. All 0 = not known.",
    )
    min_score: float = _parameter(
        0.2, "A detection whose mean keypoint score is below is not published.", (0.0, 1.0)
    )
    max_age: float = _parameter(
        0.0, "Images older than this when their turn comes are dropped [s]. 0 = never.", (0.0, 60.0)
    )
    publish_tf: bool = _parameter(True, "Broadcast the object's frames on /tf.")
    marker_lifetime: float = _parameter(
        0.5, "RViz takes the markers away after this time without a new one [s].", (0.01, 60.0)
    )

    def replace(self, values: Mapping[str, Any]) -> Settings:
        """Settings with some values changed.

        Raises:
            ValueError: names every value that is wrong, what it should be and what it is.
        """
        problems, changed = [], {}
        for field in dataclasses.fields(self):
            if field.name in values:
                changed[field.name] = _convert(field, values[field.name])
                problems += _problems(field, changed[field.name])
        if problems:
            raise ValueError(" ".join(problems))
        return dataclasses.replace(self, **changed)


def declare(node: Node) -> Settings:
    """Declare all parameters of `Settings` and read the values that the user gave.

    Raises:
        ValueError: names every parameter that is wrong or unknown.
    """
    values = {}
    for field in dataclasses.fields(Settings):
        # Without type and range at first: rclpy would stop at the first wrong value, and would
        # refuse a whole number for a real one.
        descriptor = ParameterDescriptor(dynamic_typing=True)
        values[field.name] = node.declare_parameter(field.name, field.default, descriptor).value
    problems = list(_unknown(getattr(node, "_parameter_overrides", {})))
    settings = Settings()
    try:
        settings = settings.replace(values)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError(" ".join(problems))
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        kind = _TYPES[type(field.default)][1]
        node.set_parameters(
            [Parameter(field.name, kind, list(value) if isinstance(value, tuple) else value)]
        )
        node.set_descriptor(field.name, _descriptor(field))
    return settings


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    kind = type(field.default)
    descriptor = ParameterDescriptor(
        name=field.name,
        type=_TYPES[kind][1].value,
        description=field.metadata["description"],
        read_only=field.metadata["fixed"],
        dynamic_typing=kind in (float, tuple),
    )
    within = field.metadata["within"]
    if within and kind is int:
        descriptor.integer_range = [IntegerRange(from_value=within[0], to_value=within[1])]
    elif within:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=within[0], to_value=within[1])
        ]
    return descriptor


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value` in the type of the field where nothing is lost, else unchanged."""
    kind = type(field.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    if kind is tuple and is_list and all(type(item) in (int, float) for item in value):
        return tuple(float(item) for item in value)
    return value


def _problems(field: dataclasses.Field[Any], value: Any) -> list[str]:
    default: Any = field.default
    kind = type(default)
    if type(value) is not kind:  # not isinstance: True is no number
        return [f"Parameter '{field.name}' must be {_TYPES[kind][0]}, got {value!r}."]
    if kind is tuple and len(value) != len(default):
        return [
            f"Parameter '{field.name}' must have {len(default)} numbers, got {len(value)}: "
            f"{list(value)}. {field.metadata['description']}"
        ]
    if kind is tuple and not all(math.isfinite(item) for item in value):
        return [f"Parameter '{field.name}' must be finite, got {list(value)}."]
    if field.name == "region" and any(value) and not (value[2] > 0 and value[3] > 0):
        return [
            f"Parameter 'region' must have a positive width and height, got {list(value)}. "
            f"{field.metadata['description']}"
        ]
    within = field.metadata["within"]
    if within and not within[0] <= value <= within[1]:
        return [
            f"Parameter '{field.name}' must be within {within[0]:g} and {within[1]:g}, got "
            f"{value:g}. {field.metadata['description']}"
        ]
    return []


def _unknown(names: Iterable[str]) -> Iterable[str]:
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in names:
        if name not in known and not name.startswith(_NOT_OURS):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}."
            yield f"Parameter '{name}' does not exist, {hint}"
