"""Labelled photographs: errors by hand, and a whole measurement on pictures with a known answer."""

import json
import math
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from kp3d_core.evaluation.photographs.figures import Measured, risk_coverage, summarize
from kp3d_core.evaluation.photographs.measure import Selection, azimuth, evaluate_photographs
from kp3d_core.evaluation.photographs.search import count_finds, summarize_search
from kp3d_core.evaluation.photographs.truth import TRUTH_NAME, read_truth, truth_file
from kp3d_core.geometry.rotation import exp_rotation
from kp3d_core.inference import Detection

UPRIGHT = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], float)  # forward is away from the camera


def row(rotation, azimuth_deg=0.0, accepted=True, confidence=1.0):
    return Measured(
        image="a.png",
        box_height_px=50.0,
        azimuth_error_deg=float(azimuth_deg),
        rotation_error_deg=float(rotation),
        translation_error=0.1,
        accepted=accepted,
        confidence=confidence,
        orientation_score=1.0,
        score=1.0,
        misfit=0.0,
        scale=1.0,
        runs=1,
        problems=(),
    )


def test_azimuth_by_hand():
    ahead = np.array([0.0, 0.0, 5.0])
    assert math.degrees(azimuth(UPRIGHT, ahead)) == pytest.approx(180)  # seen from behind
    to_the_right = UPRIGHT @ np.asarray(exp_rotation(np.array([0, 0, -math.pi / 2])))
    # It drives to the right: the camera stands on its right-hand side.
    assert to_the_right @ [1, 0, 0] == pytest.approx([1, 0, 0], abs=1e-6)
    assert math.degrees(azimuth(to_the_right, ahead)) == pytest.approx(-90)
    # The same heading beside the camera's axis is seen from another side.
    assert math.degrees(azimuth(UPRIGHT, np.array([5.0, 0, 5]))) == pytest.approx(135)


def test_figures_by_hand():
    rows = [row(5, 4), row(29, 20), row(90, 90, accepted=False), row(31, 10)]
    figures = summarize(rows)
    assert figures["count"] == 4
    assert figures["azimuth_deg"] == {
        "mean": 31.0, "median": 15.0, "within_15": 0.5, "within_30": 0.75,
    }  # fmt: skip
    assert figures["rotation_deg"] == {"median": 30.0, "within_30": 0.5}
    assert figures["accepted"] == 0.75
    assert figures["wrong_among_accepted"] == pytest.approx(1 / 3)
    cosines = [math.cos(math.radians(a)) for a in (4, 20, 90, 10)]
    assert figures["orientation_similarity"] == pytest.approx(
        np.mean([(1 + c) / 2 for c in cosines])
    )
    assert summarize([row(5, accepted=False)])["wrong_among_accepted"] is None


def test_risk_coverage_keeps_the_certain_ones_first():
    curve = risk_coverage(np.array([True, False, False]), np.array([0.2, 0.9, 0.5]))
    assert curve == [
        (pytest.approx(1 / 3), 0),
        (pytest.approx(2 / 3), 0),
        (1, pytest.approx(1 / 3)),
    ]


def frame(**changes):
    labelled = {
        "cls": "car", "bbox_xyxy": [100, 80, 220, 160], "R_cam_obj": UPRIGHT.tolist(),
        "t_cam_obj_m": [0.1, 0.2, 9.0], "size_lwh_m": [4.2, 1.7, 1.5], "occluded": 0,
        "truncated": 0.0, **changes,
    }  # fmt: skip
    K = [[400, 0, 160], [0, 400, 120], [0, 0, 1]]
    return {"image": "a.png", "K": K, "objects": [labelled]}


@pytest.fixture
def write_folder(tmp_path):
    def write(*frames):
        cv2.imwrite(str(tmp_path / "a.png"), np.full((240, 320, 3), 90, np.uint8))
        (tmp_path / TRUTH_NAME).write_text(json.dumps({"frames": frames}))
        return tmp_path

    return write


def test_labels_are_read(write_folder):
    folder = write_folder(frame())
    path = truth_file(folder)
    assert path == truth_file(path) == folder / TRUTH_NAME
    ((labelled,),) = [photograph.objects for photograph in read_truth(path)]
    assert (labelled.region.x, labelled.region.y) == (100, 80)
    assert (labelled.region.width, labelled.region.height) == (120, 80)
    assert np.array_equal(labelled.T_camera_object[:3, :3], UPRIGHT)
    assert labelled.T_camera_object[:3, 3].tolist() == [0.1, 0.2, 9.0]


def test_other_folders_are_no_photographs(tmp_path):
    assert truth_file(tmp_path) is None
    assert truth_file(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R_cam_obj": np.diag([1, 1, -1]).tolist()}, "R_cam_obj must be a rotation"),
        ({"t_cam_obj_m": [0, 0]}, r"t_cam_obj_m must be finite numbers of shape \(3,\)"),
        ({"bbox_xyxy": [5, 5, 5, 9]}, "positive width and height"),
    ],
)
def test_wrong_labels_are_refused(write_folder, change, message):
    with pytest.raises(ValueError, match=message):
        read_truth(write_folder(frame(**change)) / TRUTH_NAME)


def test_missing_pictures_are_named(write_folder):
    folder = write_folder(frame())
    (folder / "a.png").unlink()
    with pytest.raises(ValueError, match="must exist, 1 do not: .*a.png"):
        read_truth(folder / TRUTH_NAME)


