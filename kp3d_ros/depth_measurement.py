"""What a depth image says about the size and distance of an object."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference import (
    DepthScale,
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

HELD_S = 10.0
"""How long the scale of an object counts that depth images tell no more [s]."""
_DRIFT_PER_S = 0.02
"""By so much of the scale its standard deviation grows in a second: what an image tells itself
always is surer."""


def depth_of(answer: Answer, images: DepthImages) -> NDArray[np.float32] | None:
    """Depth in an image [m]; None if none is asked for, or there is none: the answer says why."""
    settings, header = answer.given.settings, answer.header
    if not settings.use_depth:
        return None
    message = images.nearest(stamp_nanoseconds(header.stamp), settings.depth_max_age)
    if message is None:
        answer.problems.append(
            f"No depth image within {settings.depth_max_age:g} s of the image: only a scale of "
            "those before can be used. Check the topic 'depth', or raise 'depth_max_age'."
        )
        return None
    try:
        require_registered(message, header.frame_id, (answer.camera.width, answer.camera.height))
        return depth_to_metres(message)
    except ValueError as error:
        answer.problems.append(str(error))
        return None


class DepthScales:
    """The scale of each object by depth images, remembered for images whose depth has holes there.

    An object keeps its size: what one image told holds for the next ones, less surely with time.
    """

    def __init__(self) -> None:
        """Know no object."""
        self._last: dict[str, tuple[DepthScale, float]] = {}
        """By instance id: the last scale, and the time of its image [s]."""

    def forget(self, instance_id: str) -> None:
        """An object is given up."""
        self._last.pop(instance_id, None)

    def measure(
        self,
        category: Category,
        number: int,
        detection: Detection,
        depth_m: NDArray[np.float32] | None,
        answer: Answer,
    ) -> tuple[Detection, bool]:
        """The detection with the scale of depth images, if those count and tell it; whether so.

        Up to scale, with a problem for the answer, where depth image and known size exclude each
        other.

        Args:
            category: of the object.
            number: of the object in its category.
            detection: as the network and a known size tell it.
            depth_m: depth in the image [m]; None if there is none, which the answer says.
            answer: of the image.
        """
        if not answer.given.settings.use_depth:
            return detection, False
        instance_id = category.instance_id(number)
        if depth_m is not None and not detection.metric:  # no known size judges the unit
            try:
                require_plausible(depth_m)
            except ValueError as error:
                answer.problems.append(str(error))
                return detection, False
        scale = None
        if depth_m is not None:
            size_wh = (answer.camera.width, answer.camera.height)
            scale = scale_from_depth(detection, depth_m, size_wh, category.model.surface)
        if scale is None:
            return self._measured_before(category, instance_id, detection, depth_m, answer)
        if contradicts(scale, detection):
            self.forget(instance_id)
            answer.problems.append(
                f"Nothing about '{category.name}' is published in metres: its size must be "
                f"{2 * detection.unit_m:.3g} m by 'object_size', and is {2 * scale.unit_m:.3g} m "
                "by the depth image. Correct the one that is wrong; check that depth is registered "
                "to the image, in metres (32FC1) or millimetres (16UC1)."
            )
            return without_scale(detection, category.model), False
        self._last[instance_id] = scale, answer.time_s
        return rescale(detection, category.model, scale), True

    def _measured_before(
        self,
        category: Category,
        instance_id: str,
        detection: Detection,
        depth_m: NDArray[np.float32] | None,
        answer: Answer,
    ) -> tuple[Detection, bool]:
        """The detection with the last scale, if that is not too old."""
        last, then_s = self._last.get(instance_id, (None, 0.0))
        age_s = answer.time_s - then_s
        is_held = last is not None and age_s <= HELD_S
        use = f"the one of {age_s:.1f} s ago is used" if is_held else "its scale is not used"
        if depth_m is not None:
            answer.problems.append(
                f"Depth image must tell the distance of '{category.name}', and holds too few "
                f"values where it is, or none that fit its shape: {use}. The object may be out of "
                "the depth camera's range, or too dark or shiny for it."
            )
        if last is None or not is_held:
            return detection, False
        std = float(np.hypot(last.relative_std, _DRIFT_PER_S * age_s))
        return rescale(detection, category.model, dataclasses.replace(last, relative_std=std)), True
