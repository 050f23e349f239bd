"""Random changes of training views: geometry stays true, light and backgrounds stay in range."""

import numpy as np
import pytest
import torch

from kp3d_core.data.augmentation import (
    Augmentation,
    Sensor,
    composite,
    image_borders,
    image_edges,
    mirror,
    neighbours,
    photograph_crops,
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


def photographs(num=6):
    """Pictures of one colour each."""
    values = torch.arange(1, num + 1, dtype=torch.uint8) * 40
    return values[:, None, None, None].expand(num, 3, 96, 96).contiguous()


def test_photographs_stand_behind_the_object():
    settings = Augmentation(background_probability=1.0, photograph_probability=1.0)
    pictures = torch.zeros(3, 3, 96, 96, dtype=torch.uint8)
    pictures[:, 1] = 200  # all green
    images = composite(disc().repeat(32, 1, 1, 1), settings, draws(32), pictures)
    corner = images[:, :, 2:12, 27:37].mean((2, 3))
    assert (corner[:, [0, 2]] < 1e-3).all()
    assert (corner[:, 1] > 0.2).float().mean() > 0.7  # image borders make some black
    centre = images[:, :, 32, 32] * 255
    assert torch.allclose(centre, torch.tensor([90.0, 120, 150]).expand(32, 3), atol=1e-3)


def test_photographs_are_cropped_everywhere_mirrored_and_not_aliased():
    ramp = torch.arange(96).expand(96, 96).to(torch.uint8)[None, None].expand(1, 3, 96, 96)
    crops = photograph_crops(ramp, 32, 32, draws(200))[:, 0, 16] * 255
    rising = (crops[:, -1] > crops[:, 0]).float().mean()
    assert 0.35 < rising < 0.65
    extent = (crops.amax(1) - crops.amin(1)) / crops.mean(1)
    assert extent.max() / extent.min() > 2
    stripes = (255 * (torch.arange(96) % 2)).expand(96, 96).to(torch.uint8)[None, None]
    flat = photograph_crops(stripes.expand(1, 3, 96, 96), 16, 16, draws(100))
    assert flat[:, 0].std((-2, -1)).mean() < 0.25  # of 0.5 without averaging


def test_neighbours_stand_beside_and_the_object_stays_visible():
    view = disc()
    settings = Augmentation(background_probability=1.0, neighbour_probability=1.0)
    rgba = view.repeat(64, 1, 1, 1)
    rgba[::2, ..., 0], rgba[::2, ..., 2] = rgba[::2, ..., 2].clone(), rgba[::2, ..., 0].clone()
    values = rgba.permute(0, 3, 1, 2).float() / 255
    beside = neighbours(values, draws(64))
    assert beside.shape == (64, 4, 64, 64)
    assert (beside[:, 3].flatten(1).sum(1) > 20).float().mean() > 0.8
    assert (beside[:, 3, 32, 32] > 0.5).float().mean() < 0.2  # seldom in the very middle
    images = composite(rgba, settings, draws(64))
    own = values[:, :3, 32, 32]
    assert ((images[:, :, 32, 32] - own).abs().amax(1) < 1e-3).float().mean() > 0.7


def test_reflections_and_uneven_light_change_the_object_only():
    settings = Augmentation(
        reflection_probability=1.0, uneven_light_probability=1.0, photograph_probability=1.0
    )
    images = composite(disc().repeat(64, 1, 1, 1), settings, draws(64), photographs())
    plain = composite(disc(), Augmentation(), draws(1))
    outside = disc()[0, ..., 3] == 0
    assert images[:, :, outside].abs().max() == 0
    inside = images[:, :, ~outside]
    assert (inside - plain[:, :, ~outside]).abs().amax((1, 2)).min() > 0.01
    assert inside.max() <= 1


def test_the_sensor_comes_last():
    settings = Augmentation(sensor=Sensor(probability=1.0, offset_probability=1.0))
    images = composite(disc().repeat(16, 1, 1, 1), settings, draws(16))
    assert images[:, :, 0, 0].amax() > 0  # also what was black changes


def test_together_occluders_and_neighbours_hide_no_more_than_allowed():
    settings = Augmentation(
        background_probability=1.0,
        neighbour_probability=1.0,
        occlusion_probability=1.0,
        occlusion_max=0.3,
    )
    images = composite(disc().repeat(300, 1, 1, 1), settings, draws(300))
    inside = disc()[0, ..., 3] > 0
    own = torch.tensor([90.0, 120, 150]) / 255
    hidden = ((images[:, :, inside] - own[:, None]).abs().amax(1) > 0.02).float().mean(1)
    # A crop that ends before the object hides some more, in few views.
    assert hidden.quantile(0.9) <= 0.31
    assert hidden.max() > 0.1


def test_the_edge_of_the_image_cuts_off_as_much_as_allowed_on_all_sides():
    alpha = (disc()[..., 3:].permute(0, 3, 1, 2) / 255).repeat(400, 1, 1, 1)
    inside = image_edges(alpha, 0.3, draws(400))
    assert set(inside.unique().tolist()) == {0.0, 1.0}
    visible = (inside * alpha)[:, 0] > 0
    columns, rows = visible.any(1).sum(1), visible.any(2).sum(1)
    full = 30  # the disc's diameter [px]
    assert columns.min() >= 0.7 * full - 1
    assert rows.min() >= 0.7 * full - 1
    assert columns.min() < 0.75 * full
    cut = (columns < full - 1) | (rows < full - 1)
    assert cut.float().mean() > 0.75
    middle = inside[:, 0, 32, 32]
    assert middle.min() == 1
    for corner in ((0, 32), (63, 32), (32, 0), (32, 63)):
        assert 0.15 < (inside[:, 0, corner[0], corner[1]] == 0).float().mean() < 0.35


def test_share_of_views_that_are_cut_off():
    settings = Augmentation(truncation_probability=0.5)
    images = composite(disc().repeat(200, 1, 1, 1), settings, draws(200))
    changed = (images != composite(disc(), Augmentation(), draws(1))).flatten(1).any(1)
    assert 65 < changed.sum() < 115
