"""Message classes for processes without ROS: the imports of the node's modules work all the same.

They are built from the definitions that the rosbags library knows, those of vision_msgs and ours.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

_EXTRA_PACKAGES = ("vision_msgs", "kp3d_ros")
"""Not among those that rosbags knows."""
_IMPORTED = (
    "builtin_interfaces",
    "geometry_msgs",
    "kp3d_ros",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "vision_msgs",
    "visualization_msgs",
)
_NUMPY_OF = {"bool": "?", "byte": "u1", "char": "u1", "octet": "u1"}


def install() -> Typestore:
    """Put the stand-ins where `from geometry_msgs.msg import Pose` finds them; returns their store.

    Call it before anything of ROS is imported: one process cannot have both.

    Raises:
        ValueError: definitions of messages are missing.
    """
    store = get_typestore(Stores.ROS2_HUMBLE)
    for package in _EXTRA_PACKAGES:
        store.register(_definitions(package))
    classes: dict[str, type] = {}
    for package in _IMPORTED:
        module = ModuleType(f"{package}.msg")
        for name in store.types:
            if name.startswith(f"{package}/msg/"):
                setattr(module, name.rsplit("/", 1)[1], _stand_in(store, name, classes))
        if package != "kp3d_ros":
            parent = ModuleType(package)
            parent.msg = module  # type: ignore[attr-defined]
            sys.modules[package] = parent
        sys.modules[f"{package}.msg"] = module
    # Of ROS's own classes none may come in beside them: these then count as not installed.
    sys.modules["moveit_msgs"] = None  # type: ignore[assignment]
    return store


def _definitions(package: str) -> dict[str, Any]:
    """Types of all .msg files of a package."""
    root = Path(__file__).resolve().parents[2]
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    folders = [root / "msg"] if package == "kp3d_ros" else []
    folders += [Path(prefix) / "share" / package / "msg" for prefix in prefixes if prefix]
    folders.append(root / "scripts/ros_env/overlay" / package / "msg")
    for folder in folders:
        files = sorted(folder.glob("*.msg"))
        if files:
            types: dict[str, Any] = {}
            for file in files:
                types.update(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))
            return types
    raise ValueError(
        f"The message definitions of {package} must lie in one of "
        f"{', '.join(map(str, folders))}, and they do not. Run this from the source tree, or after "
        "`make env`."
    )


def _stand_in(store: Typestore, name: str, classes: dict[str, type]) -> type:
    """The class of a type, which fills what is not given with zeros, as those of ROS do."""
    if name in classes:
        return classes[name]
    base: Any = store.types[name]
    fields = store.fielddefs[name][1]

    def initialise(self: Any, **values: Any) -> None:
        unknown = values.keys() - {field for field, _ in fields}
        assert not unknown, f"{name} has no field {', '.join(unknown)}"
        for field, kind in fields:
            given = values.get(field)
            value = _default(store, kind, classes) if given is None else _convert(kind, given)
            setattr(self, field, value)

    classes[name] = type(name.rsplit("/", 1)[1], (base,), {"__init__": initialise})
    return classes[name]


def _default(store: Typestore, kind: Any, classes: dict[str, type]) -> Any:
    node, detail = kind
    if node == Nodetype.NAME:
        return _stand_in(store, detail, classes)()
    if node == Nodetype.BASE:
        return {"string": "", "bool": False}.get(detail[0], 0.0 if "float" in detail[0] else 0)
    (inner, inner_detail), length = detail
    if inner == Nodetype.BASE and inner_detail[0] != "string":
        return np.zeros(length if node == Nodetype.ARRAY else 0, _dtype(inner_detail[0]))
    count = length if node == Nodetype.ARRAY else 0
    return [_default(store, (inner, inner_detail), classes) for _ in range(count)]


def _convert(kind: Any, value: Any) -> Any:
    """Lists of numbers as the arrays that serialisation wants."""
    node, detail = kind
    if node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        (inner, inner_detail), _ = detail
        if inner == Nodetype.BASE and inner_detail[0] != "string":
            return np.asarray(value, _dtype(inner_detail[0]))
    return value


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(_NUMPY_OF.get(name, name))
