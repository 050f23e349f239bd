"""The object layout of KITTI: folders `image_2`, `calib` and `label_2`, as published.

Reference: Geiger et al., "Are we ready for Autonomous Driving?", CVPR 2012, and the readme of the
object development kit.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.truth import LabelledObject, LabelledPhotograph
from kp3d_core.inference.view import Region

_FOLDERS = ("image_2", "calib", "label_2")
_FIELDS = 15
_WITHOUT_POSE = "dontcare"


def is_kitti(data: Path) -> bool:
    """Whether a folder has KITTI's object layout."""
    return all((data / name).is_dir() for name in _FOLDERS)


def read_kitti(data: Path) -> list[LabelledPhotograph]:
    """Read all labelled pictures of the left colour camera.

    The pose is that of camera 2: the small offset of its projection matrix is in the translation.

    Raises:
        ValueError: a label without its picture or calibration, or a line that is none.
    """
    labels = sorted((data / "label_2").glob("*.txt"))
    if not labels:
        raise ValueError(f"{data / 'label_2'} must hold labels (*.txt), got none.")
    return [_read_frame(data, label) for label in labels]


def _read_frame(data: Path, label: Path) -> LabelledPhotograph:
    calibration = data / "calib" / label.name
    images = [data / "image_2" / f"{label.stem}{suffix}" for suffix in (".png", ".jpg")]
    image = next((path for path in images if path.is_file()), images[0])
    missing = [str(path) for path in (image, calibration) if not path.is_file()]
    if missing:
        raise ValueError(
            f"{label} must have its picture and its calibration, got no "
            f"{' and no '.join(missing)}. Restore them, or take the label out."
        )
    P = _projection(calibration)
    K = P[:, :3]
    offset = np.linalg.inv(K).astype(np.float64) @ P[:, 3]
    objects = []
    for number, line in enumerate(label.read_text().splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].lower() == _WITHOUT_POSE:
            continue
        try:
            objects.append(_read_object(fields, offset))
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {label} must be a KITTI label of {_FIELDS} fields, got {line!r} "
                f"({error})."
            ) from error
    return LabelledPhotograph(image, K, tuple(objects))


def _projection(calibration: Path) -> NDArray[np.float64]:
    for line in calibration.read_text().splitlines():
        name, _, values = line.partition(":")
        if name == "P2" and len(values.split()) == 12:
            return np.array(values.split(), np.float64).reshape(3, 4)
    raise ValueError(f"{calibration} must have a line `P2:` with 12 numbers, got none.")


def _read_object(fields: list[str], offset: NDArray[np.float64]) -> LabelledObject:
    """Type, truncation, occlusion, alpha, box, height width length, bottom centre, rotation_y."""
    if len(fields) < _FIELDS:
        raise ValueError(f"it has {len(fields)} fields")
    truncated, occluded, _, left, top, right, bottom, height, width, length, x, y, z, turn = (
        float(field) for field in fields[1:_FIELDS]
    )
    c, s = math.cos(turn), math.sin(turn)
    T = np.eye(4)
    # KITTI's box points along its x, up along -y and left along z; it turns about the camera's y.
    T[:3, :3] = np.stack([(c, 0, -s), (s, 0, c), (0, -1, 0)], axis=1)
    T[:3, 3] = np.array([x, y - height / 2, z]) + offset
    return LabelledObject(
        category=fields[0].lower(),
        region=Region(left, top, right - left, bottom - top),
        T_camera_object=T,
        size_lwh_m=(length, width, height),
        occluded=int(occluded),
        truncated=truncated,
    )
