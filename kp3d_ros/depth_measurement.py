"""What a depth image says about the size and distance of an object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import (
    Detection,
    contradicts,
    rescale,
    scale_from_depth,
    without_scale,
)
from kp3d_ros.answer import Answer
from kp3d_ros.categories import Category
from kp3d_ros.depth_conversion import (
    depth_to_metres,
    require_plausible,
    require_registered,
)
from kp3d_ros.depth_images import DepthImages
from kp3d_ros.headers import stamp_nanoseconds


def depth_of(answer: Answer, images: DepthImages) -> NDArray[np.float32] | None:
    """Depth in an image [m]; None if there is none, and the answer says why."""
    settings, header = answer.given.settings, answer.header
    message = images.nearest(stamp_nanoseconds(header.stamp), settings.depth_max_age)
    if message is None:
        answer.problems.append(
            f"No depth image within {settings.depth_max_age:g} s of the image: its scale is not "
            "used. Check the topic 'depth', or raise 'depth_max_age'."
        )
        return None
    try:
        require_registered(message, header.frame_id, (answer.camera.width, answer.camera.height))
        return depth_to_metres(message)
    except ValueError as error:
        answer.problems.append(str(error))
        return None


def measure(
    category: Category, detection: Detection, depth_m: NDArray[np.float32] | None, answer: Answer
) -> tuple[Detection, bool]:
    """The detection with the scale of the depth image, if that tells one, and whether it does.

    Up to scale, with a problem for the answer, where depth image and known size exclude each other.
    """
    if depth_m is None:
        return detection, False
    size_wh = (answer.camera.width, answer.camera.height)
    if not detection.metric:  # no known size judges the unit
        try:
            require_plausible(depth_m)
        except ValueError as error:
            answer.problems.append(str(error))
            return detection, False
    scale = scale_from_depth(detection, depth_m, size_wh, category.model.surface)
    if scale is None:
        answer.problems.append(
            f"Depth image must tell the distance of '{category.name}', and holds too few values "
            "where it is, or none that fit its shape: its scale is not used. The object may be out "
            "of the depth camera's range, or too dark or shiny for it."
        )
        return detection, False
    if contradicts(scale, detection):
        answer.problems.append(
            f"Nothing about '{category.name}' is published in metres: its size must be "
            f"{2 * detection.unit_m:.3g} m by 'object_size', and is {2 * scale.unit_m:.3g} m by "
            "the depth image. Correct the one that is wrong; check that depth is registered to the "
            "image, in metres (32FC1) or millimetres (16UC1)."
        )
        return without_scale(detection, category.model), False
    return rescale(detection, category.model, scale), True
