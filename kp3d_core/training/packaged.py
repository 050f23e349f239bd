"""Weights out of model files: a model that is shipped or on disk can be trained on, exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from kp3d_core.inference import Model, load_model
from kp3d_core.inference.model_metadata import METADATA_KEY
from kp3d_core.models import create_model
from kp3d_core.models.refiner import Refiner
from kp3d_core.training.checkpoint import TrainedNetwork, load_checkpoint
from kp3d_core.training.checkpoint_files import Module, restored
from kp3d_core.training.weight_files import SHIPPED, SUFFIX, shipped_weights


def file_metadata(model: Model) -> dict[str, Any]:
    """Metadata of a model's file as it stands there."""
    for entry in onnx.load_from_string(model.data).metadata_props:
        if entry.key == METADATA_KEY:
            return dict(json.loads(entry.value))
    raise AssertionError("load_model requires the entry")


def load_weights(source: str) -> TrainedNetwork:
    """Network of a checkpoint, a file of weights, a model file, or a shipped one of these."""
    if source in shipped_weights():
        source = str(SHIPPED / f"{source}{SUFFIX}")
    is_kept = source.endswith((".ckpt", SUFFIX))
    return load_checkpoint(Path(source)) if is_kept else load_packaged(source)


def load_packaged(name_or_path: str) -> TrainedNetwork:
    """Network and refiner of a model file, in evaluation mode.

    Args:
        name_or_path: shipped name or path of a file in float32.

    Raises:
        ValueError: no such model, or a file whose weights are not all there under their names.
    """
    model = load_model(name_or_path)
    metadata = file_metadata(model)
    made_of = metadata.get("network")
    if model.precision != "fp32" or not isinstance(made_of, dict):
        raise ValueError(
            f"Weights must come from a model file in fp32 that says what network it holds, got "
            f"{name_or_path} in {model.precision}. Use a file of `kp3d package` or a checkpoint."
        )
    constants = {
        constant.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(constant)))
        for constant in onnx.load_from_string(model.data).graph.initializer
    }
    try:
        settings = {key: made_of[key] for key in ("network", "num_keypoints", "width", "folded")}
        refiner_settings = made_of["refiner"]
    except KeyError as error:
        raise ValueError(
            f"{name_or_path} must say what its network is made of, got no {error}. Use a "
            "checkpoint."
        ) from error

    def part(prefix: str, make: Callable[[], Module]) -> Module:
        named = {k[len(prefix) :]: v for k, v in constants.items() if k.startswith(prefix)}
        return restored(make, named, name_or_path)

    network = part("model.", lambda: create_model(**settings))
    refiner = None
    if refiner_settings is not None:
        refiner = part("refiner.", lambda: Refiner(**refiner_settings))
    origin = metadata["provenance"]
    return TrainedNetwork(
        network.eval(),
        settings,
        dict(origin["data"]) | {"input_size": model.input_size},
        int(origin.get("steps", 0)),
        tuple(origin.get("earlier_stages", ())),
        model.sha256,
        None if refiner is None else refiner.eval(),
    )
