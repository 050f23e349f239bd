"""Figures of an evaluation kept in model files: precision "auto" goes by them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from kp3d_core.inference import Model, load_model
from kp3d_core.inference.model_file import int8_path
from kp3d_core.package.to_onnx import write_model
from kp3d_core.training.packaged import file_metadata


def check_keeps_figures(name_or_path: str, precision: str | None) -> Model:
    """The model, if figures can be kept in its file; else `ValueError`, before anything is done."""
    if precision is not None:
        raise ValueError(
            f"--keep measures every precision that the model has a file in, got --precision "
            f"{precision}. Leave one of them out."
        )
    model = load_model(name_or_path)
    if model.precision != "fp32" or not Path(name_or_path).expanduser().is_file():
        raise ValueError(
            f"--keep must be given the path of an fp32 model file, got {name_or_path}, "
            f"{model.name} in {model.precision}. Pass the file that `kp3d package` wrote."
        )
    return model


def keep_figures(path: Path, figures: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write figures into the fp32 file and the int8 file that belongs to it.

    Args:
        path: of the fp32 file.
        figures: content of metrics.json by precision; what is not measured stays as it is.

    Returns:
        The files that were written.
    """
    model = load_model(path)
    quantized = model.int8
    written = [_rewrite(path, model, {"metrics": figures["fp32"]})]
    if quantized is not None and "int8" in figures:
        made_of = file_metadata(quantized)["quantization"]
        assert isinstance(made_of, dict)
        made_of = made_of | {"model_sha256": load_model(path).sha256}
        changes = {"metrics": figures["int8"], "quantization": made_of}
        written.append(_rewrite(int8_path(path), quantized, changes))
    return written


def _rewrite(path: Path, model: Model, changes: Mapping[str, Any]) -> Path:
    """Write the file with some of its metadata changed."""
    write_model(onnx.load_from_string(model.data), {**file_metadata(model), **changes}, path)
    return path
