"""`kp3d refine`: checkpoint and views of new objects in, the checkpoint with a refiner out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kp3d_core.data.manifest import Manifest, read_manifest
from kp3d_core.data.memory import load_views, some_objects
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.export.reading import read_views
from kp3d_core.export.refinement import RefinementSettings, fit_refiner, training_unit_ndc
from kp3d_core.training.checkpoint import add_refiner, load_with_orientation


def refine_checkpoint(
    checkpoint: Path,
    data: Path,
    output: Path,
    *,
    settings: RefinementSettings | None = None,
    max_objects: int = 1200,
    mirror: bool = True,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> None:
    """Fit a refiner to a checkpoint's network and write both, atomically.

    Args:
        checkpoint: of `kp3d train`.
        data: rendered folder of objects that the network was not trained on, of its category.
        output: checkpoint to write.
        settings: of the fit.
        max_objects: use at most so many of the folder.
        mirror: as in `kp3d export`: the refiner is told of the mirror image, too.
        on_progress: called with what is done, how much of it, and of how much.

    Raises:
        ValueError: missing checkpoint or data, data of another kind, or too little of it.
    """
    settings = settings or RefinementSettings()
    trained = load_with_orientation(checkpoint, "A refiner")
    size = int(trained.data.get("input_size", 64))
    _require_new_objects(data, trained.data.get("train"))
    views = some_objects(load_views(data, trained.data.get("source_size") or size), max_objects)
    graph = DetectorGraph(trained.model, size, views.training_distance, mirror).eval()
    total = len(views.rgba)
    readings = read_views(graph, views, lambda done: on_progress("reading views", done, total))
    refiner = fit_refiner(
        graph,
        readings,
        training_unit_ndc(views),
        settings,
        lambda done: on_progress("fitting", done, settings.steps),
    )
    facts = asdict(settings) | {"data": str(data), "objects": total, "views": views.rgba.shape[1]}
    add_refiner(checkpoint, refiner, facts, output)


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
            f"{data}. Render new ones: kp3d render --split train --seed-offset 1."
        )


def _end(manifest: Manifest) -> int:
    return manifest.first_seed + manifest.instances
