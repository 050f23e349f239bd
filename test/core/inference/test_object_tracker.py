"""Following objects: one engine call per image, new ones, lost ones, several at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import (
    CameraModel,
    Detector,
    DetectorSettings,
    ObjectTracker,
    Places,
    Region,
)

LEFT, MIDDLE, RIGHT = (Region(x, 140.0, 200.0, 200.0) for x in (60.0, 220.0, 380.0))
IN_THE_MIDDLE = Places(regions=[MIDDLE])
NOTHING = np.zeros((480, 640, 3), np.uint8)


class CountingEngine:
    """Counts the calls and crops of an engine."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision
        self.batches: list[int] = []

    def run(self, images):
        self.batches.append(len(images))
        return self._engine.run(images)


@pytest.fixture
def counting(engine) -> CountingEngine:
    return CountingEngine(engine)


@pytest.fixture
def detector(model, counting) -> Detector:
    return Detector(model, counting, object_size_m=2.2)


@pytest.fixture
def tracker(detector) -> ObjectTracker:
    return ObjectTracker(detector)


def _image(camera, angle: float, x: float, z: float = 8.0) -> np.ndarray:
    R = Rotation.from_rotvec([0.5, angle, 0.3]).as_matrix()
    return draw_scene(camera, make_transform(R, np.array([x, 0, z])), 1.1)


def _x(detection) -> float:
    return float(detection.T_camera_object[0, 3])


def test_follows_with_one_run_per_image(tracker, pinhole, counting):
    first = tracker.update(_image(pinhole, 0.0, 0.0), pinhole, 0.0, IN_THE_MIDDLE)
    assert [number for number, _ in first.found] == [1]
    counting.batches.clear()
    for step in range(1, 8):
        image = _image(pinhole, 0.1 * step, 0.25 * step, 8 - 0.2 * step)
        sightings = tracker.update(image, pinhole, step / 30)
        ((number, detection),) = sightings.found
        assert number == 1
        assert _x(detection) == pytest.approx(0.25 * step, abs=0.05)
    assert counting.batches == [1] * 7


def test_several_objects_share_the_engine_calls(detector, pinhole, counting):
    tracker = ObjectTracker(detector, max_objects=3)
    image = np.maximum(_image(pinhole, 0.0, -2.5), _image(pinhole, 0.4, 2.5))
    tracker.update(image, pinhole, 0.0, Places(boxes=[RIGHT, LEFT]))
    assert len(counting.batches) <= DetectorSettings().max_runs
    counting.batches.clear()

    image = np.maximum(_image(pinhole, 0.0, -2.4), _image(pinhole, 0.4, 2.4))
    sightings = tracker.update(image, pinhole, 0.1, Places(boxes=[LEFT, RIGHT]))

    # Numbers stay with the objects, in whatever order a detector names them.
    places = {number: _x(detection) for number, detection in sightings.found}
    assert places == {1: pytest.approx(2.4, abs=0.1), 2: pytest.approx(-2.4, abs=0.1)}
    assert counting.batches == [2]


def test_several_objects_are_found_without_boxes(detector, pinhole):
    tracker = ObjectTracker(detector, max_objects=2)
    image = np.maximum(_image(pinhole, 0.0, -2.0, 6.0), _image(pinhole, 0.4, 2.0, 6.0))

    found = tracker.update(image, pinhole, 0.0).found

    assert sorted(_x(detection) for _, detection in found) == pytest.approx([-2.0, 2.0], abs=0.1)


def test_a_lost_object_keeps_its_number_for_a_while(detector, pinhole):
    tracker = ObjectTracker(detector, lost_timeout_s=1.0)
    tracker.update(_image(pinhole, 0.0, 0.0), pinhole, 0.0, IN_THE_MIDDLE)

    hidden = tracker.update(NOTHING, pinhole, 0.5, IN_THE_MIDDLE)
    assert hidden.found == []
    assert hidden.lost == []
    back = tracker.update(_image(pinhole, 0.0, 0.1), pinhole, 0.9, IN_THE_MIDDLE)
    assert [number for number, _ in back.found] == [1]

    assert tracker.update(NOTHING, pinhole, 1.8, IN_THE_MIDDLE).lost == []
    assert tracker.update(NOTHING, pinhole, 2.0, IN_THE_MIDDLE).lost == [1]
    another = tracker.update(_image(pinhole, 0.0, 0.1), pinhole, 2.1, IN_THE_MIDDLE)
    assert [number for number, _ in another.found] == [2]


