"""sensor_msgs/CameraInfo to the camera model of the image that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import CameraModel

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

DISTORTION_MODELS = ("plumb_bob", "rational_polynomial", "equidistant")


def image_size(info: CameraInfo) -> tuple[int, int]:
    """Width and height of the images that a CameraInfo describes [px]."""
    roi, (binning_x, binning_y) = info.roi, _binning(info)
    # A region of 0 x 0 stands for the whole sensor, by the definition of the message.
    sensor = (roi.width, roi.height) if roi.width and roi.height else (info.width, info.height)
    return sensor[0] // binning_x, sensor[1] // binning_y


def camera_from_info(info: CameraInfo, width: int, height: int, *, rectified: bool) -> CameraModel:
    """Camera model of an image of `width` x `height` pixels.

    CameraInfo describes the calibrated sensor. The image may be a region of interest of it, or
    binned: a binned pixel covers `binning` sensor pixels, so with (0, 0) at the centre of the first
    pixel, u_sensor = u * binning + (binning - 1) / 2 + roi.x_offset.

    Args:
        info: calibration as published next to the image.
        width: image width [px].
        height: image height [px].
        rectified: the image is rectified: take `p` and no distortion instead of `k` and `d`.

    Raises:
        ValueError: uncalibrated camera, another image size, or an unknown distortion model.
    """
    K = np.array(info.p if rectified else info.k, np.float64)
    K = K.reshape(3, 4)[:, :3] if rectified else K.reshape(3, 3)
    if not K[0, 0] > 0:
        raise ValueError(
            f"CameraInfo is uncalibrated: {'p[0]' if rectified else 'k[0]'} must be the focal "
            f"length in pixels, got {K[0, 0]:g}. Calibrate the camera; no pose until then."
        )
    _check_size(info, width, height)
    K = _sensor_to_image(K, info)
    distortion, model = ((), "plumb_bob") if rectified else _distortion(info)
    return CameraModel(K, width, height, distortion, model)


def _binning(info: CameraInfo) -> tuple[int, int]:
    """Binning factors; 0 means 1, by the definition of the message."""
    return max(int(info.binning_x), 1), max(int(info.binning_y), 1)


def _check_size(info: CameraInfo, width: int, height: int) -> None:
    roi, (binning_x, binning_y) = info.roi, _binning(info)
    expected = image_size(info)
    if expected != (width, height):
        raise ValueError(
            f"Image must have {expected[0]} x {expected[1]} pixels according to CameraInfo "
            f"(calibrated at {info.width} x {info.height}, region of interest {roi.width} x "
            f"{roi.height}, binning {binning_x} x {binning_y}), got {width} x {height}. Publish "
            "the CameraInfo that belongs to this image."
        )


def _sensor_to_image(K: NDArray[np.float64], info: CameraInfo) -> NDArray[np.float64]:
    binning_x, binning_y = _binning(info)
    to_image = np.array(
        [
            [1 / binning_x, 0, -(info.roi.x_offset + (binning_x - 1) / 2) / binning_x],
            [0, 1 / binning_y, -(info.roi.y_offset + (binning_y - 1) / 2) / binning_y],
            [0, 0, 1],
        ]
    )
    return np.asarray(to_image @ K)


def _distortion(info: CameraInfo) -> tuple[tuple[float, ...], str]:
    """Coefficients and model; no coefficients if there is no distortion."""
    d = tuple(float(value) for value in info.d)
    if not any(d) and info.distortion_model != "equidistant":
        return (), "plumb_bob"
    if info.distortion_model not in DISTORTION_MODELS:
        raise ValueError(
            f"CameraInfo.distortion_model must be one of {', '.join(DISTORTION_MODELS)}, got "
            f"'{info.distortion_model}'. Use the rectified image and set rectified:=true."
        )
    return d, info.distortion_model


def same_calibration(a: CameraInfo, b: CameraInfo) -> bool:
    """Whether two messages say the same; their stamps may differ."""
    if a is b:
        return True
    arrays = ("k", "p", "d")
    numbers = ("width", "height", "binning_x", "binning_y", "distortion_model")
    roi = ("x_offset", "y_offset", "width", "height")
    return (
        all(bytes(getattr(a, name)) == bytes(getattr(b, name)) for name in arrays)
        and all(getattr(a, name) == getattr(b, name) for name in numbers)
        and all(getattr(a.roi, name) == getattr(b.roi, name) for name in roi)
    )
