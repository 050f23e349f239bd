"""Names of keypoints: where they sit, parts that are near, and what they were called before."""

import numpy as np
import pytest

from kp3d_core.package.names import keypoint_names, mirrored_name
from kp3d_core.package.settings import PackageSettings

MIRROR = np.array([1.0, -1.0, 1.0])
HALF = np.array([[0.9, 0.4, -0.3], [0.8, 0.4, -0.05], [0.4, 0.35, -0.25], [-0.9, -0.07, 0.3],
                 [-0.1, 0.3, 0.05], [0.1, 0.08, 0.3], [0.0, 0.3, -0.05]])  # fmt: skip
PLACES = np.concatenate([HALF, HALF * MIRROR])


def test_names_say_where_keypoints_sit():
    canonical = np.array([[0.8, 0.3, -0.2], [0.3, 0.3, -0.3], [-0.8, 0, 0.3], [0, -0.3, 0]])
    assert keypoint_names(canonical) == [
        "front_left_low_fore",
        "front_left_low_aft",
        "rear_centre_high",
        "middle_right_mid",
    ]


def test_twins_are_named_alike():
    names = keypoint_names(PLACES, twins=True)
    assert names[:7] == [
        "front_left_low_fore",
        "front_left_mid",
        "front_left_low_aft",
        "rear_centre_high_right",
        "middle_left_mid_aft",
        "middle_centre_high_left",
        "middle_left_mid_fore",
    ]
    assert [mirrored_name(name) for name in names[:7]] == names[7:]
    assert len(set(names)) == 14


def test_many_in_one_place_stay_different():
    rng = np.random.default_rng(0)
    crowd = np.concatenate([np.array([[-1.0, -1, -1], [1, 1, 1]]), rng.uniform(0.5, 0.9, (6, 3))])
    names = keypoint_names(crowd)
    assert len(set(names)) == 8
    assert sum("between" in name for name in names) == 5


def test_what_is_near_a_part_is_called_so():
    parts = {
        "handle": np.linalg.norm(PLACES - [-0.95, 0, 0.25], axis=1),
        "left_front_wheel": np.linalg.norm(PLACES - [0.9, 0.4, -0.4], axis=1),
        "right_front_wheel": np.linalg.norm(PLACES - [0.9, -0.4, -0.4], axis=1),
        "far": np.linalg.norm(PLACES - [0.0, 0, -1], axis=1),
    }
    names = keypoint_names(PLACES, twins=True, parts=parts)
    assert names[0] == "left_front_wheel"
    assert names[7] == "right_front_wheel"
    assert {names[3], names[10]} == {"handle_left", "handle_right"}
    assert "far" not in "".join(names)
    assert names[2] == "front_left_low"  # the only one of its place now
    assert len(set(names)) == 14


def test_names_outlive_a_training_where_places_agree():
    names = keypoint_names(PLACES, twins=True)
    earlier = dict(zip(names, PLACES.tolist(), strict=True))
    rng = np.random.default_rng(3)
    order = rng.permutation(7)
    half = HALF[order] + rng.normal(0, 0.02, HALF.shape)
    half[0] = [-0.5, 0.39, 0.28]  # one is found elsewhere
    again = keypoint_names(np.concatenate([half, half * MIRROR]), twins=True, earlier=earlier)

    assert [again[i] for i in range(1, 7)] == [names[k] for k in order[1:]]
    assert [again[i + 7] for i in range(1, 7)] == [names[k + 7] for k in order[1:]]
    assert again[0] not in names
    assert [mirrored_name(name) for name in again[:7]] == again[7:]
    assert len(set(again)) == 14


def test_a_name_of_a_table_is_given_once_and_never_doubled():
    table = {"front_left_low_fore": [-0.1, 0.3, 0.05], "nowhere": [0.0, 0.0, 5.0]}
    names = keypoint_names(PLACES, twins=True, earlier=table)
    assert names[4] == "front_left_low_fore"
    assert names[11] == "front_right_low_fore"  # its twin
    assert names[0] == "front_left_low_fore_2"
    assert "nowhere" not in names
    assert len(set(names)) == 14


def test_settings_of_names_are_checked():
    table = {"handle": [0.9, 0, 0.1]}
    assert PackageSettings(keypoints=table).earlier_keypoints() == table
    shipped = PackageSettings(names="car", keypoints=table).earlier_keypoints()
    assert shipped["handle"] == [0.9, 0, 0.1]
    assert len(shipped) == 21
    with pytest.raises(ValueError, match=r"keypoints.lid must be three numbers .* got \[1, 2\]"):
        PackageSettings(keypoints={"lid": [1, 2]})
