"""PASCAL3D+ labels, written as the data set's toolkit reads them, and hostile MATLAB files."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy")
from scipy.io import savemat

from kp3d_core.evaluation.photographs import matlab
from kp3d_core.evaluation.photographs.measure import azimuth
from kp3d_core.evaluation.photographs.reading import has_labels, read_labelled
from kp3d_core.inference import CameraModel

CAD = np.array([[x, y, z] for x in (-0.2, 0.3) for y in (-0.5, 0.4) for z in (-0.1, 0.2)])
"""Corners of a model whose box is not centred; it looks along -y."""
VIEW = {
    "azimuth": 40.0, "elevation": 12.0, "theta": 8.0, "distance": 5.0, "focal": 1, "px": 201.0,
    "py": 151.0, "viewport": 3000, "azimuth_coarse": 45,
}  # fmt: skip


def toolkit_projection(points, v):
    """What the data set's toolkit defines: camera at C, y up, theta in the image, MATLAB pixels."""
    a, e, theta = np.radians([v["azimuth"], v["elevation"], v["theta"]])
    C = v["distance"] * np.array(
        [np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)],
    )
    back = C / np.linalg.norm(C)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    seen = (points - C) @ np.stack([right, np.cross(back, right), back]).T
    xy = v["focal"] * v["viewport"] * seen[:, :2] / -seen[:, 2:]
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    xy = xy @ turn.T
    return np.stack([v["px"] + xy[:, 0], v["py"] - xy[:, 1]], axis=1)


def labelled(name="car", view=VIEW, **changes):
    return {
        "class": name, "bbox": [11.0, 21.0, 110.0, 90.0], "viewpoint": view, "cad_index": 2,
        "truncated": 0, "occluded": 0, "difficult": 0, "anchors": {"left_front_wheel": []},
        **changes,
    }  # fmt: skip


def structures(values):
    array = np.empty((1, len(values)), [(key, object) for key in values[0]])
    for i, entry in enumerate(values):
        array[0, i] = tuple(entry.values())
    return array


@pytest.fixture
def write(tmp_path):
    def write_folder(*objects, name="car", filename="a.jpg", cads=2, **options):
        for folder in (f"Annotations/{name}_pascal", f"Images/{name}_pascal", "CAD"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"Images/{name}_pascal/a.jpg"), np.zeros((300, 400, 3)))
        models = [{"vertices": CAD + i, "faces": np.array([[1, 2, 3]])} for i in range(1 - cads, 1)]
        savemat(tmp_path / f"CAD/{name}.mat", {name: structures(models)})
        record = {"filename": filename, "objects": structures(objects), "imgsize": [400, 300, 3]}
        path = tmp_path / f"Annotations/{name}_pascal/a.mat"
        savemat(path, {"record": record}, do_compression=True, **options)
        return tmp_path

    return write_folder


@pytest.mark.parametrize("turned", [{}, {"azimuth": 215.0, "elevation": -10.0, "theta": -170.0}])
def test_corners_project_as_by_the_toolkit(write, turned):
    view = {**VIEW, **turned}
    ((photograph),) = read_labelled(write(labelled(view=view)))
    (found,) = photograph.objects
    # x of the model is to the left, -y ahead.
    assert found.size_lwh_m == pytest.approx((0.9, 0.5, 0.3))
    middle = np.array([0.05, -0.05, 0.05])
    local = np.stack([-(CAD - middle)[:, 1], (CAD - middle)[:, 0], (CAD - middle)[:, 2]], axis=1)
    T = found.T_camera_object
    camera = CameraModel(photograph.K, 400, 300)
    expected = toolkit_projection(CAD, view) - 1  # MATLAB counts from 1
    assert camera.project(local @ T[:3, :3].T + T[:3, 3]) == pytest.approx(expected, abs=1e-6)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    # Pixels 11 to 110 of MATLAB, inclusive.
    box = found.region
    assert (box.x, box.y, box.width, box.height) == (9.5, 19.5, 100, 70)


def test_azimuth_0_shows_the_front_and_90_the_left(write):
    for degrees, expected in ((0.0, 0.0), (90.0, np.pi / 2)):
        view = {**VIEW, "azimuth": degrees, "elevation": 0.0}
        (photograph,) = read_labelled(write(labelled(view=view, cad_index=2)))
        T = photograph.objects[0].T_camera_object
        # The origin of the model, which the camera looks at.
        assert azimuth(T[:3, :3], np.array([0.0, 0.0, 1.0])) == pytest.approx(expected)


def test_each_object_has_its_camera_and_those_without_pose_are_left_out(write):
    folder = write(
        labelled(),
        labelled(view={**VIEW, "px": 301.0}, occluded=1),
        labelled(difficult=1, truncated=1),
        labelled("bus"),
        labelled(view={**VIEW, "distance": 0}),
        labelled(view=np.zeros((0, 0))),
    )
    found = [(p.K[0, 2], *p.objects) for p in read_labelled(folder)]
    assert [(px, o.occluded, o.truncated) for px, o in found] == [
        (200, 0, 0), (300, 2, 0), (200, 3, 1),
    ]  # fmt: skip


