"""Messages that no camera should send, made by hypothesis."""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp3d_ros.image_conversion import ENCODINGS

_MAX_BYTES = 200_000
"""Of an image: so that thousands go through in minutes; what counts is that header and data lie."""
_UINT32 = st.one_of(st.integers(0, 9), st.integers(0, 2000), st.integers(0, 2**32 - 1))
_UINT8 = st.integers(0, 255)
_SIZES = st.sampled_from([0, 1, 2, 3, 7, 64, 319, 320, 640, 2**16, 2**31, 2**32 - 1])
_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-320, 1e-30, -1.0, 1e30, 1e308, math.inf, -math.inf, math.nan]),
    st.floats(-1000, 1000),
    st.floats(),
)  # fmt: skip
_STAMPS = st.builds(
    Time,
    sec=st.one_of(st.sampled_from([-(2**31), -1, 0, 2**31 - 1]), st.integers(0, 2**31 - 1)),
    nanosec=st.sampled_from([0, 1, 999_999_999, 2**32 - 1]),
)
_HEADERS = st.builds(
    Header,
    stamp=_STAMPS,
    frame_id=st.sampled_from(["", "camera_optical_frame", "/", "odom", "x" * 500, "\u2603"]),
)
_ENCODINGS = st.sampled_from([*ENCODINGS, "", "rgb", "32FC1", "16UC1", "jpeg", "RGB8", "\x00"])


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Headers and data that may or may not belong together."""
    width, height = draw(_SIZES), draw(_SIZES)
    step = draw(st.one_of(_UINT32, st.just(width), st.just(min(3 * width, 2**32 - 1))))
    fitting = step * height if step * height <= _MAX_BYTES else 0
    length = draw(st.one_of(st.just(fitting), st.integers(0, 5000)))
    return Image(
        header=draw(_HEADERS),
        width=width,
        height=height,
        encoding=draw(_ENCODINGS),
        is_bigendian=draw(_UINT8),
        step=step,
        data=array.array("B", bytes([draw(_UINT8)]) * length),
    )


@st.composite
def images_in_disguise(draw: st.DrawFn, good: Image) -> Image:
    """A real image in which one thing is wrong, or only its stamp is strange."""
    image = Image(
        header=draw(_HEADERS),
        width=good.width,
        height=good.height,
        encoding=good.encoding,
        step=good.step,
        data=good.data,
    )
    name = draw(st.sampled_from(["width", "height", "step", "encoding", "data", "none"]))
    if name == "data":
        image.data = good.data[: draw(st.integers(0, len(good.data) - 1))]
    elif name == "encoding":
        image.encoding = draw(_ENCODINGS)
    elif name != "none":
        setattr(image, name, draw(_SIZES))
    return image


@st.composite
def calibrations(draw: st.DrawFn) -> CameraInfo:
    """Any numbers as intrinsics, distortion, size, binning and region."""
    size = st.sampled_from([0, 1, 320, 480, 640, 2**32 - 1])
    good_k = st.just([500.0, 0.0, 319.5, 0.0, 500.0, 239.5, 0.0, 0.0, 1.0])
    numbers = st.lists(_FLOATS, min_size=9, max_size=9)
    k = draw(st.one_of(good_k, numbers))
    if draw(st.booleans()):
        k = list(k)
        k[draw(st.integers(0, 8))] = draw(_FLOATS)
    return CameraInfo(
        header=draw(_HEADERS),
        width=draw(size),
        height=draw(size),
        distortion_model=draw(
            st.sampled_from(["", "plumb_bob", "rational_polynomial", "equidistant", "weird"])
        ),
        d=draw(st.lists(_FLOATS, max_size=15)),
        k=k,
        binning_x=draw(st.sampled_from([0, 1, 2, 2**32 - 1])),
        binning_y=draw(st.sampled_from([0, 1, 2, 2**32 - 1])),
        roi=RegionOfInterest(
            x_offset=draw(_UINT32), y_offset=draw(_UINT32), width=draw(size), height=draw(size)
        ),
    )


@st.composite
def detections(draw: st.DrawFn) -> Detection2DArray:
    """Zero, giant and impossible boxes, of any class."""
    message = Detection2DArray(header=draw(_HEADERS))
    for _ in range(draw(st.integers(0, 5))):
        detection = Detection2D()
        detection.bbox.center.position.x = draw(_FLOATS)
        detection.bbox.center.position.y = draw(_FLOATS)
        detection.bbox.center.theta = draw(_FLOATS)
        detection.bbox.size_x, detection.bbox.size_y = draw(_FLOATS), draw(_FLOATS)
        if draw(st.booleans()):
            result = ObjectHypothesisWithPose()
            result.hypothesis.class_id = draw(st.sampled_from(["", "car", "dog"]))
            result.hypothesis.score = draw(_FLOATS)
            detection.results = [result]
        message.detections.append(detection)
    return message


@st.composite
def compressed_images(draw: st.DrawFn) -> CompressedImage:
    """Truncated and damaged JPEG and PNG images, and what is neither."""
    data = bytearray(draw(st.sampled_from(_ENCODED)))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(_UINT8)
    end = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return CompressedImage(
        header=draw(_HEADERS), format=draw(st.text(max_size=9)), data=array.array("B", data[:end])
    )


@st.composite
def transforms(draw: st.DrawFn) -> TFMessage:
    """Transforms in circles, without rotation, of frames without a name."""
    message = TFMessage()
    frames = st.sampled_from(["", "odom", "/odom", "base", "camera_optical_frame", "car"])
    for _ in range(draw(st.integers(0, 3))):
        item = TransformStamped(header=draw(_HEADERS), child_frame_id=draw(frames))
        item.header.frame_id = draw(frames)
        item.transform.translation.x = draw(_FLOATS)
        for name in "xyzw":
            setattr(item.transform.rotation, name, draw(_FLOATS))
        message.transforms.append(item)
    return message


def hostile_messages(good: Image) -> st.SearchStrategy[Any]:
    """Messages of all kinds that the node listens to."""
    return st.one_of(
        images(),
        images_in_disguise(good),
        calibrations(),
        detections(),
        compressed_images(),
        transforms(),
    )


def for_each(strategy: st.SearchStrategy[Any], count: int, use: Callable[[Any], None]) -> None:
    """Call `use` with `count` examples, the same ones every time."""

    @seed(0)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(example: Any) -> None:
        use(example)

    run()


def _encode() -> list[bytes]:
    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    encoded = [cv2.imencode(suffix, picture)[1].tobytes() for suffix in (".jpg", ".png", ".bmp")]
    return [*encoded, b"not an image"]


_ENCODED = _encode()
