"""Good images in bad order: stamps, frames, boxes and clocks that go astray on real robots."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2D, Detection2DArray

_NS = 10**9


@dataclass(frozen=True)
class Moment:
    """A camera between two images."""

    image: Image
    """A good one; its stamp does not count."""
    info: CameraInfo
    """Its calibration."""
    stamp_ns: int
    """Of the last good image [ns]."""


@dataclass(frozen=True)
class Disorder:
    """Something that happens between two good images."""

    name: str
    """Key of `DISORDERS`."""
    amount: float
    """How much of it, 0 to 1."""

    @property
    def keeps_objects(self) -> bool:
        """Whether an object that is followed must keep its identity."""
        return DISORDERS[self.name][1]

    def messages(self, moment: Moment) -> list[Any]:
        """What is published, in this order."""
        return DISORDERS[self.name][0](moment, self.amount)


def disorders() -> st.SearchStrategy[Disorder]:
    """Disorder of all kinds."""
    return st.builds(Disorder, st.sampled_from(sorted(DISORDERS)), st.floats(0, 1))


def nanoseconds_stamp(stamp_ns: int) -> Time:
    """Stamp of a time [ns]; one that no message can hold becomes the nearest."""
    stamp_ns = max(stamp_ns, 0)
    return Time(sec=min(stamp_ns // _NS, 2**31 - 1), nanosec=stamp_ns % _NS)


def _pair(moment: Moment, stamp_ns: int, frame_id: str | None = None) -> tuple[Image, CameraInfo]:
    """An image and its calibration, with another stamp or frame."""
    frame_id = moment.image.header.frame_id if frame_id is None else frame_id
    header = Header(stamp=nanoseconds_stamp(stamp_ns), frame_id=frame_id)
    good, info = moment.image, copy.deepcopy(moment.info)
    info.header = header
    image = Image(
        header=header,
        width=good.width,
        height=good.height,
        encoding=good.encoding,
        step=good.step,
        data=good.data,
    )
    return image, info


def _late(moment: Moment, amount: float) -> list[Any]:
    """It was overtaken."""
    image, info = _pair(moment, moment.stamp_ns - 1 - round(amount * 0.4 * _NS))
    return [info, image]


def _repeated(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, moment.stamp_ns)
    return [info, image] * (1 + round(amount * 4))


def _set_back(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, moment.stamp_ns - round((0.6 + 20 * amount) * _NS))
    return [info, image]


def _from_afar(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, moment.stamp_ns + round((0.6 + 1e6 * amount) * _NS))
    return [info, image]


def _without_stamp(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, 0)
    return [info, image] * (1 + round(amount * 4))


def _other_camera(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, moment.stamp_ns + 1, "rear_camera" if amount < 0.7 else "")
    return [info, image]


def _slash(moment: Moment, amount: float) -> list[Any]:
    """ROS 1 put one before every frame."""
    image, info = _pair(moment, moment.stamp_ns + 1, f"/{moment.image.header.frame_id}")
    return [info, image]


def _image_first(moment: Moment, amount: float) -> list[Any]:
    image, info = _pair(moment, moment.stamp_ns + 1)
    return [image, info]


def _other_calibration(moment: Moment, amount: float) -> list[Any]:
    """A depth stream publishes on the same topic."""
    _, info = _pair(moment, moment.stamp_ns + round(amount), "depth_optical_frame")
    info.k[0] = info.k[4] = 1.3 * moment.info.k[0]
    return [info]


def _boxes_of_another_size(moment: Moment, amount: float) -> list[Any]:
    """As of a camera with four times the pixels: none of them is in the image."""
    width, height = moment.image.width, moment.image.height
    message = Detection2DArray(header=_pair(moment, moment.stamp_ns)[0].header)
    for part in (amount, amount / 2):
        box = Detection2D(header=message.header)
        box.bbox.center.position.x = (1.5 + part) * width
        box.bbox.center.position.y = (1.5 + part) * height
        box.bbox.size_x, box.bbox.size_y = 0.4 * width, 0.4 * height
        message.detections.append(box)
    return [message]


def _transforms_set_back(moment: Moment, amount: float) -> list[Any]:
    messages = []
    for back_s in (0.0, 12.0 * amount):
        item = TransformStamped(child_frame_id=moment.image.header.frame_id)
        item.header = Header(
            stamp=nanoseconds_stamp(moment.stamp_ns - round(back_s * _NS)), frame_id="odom"
        )
        item.transform.rotation.x = item.transform.rotation.z = -0.5
        item.transform.rotation.y, item.transform.rotation.w = 0.5, 0.5
        messages.append(TFMessage(transforms=[item]))
    return messages


DISORDERS: dict[str, tuple[Callable[[Moment, float], list[Any]], bool]] = {
    "late": (_late, True),
    "repeated": (_repeated, True),
    "slash": (_slash, True),
    "image first": (_image_first, True),
    "calibration of another camera": (_other_calibration, True),
    "boxes of another size": (_boxes_of_another_size, True),
    "transforms set back": (_transforms_set_back, True),
    "set back": (_set_back, False),
    "from afar": (_from_afar, False),
    "without stamp": (_without_stamp, False),
    "other camera": (_other_camera, False),
}
"""Messages of each kind, and whether objects keep their identity."""
