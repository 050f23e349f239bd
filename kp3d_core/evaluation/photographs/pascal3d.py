"""PASCAL3D+: folders `Annotations`, `Images` and `CAD`, as published (release 1.1).

Reference: Xiang et al., "Beyond PASCAL: A Benchmark for 3D Object Detection in the Wild", WACV
2014, and the toolkit of the data set (project_3d.m), whose projection this pose reproduces.

Lengths are in the units of the CAD models, not metres: figures are relative to the distance. The
camera is an assumed one, of 3,000 px, with a principal point (px, py) of its own for each object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.matlab import read_mat
from kp3d_core.evaluation.photographs.truth import LabelledObject, LabelledPhotograph
from kp3d_core.inference.view import Region

FloatArray = NDArray[np.float64]

_FOLDERS = ("Annotations", "Images", "CAD")
_SOURCES = ("_pascal", "_imagenet")
_CATEGORIES = {"aeroplane": "plane"}
"""Where their name is not ours."""
_R_CAD_OBJECT = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""Their models look along -y (azimuth 0 is a camera there) and have z up, so x is to their left."""


def is_pascal3d(data: Path) -> bool:
    """Whether a folder has the layout of PASCAL3D+."""
    return all((data / name).is_dir() for name in _FOLDERS)


def read_pascal3d(data: Path) -> list[LabelledPhotograph]:
    """Read the objects, each with its picture.

    Those of a class come from its folders CLASS_pascal and CLASS_imagenet.

    Objects without a fine viewpoint (none at all, or distance 0) have no pose and are left out.
    `truncated` becomes 1; `occluded` becomes largely hidden (2) and `difficult` unknown (3), which
    the usual protocol leaves out like the truncated ones.

    Raises:
        ValueError: a file that is none of the data set's; it is named.
    """
    folders = [
        folder
        for folder in sorted((data / "Annotations").iterdir())
        if folder.is_dir() and folder.name.endswith(_SOURCES)
    ]
    photographs: list[LabelledPhotograph] = []
    count = 0
    for folder in folders:
        name = folder.name.rpartition("_")[0]
        labels = sorted(folder.glob("*.mat"))
        boxes = _cad_boxes(data / "CAD" / f"{name}.mat", name) if labels else []
        count += len(labels)
        for label in labels:
            photographs += _read_picture(data, label, name, boxes)
    if not count:
        raise ValueError(
            f"{data / 'Annotations'} must hold folders such as car_pascal or car_imagenet with "
            "labels (*.mat), got none."
        )
    return photographs


def _cad_boxes(path: Path, name: str) -> list[tuple[FloatArray, FloatArray]]:
    """Lower and upper corner of each CAD model's bounding box, shapes (3,)."""
    boxes = []
    try:
        for model in _structures(read_mat(path)[name]):
            vertices = np.asarray(model["vertices"], np.float64)
            if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
                raise ValueError(f"vertices of shape {vertices.shape}, or not finite")
            boxes.append((vertices.min(0), vertices.max(0)))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must hold the structures `{name}` with `vertices`, got {error!r}."
        ) from error
    return boxes


def _read_picture(
    data: Path, label: Path, name: str, boxes: list[tuple[FloatArray, FloatArray]]
) -> list[LabelledPhotograph]:
    content = read_mat(label)
    try:
        record = content["record"]
        filename = record["filename"]
        if not isinstance(filename, str) or Path(filename).name != filename:
            raise ValueError(f"filename must be the name of a picture, got {filename!r}")
        found = [
            _read_object(values, boxes)
            for values in _structures(record["objects"])
            if values["class"] == name and _has_pose(values["viewpoint"])
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{label} must hold `record` with `filename` and `objects` with `class`, `bbox`, "
            f"`viewpoint` and `cad_index`, got {error!r}. Download it again, or take it out."
        ) from error
    image = data / "Images" / label.parent.name / filename
    if not image.is_file():
        raise ValueError(
            f"{label} must have its picture, got no {image}. Restore it, or take the label out."
        )
    return [LabelledPhotograph(image, K, (labelled,)) for K, labelled in found]


