"""Keypoints of an object before and after it is stretched, seen by the same cameras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.memory import ViewSet, resize_view
from kp3d_core.data.procedural import Instance
from kp3d_core.evaluation.predictions import Predictions, predict
from kp3d_core.evaluation.robustness.background_study import training_camera, view_set
from kp3d_core.evaluation.robustness.deformation import (
    STRETCHES,
    Stretch,
    deform_mesh,
    displacement,
    measure_following,
)
from kp3d_core.inference import Engine, Model
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

FloatArray = NDArray[np.float64]

_VIEW_STREAM = 0x64656672
"""Keeps the random numbers of these views apart from those of the other measurements."""
_ZOOM = 0.85
"""Of the focal length: a stretched object is larger than any in training, and must fit."""
_RENDER_SIZE = 128


@dataclass
class DeformationStudy:
    """Displacements of keypoints, of the surface and of landmarks, and views to show."""

    moved: dict[str, list[FloatArray]] = field(default_factory=dict)
    """By stretch: for each object the mean displacement of its N keypoints along the axis, (N,)
    [model units], over the views in which front and back are told apart before and after."""
    surface: dict[str, list[FloatArray]] = field(default_factory=dict)
    """By stretch: displacement of the surface where the keypoints sit, (N,)."""
    landmark: dict[str, list[FloatArray]] = field(default_factory=dict)
    """By stretch: displacement of the landmark that is nearest to each keypoint, (N,)."""
    used_views: list[float] = field(default_factory=list)
    """Share of the views that were used, for each object and stretch."""
    examples: list[tuple[ViewSet, Predictions]] = field(default_factory=list)
    """First objects: the object as it is and after each stretch, in V views."""


def study_deformation(
    model: Model,
    engine: Engine,
    instances: Sequence[Instance],
    num_views: int,
    seed: int,
    *,
    stretches: Sequence[Stretch] = STRETCHES,
    num_examples: int = 3,
    on_progress: Callable[[int], None] = lambda done: None,
) -> DeformationStudy:
    """Predict the keypoints of each object as it is and after each stretch."""
    study = DeformationStudy()
    for done, instance in enumerate(instances, start=1):
        meshes = [instance.mesh, *(deform_mesh(instance.mesh, stretch) for stretch in stretches)]
        rng = np.random.default_rng((_VIEW_STREAM, seed, instance.seed))
        views = _render_shapes(model, meshes, num_views, rng)
        predictions = predict(model, engine, views)
        _compare(study, instance, predictions, stretches)
        if len(study.examples) < num_examples:
            study.examples.append((views, predictions))
        on_progress(done)
    return study


def summarize_deformation(study: DeformationStudy) -> dict[str, Any]:
    """How far keypoints follow the surface and the nearest landmarks, by stretch and in all."""
    stretches: dict[str, Any] = {}
    for name in (*study.moved, "all"):
        names = list(study.moved) if name == "all" else [name]
        moved = [values for n in names for values in study.moved[n]]
        entry: dict[str, Any] = {}
        for kind, fields in (("surface", study.surface), ("landmarks", study.landmark)):
            targets = [values for n in names for values in fields[n]]
            following = measure_following(moved, targets) if moved else None
            entry[f"slope_{kind}"] = following.slope if following else None
            entry[f"correlation_{kind}"] = following.correlation if following else None
        entry["objects"] = len(study.moved[names[0]])
        stretches[name] = entry
    return {"stretches": stretches, "used_views": float(np.mean(study.used_views))}


def _compare(
    study: DeformationStudy,
    instance: Instance,
    predictions: Predictions,
    stretches: Sequence[Stretch],
) -> None:
    """Add the displacements of one object; shape 0 of the predictions is the undeformed one."""
    bounds = instance.mesh.bounds.astype(np.float64)
    landmarks = np.stack([np.asarray(p, np.float64) for p in instance.landmarks.values()])
    correct, X = predictions.flag_correct, predictions.keypoints_object
    for k, stretch in enumerate(stretches, start=1):
        for table in (study.moved, study.surface, study.landmark):
            table.setdefault(stretch.name, [])
        used = correct[0] & correct[k]
        study.used_views.append(float(used.mean()))
        if not used.any():
            continue
        before, after = X[0, used].mean(0), X[k, used].mean(0)
        nearest = np.linalg.norm(before[:, None] - landmarks, axis=-1).argmin(1)
        study.moved[stretch.name].append((after - before)[:, stretch.axis])
        for table, points in ((study.surface, before), (study.landmark, landmarks[nearest])):
            table[stretch.name].append(displacement(points, stretch, bounds)[:, stretch.axis])


def _render_shapes(
    model: Model, meshes: Sequence[Mesh], num_views: int, rng: np.random.Generator
) -> ViewSet:
    """The same views of several shapes over black; shapes take the place of objects."""
    size = max(_RENDER_SIZE, model.input_size)
    camera = training_camera(model.training_camera, model.input_size)
    cameras = [camera.sample(rng, size) for _ in range(num_views)]
    images, K, T = [], [], []
    for mesh in map(pack, meshes):
        for view in cameras:
            K_zoomed = view.K.copy()
            K_zoomed[[0, 1], [0, 1]] *= _ZOOM
            drawn = render(mesh, K_zoomed, view.T_camera_object, size, size)
            rgba = np.dstack([drawn.rgb, drawn.alpha])
            image, K_input = resize_view(rgba, K_zoomed, model.input_size)
            images.append(image)
            K.append(K_input)
            T.append(view.T_camera_object)
    return view_set(model, [f"shape-{k}" for k in range(len(meshes))], images, K, T)
