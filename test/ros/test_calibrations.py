"""Which CameraInfo belongs to which image."""

from __future__ import annotations

from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from kp3d_ros.calibrations import Calibrations, CameraMatch

LONG_S = 30.0
"""A wait that only ends because what is waited for has come."""


def info(
    stamp: int, focal: float = 500.0, size: tuple[int, int] = (640, 480), frame: str = "camera"
) -> CameraInfo:
    header = Header(stamp=Time(nanosec=stamp), frame_id=frame)
    K = [focal, 0.0, 320.0, 0.0, focal, 240.0, 0.0, 0.0, 1.0]
    return CameraInfo(header=header, width=size[0], height=size[1], k=K)


def ask(
    calibrations: Calibrations,
    stamp: int,
    size: tuple[int, int] = (640, 480),
    frame: str = "camera",
) -> CameraMatch:
    match = calibrations.camera_for(stamp, frame, *size, rectified=False)
    assert match is not None
    return match


def focal(calibrations: Calibrations, stamp: int, **image: Any) -> float:
    match = ask(calibrations, stamp, **image)
    assert match.problems == []
    return float(match.camera.K[0, 0])


def later(calibrations: Calibrations, *infos: CameraInfo) -> Thread:
    """Hand them in while somebody waits."""

    def put() -> None:
        sleep(0.05)
        for item in infos:
            calibrations.put(item)

    thread = Thread(target=put)
    thread.start()
    return thread


def test_an_image_takes_the_one_of_its_own_stamp() -> None:
    calibrations = Calibrations()
    for stamp in (1, 2, 3):
        calibrations.put(info(stamp, 100.0 * stamp))

    assert [focal(calibrations, stamp) for stamp in (3, 1, 2, 1)] == [300, 100, 200, 100]


def test_without_one_of_its_own_stamp_it_takes_the_last_from_before() -> None:
    calibrations = Calibrations()
    for stamp in (10, 20, 30):
        calibrations.put(info(stamp, 10.0 * stamp))

    assert [focal(calibrations, stamp) for stamp in (15, 29, 99, 5)] == [100, 200, 300, 100]


def test_equal_stamps_take_the_newest() -> None:
    calibrations = Calibrations()
    calibrations.put(info(0, 100.0))
    calibrations.put(info(0, 200.0))

    assert focal(calibrations, 0) == 200.0


@pytest.mark.parametrize("size", [(640, 480), (320, 240)], ids=["zoom", "size"])
def test_an_image_that_comes_first_waits_for_its_own(size: tuple[int, int]) -> None:
    calibrations = Calibrations(wait_s=LONG_S)
    calibrations.put(info(1, 500.0))
    assert focal(calibrations, 1) == 500.0

    thread = later(calibrations, info(2, 900.0, size))

    assert focal(calibrations, 2, size=size) == 900.0
    thread.join()


def test_the_first_image_of_all_waits_for_its_own() -> None:
    calibrations = Calibrations(wait_s=LONG_S, first_wait_s=LONG_S)

    thread = later(calibrations, info(1, 500.0), info(2, 900.0))

    assert focal(calibrations, 2) == 900.0
    thread.join()
    assert Calibrations().camera_for(1, "camera", 640, 480, rectified=False) is None


def test_where_stamps_differ_no_image_waits_for_long() -> None:
    calibrations = Calibrations(wait_s=0.05)
    calibrations.put(info(0))
    for stamp in range(1, 4):
        focal(calibrations, stamp)

    start = monotonic()
    for stamp in range(10, 110):
        focal(calibrations, stamp)
    assert monotonic() - start < 100 * 0.05 / 2

    # One that comes right after its image shows that waiting pays again.
    calibrations._patience.longest_s = LONG_S
    focal(calibrations, 200)
    calibrations.put(info(200, 700.0))
    thread = later(calibrations, info(201, 900.0))
    assert focal(calibrations, 201) == 900.0
    thread.join()


@pytest.mark.parametrize("offset", [0, 3], ids=["paired", "unpaired"])
def test_handed_in_ahead_or_one_by_one_images_find_the_same(offset: int) -> None:
    sizes = [(640, 480), (320, 240) if offset == 0 else (640, 480)]
    frames = [(10 * i, sizes[i // 4 % 2]) for i in range(1, 40)]
    infos = [info(stamp + offset, float(stamp), size) for stamp, size in frames]
    ahead, live = Calibrations(kept=None), Calibrations()
    for item in infos:
        ahead.put(item)

    live.put(infos[0])
    for item, (stamp, size) in zip(infos[1:], frames[1:], strict=True):
        if offset == 0:
            live.put(item)
        expected = stamp if offset == 0 else stamp - 10
        assert focal(live, stamp, size=size) == focal(ahead, stamp, size=size) == expected
        live.put(item)


def test_the_last_of_a_size_serves_and_it_is_said() -> None:
    calibrations = Calibrations()
    calibrations.put(info(1, 250.0, (320, 240)))
    calibrations.put(info(2, 500.0))

    match = ask(calibrations, 3, (320, 240))

    assert match.camera.K[0, 0] == 250.0
    assert "is for images of 640 x 480 pixels, the image has 320 x 240" in match.problems[0]
    with pytest.raises(ValueError, match="must have 640 x 480 pixels.*got 100 x 100"):
        ask(calibrations, 2, (100, 100))


def test_the_calibration_of_another_camera_is_named() -> None:
    calibrations = Calibrations()
    calibrations.put(info(1, 380.0, frame="depth"))

    (problem,) = ask(calibrations, 1, frame="color").problems
    assert "frame_id 'color' expected, got 'depth'" in problem
    assert ask(calibrations, 1, frame="").problems == []
    assert ask(calibrations, 1, frame="/depth").problems == []

    # Where both cameras' come on the topic each image takes its own.
    calibrations.put(info(1, 600.0, frame="color"))
    calibrations.put(info(2, 380.0, frame="depth"))
    assert [focal(calibrations, 2, frame=f) for f in ("color", "depth")] == [600.0, 380.0]


def test_only_the_last_ones_are_kept() -> None:
    calibrations = Calibrations(kept=4)
    for stamp in range(1000):
        calibrations.put(info(stamp // 2, 100.0 + stamp))

    assert len(calibrations._entries) == 4
    assert set(calibrations._by_stamp) == {498, 499}
    calibrations.clear()
    assert calibrations.camera_for(1, "camera", 640, 480, rectified=False) is None


def test_rectified_and_sizes_have_camera_models_of_their_own() -> None:
    calibrations = Calibrations()
    both = info(1)
    both.p = np.array([[450.0, 0, 310, 0], [0, 450, 240, 0], [0, 0, 1, 0]]).ravel()
    calibrations.put(both)

    raw, again = ask(calibrations, 1).camera, ask(calibrations, 1).camera
    rectified = calibrations.camera_for(1, "camera", 640, 480, rectified=True)

    assert raw is again
    assert (raw.K[0, 0], rectified.camera.K[0, 0]) == (500.0, 450.0)


def test_two_threads_fill_and_ask() -> None:
    calibrations = Calibrations(kept=8)
    calibrations.put(info(0))
    end, errors = monotonic() + 0.5, []

    def fill() -> None:
        stamp = 0
        while monotonic() < end:
            stamp += 1
            calibrations.put(info(stamp, 100.0 + stamp % 7))

    thread = Thread(target=fill)
    thread.start()
    while monotonic() < end:
        try:
            ask(calibrations, 10**6)
        except RuntimeError as error:
            errors.append(error)
    thread.join()
    assert errors == []
