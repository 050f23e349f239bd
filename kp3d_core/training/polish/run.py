"""`kp3d polish`: a refined checkpoint in, a run folder with the polished one out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from kp3d_core.data.memory import ViewSet
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.files import atomic_writer
from kp3d_core.models import InBfloat16
from kp3d_core.training.checkpoint import stages_behind
from kp3d_core.training.checkpoint_io import WholeCheckpoints
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.polish.module import PolishModule, polishable
from kp3d_core.training.polish.places import mean_places
from kp3d_core.training.polish.settings import PolishSettings
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.run import ignore_harmless_warnings, prepare_folder
from kp3d_core.training.time_limit import TimeLimit

VIEWS_PER_OBJECT = 4
"""Validation needs pairs of views of an object."""


def polish_checkpoint(
    checkpoint: Path,
    train: Path,
    val: Path,
    output: Path,
    settings: PolishSettings | None = None,
    *,
    objects_per_batch: int = 8,
    steps_per_epoch: int = 200,
    precision: str = "auto",
    max_time_s: float = math.inf,
    progress_bar: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train network and refiner of a checkpoint together, or go on with an interrupted run.

    Args:
        checkpoint: of `kp3d refine`.
        train: rendered folder; best of objects that neither has seen.
        val: rendered folder of other objects.
        output: run folder; gets places.pt, metrics.csv, provenance.json, checkpoints/last.ckpt.
        settings: of the training.
        objects_per_batch: over all processes; four views of each.
        steps_per_epoch: steps between two validations and checkpoints.
        precision: of the network's arithmetic: "auto", "bf16" or "fp32".
        max_time_s: stop, with a checkpoint to go on from, before the run takes longer [s].
        progress_bar: show one.
        on_progress: called with the number of objects that have been read, and of all.

    Returns:
        The checkpoint with the last weights.

    Raises:
        ValueError: missing or unsuitable checkpoint or data.
    """
    started_s = time.monotonic()
    ignore_harmless_warnings()
    settings = settings or PolishSettings()
    trained = polishable(checkpoint)
    size = int(trained.data.get("input_size", 64))
    data = ShardDataModule(
        str(train),
        str(val),
        size,
        trained.data.get("source_size"),
        objects_per_batch,
        VIEWS_PER_OBJECT,
        steps_per_epoch,
        seed=settings.seed,
    )
    data.setup("fit")
    network = InBfloat16(trained.model, uses_bf16(precision, torch.device("cpu")))
    graph = DetectorGraph(network, size, data.training_camera.distance, True, trained.refiner)
    places = _places(graph.eval(), data.train_views, output / "places.pt", on_progress)
    stages = stages_behind(checkpoint, trained)
    module = PolishModule(trained, stages, settings, places, precision)
    latest = ModelCheckpoint(
        output / "checkpoints",
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    trainer = L.Trainer(
        max_steps=settings.steps,
        max_epochs=-1,
        accelerator="auto",
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        plugins=[WholeCheckpoints()],
        logger=CSVLogger(str(output), name="", version=""),
        default_root_dir=str(output),
        callbacks=[latest, TimeLimit(max_time_s, started_s)],
        log_every_n_steps=20,
        enable_model_summary=False,
        enable_progress_bar=progress_bar,
    )
    if trainer.is_global_zero:
        prepare_folder(output, polish=asdict(settings))
    last = output / "checkpoints" / "last.ckpt"
    trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None)
    return last


def _places(
    graph: DetectorGraph,
    views: ViewSet,
    path: Path,
    on_progress: Callable[[int, int], None],
) -> dict[str, tuple[Tensor, int]]:
    """Places on each object, by its key; kept in a file, for a run that goes on."""
    if path.is_file():
        kept: dict[str, tuple[Tensor, int]] = torch.load(path, weights_only=True)
        if tuple(kept) == views.keys:
            return kept
    total = len(views.rgba)
    points, counts = mean_places(graph, views, lambda done: on_progress(done, total))
    places = {
        key: (place, int(count))
        for key, place, count in zip(views.keys, points, counts, strict=True)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:
        torch.save(places, stream)
    return places
