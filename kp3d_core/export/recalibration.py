"""`kp3d calibrate`: fit the covariances of a finished model file to other views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from kp3d_core.data.manifest import data_facts
from kp3d_core.data.memory import join_views, load_views
from kp3d_core.export.backgrounds import before_backgrounds
from kp3d_core.export.calibration import calibrate
from kp3d_core.export.to_onnx import file_metadata, write_model
from kp3d_core.inference import create_engine, load_model
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.provenance import provenance


def recalibrate(
    name_or_path: str,
    data: Sequence[Path],
    output: Path,
    *,
    backgrounds: float = 0.0,
    max_objects: int = 400,
) -> None:
    """Write a model file with other covariances; all else in it stays.

    Args:
        name_or_path: model in fp32.
        data: rendered folders of its category, unseen in training, with equally many views of each
            object.
        output: file to write, atomically.
        backgrounds: share of the views put before random backgrounds.
        max_objects: use at most so many of each folder.

    Raises:
        ValueError: another kind of model, or missing or unlike data.
    """
    model = load_model(name_or_path)
    if model.precision != "fp32":
        raise ValueError(
            f"MODEL must be in fp32, got {model.name} in {model.precision}. Pass the file that "
            "`kp3d export` wrote, and make the others of the result."
        )
    sets = [load_views(folder, model.input_size, max_objects) for folder in data]
    views = before_backgrounds(join_views(sets), backgrounds)
    if views.category != model.category:
        raise ValueError(
            f"DATA must show the model's category {model.category}, got {views.category}. "
            "Render it: kp3d render --split val."
        )
    engine = create_engine(model, REFERENCE_ENGINE, precision="fp32")
    calibration = calibrate(model, engine, views)
    metadata = file_metadata(model)
    metadata["calibration"] = asdict(calibration)
    metadata["recalibration"] = provenance() | {
        "data": [data_facts(folder) for folder in data],
        "objects": len(views.rgba),
        "backgrounds": backgrounds,
        "model_sha256": model.sha256,
    }
    write_model(onnx.load_from_string(model.data), metadata, output)
    load_model(output)
