"""The paper's protocol before textured backgrounds and under other light (the paper's Figure 5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import PaperCamera
from kp3d_core.data.memory import ViewSet, resize_view
from kp3d_core.data.objects import Instance
from kp3d_core.evaluation.metrics import (
    absolute_rotation_deg,
    pair_errors,
    summarize_rotation,
)
from kp3d_core.evaluation.predictions import Predictions, predict
from kp3d_core.evaluation.robustness.backgrounds import (
    FAMILIES,
    composite,
    draw_light,
    paint_background,
)
from kp3d_core.inference import Engine, Model, TrainingCamera
from kp3d_core.rendering.packing import PackedMesh, pack
from kp3d_core.rendering.rasterizer import Rendering, render

_VIEW_STREAM = 0x6261636B
"""Keeps the random numbers of these views apart from those of the other measurements."""
_LEAST_RENDER_SIZE = 128
"""Views are rendered at this size at least and averaged down, as `kp3d evaluate` does [px]."""

CONDITIONS = ("black", "textured", "light", "textured, light")
"""The same views: as in the paper; before a texture; under other light; both."""


@dataclass(frozen=True, eq=False)
class BackgroundStudy:
    """Views under all conditions with what the model said."""

    views: dict[str, ViewSet]
    """By condition, composited."""
    predictions: dict[str, Predictions]
    """By condition."""
    family: NDArray[np.int64]
    """(I, V) index into `FAMILIES` of the texture behind each view."""


def study_backgrounds(
    model: Model,
    engine: Engine,
    instances: Sequence[Instance],
    num_views: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> BackgroundStudy:
    """Render the paper's views of all objects under all conditions and predict them.

    At least 2 views of each object are needed; families of textures take turns.
    """
    camera = training_camera(model.training_camera, model.input_size)
    rgba: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in CONDITIONS}
    K, T, families = [], [], []
    for i, instance in enumerate(instances):
        mesh = pack(instance.mesh)
        for v in range(num_views):
            rng = np.random.default_rng((_VIEW_STREAM, seed, instance.seed, v))
            # Neighbouring objects start with another family, so that few views cover all.
            family = (v + i * num_views) % len(FAMILIES)
            images, K_view, T_view = _draw_view(mesh, camera, model.input_size, family, rng,
                                                model.category)  # fmt: skip
            for name, image in images.items():
                rgba[name].append(image)
            K.append(K_view)
            T.append(T_view)
            families.append(family)
        on_progress(i + 1)
    keys = [f"{model.category}-{instance.seed:013d}" for instance in instances]
    views = {name: view_set(model, keys, rgba[name], K, T) for name in CONDITIONS}
    predictions = {name: predict(model, engine, views[name]) for name in CONDITIONS}
    return BackgroundStudy(views, predictions, np.array(families).reshape(len(keys), num_views))


def summarize_backgrounds(
    study: BackgroundStudy, canonical: NDArray[np.float64], pairs_per_instance: int, seed: int
) -> dict[str, Any]:
    """Figures of all conditions, their ratio to black, and figures by family of textures.

    Relative rotations are those of the paper: random pairs of views of one object, each view
    before its own texture. A family cannot have such pairs, so it is judged by the absolute
    rotation and the flag.
    """
    conditions: dict[str, Any] = {}
    for name in CONDITIONS:
        errors = pair_errors(study.predictions[name], study.views[name], pairs_per_instance, seed)
        rotation = summarize_rotation(errors.rotation_deg)
        absolute = _absolute_deg(study, name, canonical)
        conditions[name] = {
            "relative_mean_deg": rotation.mean,
            "relative_median_deg": rotation.median,
            "absolute_mean_deg": float(absolute.mean()),
            "absolute_median_deg": float(np.median(absolute)),
            "flag_accuracy": float(study.predictions[name].flag_correct.mean()),
        }
    black = conditions["black"]
    for name in CONDITIONS[1:]:
        for kind in ("mean", "median"):
            figure = f"relative_{kind}_deg"
            conditions[name][f"{kind}_over_black"] = conditions[name][figure] / black[figure]
    absolute = _absolute_deg(study, "textured", canonical)
    correct = study.predictions["textured"].flag_correct
    families = {
        name: {
            "absolute_median_deg": float(np.median(absolute[study.family == k])),
            "flag_accuracy": float(correct[study.family == k].mean()),
            "views": int((study.family == k).sum()),
        }
        for k, name in enumerate(FAMILIES)
        if (study.family == k).any()
    }
    pairs = pairs_per_instance * len(study.family)
    return {"conditions": conditions, "families": families, "pairs": pairs}


def training_camera(training: TrainingCamera, input_size: int) -> PaperCamera:
    """The paper's sampling with the distance and field of view that a model was trained for."""
    fov = 2 * math.atan(input_size / 2 / training.focal_px)
    return PaperCamera(distance=training.distance, fov_deg=math.degrees(fov))


def view_set(
    model: Model,
    keys: Sequence[str],
    images: Sequence[NDArray[np.uint8]],
    K: Sequence[NDArray[np.float64]],
    T_camera_object: Sequence[NDArray[np.float64]],
) -> ViewSet:
    """Views for a model, given object by object: RGBA, K [px], pose [model units] of each."""

    def grid(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(values).reshape(len(keys), -1, *values[0].shape)

    return ViewSet(
        rgba=grid(images),
        K=grid(K).astype(np.float32),
        T_camera_object=grid(T_camera_object).astype(np.float32),
        keys=tuple(keys),
        category=model.category,
        training_focal_px=model.training_camera.focal_px,
        training_distance=model.training_camera.distance,
    )


def _draw_view(
    mesh: PackedMesh,
    camera: PaperCamera,
    input_size: int,
    family: int,
    rng: np.random.Generator,
    category: str,
) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.float64], NDArray[np.float64]]:
    """RGBA (S, S, 4) under each condition, K, T_camera_object of a random view."""
    size = max(_LEAST_RENDER_SIZE, input_size)
    view = camera.sample(rng, size)
    texture = paint_background(FAMILIES[family], rng, (size, size), category)
    light = draw_light(rng)
    T = view.T_camera_object
    up_camera = T[:3, :3] @ light.up_object
    usual = render(mesh, view.K, T, size, size)
    lit = render(
        mesh, view.K, T, size, size, up_camera=up_camera, sky=light.sky, ground=light.ground
    )
    black = np.zeros_like(texture)
    images = {}
    for name, drawn, behind in zip(
        CONDITIONS, (usual, usual, lit, lit), (black, texture, black, texture), strict=True
    ):
        images[name], K = resize_view(_opaque(drawn, behind), view.K, input_size)
    return images, K, T


def _opaque(drawn: Rendering, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA (H, W, 4) of the object before a background: fully covered, so RGB is the image."""
    rgb = composite(drawn.rgb, drawn.alpha, background)
    return np.dstack([rgb, np.full_like(drawn.alpha, 255)])


def _absolute_deg(
    study: BackgroundStudy, condition: str, canonical: NDArray[np.float64]
) -> NDArray[np.float64]:
    T = study.views[condition].T_camera_object
    return absolute_rotation_deg(study.predictions[condition], canonical, T)
