"""Metric scale from a depth image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene

from kp3d_core.geometry.rotation import make_transform
from kp3d_core.inference import (
    DepthScale,
    Detector,
    Region,
    contradicts,
    rescale,
    scale_from_depth,
    without_scale,
)
from kp3d_core.inference.depth_scale import sample_depth
from kp3d_core.inference.surface import Surface, input_count

UNIT_M = 1.3
T = make_transform(Rotation.from_rotvec([0.5, 0.2, 0.3]).as_matrix(), np.array([0.3, -0.2, 9.0]))
POINTS = CANONICAL * UNIT_M @ T[:3, :3].T + T[:3, 3]
SIZE_WH = (640, 480)


@pytest.fixture
def detector(model, engine) -> Detector:
    return Detector(model, engine)


@pytest.fixture
def detection(detector, pinhole):
    image = draw_scene(pinhole, T, UNIT_M)
    found = detector.detect(image, pinhole, Region(200.0, 100.0, 240.0, 240.0))
    assert found.accepted
    return found


def _depth(pinhole, shape_hw: tuple[int, int], hidden: int = 0) -> np.ndarray:
    """Plates at the keypoints; the first `hidden` have something nearer in front of them."""
    depth_m = np.full(shape_hw, 20.0, np.float32)
    per_pixel = np.array(shape_hw[::-1]) / SIZE_WH
    for i, ((u, v), z) in enumerate(zip(pinhole.project(POINTS), POINTS[:, 2], strict=True)):
        column, row = np.floor((np.array([u, v]) + 0.5) * per_pixel).astype(int)
        depth_m[row - 2 : row + 3, column - 2 : column + 3] = z * (0.8 if i < hidden else 1)
    return depth_m


@pytest.mark.parametrize("shape_hw", [(480, 640), (240, 320), (720, 960)])
@pytest.mark.parametrize("hidden", [0, 2])
def test_scale_is_that_of_the_visible_keypoints(detection, pinhole, shape_hw, hidden):
    scale = scale_from_depth(detection, _depth(pinhole, shape_hw, hidden), SIZE_WH)

    assert scale is not None
    # The tiny model tells the apparent size, and so the distance in model units, to half a percent.
    assert scale.unit_m == pytest.approx(UNIT_M, rel=0.01)
    assert 3 <= scale.agreeing <= 6
    # Seven model units away, 0.16 units of doubt where in the object keypoints lie.
    assert scale.relative_std == pytest.approx(0.16 / 7, rel=0.1)


def test_farther_group_is_the_surface_where_others_lie_inside(detection, pinhole):
    """Half of the keypoints are hidden by the same distance: their ratios agree as well."""
    depth_m = _depth(pinhole, (480, 640))
    for (u, v), z in zip(pinhole.project(POINTS[:3]), POINTS[:3, 2], strict=True):
        depth_m[int(v) - 2 : int(v) + 4, int(u) - 2 : int(u) + 4] = z * 0.94

    scale = scale_from_depth(detection, depth_m, SIZE_WH)

    assert scale is not None
    assert scale.agreeing == 3
    assert scale.unit_m == pytest.approx(UNIT_M, rel=0.01)


def test_nothing_is_said_without_agreement(detection, pinhole):
    empty = np.full((480, 640), np.nan, np.float32)
    rng = np.random.default_rng(0)
    chaos = rng.uniform(1, 50, (480, 640)).astype(np.float32)

    assert scale_from_depth(detection, empty, SIZE_WH) is None
    assert scale_from_depth(detection, np.zeros_like(empty), SIZE_WH) is None
    result = scale_from_depth(detection, chaos, SIZE_WH)
    assert result is None or result.agreeing == 3


def test_rescaled_detection_is_metric(model, detection):
    metric = rescale(detection, model, DepthScale(UNIT_M, 0.004, 6))

    assert metric.metric
    assert not detection.metric
    assert metric.unit_m == UNIT_M
    np.testing.assert_allclose(metric.keypoints_camera, detection.keypoints_camera * UNIT_M)
    np.testing.assert_allclose(metric.T_camera_object[:3, :3], detection.T_camera_object[:3, :3])
    # Distance: 1 % of 9 m; the tiny model reads sizes to half a percent.
    np.testing.assert_allclose(metric.T_camera_object[:3, 3], T[:3, 3], atol=0.09)
    std = np.sqrt(np.diag(metric.pose_covariance))
    assert std[2] == pytest.approx(0.004 * 9.0, rel=0.3)  # the depth image's error, in metres
    std_before = np.sqrt(np.diag(detection.pose_covariance))
    np.testing.assert_allclose(std[3:], std_before[3:], rtol=0.3)  # rotation has no unit


def test_a_known_size_and_a_depth_image_may_differ_by_less_than_twice(detection, model):
    of_known_size = rescale(detection, model, DepthScale(UNIT_M, 0.05, 6))

    def is_contradicted(unit_m, known=of_known_size):
        return contradicts(DepthScale(unit_m, 0.01, 6), known)

    assert [is_contradicted(UNIT_M * f) for f in (0.001, 0.49, 0.51, 1.0, 1.9, 2.1, 1000)] == [
        True, True, False, False, False, True, True,
    ]  # fmt: skip
    assert not is_contradicted(1000.0, known=detection)  # its size is not known
    roughly_known = rescale(detection, model, DepthScale(UNIT_M, 0.5, 6))
    assert not is_contradicted(UNIT_M * 4, known=roughly_known)
    assert is_contradicted(UNIT_M * 5, known=roughly_known)


def test_without_scale_is_as_it_was_without_a_size(detection, model):
    again = without_scale(rescale(detection, model, DepthScale(UNIT_M, 0.004, 6)), model)

    assert not again.metric
    assert again.unit_m == 1.0
    np.testing.assert_allclose(again.keypoints_camera, detection.keypoints_camera)
    np.testing.assert_allclose(again.T_camera_object, detection.T_camera_object)
    np.testing.assert_allclose(again.own_covariance, detection.own_covariance)


def test_detection_of_known_size_without_scale(model, engine, pinhole):
    """The same as if no size had been given."""
    image = draw_scene(pinhole, T, UNIT_M)
    region = Region(200.0, 100.0, 240.0, 240.0)
    plain = Detector(model, engine).detect(image, pinhole, region)
    known = Detector(model, engine, object_size_m=2 * UNIT_M, object_size_std_m=0.2)

    stripped = without_scale(known.detect(image, pinhole, region), model)

    for name in ("keypoints_camera", "T_camera_object", "common_errors", "pose_covariance"):
        np.testing.assert_allclose(
            getattr(stripped, name), getattr(plain, name), atol=1e-9, err_msg=name
        )


def test_samples_are_medians_of_what_is_known():
    depth_m = np.full((4, 4), np.nan, np.float32)
    depth_m[1, 1:3] = 2.0, 3.0
    depth_m[2, 1] = 2.1
    uv = np.array([[1.0, 1.0], [-0.6, 1.0], [3.0, 3.0], [np.nan, 0.0], [1e30, 0.0]])

    np.testing.assert_allclose(sample_depth(depth_m, uv, (4, 4)), [2.1, *[np.nan] * 4], rtol=1e-6)


def test_a_surface_corrects_the_scale_and_tells_its_error(detection, pinhole):
    """All keypoints lie 0.1 units inside: without a surface the scale is that of the shell."""
    depth_m = _depth(pinhole, (480, 640)) - np.float32(0.1 * UNIT_M)
    weight = np.zeros((1, input_count(len(CANONICAL))))
    weight[0, : len(CANONICAL)] = 1 / len(CANONICAL)
    surface = Surface((weight,), (np.array([0.1]),), 0.03)

    plain = scale_from_depth(detection, depth_m, SIZE_WH)
    corrected = scale_from_depth(detection, depth_m, SIZE_WH, surface)

    distance = float(np.linalg.norm(T[:3, 3])) / UNIT_M
    assert plain is not None
    assert plain.unit_m == pytest.approx(UNIT_M * (1 - 0.1 / distance), rel=0.006)
    assert corrected is not None
    assert corrected.unit_m == pytest.approx(UNIT_M, rel=0.006)  # it reads sizes to half a percent
    assert corrected.relative_std == pytest.approx(0.03 / distance, rel=0.02)
    assert corrected.agreeing == plain.agreeing