def _has_pose(viewpoint: Any) -> bool:
    return isinstance(viewpoint, Mapping) and bool(viewpoint.get("distance", 0))


def _read_object(
    values: Mapping[str, Any], boxes: list[tuple[FloatArray, FloatArray]]
) -> tuple[FloatArray, LabelledObject]:
    """Camera and object. MATLAB's first pixel is (1, 1), ours (0, 0); a box includes its pixels."""
    viewpoint = {
        key: _number(viewpoint_value, f"viewpoint.{key}")
        for key, viewpoint_value in values["viewpoint"].items()
        if key in ("azimuth", "elevation", "theta", "distance", "focal", "px", "py", "viewport")
    }
    focal_px = viewpoint["focal"] * viewpoint["viewport"]
    if focal_px <= 0 or viewpoint["distance"] <= 0:
        raise ValueError(f"focal, viewport and distance must be positive, got {viewpoint}")
    K = np.array(
        [[focal_px, 0, viewpoint["px"] - 1], [0, focal_px, viewpoint["py"] - 1], [0, 0, 1]]
    )
    cad = int(_number(values["cad_index"], "cad_index"))
    if not 1 <= cad <= len(boxes):
        raise ValueError(f"cad_index must be in 1..{len(boxes)}, got {cad}")
    lower, upper = boxes[cad - 1]
    T = np.eye(4)
    R_camera_cad, t_camera_cad = viewpoint_pose(viewpoint)
    T[:3, :3] = R_camera_cad @ _R_CAD_OBJECT
    T[:3, 3] = R_camera_cad @ ((lower + upper) / 2) + t_camera_cad
    across, along, up = upper - lower  # x is to the left
    left, top, right, bottom = (_number(edge, "bbox") for edge in values["bbox"])
    occluded = 2 if _number(values["occluded"], "occluded") else 0
    return K, LabelledObject(
        category=_CATEGORIES.get(values["class"], values["class"]),
        region=Region(left - 1.5, top - 1.5, right - left + 1, bottom - top + 1),
        T_camera_object=T,
        size_lwh_m=(float(along), float(across), float(up)),
        occluded=3 if _number(values["difficult"], "difficult") else occluded,
        truncated=1.0 if _number(values["truncated"], "truncated") else 0.0,
    )


def viewpoint_pose(viewpoint: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """Rotation and translation from a CAD model's frame to the optical frame.

    The toolkit's camera stands at C = d (cos e sin a, -cos e cos a, sin e) and looks at the origin,
    x right, y up, z backward; the image is then turned by theta, counter-clockwise where up is up.
    Turning the image about the principal point is turning the camera about its axis.

    Args:
        viewpoint: azimuth, elevation and theta [deg], distance.
    """
    a, e, theta = (math.radians(viewpoint[key]) for key in ("azimuth", "elevation", "theta"))
    centre = viewpoint["distance"] * np.array(
        [math.cos(e) * math.sin(a), -math.cos(e) * math.cos(a), math.sin(e)]
    )
    tilt = e - math.pi / 2
    Rx = np.array(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
    )
    R = np.diag([1.0, -1.0, -1.0]) @ _about_z(theta) @ Rx @ _about_z(-a)
    return R, -R @ centre


def _about_z(angle: float) -> FloatArray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _number(value: Any, name: str) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"{name} must be one finite number, got {value!r}")
    return float(array.item())


def _structures(value: Any) -> list[Mapping[str, Any]]:
    """A structure array, however many there are: MATLAB makes no difference."""
    values = [value] if isinstance(value, Mapping) else list(np.asarray(value, object).ravel())
    if not all(isinstance(entry, Mapping) for entry in values):
        raise TypeError(f"structures expected, got {values[:1]!r}")
    return values
