"""How well a model tells the pose of objects in photographs whose box is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kp3d_core.evaluation.photographs.figures import Measured, summarize
from kp3d_core.evaluation.photographs.reading import read_labelled
from kp3d_core.evaluation.photographs.sheet import SheetEntry, write_sheet
from kp3d_core.evaluation.photographs.truth import LabelledObject
from kp3d_core.files import write_json
from kp3d_core.geometry.rotation import rotation_angle
from kp3d_core.geometry.symmetry import nearest_pose
from kp3d_core.inference import CameraModel, Detection, Detector, create_engine, load_model
from kp3d_core.inference.facts import facts_of
from kp3d_core.inference.settings import DetectorSettings
from kp3d_core.provenance import provenance

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Which labelled objects are measured. The defaults are KITTI's moderate set."""

    min_height_px: float = 25.0
    """Smallest height of the box [px]."""
    max_occluded: int = 1
    max_truncated: float = 0.3

    def takes(self, labelled: LabelledObject) -> bool:
        """Whether an object is measured."""
        return (
            labelled.region.height >= self.min_height_px
            and labelled.occluded <= self.max_occluded
            and labelled.truncated <= self.max_truncated
        )


def evaluate_photographs(
    model_name_or_path: str,
    data: Path,
    output: Path,
    engine_name: str = "auto",
    precision: str | None = None,
    looks: int | None = None,
    selection: Selection | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a model on labelled photographs, with the box of each object given.

    Args:
        model_name_or_path: shipped name or path of a model file.
        data: labelled photographs, see `reading`.
        output: folder for metrics.json and photographs.png.
        engine_name: engine to run the model with.
        precision: to run the model in; the file's own if None.
        looks: most engine calls for an object; the detector's default if None.
        selection: which objects are measured.
        on_progress: called with the number of finished photographs and their total.
        device: to run the engine on, see `EngineOptions`.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: model, engine or photographs cannot be used, or none shows such an object.
    """
    model = load_model(model_name_or_path)
    engine = create_engine(model, engine_name, device=device, precision=precision)
    settings = DetectorSettings() if looks is None else replace(DetectorSettings(), max_runs=looks)
    selection = selection or Selection()
    photographs = read_labelled(data)
    rows: list[Measured] = []
    entries: list[SheetEntry] = []
    for number, photograph in enumerate(photographs):
        chosen = [
            o for o in photograph.objects if o.category == model.category and selection.takes(o)
        ]
        if chosen:
            image = read_image(photograph.image)
            camera = CameraModel(photograph.K, image.shape[1], image.shape[0])
        for labelled in chosen:
            size_m = max(labelled.size_lwh_m)
            detector = Detector(model, engine, object_size_m=size_m, settings=settings)
            found = detector.detect(image, camera, labelled.region)
            rows.append(_compare(photograph.image.name, labelled, found, model.symmetry))
            entries.append(SheetEntry(image, camera, labelled, found.T_camera_object, rows[-1]))
        on_progress(number + 1, len(photographs))
    if not rows:
        raise ValueError(
            f"{data} must show objects of the category {model.category!r} that are large and "
            f"visible enough ({selection}), got none. Choose other photographs or limits."
        )
    metrics = {
        **summarize(rows),
        "photographs": len({photograph.image for photograph in photographs}),
        "selection": asdict(selection),
        "looks": settings.max_runs,
        **facts_of(model, engine),
        "objects": [asdict(row) for row in rows],
        "provenance": provenance(),
    }
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "metrics.json", metrics)
    write_sheet(output / "photographs.png", entries)
    return metrics


def azimuth(R_camera_object: FloatArray, direction: FloatArray) -> float:
    """Where the camera stands about the object's z axis [rad]; 0: before its front.

    Args:
        R_camera_object: orientation of the object.
        direction: from the camera to the object, in the camera frame.
    """
    towards_camera = -R_camera_object.T @ direction
    return math.atan2(towards_camera[1], towards_camera[0])


def _compare(
    image: str, labelled: LabelledObject, found: Detection, symmetry: str = "none"
) -> Measured:
    """Errors of a detection. Both azimuths are seen along the true ray to the object.

    Of poses that are equally right by the symmetry, the one nearest to the truth counts.
    """
    T_true = labelled.T_camera_object
    T = nearest_pose(found.T_camera_object, T_true[:3, :3], symmetry)
    direction = T_true[:3, 3]
    turn = azimuth(T[:3, :3], direction) - azimuth(T_true[:3, :3], direction)
    distance = float(np.linalg.norm(direction))
    return Measured(
        image=image,
        box_height_px=labelled.region.height,
        azimuth_error_deg=abs(math.degrees(math.remainder(turn, 2 * math.pi))),
        rotation_error_deg=math.degrees(float(rotation_angle(T[:3, :3], T_true[:3, :3]))),
        translation_error=float(np.linalg.norm(T[:3, 3] - direction)) / distance,
        accepted=not found.problems,
        confidence=float(found.score.mean()) * found.orientation_score,
        orientation_score=found.orientation_score,
        score=float(found.score.mean()),
        misfit=found.misfit,
        scale=found.scale,
        runs=found.runs,
        problems=found.problems,
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of a file; `ValueError` that names it if it is no picture."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} must be a picture, got a file that OpenCV cannot read.")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)
