"""The peer's pose by hand: lift, crop, and the agreement of one who knows the answer."""

import json
import math

import cv2
import numpy as np
import pytest

from kp3d_core.benchmark import objectron
from kp3d_core.geometry.rotation import exp_rotation
from kp3d_core.inference import CameraModel
from kp3d_core.inference.view import Region

CAMERA = CameraModel(np.array([[500.0, 0, 330], [0, 510, 250], [0, 0, 1]]), 640, 480)
R = np.asarray(exp_rotation(np.array([2.8, 0.4, -0.5])))
EDGES, CENTRE = np.array([0.5, 0.9, 0.6]), np.array([0.3, -0.2, 3.0])


def project(camera, R, centre):
    return camera.project((objectron.CORNERS * EDGES) @ R.T + centre)


def test_the_lift_knows_rotation_whatever_the_size():
    assert objectron.CORNERS[2] == pytest.approx([-0.5, -0.5, 0.5])  # corner 2 of the network
    found = objectron.lift(project(CAMERA, R, CENTRE), CAMERA.K)
    assert found == pytest.approx(R, abs=1e-6)


def test_the_crop_is_centred_and_maps_back():
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (420, 180), 4, (255, 255, 255), -1)
    crop, T = objectron._crop(image, Region(349.5, 149.5, 100.0, 80.0), 224)
    v, u = np.argwhere(crop[..., 0] > 127).mean(axis=0)
    assert T @ [u, v, 1] == pytest.approx([420, 180], abs=0.3)
    # 1.5 times the longer side, about the middle of the box.
    assert T @ [111.5, 111.5, 1] == pytest.approx([399.5, 189.5])
    assert T[0, 0] * 224 == pytest.approx(150)


def test_who_knows_the_answer_agrees_with_the_mirror_image():
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:] = 255
    uv = project(CAMERA, R, CENTRE)
    mirrored = uv * [-1, 1] + [639, 0]
    # The box's own left and right change places: corners 1..4 have -x, 5..8 have +x.
    mirrored = mirrored[[0, 5, 6, 7, 8, 1, 2, 3, 4]]

    def find(image, camera, region):
        flipped = image[0, 0, 0] == 255
        inside = uv[0] if not flipped else mirrored[0]
        assert abs(region.x + region.width / 2 - inside[0]) < 0.11 * region.width
        return objectron.lift(mirrored if flipped else uv, camera.K), True

    region = Region(float(uv[0, 0]) - 50, float(uv[0, 1]) - 40, 100.0, 80.0)
    x, z = np.diag([-1.0, 1, 1]), np.diag([1.0, 1, -1])
    found = objectron.agreement(find, image, CAMERA, region, [x, z])
    assert found["mirror"][0] == pytest.approx(0, abs=1e-5)
    # The two reflections differ by half a turn about the object's y.
    assert found["mirror"][1] == pytest.approx(math.pi, abs=1e-3)
    assert found["moved"] == pytest.approx([0] * 6, abs=1e-5)


def test_what_cannot_be_used_is_named(tmp_path):
    boxes = tmp_path / "boxes.json"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    objects = [{"cls": "chair", "bbox_xyxy": [3, 4, 30, 40]}]
    boxes.write_text(json.dumps({"frames": [{"image": "a.png", "objects": objects}]}))
    ((image, camera, region),) = objectron._read(boxes, "chair")
    assert camera.K.tolist() == [[64, 0, 31.5], [0, 64, 23.5], [0, 0, 1]]
    assert (image.shape, region.width) == ((48, 64, 3), 27)
    with pytest.raises(ValueError, match=r"boxes\.json must have boxes of 'cup', got none"):
        objectron._read(boxes, "cup")
    boxes.write_text('{"frames": [{"image": "b.png", "objects": []}]}')
    with pytest.raises(ValueError, match=r"boxes\.json must hold .*b\.png is no picture"):
        objectron._read(boxes, "chair")


def test_another_file_is_no_network(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="needs the extra `peer`")
    (tmp_path / "a.tflite").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"a\.tflite must be a network that puts out 9 points"):
        objectron.Objectron(tmp_path / "a.tflite", 1)
