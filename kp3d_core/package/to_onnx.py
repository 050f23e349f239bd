"""Graphs and metadata as self-contained files, and whether an engine agrees with torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

import kp3d_core
from kp3d_core.files import atomic_writer
from kp3d_core.inference import Engine
from kp3d_core.inference.model import Calibration, TrainingCamera
from kp3d_core.inference.model_metadata import FORMAT_VERSION, METADATA_KEY
from kp3d_core.inference.seal import seal
from kp3d_core.models.graph import INPUT_NAME, OUTPUT_NAMES, DetectorGraph
from kp3d_core.palette import keypoint_colors
from kp3d_core.provenance import placeless

OPSET = 18
TOLERANCE_PX = 0.005
"""Largest difference of keypoints between torch and the exported graph [px]; both are float32 and
sum in another order, which is worth about 1e-4 px."""
TOLERANCE_UNITS = 1e-3
"""The same for depths [model units]."""


def export_graph(graph: DetectorGraph) -> onnx.ModelProto:
    """The fused graph with a free batch size, without metadata."""
    input_size = graph.input_size
    example = torch.zeros(2, input_size, input_size, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # else it names what it does not need
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert program is not None
    exported = program.model_proto
    for node in exported.graph.node:
        del node.metadata_props[:]  # where in the source each node comes from
    del exported.graph.value_info[:]
    onnx.checker.check_model(exported, full_check=True)
    return exported


def write_model(graph: onnx.ModelProto, metadata: dict[str, Any], path: Path) -> None:
    """Write graph and metadata as one sealed file, which appears whole or not at all.

    The metadata loses the folders of this machine, see `placeless`.
    """
    del graph.metadata_props[:]
    content = placeless(metadata) | {"format_version": FORMAT_VERSION}
    onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(content)})
    graph.producer_name, graph.producer_version = "kp3d", kp3d_core.__version__
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:
        stream.write(seal(graph.SerializeToString()))


def first_metadata(
    graph: DetectorGraph,
    category: str,
    camera: TrainingCamera,
    network: Mapping[str, Any],
    name: str,
    version: str,
) -> dict[str, Any]:
    """Metadata before anything was measured; a valid file, so that the engine can measure."""
    num_keypoints = graph.num_keypoints
    refiner = None if graph.refiner is None else graph.refiner.settings
    return {
        "name": name,
        "category": category,
        "version": version,
        "precision": "fp32",
        "input_size": graph.input_size,
        "training_camera": asdict(camera),
        "keypoints": {
            "names": [f"keypoint_{i}" for i in range(num_keypoints)],
            "colors": keypoint_colors(num_keypoints, twins=graph.mirror),
            "edges": [],
            "canonical": np.eye(num_keypoints, 3).tolist(),
            "spread": np.zeros((num_keypoints, 3)).tolist(),
        },
        "calibration": asdict(Calibration()),
        "symmetry": graph.symmetry,
        "metrics": {},
        "network": {**network, "mirror": graph.mirror, "refiner": refiner},
    }


@torch.no_grad()
def require_agreement(graph: DetectorGraph, engine: Engine, images: NDArray[np.uint8]) -> None:
    """Raise a `ValueError` unless an engine gives the keypoints that torch gives."""
    expected, got = graph(torch.from_numpy(images)), engine.run(images)
    differences = {
        output: float(np.abs(got[output] - value.numpy()).max())
        for output, value in zip(OUTPUT_NAMES, expected, strict=True)
    }
    limits = {"keypoints_uv": TOLERANCE_PX, "keypoints_depth": TOLERANCE_UNITS}
    bad = [f"{k}: {differences[k]:.2g} > {v}" for k, v in limits.items() if differences[k] > v]
    if bad:
        raise ValueError(
            "The exported graph must agree with torch, got differences of " + ", ".join(bad) + ". "
            "Report this with the versions of torch and onnxruntime."
        )
