"""`kp3d evaluate`: a model file and a rendered set in, figures of merit and pictures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kp3d_core.data.memory import load_views, with_symmetry
from kp3d_core.evaluation.before_photographs import before_photographs
from kp3d_core.evaluation.breakdown import by_kind
from kp3d_core.evaluation.equivariance import measure_equivariance
from kp3d_core.evaluation.figures import write_histogram, write_sheets
from kp3d_core.evaluation.metrics import absolute_rotation_deg, pair_errors, summarize
from kp3d_core.evaluation.predictions import predict
from kp3d_core.evaluation.semantics import against_landmarks
from kp3d_core.evaluation.uncertainty import measure_uncertainty
from kp3d_core.files import write_json
from kp3d_core.inference import create_engine, load_model
from kp3d_core.provenance import provenance


def evaluate(
    model_name_or_path: str,
    data: Path,
    output: Path,
    engine_name: str = "auto",
    pairs_per_instance: int = 100,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    precision: str | None = None,
    device: str = "auto",
    backgrounds: Path | None = None,
    sensor: bool = False,
) -> dict[str, Any]:
    """Measure a model as the paper does: noise-free, predicted flags, unseen objects.

    Args:
        model_name_or_path: shipped name or path of a model file.
        data: folder made by `kp3d render`.
        output: folder for metrics.json, predictions.npz, histogram.png, views.png, instances.png,
            failures.png.
        engine_name: engine to run the model with.
        pairs_per_instance: random pairs of views of each object.
        seed: of the choice of pairs.
        on_progress: called with the number of finished objects and their total.
        precision: to run the model in, see `create_engine`; the model file's own if None.
        device: to run it on, see `EngineOptions`.
        backgrounds: folder of photographs to put behind the objects; black if None.
        sensor: whether a camera's faults are added, see `before_photographs`.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: model, engine or data cannot be used; the message says why.
    """
    if pairs_per_instance < 1:
        raise ValueError(f"pairs must be at least 1, got {pairs_per_instance}.")
    model = load_model(model_name_or_path)
    engine = create_engine(model, engine_name, device=device, precision=precision)
    ran = model.int8 if engine.precision == "int8" and model.int8 else model
    views = with_symmetry(load_views(data, model.input_size), model.symmetry)
    if views.rgba.shape[1] < 2:
        raise ValueError(f"{data} must hold at least 2 views of each object to form pairs, got 1.")
    if backgrounds is not None or sensor:
        views = before_photographs(views, backgrounds, sensor)
    total = len(views.rgba)
    predictions = predict(model, engine, views, lambda done: on_progress(done, total))
    output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output / "predictions.npz", **asdict(predictions))
    errors = pair_errors(predictions, views, pairs_per_instance, seed)
    metrics = summarize(predictions, views, errors, model.keypoints.canonical)
    metrics |= {
        **against_landmarks(predictions, views),
        "uncertainty": measure_uncertainty(model, engine, views, predictions),
        "equivariance": measure_equivariance(engine, views),
        "by_kind": by_kind(errors, predictions.flag_correct, views.kinds),
        "model": {
            "name": model.name,
            "version": model.version,
            "sha256": ran.sha256,
            "file": model_name_or_path,
        },
        "engine": {
            "name": engine.name,
            "device": engine.device,
            "precision": engine.precision,
        },
        "backgrounds": None if backgrounds is None else backgrounds.name,
        "sensor": sensor,
        "data": {"folder": str(data), "first": views.keys[0], "last": views.keys[-1]},
        "provenance": provenance(),
    }
    write_json(output / "metrics.json", metrics)
    title = f"{model.name}: {metrics['pairs']} pairs of {total} objects"
    write_histogram(output / "histogram.png", errors.rotation_deg, title)
    absolute = absolute_rotation_deg(
        predictions, model.keypoints.canonical, views.T_camera_object, views.symmetry
    )
    write_sheets(
        output, views, predictions, absolute, model.keypoints.colors, model.keypoints.edges
    )
    return metrics
