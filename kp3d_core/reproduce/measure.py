"""Figures of a trained network on a test set, by the code of `kp3d evaluate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet, load_views
from kp3d_core.evaluation.metrics import (
    PairErrors,
    keypoint_spread,
    mean_keypoints,
    pair_errors,
    share_inside,
    summarize_rotation,
    unflipped_views,
)
from kp3d_core.evaluation.predictions import Predictions, run_views
from kp3d_core.evaluation.torch_engine import TorchEngine
from kp3d_core.inference.model import TrainingCamera
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.training.checkpoint import load_checkpoint

SHEET_OBJECTS, SHEET_VIEWS = 3, 4
"""So many of the first objects of a test set, and of their first views, are kept for pictures."""


@dataclass(frozen=True)
class Result:
    """What a row reached."""

    figures: dict[str, Any]
    """Content of result.json."""
    rotation_deg: NDArray[np.float64]
    """Errors of all pairs, (P,)."""
    sheet_rgb: NDArray[np.uint8]
    """Views for pictures, (objects, views, S, S, 3)."""
    sheet_uv: NDArray[np.float64]
    """Keypoints in them, (objects, views, N, 2) [px]."""


def measure(checkpoint: Path, test: Path, pairs_per_instance: int, has_flag: bool) -> Result:
    """Measure as the paper does: without noise, with the flags predicted, view by view."""
    trained = load_checkpoint(checkpoint)
    views = load_views(test, int(trained.data["input_size"]))
    camera = TrainingCamera(views.training_focal_px, views.training_distance)
    graph = DetectorGraph(trained.model, views.size, camera.distance, symmetry=views.symmetry)
    engine = TorchEngine(graph)
    predictions = run_views(engine, views, camera)
    errors = pair_errors(predictions, views, pairs_per_instance)
    images = trained.steps * trained.data["objects_per_batch"] * trained.data["views_per_object"]
    return Result(
        figures(predictions, views, errors, has_flag) | {"steps": trained.steps, "images": images},
        errors.rotation_deg,
        views.rgba[:SHEET_OBJECTS, :SHEET_VIEWS, ..., :3],
        predictions.keypoints_uv[:SHEET_OBJECTS, :SHEET_VIEWS],
    )


def figures(
    predictions: Predictions, views: ViewSet, errors: PairErrors, has_flag: bool
) -> dict[str, Any]:
    """All figures of Table 1 and of the ablations; None where there is nothing to measure."""
    used = unflipped_views(errors, *views.rgba.shape[:2])
    placed = used.any()
    extent = mean_keypoints(predictions.keypoints_object, used).std(0) if placed else [np.nan] * 3
    return {
        "rotation_deg": asdict(summarize_rotation(errors.rotation_deg)),
        "spread_3d": keypoint_spread(predictions.keypoints_object, used) if placed else None,
        "flag_accuracy": float(predictions.flag_correct.mean()) if has_flag else None,
        "extent": dict(zip("xyz", map(float, extent), strict=True)) if placed else None,
        "inside": share_inside(predictions, views),
        "consistency_px": float(np.median(errors.consistency_px)),
        "keypoints": predictions.keypoints_uv.shape[2],
        "pairs": len(errors.rotation_deg),
        "instances": len(views.rgba),
        "input_size": views.size,
    }
