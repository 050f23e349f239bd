"""BOP's layout of scenes: `scene_gt.json`, `scene_gt_info.json`, `scene_camera.json` and `rgb/`.

Reference: Hodan et al., "BOP: Benchmark for 6D Object Pose Estimation", ECCV 2018, and the format's
description in the toolkit of the benchmark.

BOP numbers its objects and turns each model as it likes, z up at best. `kp3d_objects.json` beside
`models_info.json` says what they are: `{"14": {"cls": "mug", "R_model_obj": [[...], ...]}}`. The
matrix turns our frame (x forward, y left, z up) into the model's; where it does more than exchange
axes, `size_lwh_mm` is needed, too. Objects that it does not name are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.truth import (
    LabelledObject,
    LabelledPhotograph,
    finite_array,
    nearest_rotation,
)
from kp3d_core.inference.view import Region

FloatArray = NDArray[np.float64]

OBJECTS_NAME = "kp3d_objects.json"
_GT, _INFO, _CAMERA = "scene_gt.json", "scene_gt_info.json", "scene_camera.json"
_PICTURES = [(folder, suffix) for folder in ("rgb", "gray") for suffix in (".png", ".jpg", ".tif")]
_MAX_BYTES = 256 * 2**20
_METRES = 1e-3
_VISIBLE, _PARTLY = 0.9, 0.5
"""Smallest visible share of what is as good as visible, and of what is partly hidden."""


@dataclass(frozen=True, eq=False)
class _Model:
    category: str
    T_model_object: FloatArray
    """[m]."""
    size_lwh_m: tuple[float, float, float]


def is_bop(data: Path) -> bool:
    """Whether a path is a scene of BOP, or a folder of scenes (`test`, `val`, ...)."""
    return bool(_scenes(data))


def read_bop(data: Path) -> list[LabelledPhotograph]:
    """Read one scene or all scenes of a folder; millimetres become metres.

    The box is that of the visible part, as a detector gives it. `occluded` follows from the visible
    share, which counts what is outside of the picture, too; `truncated` is not told and is 0.

    Raises:
        ValueError: a file is missing or not as BOP describes it; it is named.
    """
    models = _read_models(data.resolve())
    return [photograph for scene in _scenes(data) for photograph in _read_scene(scene, models)]


def _scenes(data: Path) -> list[Path]:
    if (data / _GT).is_file():
        return [data]
    return sorted(path.parent for path in data.glob(f"*/{_GT}"))


def _read_models(data: Path) -> dict[int, _Model]:
    """The named objects; their files are in `models*` of the folder, or of one above it."""
    above = (data, *data.parents[:2])
    found = [path for folder in above for path in sorted(folder.glob("models*/models_info.json"))]
    named = next((p.with_name(OBJECTS_NAME) for p in found if _has_names(p)), None)
    if named is None:
        beside = (
            f"{found[0].parent}" if found else f"models/ in {data.parent} with models_info.json"
        )
        raise ValueError(
            f"{beside} must hold {OBJECTS_NAME}, which says what BOP's numbers stand for, got "
            'none. Write {"14": {"cls": "mug", "R_model_obj": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}}: '
            "category, and turn from x forward, y left, z up to the model's frame."
        )
    info = _read_json(named.with_name("models_info.json"))
    models = {}
    for number, values in _read_json(named).items():
        try:
            models[int(number)] = _model(values, info[number])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Object {number} of {named} must have `cls` and `R_model_obj`, and a bounding box "
                f"in models_info.json, got {error!r}. Mend it."
            ) from error
    return models


def _has_names(models_info: Path) -> bool:
    return models_info.with_name(OBJECTS_NAME).is_file()


def _model(values: Mapping[str, Any], info: Mapping[str, Any]) -> _Model:
    R = nearest_rotation(values["R_model_obj"], "R_model_obj")
    lower = finite_array([info[f"min_{axis}"] for axis in "xyz"], (3,), "min_x, min_y, min_z")
    extent = finite_array([info[f"size_{axis}"] for axis in "xyz"], (3,), "size_x, size_y, size_z")
    if "size_lwh_mm" in values:
        size = finite_array(values["size_lwh_mm"], (3,), "size_lwh_mm")
    elif np.allclose(np.abs(R).max(axis=0), 1, atol=1e-3):
        size = extent[np.abs(R).argmax(axis=0)]
    else:
        raise ValueError("R_model_obj does more than exchange axes, so size_lwh_mm is needed")
    if min(size) <= 0:
        raise ValueError(f"its size must be positive, got {size.tolist()} mm")
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = (lower + extent / 2) * _METRES
    length, width, height = (size * _METRES).tolist()
    return _Model(str(values["cls"]), T, (length, width, height))


def _read_scene(scene: Path, models: Mapping[int, _Model]) -> list[LabelledPhotograph]:
    truth, info, cameras = (_read_json(scene / name) for name in (_GT, _INFO, _CAMERA))
    photographs = []
    for number, objects in truth.items():
        try:
            K = finite_array(cameras[number]["cam_K"], (9,), "cam_K").reshape(3, 3)
            found = tuple(
                _object(values, about, models[values["obj_id"]])
                for values, about in zip(objects, info[number], strict=True)
                if values["obj_id"] in models and about["visib_fract"] > 0
            )
            image = _picture(scene, int(number))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Picture {number} of {scene} must have obj_id, cam_R_m2c, cam_t_m2c in {_GT}, "
                f"bbox_visib, visib_fract for each of them in {_INFO}, and cam_K in {_CAMERA}, got "
                f"{error!r}. Download the scene again, or take the picture out."
            ) from error
        photographs.append(LabelledPhotograph(image, K, found))
    return photographs


def _object(values: Mapping[str, Any], info: Mapping[str, Any], model: _Model) -> LabelledObject:
    R = finite_array(values["cam_R_m2c"], (9,), "cam_R_m2c").reshape(3, 3)
    T_camera_model = np.eye(4)
    T_camera_model[:3, :3] = nearest_rotation(R, "cam_R_m2c")
    T_camera_model[:3, 3] = finite_array(values["cam_t_m2c"], (3,), "cam_t_m2c") * _METRES
    left, top, width, height = finite_array(info["bbox_visib"], (4,), "bbox_visib").tolist()
    visible = float(info["visib_fract"])
    return LabelledObject(
        category=model.category,
        # BOP's x and y are the first pixel; its edge is half a pixel before.
        region=Region(left - 0.5, top - 0.5, width, height),
        T_camera_object=T_camera_model @ model.T_model_object,
        size_lwh_m=model.size_lwh_m,
        occluded=0 if visible >= _VISIBLE else 1 if visible >= _PARTLY else 2,
        truncated=0.0,
    )


def _picture(scene: Path, number: int) -> Path:
    for folder, suffix in _PICTURES:
        path = scene / folder / f"{number:06d}{suffix}"
        if path.is_file():
            return path
    raise ValueError(f"no picture {number:06d} (.png, .jpg, .tif) in rgb or gray")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES // 2**20} MiB")
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a file of a BOP data set (JSON), got one that cannot be read: "
            f"{error}. Download it again."
        ) from error
    return values
