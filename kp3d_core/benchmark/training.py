"""`kp3d bench train`: images per second of the training step."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from kp3d_core.benchmark.baseline import begin
from kp3d_core.benchmark.machine import torch_threads
from kp3d_core.data.cameras import camera_by_name
from kp3d_core.data.generate import GenerateSettings, generate
from kp3d_core.progress import silent
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.run import PRESETS, run_training

_SOURCE_SIZE = 128
_PLAIN = ("--model.precision=fp32", "--data.objects_per_batch=4")
"""The paper's networks as they are; fewer objects than its recipe, which is for a GPU."""


@dataclass(frozen=True)
class TrainBenchSettings:
    """What to measure."""

    config: Path = PRESETS / "fast.yaml"
    """Recipe whose step is measured; `paper.yaml` beside it is what it is compared with."""
    category: str = "car"
    threads: int = 2
    steps: int = 20
    """Measured after as many that do not count."""
    plain_steps: int = 2
    """The same of the plain form, one step of which takes seconds on a CPU."""
    objects: int = 32
    """Rendered for the purpose, with `views` views each."""
    views: int = 8

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be positive, got {getattr(self, name)}."
            for name in ("threads", "steps", "plain_steps", "objects", "views")
            if getattr(self, name) < 1
        ]
        for path in (self.config, self.plain_config):
            if not path.is_file():
                problems.append(f"{path} must exist. Pass another --config.")
        if problems:
            raise ValueError("Benchmark settings are wrong: " + " ".join(problems))

    @property
    def plain_config(self) -> Path:
        """Recipe of the paper's networks."""
        return self.config.with_name("paper.yaml")


def bench_train(
    settings: TrainBenchSettings, on_progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Measure everything; the content of the JSON file."""
    result = begin(
        "train", settings, threads=settings.threads, seconds=1.0, on_progress=on_progress
    )
    result["settings"]["config"] = str(settings.config)  # JSON has no paths
    with tempfile.TemporaryDirectory() as folder, torch_threads(settings.threads):
        on_progress("rendering")
        data = _render(settings, Path(folder))
        on_progress(f"a step of {settings.config.name}")
        fast = measure_steps(settings.config, data, settings.steps)
        on_progress("a step of the paper's networks in eager float32")
        plain = measure_steps(settings.plain_config, [*data, *_PLAIN], settings.plain_steps)
    result["rows"] = [fast, plain]
    result["ratios"] = {"train_over_plain": fast["images_per_s"] / plain["images_per_s"]}
    return result


def _render(settings: TrainBenchSettings, folder: Path) -> list[str]:
    """Views of a few objects; the options that say where they are."""
    options = []
    for split, instances in (("train", settings.objects), ("val", 1)):
        wanted = GenerateSettings(
            settings.category,
            split,
            instances,
            views=settings.views,
            camera=camera_by_name("robot"),
            image_size=_SOURCE_SIZE,
        )
        generate(wanted, folder / split)
        options.append(f"--data.{split}={folder / split}")
    return options


def measure_steps(config: Path, overrides: list[str], steps: int) -> dict[str, Any]:
    """Speed of a step of a YAML file of `kp3d train`, after as many steps that do not count."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        own = [
            f"--data.steps_per_epoch={steps}",
            f"--trainer.max_steps={2 * steps}",
            "--trainer.accelerator=cpu",
            "--trainer.limit_val_batches=0",
            "--trainer.num_sanity_val_steps=0",
        ]
        run_training([config], run, [*overrides, *own], report=silent)
        settings = yaml.safe_load((run / "config.yaml").read_text())
        speed = json.loads((run / "speed.json").read_text())
        with (run / "metrics.csv").open() as log:
            rows = [row for row in csv.DictReader(log) if row["speed/images_per_s"]]
    model, images = settings["model"], speed["images"] // speed["steps"]
    images_per_s = float(rows[-1]["speed/images_per_s"])
    return {
        "config": config.name,
        "network": model["network"],
        "precision": "bf16" if uses_bf16(model["precision"], torch.device("cpu")) else "fp32",
        "input_size": settings["data"]["input_size"],
        "images_per_step": images,
        "steps": steps,
        "step_ms": 1e3 * images / images_per_s,
        "images_per_s": images_per_s,
        "data_wait_share": float(rows[-1]["speed/data_wait_share"]),
        "peak_memory_mb": speed["peak_memory_mb"],
    }
