"""`kp3d export`: checkpoint and rendered data in, one self-contained, verified `.onnx` out."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

import kp3d_core
from kp3d_core.data.manifest import data_facts
from kp3d_core.data.memory import ViewSet, join_views, load_views
from kp3d_core.evaluation.predictions import Predictions, over_black, predict
from kp3d_core.export.backgrounds import before_backgrounds
from kp3d_core.export.calibration import calibrate
from kp3d_core.export.canonical import canonical_keypoints, descriptive_names, neighbour_edges
from kp3d_core.export.graph import INPUT_NAME, OUTPUT_NAMES, DetectorGraph
from kp3d_core.files import atomic_writer
from kp3d_core.inference import create_engine, load_model
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.inference.model import Calibration, Model
from kp3d_core.inference.model_metadata import FORMAT_VERSION, METADATA_KEY
from kp3d_core.inference.seal import seal
from kp3d_core.models.refiner import Refiner
from kp3d_core.models.rounding import round_weights
from kp3d_core.palette import keypoint_colors
from kp3d_core.provenance import placeless, provenance
from kp3d_core.training.checkpoint import TrainedNetwork, load_with_orientation

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


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    name: str | None = None,
    version: str = "1",
    canonical_data: Path | None = None,
    calibration_data: Sequence[Path] = (),
    mirror: bool = True,
    max_instances: int = 400,
    metrics: dict[str, Any] | None = None,
    calibration_backgrounds: float = 0.0,
) -> dict[str, float]:
    """Write the model file of a checkpoint and check it against the network in torch.

    Args:
        checkpoint: from `kp3d train`.
        output: the `.onnx` to write, atomically.
        name: of the model; the category if None.
        version: of the model.
        canonical_data: rendered folder that canonical keypoints are averaged over; the training
            folder of the run if None.
        calibration_data: rendered folders, unseen in training, that covariances are calibrated on;
            the validation folder of the run if empty.
        mirror: see `DetectorGraph`.
        max_instances: use at most so many instances of each folder.
        metrics: figures of an evaluation, kept in the file.
        calibration_backgrounds: share of the calibration views put before random backgrounds.

    Returns:
        Largest difference to torch on rendered views, per output.

    Raises:
        ValueError: missing checkpoint or data, or a graph that does not agree with torch.
    """
    trained = load_with_orientation(checkpoint, "A model file")
    settings = trained.data
    size = int(settings.get("input_size", 64))
    training = load_views(canonical_data or settings["train"], size, max_instances)
    folders = calibration_data or [settings["val"]]
    heldout = join_views([load_views(f, size, max_instances) for f in folders])
    heldout = before_backgrounds(heldout, calibration_backgrounds)
    torch_graph = DetectorGraph(
        trained.model, size, training.training_distance, mirror, _refiner_for(trained, mirror)
    )
    if "polish" in trained.settings:
        round_weights(torch_graph)  # for which they were trained
    graph = export_graph(torch_graph.eval())
    metadata = _first_metadata(torch_graph, training, name, version)
    metadata["metrics"] = metrics or {}
    metadata["provenance"] = provenance() | {
        "checkpoint": checkpoint.name,
        "steps": trained.steps,
        "earlier_stages": trained.earlier_stages,
        "refinement": trained.refinement,
        "calibration_backgrounds": calibration_backgrounds,
        "config": json.loads(json.dumps(trained.settings, default=_plain)),
        "data": settings | {part: _facts_if_there(settings[part]) for part in ("train", "val")},
        "canonical_data": data_facts(Path(canonical_data or settings["train"])),
        "calibration_data": [data_facts(Path(folder)) for folder in folders],
    }
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        write_model(graph, metadata, draft)
        on_training = _predict(draft, training)
        canonical, spread = canonical_keypoints(on_training)
        metadata["keypoints"] |= {
            "names": descriptive_names(canonical),
            "edges": neighbour_edges(canonical),
            "canonical": canonical.tolist(),
            "spread": spread.tolist(),
        }
        write_model(graph, metadata, draft)
        model = load_model(draft)
        engine = create_engine(model, REFERENCE_ENGINE)
        metadata["calibration"] = asdict(calibrate(model, engine, heldout))
        images = over_black(heldout, 0)
        differences = _compare(torch_graph, images, engine.run(images))
    _require_agreement(differences)
    write_model(graph, metadata, output)
    load_model(output)
    return differences


def _facts_if_there(folder: str) -> object:
    """What a data set is; its name alone where it lies on another machine."""
    return data_facts(Path(folder)) if Path(folder).is_dir() else Path(folder).name


def _refiner_for(trained: TrainedNetwork, mirror: bool) -> Refiner | None:
    if trained.refiner is not None and trained.refiner.mirror != mirror:
        raise ValueError(
            f"The refiner of this checkpoint was fitted with mirror={trained.refiner.mirror}, got "
            f"mirror={mirror}. Export it as it was fitted, or run `kp3d refine` again."
        )
    return trained.refiner


def file_metadata(model: Model) -> dict[str, object]:
    """Metadata of a model's file as it stands there."""
    for entry in onnx.load_from_string(model.data).metadata_props:
        if entry.key == METADATA_KEY:
            return dict(json.loads(entry.value))
    raise AssertionError("load_model requires the entry")


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


def _first_metadata(
    graph: DetectorGraph, views: ViewSet, name: str | None, version: str
) -> dict[str, Any]:
    """Metadata before anything was measured; a valid file, so that the engine can measure."""
    num_keypoints = graph.num_keypoints
    return {
        "name": name or views.category,
        "category": views.category,
        "version": version,
        "precision": "fp32",
        "input_size": graph.input_size,
        "training_camera": {
            "focal_px": views.training_focal_px,
            "distance": views.training_distance,
        },
        "keypoints": {
            "names": [f"keypoint_{i}" for i in range(num_keypoints)],
            "colors": keypoint_colors(num_keypoints, twins=graph.mirror),
            "edges": [],
            "canonical": np.eye(num_keypoints, 3).tolist(),
            "spread": np.zeros((num_keypoints, 3)).tolist(),
        },
        "calibration": asdict(Calibration()),
        "symmetry": "none",
    }


def _predict(path: Path, views: ViewSet) -> Predictions:
    model = load_model(path)
    return predict(model, create_engine(model, REFERENCE_ENGINE), views)


@torch.no_grad()
def _compare(
    graph: DetectorGraph, images: NDArray[np.uint8], outputs: dict[str, NDArray[np.float32]]
) -> dict[str, float]:
    """Largest absolute difference between engine and torch, per output."""
    expected = graph(torch.from_numpy(images))
    return {
        output: float(np.abs(outputs[output] - value.numpy()).max())
        for output, value in zip(OUTPUT_NAMES, expected, strict=True)
    }


def _require_agreement(differences: dict[str, float]) -> None:
    limits = {"keypoints_uv": TOLERANCE_PX, "keypoints_depth": TOLERANCE_UNITS}
    bad = [f"{k}: {differences[k]:.2g} > {v}" for k, v in limits.items() if differences[k] > v]
    if bad:
        raise ValueError(
            "The exported graph must agree with torch, got differences of " + ", ".join(bad) + ". "
            "Report this with the versions of torch and onnxruntime."
        )


def _plain(value: object) -> object:
    """JSON form of a settings dataclass."""
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)  # type: ignore[call-overload]
