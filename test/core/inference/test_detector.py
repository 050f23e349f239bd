"""From a full camera image to keypoints and pose, with a model whose answers are known.

The scenes are drawn by OpenCV through each camera; the tiny model reads positions to about 0.1 px
and depths to 0.005 units, so what is left are errors of the way from image to pose.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tiny_model import CANONICAL, draw_scene, metadata, project_with_opencv, write_tiny_model

from kp3d_core.geometry.crop import look_at_rotation
from kp3d_core.geometry.rotation import make_transform, rotation_angle, transform_points
from kp3d_core.inference import (
    CameraModel,
    Detection,
    Detector,
    DetectorSettings,
    Region,
    View,
    create_engine,
    load_model,
)

SIZE_M = 2.2
UNIT_M = SIZE_M / 2
ROTATION = Rotation.from_rotvec([0.5, -0.9, 0.3]).as_matrix()


@pytest.fixture(scope="module")
def detector(model, engine) -> Detector:
    return Detector(model, engine, object_size_m=SIZE_M)


def _scene(
    camera: CameraModel, u: float, v: float, distance: float, R: np.ndarray = ROTATION
) -> tuple[np.ndarray, np.ndarray, Region]:
    """Image, true pose and a region around the object, which is centred at a pixel.

    R turns the object relative to the line of sight, so that it shows the same side everywhere.
    """
    ray = camera.rays([u, v])
    T = make_transform(look_at_rotation(ray).T @ R, distance * ray)
    corners = project_with_opencv(camera, transform_points(T, CANONICAL * UNIT_M))
    low, high = corners.min(axis=0) - 4, corners.max(axis=0) + 4
    region = Region(*(float(value) for value in (*low, *(high - low))))
    return draw_scene(camera, T, UNIT_M), T, region


def _rotation_error_deg(detection: Detection, T: np.ndarray) -> float:
    return math.degrees(rotation_angle(detection.T_camera_object[:3, :3], T[:3, :3]))


@pytest.mark.parametrize(("u", "v"), [(320, 240), (150, 130), (500, 140), (140, 360), (480, 350)])
def test_position_in_the_image_does_not_matter(detector, camera, u, v):
    distance = 8.0 * camera.K[0, 0] / 500
    image, T, region = _scene(camera, u, v, distance)
    detection = detector.detect(image, camera, region)
    assert detection.accepted, detection.problems
    assert detection.runs <= 3
    assert detection.metric
    # The promise: 3D keypoints project to the pixels, by OpenCV's projection.
    projected = project_with_opencv(camera, detection.keypoints_camera)
    assert np.allclose(projected, detection.keypoints_uv, atol=1e-3)
    points = transform_points(T, CANONICAL * UNIT_M)
    assert np.allclose(detection.keypoints_uv, project_with_opencv(camera, points), atol=0.7)
    assert _rotation_error_deg(detection, T) < 1.0
    error = detection.T_camera_object[:3, 3] - T[:3, 3]
    ray = T[:3, 3] / distance
    assert abs(error @ ray) < 0.012 * distance  # apparent size, read to 1 %
    assert np.linalg.norm(error - (error @ ray) * ray) < 0.002 * distance


@pytest.mark.parametrize("distance", [4.0, 6.0, 9.0, 12.0])
@pytest.mark.parametrize("focal", [350.0, 600.0, 900.0])
def test_distance_and_field_of_view_do_not_matter(detector, distance, focal):
    camera = CameraModel(np.array([[focal, 0, 319.5], [0, focal, 239.5], [0, 0, 1]]), 640, 480)
    distance *= focal / 500
    image, T, region = _scene(camera, 260, 210, distance)
    detection = detector.detect(image, camera, region)
    assert detection.accepted, detection.problems
    assert _rotation_error_deg(detection, T) < 1.0
    assert np.allclose(detection.T_camera_object[:3, 3], T[:3, 3], atol=0.015 * distance)


def test_keypoints_have_the_true_positions(detector, pinhole):
    image, T, region = _scene(pinhole, 400, 200, 8.0)
    detection = detector.detect(image, pinhole, region)
    truth = transform_points(T, CANONICAL * UNIT_M)
    # All share the error of the distance; from their own mean they are exact.
    got = detection.keypoints_camera
    centered = got - got.mean(axis=0) - (truth - truth.mean(axis=0))
    assert np.abs(centered).max() < 0.03
    assert detection.residual < 0.03
    assert np.all(detection.score > 0.9)


def test_covariances_cover_the_error(detector, pinhole):
    image, T, region = _scene(pinhole, 400, 200, 8.0)
    detection = detector.detect(image, pinhole, region)
    assert detection.keypoint_covariance.shape == (6, 3, 3)
    assert np.linalg.eigvalsh(detection.keypoint_covariance).min() > 0
    truth = transform_points(T, CANONICAL * UNIT_M)
    errors = detection.keypoints_camera - truth
    squared = np.einsum(
        "ni,nij,nj->n", errors, np.linalg.inv(detection.keypoint_covariance), errors
    )
    assert squared.max() < 16  # chi-squared with 3 degrees of freedom: p = 0.001
    # Distance is the least certain: 2 % of 8 m.
    ray = T[:3, 3] / 8
    assert math.sqrt(ray @ detection.pose_covariance[:3, :3] @ ray) == pytest.approx(0.16, rel=0.2)


def test_without_a_size_the_result_is_up_to_scale(model, engine, detector, pinhole):
    image, _, region = _scene(pinhole, 400, 200, 8.0)
    metric = detector.detect(image, pinhole, region)
    unscaled = Detector(model, engine).detect(image, pinhole, region)
    assert not unscaled.metric
    assert unscaled.unit_m == 1
    assert np.allclose(unscaled.keypoints_camera * UNIT_M, metric.keypoints_camera, rtol=1e-9)
    assert np.allclose(unscaled.keypoints_uv, metric.keypoints_uv)
    assert np.allclose(unscaled.T_camera_object[:3, :3], metric.T_camera_object[:3, :3], atol=1e-9)


def test_an_uncertain_size_makes_the_distance_uncertain(model, engine, pinhole):
    image, T, region = _scene(pinhole, 400, 200, 8.0)
    unsure = Detector(model, engine, object_size_m=SIZE_M, object_size_std_m=0.22)
    detection = unsure.detect(image, pinhole, region)
    ray = T[:3, 3] / 8
    deviation = math.sqrt(ray @ detection.pose_covariance[:3, :3] @ ray)
    assert deviation == pytest.approx(math.hypot(0.1, 0.02) * 8, rel=0.1)


@pytest.mark.parametrize("roll_deg", [-60, 20, 90])
def test_gravity_keeps_the_crop_upright(detector, pinhole, roll_deg):
    """A rolled camera with known gravity sees the object as the level camera does."""
    roll = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    image, T, _ = _scene(pinhole, 320, 240, 8.0, roll @ ROTATION)
    down = roll @ [0.0, 1, 0]
    upright = detector.detect(image, pinhole, Region(200.0, 120.0, 240.0, 240.0), down_camera=down)
    level, _, _ = _scene(pinhole, 320, 240, 8.0)
    expected = detector.detect(level, pinhole, Region(200.0, 120.0, 240.0, 240.0))
    assert _rotation_error_deg(upright, T) < 1.0
    difference = np.abs(upright.crop_image.astype(int) - expected.crop_image)
    assert (difference > 60).mean() < 0.01  # the discs are at the same places, up to 1 px
    assert np.allclose(upright.crop.R_crop_camera @ down, [0, 1, 0], atol=0.1)


def test_a_rough_region_is_corrected(detector, pinhole):
    image, T, region = _scene(pinhole, 400, 200, 8.0)
    rough = Region(
        region.x - 40, region.y - 60, region.width + 70, region.height + 50, error=math.inf
    )
    detection = detector.detect(image, pinhole, rough)
    assert detection.accepted
    assert detection.runs > 1
    assert abs(math.log(detection.scale)) < detector.settings.scale_tolerance
    center = detection.crop.R_crop_camera @ T[:3, 3]
    assert math.degrees(math.acos(center[2] / np.linalg.norm(center))) < 0.6


def test_whole_image_of_a_near_object(detector, pinhole):
    image, T, _ = _scene(pinhole, 330, 230, 2.6)
    detection = detector.detect(image, pinhole)
    assert detection.accepted, detection.problems
    assert _rotation_error_deg(detection, T) < 1.0


def test_tracking_needs_one_run(detector, pinhole):
    image, _, region = _scene(pinhole, 400, 200, 8.0)
    first = detector.detect(image, pinhole, region)
    moved, T, _ = _scene(pinhole, 408, 204, 7.7)
    second = detector.track(moved, pinhole, first.next_view)
    assert second.accepted
    assert second.runs == 1
    assert _rotation_error_deg(second, T) < 1.0


def test_several_objects_share_one_engine_call(model, engine, pinhole):
    left, T_left, _ = _scene(pinhole, 160, 240, 8.0)
    right, T_right, _ = _scene(pinhole, 480, 240, 9.0, ROTATION.T)
    calls = []

    class Counting:
        name, device, precision = engine.name, engine.device, engine.precision

        def run(self, images):
            calls.append(len(images))
            return engine.run(images)

    detector = Detector(model, Counting(), object_size_m=SIZE_M)
    f = model.training_camera.focal_px / 30 / UNIT_M
    views = [View(T_left[:3, 3], 8 * f), View(T_right[:3, 3], 9 * f)]
    both = detector.detect_views(np.maximum(left, right), pinhole, views)
    assert calls == [2]
    assert _rotation_error_deg(both[0], T_left) < 1.0
    assert _rotation_error_deg(both[1], T_right) < 1.0
    assert detector.detect_views(left, pinhole, []) == []


def test_a_training_view_is_seen_as_it_is(model, engine):
    """For evaluation: the image of the training camera reaches the network bit for bit."""
    f = model.training_camera.focal_px
    camera = CameraModel(np.array([[f, 0, 63.5], [0, f, 63.5], [0, 0, 1]]), 128, 128)
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    detection = Detector(model, engine).track(image, camera, View(np.array([0.0, 0, 1]), f))
    assert np.array_equal(detection.crop_image, image)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_scale": 1.01, "min_scale": 0.99}, "apparent size .* is outside"),
        (
            {"max_wrong": 1e-9},
            "it is wrong with a probability of .* which keeps wrong results under",
        ),
    ],
)
def test_doubtful_results_are_marked(model, engine, pinhole, changes, message):
    image, T, _ = _scene(pinhole, 400, 200, 8.0)
    strict = Detector(model, engine, settings=DetectorSettings(**changes))
    f = model.training_camera.focal_px / 30 / UNIT_M
    detection = strict.track(image, pinhole, View(T[:3, 3], 8 * f * 1.2))
    assert not detection.accepted
    assert any(message.split(" .*")[0] in problem for problem in detection.problems)


def test_an_empty_image_gives_no_pose_and_no_crash(detector, pinhole):
    detection = detector.detect(np.zeros((480, 640, 3), np.uint8), pinhole)
    assert not detection.accepted
    assert any("wrong with a probability of" in problem for problem in detection.problems)
    assert np.isfinite(detection.T_camera_object).all()
    assert np.isfinite(detection.pose_covariance).all()


def test_an_object_partly_outside_is_marked(detector, pinhole):
    image, T, _ = _scene(pinhole, 400, 200, 8.0)
    f = detector.model.training_camera.focal_px / 30 / UNIT_M * 8
    aside = T[:3, 3] + [1.4, 0, 0]
    detection = detector.track(image, pinhole, View(aside, f))
    assert not detection.accepted


def test_values_that_are_not_finite_are_marked(model, engine, pinhole):
    class Broken:
        name, device, precision = engine.name, engine.device, engine.precision

        def run(self, images):
            return {key: np.full_like(value, np.nan) for key, value in engine.run(images).items()}

    image, _, region = _scene(pinhole, 400, 200, 8.0)
    detection = Detector(model, Broken()).detect(image, pinhole, region)
    assert "the network returned values that are not finite" in detection.problems
    assert np.isfinite(detection.keypoints_camera).all()


def test_pose_calibration_scales_the_covariance(model, engine, pinhole):
    image, _, region = _scene(pinhole, 400, 200, 8.0)
    exact_size = dataclasses.replace(model.calibration, scale_std=0.0)  # its error is not scaled

    def detect(calibration):
        calibrated = dataclasses.replace(model, calibration=calibration)
        return Detector(calibrated, engine, object_size_m=SIZE_M).detect(image, pinhole, region)

    plain = detect(exact_size)
    scaled = detect(dataclasses.replace(exact_size, rotation_scale=3.0, translation_scale=2.0))
    ratio = np.sqrt(np.diag(scaled.pose_covariance) / np.diag(plain.pose_covariance))
    assert np.allclose(ratio, [2, 2, 2, 3, 3, 3])


def test_other_input_sizes(tmp_path, pinhole):
    model = load_model(write_tiny_model(tmp_path / "m.onnx", input_size=96))
    assert metadata(96)["input_size"] == model.input_size
    detector = Detector(model, create_engine(model, threads=1), object_size_m=SIZE_M)
    image, T, region = _scene(pinhole, 400, 200, 8.0)
    detection = detector.detect(image, pinhole, region)
    assert detection.accepted, detection.problems
    assert _rotation_error_deg(detection, T) < 1.5


@pytest.mark.parametrize(
    ("image", "down", "message"),
    [
        (np.zeros((480, 640), np.uint8), None, r"RGB uint8 of shape \(H, W, 3\), got uint8 .*480"),
        (np.zeros((480, 640, 4), np.uint8), None, "Convert its encoding first"),
        (np.zeros((240, 320, 3), np.uint8), None, "640 x 480 px, got 320 x 240 px. Scale K"),
        (np.zeros((480, 640, 3), np.uint8), np.zeros(3), "down_camera must be a finite vector"),
        (np.zeros((480, 640, 3), np.uint8), np.full(3, np.nan), "Pass None if gravity is unknown"),
    ],
)
def test_bad_arguments_are_refused(detector, pinhole, image, down, message):
    with pytest.raises(ValueError, match=message):
        detector.detect(image, pinhole, down_camera=down)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"object_size_m": 0.0}, "object_size_m must be a positive length"),
        ({"object_size_m": math.nan}, "object_size_m must be a positive length .* got nan"),
        ({"object_size_m": 1.0, "object_size_std_m": -1.0}, "object_size_std_m must not be neg"),
    ],
)
def test_bad_sizes_are_refused(model, engine, sizes, message):
    with pytest.raises(ValueError, match=message):
        Detector(model, engine, **sizes)


def test_looks_stay_with_a_given_box(model, engine, pinhole):
    """A network that sees the object beside the box from the second look on is not followed."""

    class Lured:
        name, device, precision = engine.name, engine.device, engine.precision

        def run(self, images):
            outputs = dict(engine.run(images))
            return outputs | {"keypoints_uv": outputs["keypoints_uv"] + np.float32(40)}

    image, T, region = _scene(pinhole, 400, 200, 8.0)
    origin = pinhole.project(T[None, :3, 3])[0]

    def offset_px(error: float) -> float:
        box = dataclasses.replace(region, error=error)
        found = Detector(model, Lured(), object_size_m=SIZE_M).detect(image, pinhole, box)
        seen = pinhole.project(found.next_view.center_ray[None])[0]
        return float(np.linalg.norm(seen - origin))

    assert offset_px(0.1) < 0.25 * offset_px(math.inf)
