"""`finetune`: a checkpoint of `kp3d train` in, a run folder with network and refiner out."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger

from kp3d_core.files import atomic_writer, check_output_folder
from kp3d_core.models import InBfloat16
from kp3d_core.models.fast import FastModel
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.models.refiner import Refiner
from kp3d_core.progress import Report, part_of, silent
from kp3d_core.training.checkpoint import TrainedNetwork, load_network, stages_behind
from kp3d_core.training.checkpoint_io import WholeCheckpoints
from kp3d_core.training.datamodule import ShardDataModule
from kp3d_core.training.finetune import FinetuneModule, warm_up
from kp3d_core.training.finetune_settings import FinetuneSettings
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.reading import mean_places, read_views
from kp3d_core.training.run import TRAINER_DEFAULTS, prepare_folder, run_callbacks

VIEWS_PER_OBJECT = 4
"""Validation needs pairs of views of an object."""


def run_finetuning(
    checkpoint: Path,
    train: Path,
    val: Path,
    output: Path,
    settings: FinetuneSettings | None = None,
    *,
    objects_per_batch: int = 8,
    steps_per_epoch: int = 200,
    precision: str | None = None,
    accelerator: str = "auto",
    max_time_s: float = math.inf,
    report: Report = silent,
) -> Path:
    """Train a network and its refiner together, or go on with an interrupted run.

    Args:
        checkpoint: of `kp3d train`.
        train: rendered folder; best of objects that the network has not seen, on which it errs as
            on new ones.
        val: rendered folder of other objects.
        output: run folder; gets warm.pt, metrics.csv, provenance.json, checkpoints/last.ckpt.
        settings: of the training.
        objects_per_batch: over all processes; four views of each.
        steps_per_epoch: steps between two validations and checkpoints.
        precision: of the network's arithmetic: "auto", "bf16" or "fp32"; as in the training before
            if None.
        accelerator: of Lightning's trainer.
        max_time_s: stop, with a checkpoint to go on from, before the run takes longer [s].
        report: told how far it is.

    Returns:
        The checkpoint with the last weights.

    Raises:
        ValueError: missing or unsuitable checkpoint or data.
    """
    started_s = time.monotonic()
    check_output_folder(output, "provenance.json", "warm.pt", holds="a run")
    trained = _foldable(checkpoint)
    before = trained.settings.get("finetune", trained.settings)
    settings = (settings or FinetuneSettings()).completed(before)
    precision = precision or trained.settings.get("precision", "auto")
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
        backgrounds=trained.data.get("backgrounds"),
        background_size=trained.data.get("background_size", 160),
    )
    data.setup("fit")
    start = _warm_start(trained, data, settings, output / "warm.pt", precision, report)
    refiner = Refiner(**start["settings"])
    refiner.load_state_dict(start["refiner"])
    module = FinetuneModule(
        trained,
        refiner,
        stages_behind(trained),
        settings,
        data.train_views.keys,
        start["places"],
        start["counts"] >= settings.min_views,
        precision,
    )
    callbacks = run_callbacks(output, max_time_s, started_s, report, "finetune")
    trainer = L.Trainer(
        max_steps=settings.steps,
        accelerator=accelerator,
        plugins=[WholeCheckpoints()],
        logger=CSVLogger(str(output), name="", version=""),
        default_root_dir=str(output),
        callbacks=callbacks,
        enable_progress_bar=False,
        **TRAINER_DEFAULTS,
    )
    if trainer.is_global_zero:
        prepare_folder(output, finetune=asdict(settings))
    last = output / "checkpoints" / "last.ckpt"
    trainer.fit(module, data, ckpt_path=str(last) if last.exists() else None)
    return last


def _foldable(checkpoint: Path) -> TrainedNetwork:
    """A trained network without its batch normalisation.

    Raises:
        ValueError: a checkpoint of another network.
    """
    trained = load_network(checkpoint, "Finetuning")
    if not isinstance(trained.model, FastModel):
        raise ValueError(
            "CHECKPOINT must be of a network that can be trained without its batch normalisation, "
            f"fast or lite, got {checkpoint}, of {trained.settings['network']}. Package it without "
            "finetuning."
        )
    if trained.settings.get("folded", False):
        return trained
    folded = trained.settings | {"folded": True}
    return replace(trained, model=trained.model.fold_batch_norm(), settings=folded)


def _warm_start(
    trained: TrainedNetwork,
    data: ShardDataModule,
    settings: FinetuneSettings,
    path: Path,
    precision: str,
    report: Report,
) -> dict[str, Any]:
    """Places on each object, and a refiner fitted to the network; kept for a run that goes on."""
    views = data.train_views
    if path.is_file():
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        if tuple(kept["keys"]) == views.keys:
            return kept
    assert settings.augmentation is not None
    assert settings.reframing is not None
    torch.manual_seed(settings.seed)
    network = InBfloat16(trained.model, uses_bf16(precision, torch.device("cpu")))
    camera = data.training_camera
    graph = DetectorGraph(
        network, camera.input_size, camera.distance, mirror=True, symmetry=views.symmetry
    ).eval()
    read = read_views(
        graph,
        views,
        settings.augmentation,
        settings.reframing,
        data.photographs,
        part_of(report, "finetune: reading", len(views.keys)),
    )
    places, counts = mean_places(graph, read, len(views.keys))
    refiner = trained.refiner or Refiner(
        trained.model.num_keypoints,
        read.reading.orientation_uv.shape[-2],
        read.reading.summary.shape[-1],
        unit_ndc=2 * camera.focal_px / (camera.input_size * camera.distance),
        width=settings.refiner_width,
        dropout=settings.dropout,
    )
    graph.refiner = refiner
    steps = part_of(report, "finetune: refiner alone", settings.warmup_steps)
    warm_up(graph, read, places, counts >= settings.min_views, settings, steps)
    start = {
        "keys": list(views.keys),
        "places": places,
        "counts": counts,
        "settings": refiner.settings,
        "refiner": refiner.state_dict(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as stream:
        torch.save(start, stream)
    return start
