"""The settings as parameters of a ROS 2 node."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from kp3d_ros.qos import override_problems, unread_overrides
from kp3d_ros.settings import Settings, item_kind, unknown_settings

_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}
_LIST_TYPES = {float: Parameter.Type.DOUBLE_ARRAY, str: Parameter.Type.STRING_ARRAY}


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
    given = {name: item.value for name, item in getattr(node, "_parameter_overrides", {}).items()}
    problems = [*unknown_settings(given), *override_problems(node, given)]
    settings = Settings()
    try:
        settings = settings.replace(values)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError(" ".join(problems))
    for field in dataclasses.fields(Settings):
        value = getattr(settings, field.name)
        node.set_parameters(
            [Parameter(field.name, _type(field), list(value) if type(value) is tuple else value)]
        )
        node.set_descriptor(field.name, _descriptor(field))
    for name in unread_overrides(node, given, _opened(settings)):
        node.get_logger().warning(
            f"Parameter '{name}' is not read: the topic is not subscribed to with the parameters "
            "as they are ('image_transport', 'use_depth', 'gravity_frame', 'fixed_frame')."
        )
    return settings


def _opened(settings: Settings) -> list[str]:
    """Inputs that the node subscribes to."""
    image = "image/compressed" if settings.image_transport == "compressed" else "image"
    depth = ["depth"] if settings.use_depth else []
    tf = ["/tf", "/tf_static"] if settings.gravity_frame or settings.fixed_frame else []
    return [image, "camera_info", "detections", *depth, *tf]


def change(settings: Settings, parameters: list[Parameter], *, configured: bool) -> Settings:
    """Settings after parameters were set.

    Args:
        settings: before.
        parameters: new values, ours and others.
        configured: whether the node has read those that it reads only once.

    Raises:
        ValueError: a value is wrong, or cannot be changed now.
    """
    values: Mapping[str, Any] = {parameter.name: parameter.value for parameter in parameters}
    changed = settings.replace(values)
    for field in dataclasses.fields(Settings):
        same = getattr(changed, field.name) == getattr(settings, field.name)
        if configured and field.metadata["fixed"] and not same:
            raise ValueError(
                f"Parameter '{field.name}' is read when the node is configured. Deactivate and "
                "clean up the node first (ros2 lifecycle set NODE deactivate, then cleanup), or "
                "start it with the new value."
            )
    return changed


def _type(field: dataclasses.Field[Any]) -> Parameter.Type:
    kinds = _LIST_TYPES if isinstance(field.default, tuple) else _TYPES
    return kinds[item_kind(field.default)]


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    kind = type(field.default)
    descriptor = ParameterDescriptor(
        name=field.name,
        type=_type(field).value,
        description=field.metadata["description"],
        additional_constraints=(
            "Read when the node is configured." if field.metadata["fixed"] else ""
        ),
        dynamic_typing=kind in (float, tuple),
    )
    within = field.metadata["within"]
    if within and kind is int:
        descriptor.integer_range = [IntegerRange(from_value=within[0], to_value=within[1])]
    elif within and kind is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=within[0], to_value=within[1])
        ]
    elif within:
        descriptor.additional_constraints += f" One of {', '.join(within)}."
    return descriptor