def test_time_that_runs_backwards_starts_anew(tracker, pinhole):
    image = _image(pinhole, 0.0, 0.0)
    tracker.update(image, pinhole, 10.0, IN_THE_MIDDLE)

    again = tracker.update(image, pinhole, 3.0, IN_THE_MIDDLE)

    assert again.lost == [1]
    assert [number for number, _ in again.found] == [2]


@pytest.mark.parametrize(
    ("factor", "offset"), [(0.5, 0.0), (1.0, 100.0), (1.3, 96.0)], ids=["half", "part", "zoom"]
)
def test_another_image_size_or_zoom_renames_nothing(detector, pinhole, factor, offset):
    tracker = ObjectTracker(detector, max_objects=2, lost_timeout_s=1.0)
    K = pinhole.K.copy()
    K[:2] *= factor
    K[:2, 2] -= offset
    size_wh = (round(640 * min(factor, 1)), round(480 * min(factor, 1)))
    other = CameraModel(K, *size_wh)
    left, right = (_image(pinhole, 0.0, -2.0), _image(pinhole, 0.4, 2.0))
    first = tracker.update(np.maximum(left, right), pinhole, 0.0, Places(boxes=[LEFT, RIGHT]))
    numbers = {round(_x(detection)): number for number, detection in first.found}
    assert numbers.keys() == {-2, 2}

    nowhere = Places(boxes_only=True)
    hidden = tracker.update(_image(other, 0.4, 2.0), other, 0.1, nowhere)
    both = np.maximum(_image(other, 0.0, -2.0), _image(other, 0.4, 2.0))
    back = tracker.update(both, other, 0.2, nowhere)

    assert (hidden.lost, back.lost) == ([], [])
    assert [number for number, _ in hidden.found] == [numbers[2]]
    assert {round(_x(detection)): number for number, detection in back.found} == numbers


def test_an_object_that_jumped_is_found_in_its_box(tracker, pinhole):
    tracker.update(_image(pinhole, 0.0, -2.5), pinhole, 0.0, Places(boxes=[LEFT]))

    jumped = tracker.update(_image(pinhole, 0.0, 2.5), pinhole, 0.1, Places(boxes=[RIGHT]))

    ((_, detection),) = jumped.found
    assert _x(detection) == pytest.approx(2.5, abs=0.1)


def test_a_fresh_box_elsewhere_is_believed(tracker, pinhole):
    both = np.maximum(_image(pinhole, 0.0, -2.5), _image(pinhole, 0.4, 2.5))
    tracker.update(both, pinhole, 0.0, Places(boxes=[LEFT]))

    stale = tracker.update(both, pinhole, 0.1, Places(boxes=[RIGHT]))
    fresh = tracker.update(both, pinhole, 0.2, Places(boxes=[RIGHT], boxes_are_fresh=True))

    assert _x(stale.found[0][1]) == pytest.approx(-2.5, abs=0.1)
    assert fresh.lost == [1]
    ((number, detection),) = fresh.found
    assert number == 2
    assert _x(detection) == pytest.approx(2.5, abs=0.1)


def test_keypoints_outside_a_fresh_box_are_refused(tracker, pinhole):
    beside = Places(boxes=[Region(430.0, 140.0, 200.0, 200.0)], boxes_are_fresh=True)

    sightings = tracker.update(_image(pinhole, 0.0, 0.6), pinhole, 0.0, beside)

    assert sightings.found == []
    assert len(sightings.refused) == 1


def test_nowhere_to_look(tracker, pinhole, counting):
    sightings = tracker.update(_image(pinhole, 0.0, 0.0), pinhole, 0.0, Places(boxes_only=True))

    assert not sightings.looked
    assert counting.batches == []


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("max_objects", [1, 2])
def test_a_box_outside_of_the_image_says_nothing_of_the_rest(detector, pinhole, fresh, max_objects):
    tracker = ObjectTracker(detector, max_objects=max_objects)
    image = _image(pinhole, 0.0, -2.5)
    other = Region(1500.0, 900.0, 200.0, 150.0)  # of a camera of 1920 x 1080

    first = tracker.update(image, pinhole, 0.0, Places([other, LEFT], boxes_are_fresh=fresh))
    then = tracker.update(image, pinhole, 0.1, Places([other], boxes_are_fresh=fresh))

    assert [number for number, _ in first.found] == [number for number, _ in then.found] == [1]
    assert "left out: Region must overlap the image of 640 x 480" in then.problems[0]


