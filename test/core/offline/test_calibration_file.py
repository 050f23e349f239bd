"""Cameras from files and from the field of view."""

from __future__ import annotations

import numpy as np
import pytest

from kp3d_core.offline.calibration_file import camera_from_fov, read_camera, resized

YAML = """
image_width: 640
image_height: 480
camera_name: narrow
camera_matrix:
  rows: 3
  cols: 3
  data: [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.01, 0.001, -0.002, 0.0]
"""


def test_a_point_at_the_edge_of_the_field_of_view_is_at_the_edge_of_the_image():
    camera = camera_from_fov(60.0, 640, 480)
    left, right = camera.project([[-np.tan(np.radians(30)), 0, 1], [np.tan(np.radians(30)), 0, 1]])
    # The outer edges of the first and the last pixel.
    np.testing.assert_allclose([left[0], right[0]], [-0.5, 639.5], atol=1e-9)
    np.testing.assert_allclose(camera.project([0.0, 0.0, 1.0]), [319.5, 239.5])


def test_a_field_of_view_of_no_pinhole_camera_is_refused():
    with pytest.raises(ValueError, match="fov must be at least 1 and less than 175 degrees, got"):
        camera_from_fov(190.0, 640, 480)


def test_reads_what_ros_writes(tmp_path):
    (tmp_path / "camera.yaml").write_text(YAML)
    camera = read_camera(tmp_path / "camera.yaml")
    assert (camera.width, camera.height) == (640, 480)
    assert camera.K[0].tolist() == [500.0, 0.0, 320.0]
    assert camera.distortion == (-0.1, 0.01, 0.001, -0.002, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_width: 640", "must hold image_width, image_height, camera_matrix.data"),
        ("- 1\n- 2", "must hold image_width"),
        ("a: [", "must be YAML"),
        ("!!python/object/apply:os.system ['true']", "must be YAML"),
        (YAML.replace("500.0", "0.0"), "focal lengths .* must be positive"),
        (YAML.replace("plumb_bob", "fisheye42"), "distortion_model must be one of"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, message):
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"camera.yaml.*{message}"):
        read_camera(tmp_path / "camera.yaml")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        read_camera(tmp_path / "gone.yaml")


def test_a_scaled_image_shows_the_same_rays():
    camera = camera_from_fov(60.0, 640, 480)
    small = resized(camera, 320, 240)
    # The middle of a 2 x 2 block of pixels is the centre of the pixel it becomes.
    np.testing.assert_allclose(small.rays([10.0, 20.0]), camera.rays([20.5, 40.5]), atol=1e-12)


def test_a_cropped_image_is_refused():
    with pytest.raises(ValueError, match="of 640 x 480 px, the image has 640 x 400"):
        resized(camera_from_fov(60.0, 640, 480), 640, 400)
