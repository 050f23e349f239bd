"""Pixels and calibration of an image message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kp3d_ros.answer import NO_CALIBRATION, Unused
from kp3d_ros.calibrations import Calibrations, CameraMatch
from kp3d_ros.compressed_conversion import compressed_to_rgb
from kp3d_ros.headers import stamp_nanoseconds
from kp3d_ros.image_conversion import image_to_rgb
from kp3d_ros.settings import Settings

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage, Image


def decode(
    message: Image | CompressedImage, calibrations: Calibrations, settings: Settings
) -> tuple[NDArray[np.uint8], CameraMatch]:
    """RGB of shape (H, W, 3), and the camera model.

    Args:
        message: the image.
        calibrations: where its own is, or will be in a moment.
        settings: of the node.

    Raises:
        Unused: there is no calibration yet.
        ValueError: the image or its calibration cannot be used.
    """
    image = None if hasattr(message, "encoding") else compressed_to_rgb(message)
    # The size of a compressed image is not known before.
    width, height = (message.width, message.height) if image is None else image.shape[1::-1]
    match = calibrations.camera_for(
        stamp_nanoseconds(message.header.stamp),
        message.header.frame_id,
        int(width),
        int(height),
        rectified=settings.rectified,
    )
    if match is None:
        raise Unused(
            NO_CALIBRATION,
            "No CameraInfo has come yet: no keypoints without the calibration. Remap the topic "
            "'camera_info', or start its publisher.",
        )
    return image_to_rgb(message) if image is None else image, match
