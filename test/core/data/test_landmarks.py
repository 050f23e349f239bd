"""Landmarks: mirrored with their object, and in batches beside the views they belong to."""

import numpy as np
import pytest
import torch

from kp3d_core.data.augmentation import mirror
from kp3d_core.data.cameras import PaperCamera
from kp3d_core.data.landmarks import mirror_landmarks, mirror_partners
from kp3d_core.data.memory import RandomBatches, load_views
from kp3d_core.data.procedural import CATEGORIES, make_instance
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_partners_and_mirroring_twice_changes_nothing(category):
    landmarks = make_instance(category, 3).landmarks
    names, points = list(landmarks), torch.tensor(np.stack(list(landmarks.values())))
    partners = mirror_partners(names)
    assert [partners[i] for i in partners] == list(range(len(names)))
    assert sum(i == j for i, j in enumerate(partners)) == {"plane": 4, "mug": 7}.get(category, 0)
    mirrored = mirror_landmarks(points, partners)
    assert torch.equal(mirror_landmarks(mirrored, partners), points)


@pytest.mark.parametrize(
    ("category", "left"),
    [("car", "left_front_wheel"), ("chair", "leg_back_left"), ("mug", "rim_left")],
)
def test_left_stays_left_on_a_mirrored_object(category, left):
    landmarks = make_instance(category, 3).landmarks
    names, points = list(landmarks), torch.tensor(np.stack(list(landmarks.values())))
    mirrored = mirror_landmarks(points, mirror_partners(names))
    assert points[names.index(left), 1] > 0.1  # y points left
    assert mirrored[names.index(left), 1] > 0.1


def test_mirrored_landmarks_lie_on_the_mirrored_image():
    # On the mirrored view the right wheel is where the left one was, mirrored.
    landmarks = make_instance("car", 3).landmarks
    names = list(landmarks)
    points = torch.tensor(np.stack(list(landmarks.values()))).double()[None]
    view = PaperCamera().sample(np.random.default_rng(1), 64)
    K, T = torch.tensor(view.K)[None], torch.tensor(view.T_camera_object)[None]
    uv = project(transform_points(T, points), K)[0]
    _, K_mirror, T_mirror = mirror(torch.zeros(1, 64, 64, 4), K, T)
    mirrored = mirror_landmarks(points, mirror_partners(names))
    uv_mirror = project(transform_points(T_mirror, mirrored), K_mirror)[0]
    right = uv_mirror[names.index("right_front_wheel")]
    was_left = uv[names.index("left_front_wheel")]
    # 1e-4 px: landmarks are float32
    assert torch.allclose(right, torch.stack([63 - was_left[0], was_left[1]]), atol=1e-4)


def test_a_side_without_its_partner_is_named():
    with pytest.raises(ValueError, match="partner on the other one, got none for left_ear. Name"):
        mirror_partners(["nose", "left_ear"])


def test_batches_carry_the_landmarks_of_their_objects(rendered_cars):
    views = load_views(rendered_cars / "train", 64)
    assert views.landmark_names[:2] == ("left_front_wheel", "left_back_wheel")
    assert views.landmarks.shape == (6, 12, 3)
    batch = RandomBatches(views, 1, objects=4, views_per_object=2, seed=0)[0]
    for key, landmarks in zip(batch["keys"], batch["landmarks"], strict=True):
        made = make_instance("car", int(key.split("-")[1])).landmarks
        np.testing.assert_allclose(landmarks[1], made["left_back_wheel"], rtol=1e-6)