def test_aeroplanes_are_planes(write):
    folder = write(labelled("aeroplane"), name="aeroplane")
    assert has_labels(folder)
    assert read_labelled(folder)[0].objects[0].category == "plane"


@pytest.mark.parametrize(
    ("objects", "options", "message"),
    [
        ([labelled(cad_index=3)], {}, r"a\.mat must hold .*cad_index must be in 1\.\.2, got 3"),
        ([labelled(bbox=[1, 2, 3])], {}, r"a\.mat must hold"),
        ([labelled(view={**VIEW, "focal": np.nan})], {}, r"a\.mat .*viewpoint.focal must be one"),
        ([labelled(view={**VIEW, "distance": -1})], {}, r"a\.mat .*must be positive"),
        ([{"class": "car"}], {}, r"a\.mat must hold .*viewpoint"),
        ([labelled()], {"filename": "../../a.jpg"}, r"a\.mat .*filename must be the name of a pic"),
        ([labelled()], {"filename": "b.jpg"}, r"a\.mat must have its picture, got no .*b\.jpg"),
    ],
)
def test_bad_labels_are_named(write, objects, options, message):
    with pytest.raises(ValueError, match=message):
        read_labelled(write(*objects, **options))


def test_a_folder_without_labels_or_models_is_named(write):
    folder = write(labelled())
    (folder / "CAD/car.mat").unlink()
    with pytest.raises(ValueError, match=r"car\.mat must be a MATLAB file"):
        read_labelled(folder)
    (folder / "Annotations/car_pascal/a.mat").unlink()
    with pytest.raises(ValueError, match="must hold folders such as car_pascal"):
        read_labelled(folder)


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(kind, shape, content=b""):
    dimensions = struct.pack(f"<{len(shape)}i", *shape)
    head = element(6, struct.pack("<II", kind, 0)) + element(5, dimensions) + element(1, b"record")
    return element(14, head + content)


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
NAMES = element(5, struct.pack("<i", 8)) + element(1, b"objects\0")
DEEP = b""
for _ in range(40):
    DEEP = matrix(1, (1, 1), DEEP)


def compressed(content):
    packed = zlib.compress(content)
    return struct.pack("<II", 15, len(packed)) + packed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header"),
        (b"\x89HDF\r\n\x1a\n".ljust(200, b"\0"), "header"),
        (HEADER + b"\0\0", "unpack"),
        (HEADER + matrix(6, (1, 1), element(9, bytes(8)))[:-12], "cut off"),
        (HEADER + matrix(6, (50_000, 50_000)), "claims an array of shape"),
        (HEADER + matrix(4, (1, 2**30)), "claims an array of shape"),
        (HEADER + matrix(2, (2**30, 1), NAMES), "claims an array of shape"),
        (HEADER + matrix(2, (1, 1), NAMES + matrix(4, (1, 2**30))), "claims an array of shape"),
        (HEADER + matrix(6, (-1, 1)), "claims an array of shape"),
        (HEADER + matrix(16, (1, 1)), "an array of class 16"),
        (HEADER + matrix(6, (1, 1), element(0xFF09, bytes(8))), "damaged"),  # SciPy: a crash
        (HEADER + matrix(6, (1, 1), element(9, bytes(8)) + bytes(8)), "more or less than it says"),
        (HEADER + matrix(2, (1, 2), NAMES + element(14, b"")), "more or less than it says"),
        (HEADER + matrix(2, (1, 1), element(5, bytes(4)) + element(1, b"")), "field names"),
        (HEADER + DEEP, "nested deeper"),
        (HEADER + compressed(bytes(2**20)), "unpacks to more than"),
        (HEADER + compressed(matrix(4, (1, 2**30))), "claims an array of shape"),
        (HEADER + struct.pack("<II", 15, 9) + b"no deflate", "incorrect header"),
        (json.dumps({"record": 1}).encode(), "header"),
    ],
)
def test_hostile_files_are_refused_in_words(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(matlab, "MAX_UNPACKED_BYTES", 2**19)
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.mat must be a MATLAB file.*{message}"):
        matlab.read_mat(path)


@pytest.mark.parametrize(("counts", "name"), [(5, 1), (6, 1), (5, 16)])
def test_files_of_other_writers_are_read(tmp_path, counts, name):
    head = element(6, struct.pack("<II", 6, 0)) + element(counts, struct.pack("<ii", 1, 2))
    head += element(name, b"record")
    content = element(14, head + element(9, struct.pack("<dd", 3.0, 4.0)))
    (tmp_path / "a.mat").write_bytes(HEADER + content)
    assert matlab.read_mat(tmp_path / "a.mat")["record"].tolist() == [3, 4]


def test_large_and_cut_files_are_refused(write, monkeypatch):
    path = write(labelled()) / "Annotations/car_pascal/a.mat"
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        if size == 0 or size > 128:
            with pytest.raises(ValueError, match=r"a\.mat must be"):
                matlab.read_mat(path)
    monkeypatch.setattr(matlab, "MAX_FILE_BYTES", 100)
    with pytest.raises(ValueError, match="larger than 0 MiB"):
        matlab.read_mat(path)
