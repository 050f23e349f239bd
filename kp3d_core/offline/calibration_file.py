"""Camera of an image: from a calibration file as ROS writes it, or from the field of view."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.inference.camera import CameraModel

_MAX_BYTES = 1 << 20


def camera_from_fov(fov_deg: float, width: int, height: int) -> CameraModel:
    """A camera without distortion whose axis goes through the middle of the image.

    Args:
        fov_deg: horizontal field of view, between the outer edges of the image [deg].
        width: of the image [px].
        height: of the image [px].
    """
    if not 1.0 <= fov_deg < 175.0:
        raise ValueError(
            f"fov must be at least 1 and less than 175 degrees, got {fov_deg:g}. Pass the "
            "horizontal field of view of a camera without fisheye, or its calibration file."
        )
    focal = 0.5 * width / math.tan(math.radians(fov_deg) / 2.0)
    K = np.array([[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]])
    return CameraModel(K, width, height)


def read_camera(path: Path) -> CameraModel:
    """Camera of a YAML file of the ROS package `camera_calibration` (`camera_info_manager`).

    Keys: image_width, image_height, camera_matrix.data, distortion_model,
    distortion_coefficients.data.

    Raises:
        ValueError: the file cannot be read or used.
    """
    import yaml

    if not path.is_file():
        raise ValueError(f"{path} must be a calibration file, there is no such file.")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} must be a calibration file, got more than 1 MB.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} must be YAML: {str(error).splitlines()[0]}.") from error
    try:
        return CameraModel(
            K=np.array(_data(content["camera_matrix"]), np.float64).reshape(3, 3),
            width=int(content["image_width"]),
            height=int(content["image_height"]),
            distortion=_data(content.get("distortion_coefficients") or []),
            distortion_model=str(content.get("distortion_model", "plumb_bob")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} must hold image_width, image_height, camera_matrix.data and "
            f"distortion_coefficients.data, got a problem with {error}. Write it with ROS's "
            "camera_calibration, or pass the field of view."
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _data(entry: Any) -> list[float]:
    """The numbers of a matrix, which ROS writes as rows, cols and data."""
    values = entry["data"] if isinstance(entry, dict) else entry
    numbers = [float(value) for value in values]
    # A lens without distortion is written as zeros, of which any number may stand there.
    return numbers if any(numbers) else []


def resized(camera: CameraModel, width: int, height: int) -> CameraModel:
    """The camera of an image that was scaled to another size of the same proportions.

    Raises:
        ValueError: the proportions differ by more than a pixel.
    """
    if (camera.width, camera.height) == (width, height):
        return camera
    factor = width / camera.width
    if abs(camera.height * factor - height) > 1.0:
        raise ValueError(
            f"The calibration is of {camera.width} x {camera.height} px, the image has "
            f"{width} x {height}: it was cropped, or taken by another camera. Pass its own "
            "calibration."
        )
    K = camera.K.copy()
    K[:2] *= factor
    # Pixel centres: the edge of the image, at -0.5, stays where it is.
    K[:2, 2] += 0.5 * (factor - 1.0)
    return CameraModel(K, width, height, camera.distortion, camera.distortion_model)