def test_selection_is_kittis_moderate_set(write_folder):
    def taken(**changes):
        ((labelled,),) = [
            p.objects for p in read_truth(write_folder(frame(**changes)) / TRUTH_NAME)
        ]
        return Selection().takes(labelled)

    assert taken()
    assert taken(occluded=1, truncated=0.3)
    assert not taken(bbox_xyxy=[100, 80, 220, 104])
    assert not taken(occluded=2)
    assert not taken(truncated=0.31)


def test_rendered_cars_are_measured_without_torch(tmp_path):
    """Cars that the shipped model knows, drawn by our renderer as if photographed."""
    script = """
        import json, sys
        from pathlib import Path
        import cv2, numpy as np
        from kp3d_core.data.cameras import look_along
        from kp3d_core.data.procedural import make_instance
        from kp3d_core.evaluation.photographs.measure import evaluate_photographs
        from kp3d_core.rendering.rasterizer import render

        folder = Path(sys.argv[1])
        K = np.array([[500.0, 0, 159.5], [0, 500.0, 119.5], [0, 0, 1]])
        frames = []
        for seed, azimuth in ((20_000_001, 0.6), (20_000_003, 2.2), (20_000_004, -1.3)):
            T = np.eye(4)
            T[:3, :3] = look_along(-np.array([np.cos(azimuth), np.sin(azimuth), 0.6]))
            T[:3, 3] = (0.2, -0.1, 10.0)
            image = render(make_instance("car", seed).mesh, K, T, 320, 240)
            cv2.imwrite(str(folder / f"{seed}.png"), image.rgb[..., ::-1])
            rows, columns = np.nonzero(image.mask)
            frames.append({
                "image": f"{seed}.png", "K": K.tolist(),
                "objects": [{
                    "cls": "car", "R_cam_obj": T[:3, :3].tolist(),
                    "t_cam_obj_m": T[:3, 3].tolist(), "size_lwh_m": [2.0, 0.8, 0.7],
                    "bbox_xyxy": [float(v) for v in (columns.min() - 0.5, rows.min() - 0.5,
                                                     columns.max() + 0.5, rows.max() + 0.5)],
                }],
            })
        (folder / "truth_kp3d.json").write_text(json.dumps({"frames": frames}))
        evaluate_photographs("car", folder, folder / "out", "onnxruntime")
        assert "torch" not in sys.modules, "torch was imported"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), tmp_path], check=True)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["count"] == 3
    assert metrics["rotation_deg"]["median"] < 10
    assert metrics["azimuth_deg"]["median"] <= metrics["rotation_deg"]["median"] + 1
    assert metrics["translation"]["median"] < 0.06
    assert [entry["image"] for entry in metrics["objects"]] == [
        "20000001.png", "20000003.png", "20000004.png",
    ]  # fmt: skip
    assert cv2.imread(str(tmp_path / "out" / "photographs.png")).shape == (192, 6 * 192, 3)


def test_photographs_without_such_objects_are_refused(write_folder, tmp_path):
    folder = write_folder(frame(cls="chair"))
    with pytest.raises(ValueError, match="must show objects of the category 'car'"):
        evaluate_photographs("car", folder, tmp_path / "out", "onnxruntime")


def test_the_command_tells_photographs_by_their_labels(kp3d, write_folder, tmp_path):
    output = kp3d("evaluate", "car", write_folder(frame()), "--output", tmp_path / "out")
    assert "car on 1 objects in photographs, boxes given" in output
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert f"azimuth error, mean / median [deg] │ {metrics['azimuth_deg']['mean']:.1f}" in output


def find_at(left, top, right, bottom):
    """A find whose keypoints span a box."""
    find = object.__new__(Detection)
    uv = np.array([[left, top], [right, bottom], [left, bottom], [right, top]], float)
    object.__setattr__(find, "keypoints_uv", uv)
    return find


def test_finds_without_boxes_are_counted_by_hand(write_folder):
    hidden = frame(bbox_xyxy=[10, 80, 60, 120], occluded=3)["objects"]
    both = frame()
    both["objects"] += hidden
    ((labelled,),) = [[p.objects] for p in read_truth(write_folder(both) / TRUTH_NAME)]
    on, twice = find_at(130, 100, 190, 140), find_at(110, 90, 210, 150)
    on_hidden, too_large = find_at(20, 85, 50, 115), find_at(-200, -200, 520, 440)
    beside = find_at(230, 100, 310, 140)
    finds = [on, twice, on_hidden, too_large, beside]
    row = count_finds("a.png", finds, labelled, Selection())
    assert (row.objects, row.found, row.false) == (1, 1, 2)  # what is hidden is not false
    figures = summarize_search([row, count_finds("b.png", [], labelled, Selection())])
    assert (figures["recall"], figures["false_per_image"]) == (0.5, 1.0)


def test_whole_photographs_are_searched(kp3d, write_folder, tmp_path):
    folder = write_folder(frame())
    output = kp3d("evaluate", "car", folder, "--search", "--output", tmp_path / "out")
    assert "in 1 whole photographs, no boxes given" in output
    told = json.loads((tmp_path / "out" / "search.json").read_text())
    assert (told["objects"], told["found"], told["false"]) == (1, 0, 0)  # a grey picture
