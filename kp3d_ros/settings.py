"""The node's settings: each with default, description, range, and whether it can change."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NOUNS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
}
ONE_TYPE = (
    "Write all numbers of a list with a decimal point, or none: ROS 2 mixes no types in a list."
)
TRANSPORTS = ("raw", "compressed")
_NOT_OURS = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Beginnings of the names that ROS itself declares in every node."""


def _setting(
    default: Any,
    description: str,
    within: tuple[float, float] | tuple[str, ...] | None = None,
    *,
    fixed: bool = False,
) -> Any:
    """One setting.

    Args:
        default: its value where the user gives none; its type is the type of the setting.
        description: one sentence or two for the user, with the unit.
        within: smallest and largest number, or all values of a string.
        fixed: it is read when the node is configured, and cannot be changed until it is cleaned up.
    """
    metadata = {"description": description, "within": within, "fixed": fixed}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Values of all parameters; the field's name is the parameter's name."""

    # What is detected.
    model: str = _setting(
        "car", "Model file (.onnx), or the name of a model that comes with kp3d.", fixed=True
    )
    object_size: float = _setting(
        0.0,
        "Longest dimension of the object [m]. 0 = not known: results are up to scale and say so, "
        "unless a depth image tells.",
        (0.0, 1000.0),
        fixed=True,
    )
    object_size_std: float = _setting(
        0.0, "Standard deviation of object_size [m], for the covariances.", (0.0, 100.0), fixed=True
    )
    object_name: str = _setting(
        "",
        "Name of the object in TF: frames <name>_reference and <name>. Empty = category of the "
        "model.",
        fixed=True,
    )
    models: tuple[str, ...] = _setting(
        ("",),
        "Several categories at once: a list of CLASS=MODEL or CLASS=MODEL@SIZE, where CLASS is the "
        "class_id of detections and the name in TF, SIZE the object_size [m]. Replaces 'model', "
        "'object_size', 'object_name' and 'detection_class'.",
        fixed=True,
    )
    max_objects: int = _setting(
        1, "Most objects of each category that are followed at once.", (1, 32), fixed=True
    )
    engine: str = _setting(
        "auto", "What runs the model: 'auto' or the name of an inference engine.", fixed=True
    )
    device: str = _setting(
        "auto",
        "Where the engine runs: cpu, cuda (onnxruntime with onnxruntime-gpu, or tensorrt), or "
        "auto, the engine's own choice.",
        ("auto", "cpu", "cuda"),
        fixed=True,
    )
    precision: str = _setting(
        "auto",
        "Precision to run the models in: fp32, fp16, int8, or auto, the fastest that is known to "
        "cost less than 0.1 degree.",
        ("auto", "fp32", "fp16", "int8"),
        fixed=True,
    )
    threads: int = _setting(
        0, "CPU threads of the inference engine; 0 = the engine's own choice.", (0, 256), fixed=True
    )
    max_wrong: float = _setting(
        0.05,
        "Largest share of wrong objects among those published: orientation off by more than 30 "
        "degrees, or no such object. Smaller publishes fewer; 1 publishes all that is not "
        "impossible. Holds for what the model file was calibrated on.",
        (0.0, 1.0),
    )
    lost_timeout: float = _setting(
        1.0,
        "An object that has not been seen for longer is given up: its markers go, and what is "
        "found later is another object [s].",
        (0.0, 3600.0),
    )

    # The images.
    image_transport: str = _setting(
        "raw",
        "'raw': sensor_msgs/Image on the topic image. 'compressed': sensor_msgs/CompressedImage on "
        "image/compressed.",
        TRANSPORTS,
        fixed=True,
    )
    use_depth: bool = _setting(
        False,
        "Take the scale from depth images on the topic 'depth', registered to the image "
        "(32FC1 in metres or 16UC1 in millimetres).",
        fixed=True,
    )
    depth_max_age: float = _setting(
        0.05,
        "Depth images whose stamp is further from that of the image are not used [s].",
        (0.0, 10.0),
    )
    rectified: bool = _setting(
        False, "The image is rectified: use P of CameraInfo and no distortion."
    )
    gravity: tuple[float, ...] = _setting(
        (0.0, 0.0, 0.0),
        "Direction of gravity in the camera's optical frame (x right, y down, z forward), any "
        "length. Makes the result independent of the camera's roll and tilt. All 0 = not known.",
    )
    gravity_frame: str = _setting(
        "",
        "TF frame whose z axis points up, for example base_link or odom: tells the direction of "
        "gravity at each image. Empty = use 'gravity'.",
        fixed=True,
    )
    max_age: float = _setting(
        0.0, "Images older than this when their turn comes are dropped [s]. 0 = never.", (0.0, 60.0)
    )

    # Where to look.
    region: tuple[float, ...] = _setting(
        (0.0, 0.0, 0.0, 0.0),
        "Where to look for the object first: x, y, width, height [px], of several regions one "
        "after the other. All 0 = the whole image.",
    )
    detection_class: str = _setting(
        "", "Use only detections with this class_id from the topic 'detections'. Empty = any class."
    )
    detections_required: bool = _setting(
        False,
        "Look for the object only where a detection is, never in 'region' or the whole image.",
    )
    detection_max_age: float = _setting(
        1.0,
        "Detections whose stamp is further from that of the image are not used [s].",
        (0.0, 60.0),
    )

    # Output.
    publish_tf: bool = _setting(True, "Broadcast the objects' frames on /tf.")
    fixed_frame: str = _setting(
        "",
        "TF frame in which the world stands still, for example odom or map: anchors the reference "
        "there, so that the camera may move. Empty = the reference stays where it was seen from "
        "the camera.",
        fixed=True,
    )
    tf_timeout: float = _setting(
        0.1,
        "How long an image waits for the transforms of its time [s]; not while they never come.",
        (0.0, 5.0),
    )
    filter: bool = _setting(
        False,
        "Smooth the poses and TF by a constant-velocity Kalman filter that uses their covariances. "
        "Keypoints stay as they are.",
    )
    filter_acceleration: float = _setting(
        1.0,
        "How fast the object's velocity changes [m/s^2]: smaller is smoother and slower to follow.",
        (1e-4, 1e4),
    )
    filter_angular_acceleration: float = _setting(
        2.0, "How fast its rate of rotation changes [rad/s^2].", (1e-4, 1e4)
    )
    marker_lifetime: float = _setting(
        0.5, "RViz takes the markers away after this time without a new one [s].", (0.01, 60.0)
    )
    always_on: bool = _setting(
        False, "Process images even if nothing subscribes to any result, /tf included."
    )
    autostart: bool = _setting(
        True,
        "Configure and activate at start, and exit if that fails. false = wait for a lifecycle "
        "manager.",
        fixed=True,
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


def item_kind(default: Any) -> type:
    """Type of a setting, or of its items if it is a list."""
    return type(default[0] if isinstance(default, tuple) else default)


def unknown_settings(names: Iterable[str]) -> Iterable[str]:
    """A sentence about each name that is none of ours and none of ROS."""
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in names:
        if name not in known and not name.startswith(_NOT_OURS):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}."
            yield f"Parameter '{name}' does not exist, {hint}"


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value` in the type of the field where nothing is lost, else unchanged."""
    kind, item = type(field.default), item_kind(field.default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    if kind is tuple and is_list:
        items = tuple(value)
        if item is float and all(type(i) in (int, float) for i in items):
            return tuple(float(i) for i in items)
        if all(type(i) is item for i in items):
            return items
    return value


def _problems(field: dataclasses.Field[Any], value: Any) -> list[str]:
    default: Any = field.default
    kind, within = type(default), field.metadata["within"]
    description = field.metadata["description"]
    if type(value) is not kind:  # not isinstance: True is no number
        noun = NOUNS[item_kind(default)]
        noun = f"a list of {noun.split()[-1]}s" if kind is tuple else noun
        return [f"Parameter '{field.name}' must be {noun}, got {value!r}.{_hint(kind, value)}"]
    if kind is tuple:
        return _list_problems(field, value)
    if within and isinstance(value, str) and value not in within:
        choices = " or ".join(f"'{choice}'" for choice in within)
        return [f"Parameter '{field.name}' must be {choices}, got '{value}'. {description}"]
    if within and not isinstance(value, str) and not within[0] <= value <= within[1]:
        return [
            f"Parameter '{field.name}' must be within {within[0]:g} and {within[1]:g}, got "
            f"{value:g}. {description}"
        ]
    return []


def _hint(kind: type, value: Any) -> str:
    """What ROS 2 makes of a list of whole and other numbers: a string."""
    if kind is not tuple or not isinstance(value, str) or not value.strip().startswith("["):
        return ""
    return f" {ONE_TYPE}"


def _list_problems(field: dataclasses.Field[Any], value: tuple[Any, ...]) -> list[str]:
    default: Any = field.default
    if item_kind(default) is not float:
        return []
    description = field.metadata["description"]
    fits = len(value) == len(default) or (
        field.name == "region" and value and len(value) % len(default) == 0
    )
    if not fits:
        return [
            f"Parameter '{field.name}' must have {len(default)} numbers, got {len(value)}: "
            f"{list(value)}. {description}"
        ]
    if not all(math.isfinite(item) for item in value):
        return [f"Parameter '{field.name}' must be finite, got {list(value)}."]
    sides = [side for i in range(0, len(value), 4) for side in value[i + 2 : i + 4]]
    if field.name == "region" and any(value) and not all(side > 0 for side in sides):
        return [
            f"Parameter 'region' must have a positive width and height, got {list(value)}. "
            f"{description}"
        ]
    return []