def test_a_region_outside_of_the_image_is_no_place_to_look(detector, pinhole, counting):
    tracker = ObjectTracker(detector, max_objects=2)
    outside = Region(700.0, 100.0, 50.0, 50.0)
    image = _image(pinhole, 0.0, 0.0)

    nothing = tracker.update(image, pinhole, 0.0, Places(regions=[outside]))
    assert not nothing.looked
    assert counting.batches == []
    both = tracker.update(image, pinhole, 0.1, Places(regions=[outside, MIDDLE]))
    assert [number for number, _ in both.found] == [1]
    assert len(both.problems) == 1


def test_equal_times_do_not_make_an_object_seen(detector, pinhole):
    tracker = ObjectTracker(detector, lost_timeout_s=1.0)
    tracker.update(_image(pinhole, 0.0, 0.0), pinhole, 0.0, IN_THE_MIDDLE)

    for _ in range(3):
        assert tracker.update(NOTHING, pinhole, 0.0, IN_THE_MIDDLE).found == []


def test_a_pause_between_images_renames_nothing(detector, pinhole):
    tracker = ObjectTracker(detector, max_objects=2, lost_timeout_s=1.0)
    for step in range(4):
        tracker.update(_image(pinhole, 0.0, -2.0, 6.0), pinhole, step / 30)

    # For a minute nobody looks; then it stands elsewhere, and one image is of no use.
    blurred = tracker.update(NOTHING, pinhole, 60.0)
    assert (blurred.found, blurred.lost) == ([], [])
    after = tracker.update(_image(pinhole, 2.5, 2.0, 6.0), pinhole, 60.1)

    ((number, detection),) = after.found
    assert (number, after.lost) == (1, [])
    assert _x(detection) == pytest.approx(2.0, abs=0.1)
    # Out of sight while somebody looks it is given up as ever.
    assert tracker.update(NOTHING, pinhole, 61.0).lost == []
    assert tracker.update(NOTHING, pinhole, 61.2).lost == [1]


def test_after_a_pause_the_nearest_keeps_its_number_and_another_gets_one(detector, pinhole):
    tracker = ObjectTracker(detector, max_objects=2, lost_timeout_s=1.0)
    both = np.maximum(_image(pinhole, 0.0, -2.0, 6.0), _image(pinhole, 0.4, 2.0, 6.0))
    tracker.update(_image(pinhole, 0.0, -2.0, 6.0), pinhole, 0.0)

    found = dict(tracker.update(both, pinhole, 60.0).found)

    assert {n: round(_x(d)) for n, d in found.items()} in ({1: -2}, {1: -2, 2: 2})
    found = dict(tracker.update(both, pinhole, 61.5).found)
    assert {n: round(_x(d)) for n, d in found.items()} == {1: -2, 2: 2}


def test_images_far_apart_are_no_pauses(detector, pinhole):
    tracker = ObjectTracker(detector, lost_timeout_s=3.0)
    for time_s in (0.0, 2.0, 4.0):
        tracker.update(_image(pinhole, 0.0, 0.0), pinhole, time_s, IN_THE_MIDDLE)

    assert tracker.update(NOTHING, pinhole, 6.0, IN_THE_MIDDLE).lost == []
    assert tracker.update(NOTHING, pinhole, 8.0, IN_THE_MIDDLE).lost == [1]


def test_an_object_that_turned_round_during_a_pause_is_believed(tracker, pinhole):
    tracker.update(_image(pinhole, 0.0, 0.0), pinhole, 0.0, IN_THE_MIDDLE)
    tracker.lost_timeout_s = 100.0

    ((number, detection),) = tracker.update(_image(pinhole, 3.0, 0.0), pinhole, 60.0).found

    assert number == 1
    alone = tracker._detector.detect(_image(pinhole, 3.0, 0.0), pinhole, MIDDLE)
    np.testing.assert_allclose(detection.T_camera_object, alone.T_camera_object, atol=0.05)
