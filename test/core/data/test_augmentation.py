"""Random changes of training views: geometry stays true, light and backgrounds stay in range."""

import numpy as np
import pytest
import torch

from kp3d_core.data.augmentation import (
    Augmentation,
    composite,
    image_borders,
    mirror,
    random_backgrounds,
    random_occluders,
    random_shadows,
)
from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.draws import BatchDraws
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points


def draws(total):
    return BatchDraws(seed=0, total=total)


def disc():
    """RGBA view of a grey disc in the middle of 64 x 64 pixels."""
    v, u = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    inside = ((u - 31.5) ** 2 + (v - 31.5) ** 2 < 15**2).to(torch.uint8)
    return (inside[..., None] * torch.tensor([90, 120, 150, 255], dtype=torch.uint8))[None]


def test_mirrored_camera_sees_the_mirrored_object():
    # A point and its mirror image: the mirrored camera must put the latter at the mirrored pixel.
    view = RobotCamera(paper_probability=0.0).sample(np.random.default_rng(3), 64)
    K, T = torch.tensor(view.K)[None], torch.tensor(view.T_camera_object)[None]
    points = torch.tensor([[0.8, 0.3, 0.1], [-0.5, -0.2, 0.4]], dtype=torch.float64)
    image = torch.arange(64).repeat(64, 1)[None, ..., None]
    flipped, K_mirror, T_mirror = mirror(image, K, T)
    uv = project(transform_points(T, points), K)[0]
    uv_mirror = project(
        transform_points(T_mirror, points * torch.tensor([1.0, -1.0, 1.0])), K_mirror
    )[0]
    expected = torch.stack([63 - uv[:, 0], uv[:, 1]], dim=-1)
    assert torch.allclose(uv_mirror, expected, atol=1e-9)
    assert torch.linalg.det(T_mirror[0, :3, :3]).item() == pytest.approx(1)
    assert flipped[0, 0, 0, 0] == 63


def test_without_augmentation_images_are_the_rendered_ones():
    image = composite(disc(), Augmentation(), draws(1))
    assert image.shape == (1, 3, 64, 64)
    assert torch.allclose(image[0, :, 32, 32] * 255, torch.tensor([90.0, 120, 150]))
    assert image[0, :, 0, 0].sum() == 0


def test_backgrounds_leave_the_object_alone():
    settings = Augmentation(background_probability=1.0)
    images = composite(disc().repeat(32, 1, 1, 1), settings, draws(32))
    assert images.min() >= 0
    assert images.max() <= 1
    centre = images[:, :, 32, 32] * 255  # inside the disc and further in than any image border
    assert torch.allclose(centre, torch.tensor([90.0, 120, 150]).expand(32, 3), atol=1e-3)
    corners = images[:, :, 5, 5]
    assert corners.std(0).min() > 0.1  # as many backgrounds as views


def test_backgrounds_range_from_plain_to_busy():
    contrast = random_backgrounds(32, 32, draws(200)).std((-2, -1)).mean(1)
    assert contrast.min() < 0.03
    assert contrast.max() > 0.15


def test_shadows_darken_around_the_object_and_some_objects_cast_none():
    alpha = (disc()[..., 3:].permute(0, 3, 1, 2).float() / 255).repeat(200, 1, 1, 1)
    light = random_shadows(alpha, draws(200))
    assert light.min() >= 0.1
    assert light.max() <= 1
    lit = (light > 0.999).all(-1).all(-1)[:, 0].float().mean()
    assert 0.15 < lit < 0.5  # a third
    assert light[:, 0, 45:].mean() < light[:, 0, :20].mean()  # below more than above


def test_image_borders_are_rare_and_leave_the_middle():
    inside = image_borders(64, 64, draws(300))[:, 0]
    assert (inside[:, 28:36, 28:36] == 1).all()
    cut = (inside < 1).flatten(1).any(1).float().mean()
    assert 0.3 < cut < 0.95
    assert inside.mean() > 0.9


def test_light_changes_colours_within_range():
    images = composite(disc().repeat(50, 1, 1, 1), Augmentation(light=0.2), draws(50))
    values = images[:, :, 32, 32]
    assert values.std(0).min() > 0.01
    assert values.max() <= 1


def test_occluders_hide_no_more_than_allowed():
    alpha = (disc()[..., 3:].permute(0, 3, 1, 2) / 255).repeat(400, 1, 1, 1)
    cover = random_occluders(alpha, 0.4, draws(400))
    assert set(cover.unique().tolist()) == {0.0, 1.0}
    hidden = (cover * alpha).sum((1, 2, 3)) / alpha.sum((1, 2, 3))
    assert hidden.max() <= 0.4
    assert (hidden > 0.1).float().mean() > 0.15  # and many do hide something


def test_occluded_share_of_views():
    settings = Augmentation(occlusion_probability=0.5, occlusion_max=1.0)
    images = composite(disc().repeat(200, 1, 1, 1), settings, draws(200))
    changed = (images != composite(disc(), Augmentation(), draws(1))).flatten(1).any(1)
    assert 60 < changed.sum() < 120  # half of the views, some occluders outside the image


def test_no_chosen_view_is_no_problem():
    settings = Augmentation(background_probability=1e-9, occlusion_probability=1e-9)
    assert torch.isfinite(composite(disc(), settings, draws(1))).all()
