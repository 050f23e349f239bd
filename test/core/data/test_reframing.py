"""Reframed views: the image and the camera must change together."""

import math

import numpy as np
import pytest
import torch

from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.reframing import Reframing, random_reframe, reframe, shrink, silhouette_boxes
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points

POINT = torch.tensor([[0.5, -0.2, 0.3]])


def view_of_a_dot(size=128):
    """A white disc of 5 px around the projection of POINT, with its camera."""
    view = RobotCamera(paper_probability=0.0).sample(np.random.default_rng(5), size)
    K = torch.tensor(view.K, dtype=torch.float32)[None]
    T = torch.tensor(view.T_camera_object, dtype=torch.float32)[None]
    u, v = project(transform_points(T, POINT), K)[0, 0]
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = ((columns - u) ** 2 + (rows - v) ** 2 < 5**2).to(torch.uint8)
    return (255 * inside[..., None]).repeat(1, 1, 4)[None], K, T


def centre_of_mass(rgba):
    weight = rgba[0, ..., 3].double()
    rows, columns = torch.meshgrid(
        torch.arange(weight.shape[0]), torch.arange(weight.shape[1]), indexing="ij"
    )
    total = weight.sum()
    return torch.stack([(weight * columns).sum() / total, (weight * rows).sum() / total])


@pytest.mark.parametrize("size", [64, 96, 128])
@pytest.mark.parametrize(
    ("roll_deg", "zoom", "shift"),
    [(0.0, 1.0, (0.0, 0.0)), (30.0, 1.0, (0.0, 0.0)), (-20.0, 0.8, (0.1, -0.15))],
)
def test_the_new_camera_sees_the_point_where_the_new_image_shows_it(size, roll_deg, zoom, shift):
    rgba, K, T = view_of_a_dot()
    new, K_new, T_new = reframe(
        rgba,
        K,
        T,
        torch.tensor([math.radians(roll_deg)]),
        torch.tensor([zoom]),
        torch.tensor([shift]),
        size,
    )
    assert new.shape == (1, size, size, 4)
    expected = project(transform_points(T_new, POINT), K_new)[0, 0].double()
    # The disc's own centre is within 0.1 px of the point (its edge is not smooth).
    assert torch.allclose(centre_of_mass(new), expected, atol=0.15)
    assert torch.linalg.det(T_new[0, :3, :3]).item() == pytest.approx(1, abs=1e-5)


def test_positive_roll_turns_the_image_clockwise():
    _, K, T = view_of_a_dot()
    rgba = torch.zeros(1, 128, 128, 4, dtype=torch.uint8)
    rgba[0, 60:68, 100:108] = 255  # on the right
    turned, _, _ = reframe(
        rgba, K, T, torch.tensor([math.pi / 2]), torch.ones(1), torch.zeros(1, 2), 128
    )
    u, v = centre_of_mass(turned)
    assert u.item() == pytest.approx(63.5, abs=0.1)
    assert v.item() == pytest.approx(103.5, abs=0.1)  # now below


def test_views_that_are_not_chosen_are_only_shrunk():
    rgba, K, T = view_of_a_dot()
    new, K_new, T_new = random_reframe(
        rgba, K, T, 64, Reframing(probability=0.0), BatchDraws(seed=0, total=1)
    )
    assert torch.equal(new, shrink(rgba, 64))
    assert torch.equal(T_new, T)
    expected = project(transform_points(T, POINT), K_new)[0, 0].double()
    assert torch.allclose(centre_of_mass(new), expected, atol=0.1)


def test_random_cameras_stay_in_their_limits():
    rgba, K, T = (values.repeat(200, *[1] * (values.ndim - 1)) for values in view_of_a_dot(32))
    settings = Reframing(probability=0.5, roll_deg=30.0, zoom_min=0.8, zoom_max=1.25, shift=0.2)
    _, K_new, T_new = random_reframe(rgba, K, T, 32, settings, BatchDraws(seed=0, total=200))
    changed = (T_new != T).flatten(1).any(1)
    assert 70 < changed.sum() < 130  # binomial(200, 0.5): sd 7
    zoom = K_new[:, 0, 0] / K[:, 0, 0]
    assert zoom.min() >= 0.8 - 1e-5
    assert zoom.max() <= 1.25 + 1e-5
    roll = torch.rad2deg(torch.arccos(((T_new @ torch.linalg.inv(T))[:, 0, 0]).clamp(-1, 1)))
    assert 20 < roll.max() <= 30.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probability": 1.5}, r"probability must be in \[0, 1\], got 1.5"),
        ({"zoom_min": 2.0}, "zoom_min <= zoom_max, got 2.0 and 1.25"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Reframing(**settings)


def rectangles(*bounds):
    """Views of 128 px with a white rectangle each: (left, top, right, bottom), ends excluded."""
    rgba = torch.zeros(len(bounds), 128, 128, 4, dtype=torch.uint8)
    for view, (left, top, right, bottom) in zip(rgba, bounds, strict=True):
        view[top:bottom, left:right] = 255
    return rgba


def test_boxes_around_silhouettes():
    rgba = rectangles((32, 64, 96, 80), (0, 0, 128, 128), (0, 0, 0, 0), (127, 5, 128, 6))
    centre, size = silhouette_boxes(rgba[..., 3])
    assert centre[0].tolist() == pytest.approx([0, 0.125])
    assert size[0].tolist() == pytest.approx([1.0, 0.25])
    assert size[1].tolist() == size[2].tolist() == [2, 2]  # full, and empty
    assert centre[2].tolist() == [0, 0]
    assert size[3].tolist() == pytest.approx([2 / 128, 2 / 128])


def test_a_box_is_framed_as_a_first_look_frames_it():
    rgba = rectangles((20, 90, 60, 110)).repeat(300, 1, 1, 1)
    K = torch.tensor([[1466.0, 0, 63.5], [0, 1466.0, 63.5], [0, 0, 1]]).repeat(300, 1, 1)
    T = torch.eye(4).repeat(300, 1, 1)
    T[:, 2, 3] = 30.0

    def framed(jitter):
        settings = Reframing(
            probability=1.0, roll_deg=0.0, box_probability=1.0, box_jitter=jitter, box_fill=0.65
        )
        images, K_new, _ = random_reframe(rgba, K, T, 64, settings, BatchDraws(0, 300))
        centre, size = silhouette_boxes(images[..., 3])
        # The camera moves with the image: the rectangle's corner stays on its ray.
        corner = torch.tensor([19.5, 89.5, 1.0])
        ray = K_new @ torch.linalg.inv(K) @ corner
        edge = (centre - size / 2 + 1) * 32 - 0.5
        whole = (edge > 0).all(1) & (edge + 32 * size < 63).all(1)
        assert whole.sum() > 150
        assert torch.allclose((ray[:, :2] / ray[:, 2:])[whole], edge[whole], atol=1.1)
        return centre, size

    centre, size = framed(0.0)
    assert centre.abs().max() < 2 / 64
    assert size[:, 0].numpy() == pytest.approx(2 * 0.65, abs=2.1 / 64)
    centre, size = framed(0.25)
    assert size[:, 0].min() < 2 * 0.65 * 0.8
    assert size[:, 0].max() > 2 * 0.65 * 1.2
    assert 0.2 < centre[:, 0].abs().max() < 0.25 * 2 * 0.65 * 1.25 + 0.05


def test_box_probability_is_checked():
    with pytest.raises(ValueError, match="reframing.box_probability must be in"):
        Reframing(box_probability=-0.1)
