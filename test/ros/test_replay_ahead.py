"""What a replay reads ahead: each image finds what a node finds that was there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rosbag2 = pytest.importorskip("rosbags.rosbag2", reason="needs rosbags: make train-env")
from rosbags.typesys import Stores, get_typestore  # noqa: E402

from kp3d_ros.calibrations import Calibrations  # noqa: E402
from kp3d_ros.replay.bags import Bag, open_bag  # noqa: E402
from kp3d_ros.replay.calibrations import RecordedCalibrations  # noqa: E402
from kp3d_ros.replay.transforms import RecordedTransforms  # noqa: E402

STORE = get_typestore(Stores.ROS2_HUMBLE)
T = STORE.types
INFO = "/camera_info"
MS = 1_000_000
STEP = 100 * MS
"""From one image to the next [ns]."""


def header(stamp_ns: int, frame: str = "camera") -> Any:
    stamp = T["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return T["std_msgs/msg/Header"](stamp, frame)


def info(stamp_ns: int, focal: float, width: int = 640) -> Any:
    roi = T["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    K = np.array([focal, 0, width / 2, 0, focal, 240, 0, 0, 1])
    return T["sensor_msgs/msg/CameraInfo"](
        header(stamp_ns), 480, width, "plumb_bob", np.zeros(5), K, np.zeros(9), np.zeros(12),
        0, 0, roi,
    )  # fmt: skip


def image(stamp_ns: int) -> Any:
    return T["sensor_msgs/msg/Image"](header(stamp_ns), 0, 0, "", 0, 0, np.zeros(0, np.uint8))


def transforms(stamp_ns: int, x_m: float, child: str = "camera") -> Any:
    t = T["geometry_msgs/msg/Transform"](
        T["geometry_msgs/msg/Vector3"](x_m, 0, 0), T["geometry_msgs/msg/Quaternion"](0, 0, 0, 1)
    )
    stamped = T["geometry_msgs/msg/TransformStamped"](header(stamp_ns, "map"), child, t)
    return T["tf2_msgs/msg/TFMessage"]([stamped])


def bag_of(path: Path, messages: list[tuple[str, int, Any]]) -> Bag:
    """An open bag with (topic, time [ns], message)."""
    with rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin.SQLITE3) as writer:
        connections: dict[str, Any] = {}
        for topic, time_ns, message in sorted(messages, key=lambda item: item[1]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time_ns, STORE.serialize_cdr(message, kind))
    return open_bag(path)


def focal(calibrations: Calibrations, stamp_ns: int, width: int = 640) -> float:
    match = calibrations.camera_for(stamp_ns, "camera", width, 480, rectified=False)
    assert match is not None
    return float(match.camera.K[0, 0])


@pytest.mark.parametrize("seed", range(12))
def test_calibrations_are_those_of_a_node(tmp_path: Path, seed: int) -> None:
    """Zooms and sizes; infos before and after their images, missing, or all without a stamp."""
    draw = random.Random(seed)
    has_stamps = seed % 4 > 0
    events: list[tuple[int, str, Any]] = [
        (0, "info", info(0, 500.0)),
        (1, "info", info(0, 300, 320)),
    ]
    zoom, size = 500.0, 640
    for i in range(1, 60):
        if draw.random() < 0.15:
            zoom = draw.choice((500.0, 510.0, 520.0))
        if draw.random() < 0.1:
            size = 960 - size
        stamp = i * STEP if has_stamps else 0
        shift = draw.randint(-5, 5) * MS if has_stamps else -1
        if draw.random() < 0.7 or size == 320:
            events.append((i * STEP + shift, "info", info(stamp, zoom, size)))
        events.append((i * STEP, "image", (stamp, size)))
    events.sort(key=lambda event: event[:2])
    messages = [(INFO, time_ns, what) for time_ns, kind, what in events if kind == "info"]
    live = Calibrations()
    with bag_of(tmp_path / "bag", messages) as bag:
        ahead = RecordedCalibrations(bag, INFO, STORE)
        raws = [raw for _, _, raw in bag.messages([INFO])]
    given = 0
    for at, (time_ns, kind, what) in enumerate(events):
        if kind == "info":
            ahead.put(raws[given])
            given += 1
            live.put(what)
            continue
        stamp, width = what
        # A node waits for the equal stamp: 20 ms.
        soon = [w for t, k, w in events[at:] if k == "info" and t < time_ns + 20 * MS]
        for own in soon:
            if has_stamps and own.header.stamp == header(stamp).stamp:
                live.put(own)
        ahead.put_that_of(image(stamp))
        assert focal(ahead.calibrations, stamp, width) == focal(live, stamp, width)
    assert given == len(raws)


@pytest.mark.parametrize("sparse", [0, 1])
@pytest.mark.parametrize("after_ms", [-1, 1])
def test_calibrations_after_a_clock_set_back_are_those_of_their_run(
    tmp_path: Path, after_ms: int, sparse: int
) -> None:
    """The same stamps in two runs; one has two zooms, one lacks half of its infos."""

    def zoom(run: int, i: int) -> float:
        return 500.0 if run == 0 and i < 10 else 600.0

    runs = [(run, i) for run in range(2) for i in range(20)]
    messages = [
        (INFO, (run * 20 + i) * STEP + STEP + after_ms * MS, info(i * STEP, zoom(run, i)))
        for run, i in runs
        if run != sparse or i % 2 == 0
    ]
    live, infos = Calibrations(), iter(messages)
    events = [(time_ns, "info") for _, time_ns, _ in messages]
    events += [((run * 20 + i) * STEP + STEP, "image") for run, i in runs]
    with bag_of(tmp_path / "bag", messages) as bag:
        ahead = RecordedCalibrations(bag, INFO, STORE)
        raws = iter([raw for _, _, raw in bag.messages([INFO])])
    images = iter(runs)
    for _, kind in sorted(events):
        if kind == "info":
            ahead.put(next(raws))
            if after_ms < 0:
                live.put(next(infos)[2])
            continue
        run, i = next(images)
        ahead.put_that_of(image(i * STEP))
        assert focal(ahead.calibrations, i * STEP) == zoom(run, i), (run, i)
        if after_ms > 0 and (run != sparse or i % 2 == 0):
            live.put(next(infos)[2])  # a node waits for it
        assert focal(live, i * STEP) == zoom(run, i), (run, i)


def test_the_first_calibration_counts_before_it_comes(tmp_path: Path) -> None:
    late = [(INFO, 10**9 + i, info(10**9 + i, 500.0 + i, 640)) for i in range(3)]
    other = (INFO, 2 * 10**9, info(2 * 10**9, 300.0, 320))
    with bag_of(tmp_path / "bag", [*late, other]) as bag:
        ahead = RecordedCalibrations(bag, INFO, STORE)
    ahead.put_that_of(image(5))
    assert focal(ahead.calibrations, 5) == 500.0
    assert focal(ahead.calibrations, 5, 320) == 300.0


def test_calibrations_that_do_not_change_take_no_room(tmp_path: Path) -> None:
    messages = [(INFO, i * MS, info(i * MS, 500.0 if i < 400 else 600.0)) for i in range(500)]
    with bag_of(tmp_path / "bag", messages) as bag:
        ahead = RecordedCalibrations(bag, INFO, STORE)
        for i, (_, _, raw) in enumerate(bag.messages([INFO])):
            ahead.put(raw)
            assert focal(ahead.calibrations, i * MS) == (500.0 if i < 400 else 600.0)
    assert len(ahead.calibrations._entries) == 3  # the first one twice


def test_damaged_calibrations_are_counted_and_without_any_it_is_said(tmp_path: Path) -> None:
    with bag_of(tmp_path / "bag", [(INFO, 1, info(1, 500.0)), ("/tf", 1, transforms(1, 0))]) as bag:
        messages = list(bag.messages([INFO]))
        topic, _, raw = messages[0]
        for damaged, count in ((raw[:40], 1), (raw[:3], 1)):
            bag.messages = lambda _, d=damaged: iter([(topic, 1, d), *messages])  # type: ignore
            assert RecordedCalibrations(bag, INFO, STORE).unreadable == count
            bag.messages = lambda _, d=damaged: iter([(topic, 1, d)])  # type: ignore
            with pytest.raises(ValueError, match="bag holds 1 that cannot be decoded. Name"):
                RecordedCalibrations(bag, INFO, STORE)
        bag.messages = lambda _: iter(())  # type: ignore
        with pytest.raises(ValueError, match="must hold a CameraInfo: .* holds none. Name another"):
            RecordedCalibrations(bag, INFO, STORE)


def test_transforms_of_a_run_are_not_mixed_with_those_of_another(tmp_path: Path) -> None:
    """A bag that was played twice: the same times, 100 m apart; a lamp that never moves."""
    messages: list[tuple[str, int, Any]] = [("/tf_static", 0, transforms(0, 7.0, "lamp"))]
    for run, x_m in enumerate((1.0, 101.0)):
        for i in range(50):
            stamp, time_ns = i * 100 * MS, (run * 50 + i) * 100 * MS
            messages.append(("/tf", time_ns + 30 * MS, transforms(stamp, x_m)))  # after the image
    with bag_of(tmp_path / "bag", messages) as bag:
        ahead = RecordedTransforms(bag, STORE)
    for run, x_m in enumerate((1.0, 101.0)):
        for i in range(50):
            stamp, time_ns = i * 100 * MS, (run * 50 + i) * 100 * MS
            ahead.image_comes(time_ns, stamp)
            assert ahead.lookup("map", "camera", stamp)[0, 3] == x_m
            assert ahead.lookup("map", "lamp", stamp)[0, 3] == 7.0


def test_transforms_that_change_places_are_of_one_run(tmp_path: Path) -> None:
    order = [0, 1, 2, 4, 3, 5, 6]
    messages = [("/tf", t, transforms(i * 100 * MS, float(i))) for t, i in enumerate(order)]
    with bag_of(tmp_path / "bag", messages) as bag:
        ahead = RecordedTransforms(bag, STORE)
    assert len(ahead._runs) == 1
    for i in order:
        ahead.image_comes(10**9, i * 100 * MS)
        assert ahead.lookup("map", "camera", i * 100 * MS)[0, 3] == i
