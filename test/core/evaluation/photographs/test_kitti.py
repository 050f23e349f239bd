"""KITTI's labels: a car by hand, and a real line of the format's description."""

import cv2
import numpy as np
import pytest

from kp3d_core.evaluation.photographs.reading import has_labels, read_labelled
from kp3d_core.inference import CameraModel

P2 = "P2: 720 0 600 44 0 720 170 0.2 0 0 1 0.003"


@pytest.fixture
def write(tmp_path):
    def write_frame(*lines, calibration=P2):
        for name in ("image_2", "calib", "label_2"):
            (tmp_path / name).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "image_2" / "000001.png"), np.zeros((370, 1224, 3), np.uint8))
        (tmp_path / "calib" / "000001.txt").write_text(f"P0: 1\n{calibration}\nR0_rect: 1\n")
        (tmp_path / "label_2" / "000001.txt").write_text("\n".join(lines) + "\n")
        return tmp_path

    return write_frame


def label(turn, name="Car"):
    # 4 m long, 1.8 m wide, 1.5 m high, on the ground 1.7 m under the camera, 20 m away.
    return f"{name} 0.10 1 -1.5 500 150 620 230 1.5 1.8 4.0 -1.0 1.7 20.0 {turn}"


def read_one(folder):
    ((labelled,),) = [photograph.objects for photograph in read_labelled(folder)]
    return labelled


def test_frames_and_sizes(write):
    labelled = read_one(write(label(0.0)))
    R, t = labelled.T_camera_object[:3, :3], labelled.T_camera_object[:3, 3]
    # rotation_y 0: it points along the camera's x, so its left is away from the camera.
    assert R @ [1, 0, 0] == pytest.approx([1, 0, 0])
    assert R @ [0, 1, 0] == pytest.approx([0, 0, 1])
    assert R @ [0, 0, 1] == pytest.approx([0, -1, 0])
    assert np.linalg.det(R) == pytest.approx(1)
    # The middle is half the height over the ground; P2's offset moves it by 0.06 m.
    x_offset = (44 - 600 * 0.003) / 720
    assert t == pytest.approx([-1.0 + x_offset, 1.7 - 0.75 + (0.2 - 170 * 0.003) / 720, 20.003])
    assert labelled.size_lwh_m == (4.0, 1.8, 1.5)
    assert (labelled.category, labelled.occluded, labelled.truncated) == ("car", 1, 0.1)
    assert (labelled.region.width, labelled.region.height) == (120, 80)


def test_it_turns_about_the_axis_that_points_down(write):
    # +90 degrees about y (down): from the camera's x towards its -z, that is, towards the camera.
    R = read_one(write(label(np.pi / 2))).T_camera_object[:3, :3]
    assert R @ [1, 0, 0] == pytest.approx([0, 0, -1], abs=1e-6)


def test_the_pose_projects_as_the_projection_matrix_does(write):
    folder = write(label(0.4))
    (photograph,) = read_labelled(folder)
    T = photograph.objects[0].T_camera_object
    P = np.array(P2.split()[1:], float).reshape(3, 4)
    u, v, w = P @ [-1.0, 1.7 - 0.75, 20.0, 1]
    camera = CameraModel(photograph.K, 1224, 370)
    assert camera.project(T[:3, 3]) == pytest.approx([u / w, v / w])


def test_areas_without_pose_are_left_out_and_other_classes_kept(write):
    folder = write(
        label(0.1),
        label(0.2, "Pedestrian"),
        "DontCare -1 -1 -10 5 5 9 9 -1 -1 -1 -1000 -1000 -1000 -10",
    )
    (photograph,) = read_labelled(folder)
    assert [labelled.category for labelled in photograph.objects] == ["car", "pedestrian"]


def test_what_is_missing_or_no_label_is_named(write, tmp_path):
    assert not has_labels(tmp_path)
    with pytest.raises(ValueError, match="must hold truth_kp3d.json, or KITTI's folders"):
        read_labelled(tmp_path)
    with pytest.raises(ValueError, match=r"Line 2 of .*000001.txt must be a KITTI label of 15"):
        read_labelled(write(label(0.0), "Car 0 0"))
    with pytest.raises(ValueError, match="must have a line `P2:` with 12 numbers"):
        read_labelled(write(label(0.0), calibration="P1: 0"))
    folder = write(label(0.0))
    assert has_labels(folder)
    (folder / "image_2" / "000001.png").unlink()
    with pytest.raises(ValueError, match="must have its picture and its calibration, got no .*png"):
        read_labelled(folder)
