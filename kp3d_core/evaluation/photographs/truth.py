"""Labelled photographs: a folder of pictures with `truth_kp3d.json`.

The file holds `{"frames": [frame, ...]}`. A frame has `image` (path relative to the file), `K` (3x3
[px]) and `objects`; an object has

- `cls`: its category, such as "car";
- `bbox_xyxy`: left, upper, right and lower edge of its box [px];
- `R_cam_obj` (3x3) and `t_cam_obj_m` (3): pose of its frame (x forward, y left, z up, origin in the
  middle of its bounding box) in the camera's optical frame [m];
- `size_lwh_m`: its length, width and height [m];
- `occluded` (0 visible, 1 partly, 2 largely hidden, 3 unknown) and `truncated` (0..1), as in KITTI;
  taken to be 0 where they are missing.

Pictures are rectified. Other keys are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.view import Region

TRUTH_NAME = "truth_kp3d.json"


@dataclass(frozen=True, eq=False)
class LabelledObject:
    """One object in a photograph."""

    category: str
    region: Region
    """Its box, edges between pixels."""
    T_camera_object: NDArray[np.float64]
    """True pose, shape (4, 4) [m]."""
    size_lwh_m: tuple[float, float, float]
    occluded: int
    truncated: float


@dataclass(frozen=True, eq=False)
class LabelledPhotograph:
    """A picture with its objects."""

    image: Path
    K: NDArray[np.float64]
    objects: tuple[LabelledObject, ...]


def truth_file(data: Path) -> Path | None:
    """The labels of a folder of photographs, or None if it is no such folder."""
    path = data / TRUTH_NAME if data.is_dir() else data
    return path if path.name == TRUTH_NAME and path.is_file() else None


def read_truth(path: Path) -> list[LabelledPhotograph]:
    """Read the labels and check that all pictures are there.

    Raises:
        ValueError: not such a file, a pose that is none, or a missing picture.
    """
    try:
        frames = json.loads(path.read_text())["frames"]
        photographs = [_photograph(path.parent, frame) for frame in frames]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f'{path} must hold {{"frames": [{{"image", "K", "objects": [{{"cls", "bbox_xyxy", '
            f'"R_cam_obj", "t_cam_obj_m", "size_lwh_m"}}, ...]}}, ...]}}, got {error!r}. Mend it.'
        ) from error
    missing = [str(p.image) for p in photographs if not p.image.is_file()]
    if missing:
        raise ValueError(
            f"All pictures named in {path} must exist, {len(missing)} do not: "
            f"{', '.join(missing[:3])}. Restore them."
        )
    return photographs


def _photograph(folder: Path, frame: dict[str, Any]) -> LabelledPhotograph:
    return LabelledPhotograph(
        image=folder / frame["image"],
        K=finite_array(frame["K"], (3, 3), "K"),
        objects=tuple(_object(values) for values in frame["objects"]),
    )


def _object(values: dict[str, Any]) -> LabelledObject:
    T = np.eye(4)
    T[:3, :3] = nearest_rotation(values["R_cam_obj"], "R_cam_obj")
    T[:3, 3] = finite_array(values["t_cam_obj_m"], (3,), "t_cam_obj_m")
    left, top, right, bottom = finite_array(values["bbox_xyxy"], (4,), "bbox_xyxy").tolist()
    length, width, height = finite_array(values["size_lwh_m"], (3,), "size_lwh_m").tolist()
    return LabelledObject(
        category=values["cls"],
        region=Region(left, top, right - left, bottom - top),
        T_camera_object=T,
        size_lwh_m=(length, width, height),
        occluded=int(values.get("occluded", 0)),
        truncated=float(values.get("truncated", 0.0)),
    )


def nearest_rotation(values: Any, name: str) -> NDArray[np.float64]:
    """The rotation, shape (3, 3), that a label was rounded from."""
    R = finite_array(values, (3, 3), name)
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-2) or np.linalg.det(R) < 0:
        raise ValueError(f"{name} must be a rotation, got {R.tolist()}")
    u, _, vt = np.linalg.svd(R)
    return u @ vt


def finite_array(values: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Numbers of a label; `name` is what an error calls them."""
    array = np.array(values, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got {values}")
    return array
