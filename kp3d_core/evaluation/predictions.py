"""Predictions of a model file on a rendered set, saved apart from the metrics made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet
from kp3d_core.geometry.camera import unproject
from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.inference.engines import Engine
from kp3d_core.inference.lift import object_distance
from kp3d_core.inference.model import Model, TrainingCamera

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What the engine said about I objects seen in V views each; N keypoints."""

    keypoints_uv: FloatArray
    """(I, V, N, 2) [px of the model's input]."""
    keypoints_camera: FloatArray
    """(I, V, N, 3) [model units], lifted by the predicted apparent size, as a robot does."""
    keypoints_object: FloatArray
    """(I, V, N, 3) in the object frame by the true camera, its distance included [model units]:
    where keypoints sit on the object, apart from how far away the robot takes it to be."""
    depth_offset: FloatArray
    """(I, V, N) predicted depth relative to the object's centre [model units]."""
    covariance: FloatArray
    """(I, V, N, 3, 3) heatmap moments of (u [px], v [px], depth [model units])."""
    score: FloatArray
    """(I, V, N)."""
    scale: FloatArray
    """(I, V) predicted apparent size."""
    scale_true: FloatArray
    """(I, V)."""
    flag: NDArray[np.bool_]
    """(I, V) predicted: the front is right of the back; true of objects without a front."""
    flag_true: NDArray[np.bool_]
    """(I, V) the object's +x axis points right."""

    @property
    def flag_correct(self) -> NDArray[np.bool_]:
        """(I, V)."""
        return self.flag == self.flag_true


def over_black(views: ViewSet, index: int) -> NDArray[np.uint8]:
    """Images (V, S, S, 3) of one object as the paper renders them."""
    return np.ascontiguousarray(views.rgba[index, ..., :3])


def predict(
    model: Model,
    engine: Engine,
    views: ViewSet,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Run all views of a set, object by object, over black and without noise.

    Raises:
        ValueError: views of another size or category.
    """
    problems = []
    if views.size != model.input_size:
        problems.append(f"views must be {model.input_size} px wide, got {views.size}")
    if views.category != model.category:
        problems.append(f"category must be {model.category!r}, got {views.category!r}")
    if problems:
        raise ValueError("The data does not fit the model: " + "; ".join(problems) + ".")
    return run_views(engine, views, model.training_camera, on_progress)


def run_views(
    engine: Engine,
    views: ViewSet,
    training: TrainingCamera,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """`predict` for an engine without a model file, whose views are known to fit it."""
    outputs: list[dict[str, NDArray[np.float32]]] = []
    for index in range(len(views.rgba)):
        outputs.append(engine.run(over_black(views, index)))
        on_progress(index + 1)
    stacked = {name: np.stack([o[name] for o in outputs]).astype(np.float64) for name in outputs[0]}
    return _lift(stacked, views, training)


def _lift(outputs: dict[str, FloatArray], views: ViewSet, training: TrainingCamera) -> Predictions:
    K, T = views.K.astype(np.float64), views.T_camera_object.astype(np.float64)
    focal = K[..., 0, 0]
    scale = outputs["scale"]
    offset = outputs["keypoints_depth"] - training.distance
    distance = object_distance(scale, focal, training)
    depth = np.asarray(distance)[..., None] + offset
    keypoints_camera = unproject(outputs["keypoints_uv"], depth, K)
    front, back = outputs["orientation_uv"][..., 0, 0], outputs["orientation_uv"][..., 1, 0]
    keypoints_known = unproject(outputs["keypoints_uv"], T[..., 2, 3, None] + offset, K)
    return Predictions(
        keypoints_uv=outputs["keypoints_uv"],
        keypoints_camera=keypoints_camera,
        keypoints_object=transform_points(invert_transform(T), keypoints_known),
        depth_offset=offset,
        covariance=outputs["covariance"],
        score=outputs["score"],
        scale=scale,
        scale_true=focal / training.focal_px * training.distance / T[..., 2, 3],
        flag=front > back if has_front(views.symmetry) else np.ones_like(front, bool),
        flag_true=T[..., 0, 0] > 0 if has_front(views.symmetry) else np.ones_like(front, bool),
    )
