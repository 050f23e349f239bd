"""`kp3d refine`: checkpoint and views of new objects in, the checkpoint with a refiner out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from kp3d_core.data.cameras import RobotCamera
from kp3d_core.data.manifest import Manifest, read_manifest
from kp3d_core.data.memory import load_views
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.export.reading import join, read_views
from kp3d_core.export.refinement import RefinementSettings, fit_refiner, training_unit_ndc
from kp3d_core.models.rounding import rounded_weights
from kp3d_core.training.checkpoint import add_refiner, load_with_orientation


def refine_checkpoint(
    checkpoint: Path,
    data: Sequence[Path],
    output: Path,
    *,
    settings: RefinementSettings | None = None,
    max_objects: int = 3000,
    mirror: bool = True,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> None:
    """Fit a refiner to a checkpoint's network and write both, atomically.

    Args:
        checkpoint: of `kp3d train`, or of `kp3d polish`, whose refiner is then fitted further.
        data: rendered folders of objects that the network was not trained on, of its category.
            Those by the paper's camera, to which all objects are equally far, teach everything but
            the size.
        output: checkpoint to write.
        settings: of the fit.
        max_objects: use at most so many of each folder.
        mirror: as in `kp3d export`: the refiner is told of the mirror image, too.
        on_progress: called with what is done, how much of it, and of how much.

    Raises:
        ValueError: missing checkpoint or data, data of another kind, or too little of it.
    """
    settings = settings or RefinementSettings()
    trained = load_with_orientation(checkpoint, "A refiner")
    for folder in data:
        _require_new_objects(folder, trained.data.get("train"))
    size = int(trained.data.get("input_size", 64))
    # A polished network's refiner belongs to it.
    polished = "polish" in trained.settings
    initial = trained.refiner if polished else None
    parts, facts, cameras = [], [], []
    for folder in data:
        views = load_views(folder, trained.data.get("source_size") or size, max_objects)
        total = len(views.rgba)
        graph = DetectorGraph(trained.model, size, views.training_distance, mirror).eval()
        with rounded_weights(trained.model) if polished else nullcontext():
            parts.append(
                read_views(
                    graph,
                    views,
                    size_varies=isinstance(read_manifest(folder).camera_settings, RobotCamera),
                    on_progress=functools.partial(_report, on_progress, f"reading {folder}", total),
                )
            )
        facts.append({"data": str(folder), "objects": total, "views": views.rgba.shape[1]})
        cameras.append((views.training_distance, training_unit_ndc(views)))
    _require_one_camera(data, cameras)
    refiner = fit_refiner(
        graph,
        join(parts),
        cameras[0][1],
        settings,
        functools.partial(_report, on_progress, "fitting", settings.steps),
        initial=initial,
    )
    refinement = asdict(settings) | {"views": facts}
    if initial is not None:
        refinement["before"] = trained.refinement
    add_refiner(checkpoint, refiner, refinement, output)


def _report(on_progress: Callable[[str, int, int], None], what: str, total: int, done: int) -> None:
    on_progress(what, done, total)


def _require_one_camera(data: Sequence[Path], cameras: Sequence[tuple[float, float]]) -> None:
    """The refiner's units are those of the training camera."""
    for folder, camera in zip(data, cameras, strict=True):
        if camera != cameras[0]:
            raise ValueError(
                f"DATA must have one training camera, got (distance, length of a model unit in the "
                f"image) {cameras[0]} in {data[0]} and {camera} in {folder}. Render one of them "
                "anew."
            )


def _require_new_objects(data: Path, train: str | None) -> None:
    """On objects that it was trained on, a network does not make the errors to be corrected."""
    found = read_manifest(data)
    if train is None or not Path(train).is_dir():
        return  # trained elsewhere
    trained = read_manifest(Path(train))
    if found.category != trained.category:
        raise ValueError(
            f"DATA must show the category {trained.category}, got {found.category} in {data}."
        )
    if max(found.first_seed, trained.first_seed) < min(_end(found), _end(trained)):
        raise ValueError(
            f"DATA must hold objects that the network was not trained on, got some of {train} in "
            f"{data}. Render new ones: kp3d render --split train --seed-offset 10000."
        )


def _end(manifest: Manifest) -> int:
    return manifest.first_seed + manifest.instances
