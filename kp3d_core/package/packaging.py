"""From a checkpoint to model files: everything in one pass, each file written once.

graph -> canonical keypoints -> covariances -> depth correction -> int8 -> evaluation of both.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.manifest import data_facts, read_manifest
from kp3d_core.data.memory import ViewSet, join_views, load_views, with_symmetry
from kp3d_core.data.objects import ObjectCategory, built_in
from kp3d_core.evaluation.evaluate import evaluate
from kp3d_core.evaluation.predictions import over_black, predict
from kp3d_core.evaluation.uncertainty import measure_uncertainty, observe
from kp3d_core.files import check_output_folder, write_json
from kp3d_core.inference import Engine, Model
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.inference.model import TrainingCamera
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.models.rounding import round_weights
from kp3d_core.package.acceptance import figures, fit_acceptance, judge, judge_search
from kp3d_core.package.calibration import calibrate, calibrate_factors
from kp3d_core.package.canonical import canonical_keypoints, neighbour_edges, part_distances
from kp3d_core.package.draft import Draft
from kp3d_core.package.encounters import Mix, before_pictures, encounters, pictures_for
from kp3d_core.package.extent import fit_extent
from kp3d_core.package.names import keypoint_names
from kp3d_core.package.settings import PackageData, PackageSettings
from kp3d_core.package.surface_fit import TooFewViews, fit_surface
from kp3d_core.package.to_onnx import export_graph, first_metadata, require_agreement
from kp3d_core.progress import Report, silent
from kp3d_core.provenance import provenance
from kp3d_core.training.checkpoint import TrainedNetwork, load_network
from kp3d_core.training.networks import network_settings

_SEARCHED = Mix(empty=0.5, others=0.2, seed=1)
"""Images that are searched as a whole."""


def package(
    checkpoint: Path,
    data: PackageData,
    output: Path,
    name: str | None = None,
    settings: PackageSettings | None = None,
    objects: ObjectCategory | None = None,
    report: Report = silent,
) -> Path:
    """Write NAME.onnx and NAME.int8.onnx, and what was measured of them.

    Args:
        checkpoint: of a training.
        data: to measure on.
        output: folder for the files; gets evaluation/fp32 and evaluation/int8 with metrics.json
            and pictures.
        name: of the model; the category if None.
        settings: of the measurements.
        objects: where the objects of the data come from; a built-in category is known by its name.
        report: told how far it is.

    Returns:
        The file in float32, which has its figures inside as the other one has.

    Raises:
        ValueError: missing checkpoint or data, or a graph that does not agree with torch.
    """
    settings = settings or PackageSettings()
    earlier = settings.earlier_keypoints()
    check_output_folder(output, "evaluation", holds="a package")
    trained = load_network(checkpoint, "A model file")
    size = int(trained.data.get("input_size", 64))
    training = load_views(data.train, size, settings.objects)
    heldout = join_views([load_views(folder, size, settings.objects) for folder in data.val])
    heldout = with_symmetry(heldout, training.symmetry)
    graph = _graph_of(trained, training, settings)
    proto = export_graph(graph)
    name = name or training.category
    camera = TrainingCamera(training.training_focal_px, training.training_distance)
    network = network_settings(trained.settings)
    metadata = first_metadata(graph, training.category, camera, network, name, settings.version)
    metadata["provenance"] = _provenance(checkpoint, trained, data, settings)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        draft = Draft(Path(folder) / f"{name}.onnx", proto, metadata)
        report("package: canonical keypoints", 0, 1)
        metadata["keypoints"] |= _keypoints(*draft.run(), training, settings.mirror, earlier)
        require_agreement(graph, draft.run()[1], over_black(heldout, 0))
        seen = _calibrate(draft, heldout, data, settings, report)
        objects = objects or built_in(training.category)
        if settings.depth and objects is not None:
            try:
                metadata["surface"] = fit_surface(*draft.run(), objects, settings.surface, report)
            except TooFewViews as error:  # a weak model is better than none
                metadata["provenance"]["without_depth_correction"] = str(error)
        draft.write()
        if settings.int8:
            report("package: int8", 0, 1)
            draft.quantize(seen, settings.int8_objects, "finetune" in trained.settings)
        for precision in draft.precisions:
            folder_of = output / "evaluation" / precision
            draft.metrics[precision] = _evaluate(
                draft.path, data.test, folder_of, precision, settings.pairs, output, report
            )
    return draft.publish(output)


def _graph_of(trained: TrainedNetwork, views: ViewSet, settings: PackageSettings) -> DetectorGraph:
    """What is exported, with weights as they were trained for."""
    refiner = trained.refiner
    if refiner is not None and refiner.mirror != settings.mirror:
        raise ValueError(
            f"package.mirror must be {refiner.mirror}, as the refiner of this checkpoint was "
            f"trained, got {settings.mirror}."
        )
    size = int(trained.data.get("input_size", 64))
    graph = DetectorGraph(
        trained.model, size, views.training_distance, settings.mirror, refiner, views.symmetry
    )
    if "finetune" in trained.settings:
        round_weights(graph)
    return graph.eval()


def _keypoints(
    model: Model,
    engine: Engine,
    views: ViewSet,
    twins: bool,
    earlier: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    predictions = predict(model, engine, views)
    canonical, spread = canonical_keypoints(predictions)
    parts = part_distances(predictions, views)
    return {
        "names": keypoint_names(canonical, twins=twins, parts=parts, earlier=earlier),
        "edges": neighbour_edges(canonical),
        "canonical": canonical.tolist(),
        "spread": spread.tolist(),
    }


def _calibrate(
    draft: Draft, heldout: ViewSet, data: PackageData, settings: PackageSettings, report: Report
) -> ViewSet:
    """Covariances, mean bounding box and acceptance, and what they are worth on the test set.

    Returns:
        The views of `heldout` as they were calibrated on, some before pictures.
    """
    metadata, category, size = draft.metadata, heldout.category, heldout.size
    report("package: covariances", 0, 1)
    pictures = [pictures_for(data.backgrounds, category, 2 * size, part) for part in (0, 1)]
    seen = before_pictures(heldout, pictures[0], settings.backgrounds)
    metadata["calibration"] = asdict(calibrate(*draft.run(), seen))
    extent = fit_extent(heldout, observe(*draft.run(), seen))
    metadata["extent"] = asdict(extent) | {"half": extent.half.tolist()}
    _accept(draft, heldout, data, pictures, settings.encounters, report)
    metadata["calibration"] = asdict(calibrate_factors(*draft.run(), seen))
    model, engine = draft.run()
    views = with_symmetry(load_views(data.test, size, settings.objects), heldout.symmetry)
    views = before_pictures(views, pictures[1], 1.0)
    predictions = predict(model, engine, views)
    metadata["acceptance"]["measured"]["uncertainty"] = measure_uncertainty(
        model, engine, views, predictions
    )
    return seen


def _accept(
    draft: Draft,
    heldout: ViewSet,
    data: PackageData,
    pictures: Sequence[NDArray[np.uint8]],
    count: int,
    report: Report,
) -> None:
    """Acceptance, fitted to encounters with held-out objects and measured on others."""
    size, symmetry, done = heldout.size, heldout.symmetry, "package: acceptance"
    model, engine = draft.run()
    report(done, 0, count)
    met = encounters(_wide(data.val, size, symmetry), pictures[0], count, "val")
    fitted = judge(model, engine, met)
    acceptance = fit_acceptance(fitted)
    report(done, count // 2, count)
    wide = _wide((data.test,), size, symmetry)
    met = encounters(wide, pictures[1], max(count // 2, 1), "test")
    draft.metadata["acceptance"] = {
        "offset": acceptance.offset,
        "weights": acceptance.weights._asdict(),
        "orientation_slope": acceptance.orientation_slope,
        "limits": [list(limit) for limit in acceptance.limits],
        "measured": {
            "backgrounds": "procedural" if data.backgrounds is None else data.backgrounds.name,
            "fitted": figures(fitted, acceptance),
            "test": figures(judge(model, engine, met), acceptance),
        },
    }
    met = encounters(wide, pictures[1], max(count // 5, 1), "test", _SEARCHED)
    draft.metadata["acceptance"]["search"] = judge_search(*draft.run(), met)._asdict()


def _wide(folders: Sequence[Path], size: int, symmetry: str) -> ViewSet:
    """Views for encounters: finer than the network's input, as a camera's image is."""
    finest = min(read_manifest(folder).image_size for folder in folders)
    sets = [load_views(folder, min(finest, 3 * size // 2)) for folder in folders]
    return with_symmetry(join_views(sets), symmetry)


def _evaluate(
    model: Path,
    test: Path,
    folder: Path,
    precision: str,
    pairs: int,
    output: Path,
    report: Report,
) -> dict[str, Any]:
    what = f"package: evaluation, {precision}"
    metrics = evaluate(
        str(model),
        test,
        folder,
        REFERENCE_ENGINE,
        pairs,
        on_progress=lambda done, total: report(what, done, total),
        precision=precision,
    )
    metrics["model"]["file"] = str(output / model.name)
    write_json(folder / "metrics.json", metrics)
    return metrics


def _provenance(
    checkpoint: Path, trained: TrainedNetwork, data: PackageData, settings: PackageSettings
) -> dict[str, Any]:
    sets = {part: _facts_if_there(trained.data.get(part, "")) for part in ("train", "val")}
    return provenance() | {
        "checkpoint": checkpoint.name,
        "steps": trained.steps,
        "earlier_stages": trained.earlier_stages,
        "config": json.loads(json.dumps(trained.settings, default=_plain)),
        "data": trained.data | sets,
        "canonical_data": data_facts(data.train),
        "calibration_data": [data_facts(folder) for folder in data.val],
        "package": asdict(settings),
    }


def _facts_if_there(folder: str) -> object:
    """What a data set is; its name alone where it lies on another machine."""
    return data_facts(Path(folder)) if folder and Path(folder).is_dir() else Path(folder).name


def _plain(value: object) -> object:
    """JSON form of a settings dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
