"""Transforms between frames at a time."""

from __future__ import annotations

import math
from threading import Thread
from time import monotonic, sleep

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from kp3d_ros.tf_buffer import CACHE_S, TfBuffer


def transform(
    parent: str, child: str, seconds: float, x: float = 0.0, yaw: float = 0.0
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
    message.transform.translation.x = x
    message.transform.rotation.z = math.sin(yaw / 2)
    message.transform.rotation.w = math.cos(yaw / 2)
    return message


def matrix(x: float, yaw: float) -> NDArray[np.float64]:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    T[0, 3] = x
    return T


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


@pytest.fixture
def buffer() -> TfBuffer:
    """Base moves in odom from 1 to 2 s; the camera is fixed to base, and odom to map."""
    buffer = TfBuffer()
    buffer.add(TFMessage(transforms=[transform("odom", "base", 1.0, x=1.0, yaw=0.0)]))
    buffer.add(TFMessage(transforms=[transform("odom", "base", 2.0, x=3.0, yaw=1.0)]))
    buffer.add(
        TFMessage(transforms=[transform("base", "camera", 0.0, x=0.5, yaw=0.3)]), static=True
    )
    buffer.add(TFMessage(transforms=[transform("map", "odom", 0.0, x=10.0)]), static=True)
    return buffer


def test_chain_and_interpolation(buffer: TfBuffer) -> None:
    expected = matrix(10.0, 0) @ matrix(1.5, 0.25) @ matrix(0.5, 0.3)

    np.testing.assert_allclose(buffer.lookup("map", "camera", ns(1.25)), expected, atol=1e-9)
    inverse = np.linalg.inv(expected)
    np.testing.assert_allclose(buffer.lookup("camera", "map", ns(1.25)), inverse, atol=1e-9)
    np.testing.assert_array_equal(buffer.lookup("base", "base", ns(99)), np.eye(4))


def test_siblings_meet_at_their_common_frame(buffer: TfBuffer) -> None:
    buffer.add(TFMessage(transforms=[transform("base", "arm", 0.0, x=2.0)]), static=True)

    # Both hang on base, whose own place is not known at 99 s and does not matter.
    T = buffer.lookup("camera", "arm", ns(99))

    np.testing.assert_allclose(T, np.linalg.inv(matrix(0.5, 0.3)) @ matrix(2.0, 0), atol=1e-12)


def test_what_is_not_known(buffer: TfBuffer) -> None:
    with pytest.raises(ValueError, match="'base' in 'odom' at 2.500 s, it knows from 1.000 to 2.0"):
        buffer.lookup("odom", "camera", ns(2.5))
    with pytest.raises(ValueError, match="at 0.500 s"):
        buffer.lookup("odom", "camera", ns(0.5))
    with pytest.raises(ValueError, match="'mars' and 'camera' must be .* base, camera, map, odom"):
        buffer.lookup("mars", "camera", ns(1.5))
    with pytest.raises(ValueError, match="No transform at all has come on /tf or /tf_static"):
        TfBuffer().lookup("odom", "camera", ns(1.5))


def test_waits_for_what_is_to_come(buffer: TfBuffer) -> None:
    def publish() -> None:
        sleep(0.1)
        buffer.add(TFMessage(transforms=[transform("odom", "base", 3.0, x=5.0, yaw=1.0)]))

    thread = Thread(target=publish)
    thread.start()
    T = buffer.lookup("odom", "base", ns(2.5), timeout_s=30)
    thread.join()

    np.testing.assert_allclose(T, matrix(4.0, 1.0), atol=1e-9)


def waited(buffer: TfBuffer, source: str, seconds: float, timeout_s: float) -> float:
    """How long a lookup that fails takes [s]."""
    start = monotonic()
    with pytest.raises(ValueError, match="must be connected|must know"):
        buffer.lookup("odom", source, ns(seconds), timeout_s)
    return monotonic() - start


@pytest.mark.parametrize(("source", "seconds"), [("nobody", 1.5), ("base", 2.5)])
def test_nobody_waits_for_what_never_comes(buffer: TfBuffer, source: str, seconds: float) -> None:
    """Without its transform not each image is late by the whole time."""
    assert all(waited(buffer, source, seconds, 0.02) >= 0.02 for _ in range(3))

    assert min(waited(buffer, source, seconds, 10.0) for _ in range(5)) < 1.0


def test_what_comes_in_time_is_waited_for_again(buffer: TfBuffer) -> None:
    for _ in range(3):
        waited(buffer, "base", 2.5, 0.01)
    assert waited(buffer, "base", 2.5, 30.0) < 10.0
    buffer.add(TFMessage(transforms=[transform("odom", "base", 2.6, x=3.0, yaw=1.0)]))

    thread = Thread(
        target=lambda: (
            sleep(0.1),
            buffer.add(TFMessage(transforms=[transform("odom", "base", 3.0, x=4.0, yaw=1.0)])),
        )
    )
    thread.start()
    assert buffer.lookup("odom", "base", ns(2.8), 30.0)[0, 3] > 3.0
    thread.join()


def test_what_comes_too_late_is_not(buffer: TfBuffer) -> None:
    for _ in range(4):
        waited(buffer, "base", 2.5, 0.01)
    sleep(0.02)
    buffer.add(TFMessage(transforms=[transform("odom", "base", 2.6, x=3.0, yaw=1.0)]))

    assert waited(buffer, "base", 2.8, 30.0) < 10.0


def test_old_transforms_are_forgotten_and_time_may_jump_back(buffer: TfBuffer) -> None:
    buffer.add(TFMessage(transforms=[transform("odom", "base", 2.5 + CACHE_S)]))
    with pytest.raises(ValueError, match="from 12.500"):
        buffer.lookup("odom", "base", ns(2.0))

    buffer.add(TFMessage(transforms=[transform("odom", "base", 1.0, x=7.0)]))

    assert buffer.lookup("odom", "base", ns(1.0))[0, 3] == 7.0


def test_what_is_no_transform_is_left_out(buffer: TfBuffer) -> None:
    wrong = [
        transform("odom", "odom", 1.5),
        transform("", "base", 1.5),
        transform("x", "base", 1.5),
    ]
    wrong[2].transform.translation.y = math.nan
    wrong.append(transform("odom", "base", 1.5, x=99.0))
    wrong[3].transform.rotation.w = wrong[3].transform.rotation.z = 0.0
    loop = [transform("a", "b", 1.5), transform("b", "a", 1.5)]
    buffer.add(TFMessage(transforms=[*wrong, *loop]))

    assert buffer.lookup("odom", "base", ns(1.5))[0, 3] == 2.0
    with pytest.raises(ValueError, match="must be connected"):
        buffer.lookup("a", "base", ns(1.5))


def run_of(start: float, x: float, frames: tuple[str, str] = ("odom", "base")) -> TFMessage:
    return TFMessage(transforms=[transform(*frames, start + i / 10, x=x) for i in range(11)])


@pytest.mark.parametrize("back_s", [0.6, 5.0, 9.5])
def test_two_runs_are_not_mixed(back_s: float) -> None:
    buffer = TfBuffer()
    buffer.add(TFMessage(transforms=[transform("odom", "base", i / 10, x=i) for i in range(101)]))
    start = 10.0 - back_s
    for item in run_of(start, 100.0).transforms:
        buffer.add(TFMessage(transforms=[item]))

        for time_ns in range(ns(start), ns(start + 1), 33_333_333):
            try:
                assert buffer.lookup("odom", "base", time_ns)[0, 3] == pytest.approx(100.0)
            except ValueError:
                pass  # not there yet
    assert buffer.lookup("odom", "base", ns(start + 0.95))[0, 3] == pytest.approx(100.0)


def test_one_frame_that_goes_back_clears_the_others_but_not_what_is_static() -> None:
    buffer = TfBuffer()
    buffer.add(TFMessage(transforms=[transform("base", "camera", 9.0, x=0.5)]), static=True)
    for frames in (("odom", "base"), ("map", "odom")):
        buffer.add(run_of(8.0, 1.0, frames))

    buffer.add(run_of(3.0, 100.0, ("odom", "base")))

    with pytest.raises(ValueError, match="'odom' in 'map' at 8.500 s, it knows nothing yet since"):
        buffer.lookup("map", "odom", ns(8.5))
    assert buffer.lookup("odom", "camera", ns(3.5))[0, 3] == 100.5
    buffer.clear()
    with pytest.raises(ValueError, match="knows nothing yet"):
        buffer.lookup("odom", "base", ns(3.5))
    assert buffer.lookup("base", "camera", ns(0.0))[0, 3] == 0.5
    buffer.add(TFMessage(transforms=[transform("base", "camera", 1.0, x=0.7)]), static=True)
    assert buffer.lookup("base", "camera", ns(0.0))[0, 3] == 0.7  # whatever its stamp


def test_messages_that_change_places_clear_nothing(buffer: TfBuffer) -> None:
    for seconds in (2.2, 2.1, 2.3, 2.25):
        buffer.add(TFMessage(transforms=[transform("odom", "base", seconds, x=seconds)]))

    for seconds in (1.0, 2.1, 2.25):
        assert buffer.lookup("odom", "base", ns(seconds))[0, 3] == seconds


def test_a_recording_that_is_handed_in_ahead_is_kept_whole() -> None:
    buffer = TfBuffer(cache_s=math.inf)
    for start in (50.0, 0.0):
        buffer.add(run_of(start, start))

    assert buffer.lookup("odom", "base", ns(50.5))[0, 3] == 50.0
    assert buffer.lookup("odom", "base", ns(0.5))[0, 3] == 0.0


@pytest.mark.parametrize(
    ("quat_xyzw", "x", "text"),
    [
        ((0.0, 0.0, 0.0, 0.0), 0.0, "its quaternion x, y, z, w must have length 1, got 0, 0, 0, 0"),
        ((math.nan, 0.0, 0.0, 1.0), 0.0, "must have length 1, got nan, 0, 0, 1"),
        ((0.0, 0.0, 0.0, 1.0), math.inf, "its translation must be finite, got inf, 0, 0"),
    ],
)
def test_transform_that_was_left_out_is_named(
    quat_xyzw: tuple[float, ...], x: float, text: str
) -> None:
    bad = transform("base", "camera", 1.0, x=x)
    q = bad.transform.rotation
    q.x, q.y, q.z, q.w = quat_xyzw
    buffer = TfBuffer()
    buffer.add(TFMessage(transforms=[transform("odom", "base", 1.0), bad]))

    with pytest.raises(ValueError, match="must be connected") as error:
        buffer.lookup("odom", "camera", ns(1.0))
    assert "The transform of 'camera' in 'base' was left out: " in str(error.value)
    assert text in str(error.value)

    # One that is right counts from then on, and one that goes wrong later is named as well.
    buffer.add(TFMessage(transforms=[transform("base", "camera", 1.0)]))
    assert buffer.lookup("odom", "camera", ns(1.0)).shape == (4, 4)
    buffer.add(TFMessage(transforms=[transform("odom", "base", 2.0), bad]))
    with pytest.raises(ValueError, match="from 1.000 to 1.000 s. The transform of 'camera' in"):
        buffer.lookup("odom", "camera", ns(2.0))
