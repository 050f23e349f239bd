"""BOP's scenes, written as its description says: a mug by hand, and files that are none."""

import json

import cv2
import numpy as np
import pytest

from kp3d_core.evaluation.photographs.reading import has_labels, read_labelled
from kp3d_core.geometry.rotation import exp_rotation
from kp3d_core.inference import CameraModel

R_M2C = np.asarray(exp_rotation(np.array([1.9, 0.3, -0.4])))
T_M2C_MM = np.array([40.0, -25.0, 700.0])
LOWER_MM, SIZE_MM = np.array([-50.0, -30.0, 0.0]), np.array([80.0, 120.0, 90.0])
FORWARD_IS_MINUS_Y = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
MUG = {"cls": "mug", "R_model_obj": FORWARD_IS_MINUS_Y}
GT = {"obj_id": 14, "cam_R_m2c": R_M2C.ravel().tolist(), "cam_t_m2c": T_M2C_MM.tolist()}
INFO = {"bbox_obj": [90, 80, 60, 50], "bbox_visib": [100, 80, 50, 40], "visib_fract": 0.8}
CAMERA = {"cam_K": [600, 0, 160, 0, 610, 120, 0, 0, 1], "depth_scale": 1.0}


@pytest.fixture
def write(tmp_path):
    def write_scene(gt=(GT,), info=(INFO,), camera=CAMERA, objects=None):
        scene, models = tmp_path / "test" / "000048", tmp_path / "models"
        (scene / "rgb").mkdir(parents=True, exist_ok=True)
        models.mkdir(exist_ok=True)
        cv2.imwrite(str(scene / "rgb" / "000007.png"), np.zeros((240, 320, 3), np.uint8))
        box = {f"min_{a}": v for a, v in zip("xyz", LOWER_MM, strict=True)}
        box |= {f"size_{a}": v for a, v in zip("xyz", SIZE_MM, strict=True)}
        for path, content in {
            scene / "scene_gt.json": {"7": gt},
            scene / "scene_gt_info.json": {"7": info},
            scene / "scene_camera.json": {"7": camera},
            models / "models_info.json": {"14": {"diameter": 170.0, **box}},
            models / "kp3d_objects.json": {"14": MUG} if objects is None else objects,
        }.items():
            path.write_text(json.dumps(content))
        return scene

    return write_scene


def test_points_project_as_bop_says(write):
    scene = write()
    (photograph,) = read_labelled(scene)
    (mug,) = photograph.objects
    assert photograph.image == scene / "rgb" / "000007.png"
    # Length along the model's y, width along its x.
    assert mug.size_lwh_m == pytest.approx((0.12, 0.08, 0.09))
    # A point 10 mm before, 20 mm left of and 30 mm above the middle, in our frame and in theirs.
    model_mm = LOWER_MM + SIZE_MM / 2 + [20, -10, 30]
    s_uv = np.reshape(CAMERA["cam_K"], (3, 3)) @ (R_M2C @ model_mm + T_M2C_MM)
    T = mug.T_camera_object
    point = T[:3, :3] @ [0.01, 0.02, 0.03] + T[:3, 3]
    assert point == pytest.approx((R_M2C @ model_mm + T_M2C_MM) / 1000)
    camera = CameraModel(photograph.K, 320, 240)
    assert camera.project(point) == pytest.approx(s_uv[:2] / s_uv[2])
    box = mug.region
    assert (box.x, box.y, box.width, box.height) == (99.5, 79.5, 50, 40)


def test_a_folder_of_scenes_is_read(write):
    scene = write()
    assert has_labels(scene.parent)
    assert len(read_labelled(scene.parent)) == 1
    assert not has_labels(scene / "rgb")


def test_visible_share_tells_occlusion_and_others_are_left_out(write):
    info = [{**INFO, "visib_fract": v} for v in (0.95, 0.6, 0.2, 1.0)]
    info.append({"bbox_visib": [-1, -1, -1, -1], "visib_fract": 0.0})
    gt = [GT, GT, GT, {**GT, "obj_id": 3}, GT]
    (photograph,) = read_labelled(write(gt, info))
    assert [mug.occluded for mug in photograph.objects] == [0, 1, 2]


def test_a_turn_between_axes_needs_the_size(write):
    turn = np.asarray(exp_rotation(np.array([0, 0, 0.3]))).tolist()
    with pytest.raises(ValueError, match=r"Object 14 of .*size_lwh_mm is needed"):
        read_labelled(write(objects={"14": {**MUG, "R_model_obj": turn}}))
    sized = {**MUG, "R_model_obj": turn, "size_lwh_mm": [110, 80, 90]}
    (photograph,) = read_labelled(write(objects={"14": sized}))
    assert photograph.objects[0].size_lwh_m == pytest.approx((0.11, 0.08, 0.09))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"info": ()}, r"Picture 7 of .*000048 must have"),
        ({"gt": ({**GT, "cam_R_m2c": [1, 0, 0]},)}, "cam_R_m2c must be finite numbers of shape"),
        ({"gt": ({**GT, "cam_R_m2c": [2, 0, 0, 0, 2, 0, 0, 0, 2]},)}, "must be a rotation"),
        ({"gt": ({**GT, "cam_t_m2c": [0, None, 1]},)}, "cam_t_m2c must be finite"),
        ({"gt": ({"obj_id": 14},)}, "cam_R_m2c"),
        ({"gt": ({**GT, "obj_id": [14]},)}, "Picture 7"),
        ({"info": ({**INFO, "bbox_visib": [1, 2, 0, 4]},)}, "Region must have"),
        ({"camera": {}}, "cam_K"),
        ({"objects": {"14": {"cls": "mug"}}}, "Object 14 of .*R_model_obj"),
        ({"objects": {"15": MUG}}, "Object 15 of "),
        ({"objects": {"14": 3}}, "Object 14 of "),
        ({"objects": [MUG]}, r"kp3d_objects\.json must be a file of a BOP data set"),
    ],
)
def test_bad_files_are_named(write, changes, message):
    with pytest.raises(ValueError, match=message):
        read_labelled(write(**changes))


def test_missing_files_are_named(write, tmp_path):
    scene = write()
    (scene / "rgb" / "000007.png").unlink()
    with pytest.raises(ValueError, match="no picture 000007"):
        read_labelled(scene)
    (scene / "scene_camera.json").write_text("[" * 10_000)
    with pytest.raises(ValueError, match=r"scene_camera\.json must be a file of a BOP data set"):
        read_labelled(scene)
    (tmp_path / "models" / "kp3d_objects.json").unlink()
    with pytest.raises(ValueError, match=r"models must hold kp3d_objects\.json"):
        read_labelled(scene)
    (tmp_path / "models" / "models_info.json").unlink()
    with pytest.raises(ValueError, match=r"models/ in .* with models_info\.json must hold"):
        read_labelled(scene)
