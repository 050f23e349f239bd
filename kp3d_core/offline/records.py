"""What was found, as JSON and CSV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.symmetry import has_front
from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.model import Model
from kp3d_core.offline.sources import Frame

CSV_COLUMNS = (
    "file", "frame", "time_s", "object", "keypoint", "name", "u_px", "v_px",
    "x", "y", "z", "unit", "std", "score",
)  # fmt: skip
"""One row a keypoint. x, y, z and std are in the camera's optical frame, in `unit`."""


def frame_record(
    frame: Frame,
    camera: CameraModel,
    model: Model,
    found: list[tuple[int, Detection]],
    refused: list[str],
) -> dict[str, Any]:
    """One image as an entry of detections.json."""
    return {
        "file": str(frame.path),
        "frame": frame.number,
        "time_s": frame.time_s,
        "width": camera.width,
        "height": camera.height,
        "K": _numbers(camera.K),
        "distortion_model": camera.distortion_model,
        "distortion": list(camera.distortion),
        "objects": [object_record(number, detection, model) for number, detection in found],
        "refused": refused,
    }


def object_record(number: int, detection: Detection, model: Model) -> dict[str, Any]:
    """One object as an entry of detections.json: units and frames as in the messages."""
    return {
        "object": number,
        "category": model.category,
        "symmetry": model.symmetry,
        "unit": unit_of(detection),
        "score": float(np.mean(detection.score)),
        "orientation_score": (
            float(detection.orientation_score) if has_front(model.symmetry) else None
        ),
        "misfit": float(detection.misfit),
        "T_camera_object": _numbers(detection.T_camera_object),
        "pose_covariance": _numbers(detection.pose_covariance),
        "keypoints": [
            {
                "id": index,
                "name": name,
                "uv_px": _numbers(detection.keypoints_uv[index]),
                "position": _numbers(detection.keypoints_camera[index]),
                "covariance": _numbers(detection.keypoint_covariance[index]),
                "score": float(detection.score[index]),
            }
            for index, name in enumerate(model.keypoints.names)
        ],
    }


def keypoint_rows(record: dict[str, Any]) -> list[list[Any]]:
    """Rows of keypoints.csv of an entry of detections.json."""
    return [
        [
            record["file"], record["frame"], record["time_s"], item["object"],
            keypoint["id"], keypoint["name"], *keypoint["uv_px"], *keypoint["position"],
            item["unit"], float(np.sqrt(np.trace(keypoint["covariance"]))), keypoint["score"],
        ]
        for item in record["objects"]
        for keypoint in item["keypoints"]
    ]  # fmt: skip


def unit_of(detection: Detection) -> str:
    """Unit of a detection's lengths: "m", or "model units" (half the object's longest side)."""
    return "m" if detection.metric else "model units"


def _numbers(values: NDArray[np.float64]) -> Any:
    return np.asarray(values, np.float64).tolist()
