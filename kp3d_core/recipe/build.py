"""`kp3d build`: data -> train -> finetune -> package -> report, from one recipe."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from kp3d_core.evaluation.robustness.measure import measure_robustness
from kp3d_core.files import check_output_folder, exclusive_lock, write_text
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.package.packaging import package
from kp3d_core.package.report import write_report
from kp3d_core.package.settings import PackageData
from kp3d_core.progress import Report, silent
from kp3d_core.provenance import provenance
from kp3d_core.recipe import estimates
from kp3d_core.recipe.budget import in_time
from kp3d_core.recipe.code import FINETUNING_CODE, PACKAGING_CODE, ROBUSTNESS_CODE
from kp3d_core.recipe.parts import data_stage, last_checkpoint, training_stage
from kp3d_core.recipe.settings import SPLITS, PhaseSettings, Recipe
from kp3d_core.recipe.stages import Stage, plain, run_stages
from kp3d_core.training.finetune_run import run_finetuning
from kp3d_core.training.run import run_training


@dataclass(frozen=True)
class Build:
    """A recipe and the folder that its model is made in."""

    recipe: Recipe
    output: Path
    jobs: int = 1
    """Processes that render."""
    accelerator: str = "auto"
    """Of Lightning's trainer."""
    report: Report = silent
    """Told how far a stage is."""
    say: Callable[[str], None] = lambda text: None
    """Told what begins."""

    @property
    def name(self) -> str:
        """Of the model."""
        return self.recipe.name or self.recipe.objects.name

    def run(self, time_s: float | None = None) -> Path:
        """Do what is still to do.

        Args:
            time_s: fit the steps of training into what is left of so much time [s].

        Returns:
            The model file in float32.

        Raises:
            ValueError: another process at work in the folder, or something else in it.
        """
        started = time.monotonic()
        check_output_folder(self.output, ".build", holds="a run of `kp3d build`")
        self.output.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.output):
            text = json.dumps(asdict(self.recipe), indent=1, default=plain)
            write_text(self.output / ".build" / "recipe.json", text + "\n")
            write_text(self.output / ".build" / "provenance.json", json.dumps(provenance()))
            run_stages(self.output, self.data_stages(), self.say)
            build = self
            if time_s is not None:
                left = time_s - (time.monotonic() - started)
                build = replace(self, recipe=self._in_time(left, time_s))
            run_stages(self.output, build.stages(), self.say)
        return self.output / "package" / f"{self.name}.onnx"

    def stages(self) -> list[Stage]:
        """All of them, in their order."""
        stages = self.data_stages()
        sets = {stage.name: stage.key for stage in stages}
        before, checkpoint = "", None
        for number, phase in enumerate(self.recipe.train):
            stage = self._train(number, phase, sets, before, checkpoint)
            stages.append(stage)
            before, checkpoint = stage.key, last_checkpoint(stage.folder)
        assert checkpoint is not None
        if self.recipe.finetune is not None:
            stage = self._finetune(sets, before, checkpoint)
            stages.append(stage)
            before, checkpoint = stage.key, last_checkpoint(stage.folder)
        packaged = self._package(sets, before, checkpoint)
        stages.append(packaged)
        if self.recipe.robustness is not None:
            stages.append(self._robustness(packaged))
        stages.append(self._report(stages))
        return stages

    def data_stages(self) -> list[Stage]:
        """One for each set."""
        return [self._data(name) for name in SPLITS if self._is_needed(name)]

    def _is_needed(self, name: str) -> bool:
        return name != "finetune" or self.recipe.finetune is not None

    def _set(self, name: str) -> Path:
        return self.output / "data" / name

    def _data(self, name: str) -> Stage:
        settings = self.recipe.render_settings(name)
        return data_stage(
            name,
            self._set(name),
            settings,
            self.recipe.objects,
            self.jobs,
            self.report,
            estimates.rendering(settings, self.jobs),
        )

    def _train(
        self,
        number: int,
        phase: PhaseSettings,
        sets: dict[str, str],
        before: str,
        checkpoint: Path | None,
    ) -> Stage:
        folder = self.output / f"train_{number}"
        return training_stage(
            folder,
            phase,
            self._training_folders(),
            {
                "sets": [sets["data_train"], sets["data_val"]],
                "before": before or phase.start,
                "backgrounds": self.recipe.backgrounds_digest,
            },
            weights={} if checkpoint is None else {"initial_weights": checkpoint},
            accelerator=self.accelerator,
            report=self._told(folder.name),
            estimate=estimates.training(phase, self.recipe),
        )

    def _training_folders(self) -> dict[str, str]:
        """Arguments of `ShardDataModule` that name folders."""
        folders = {name: str(self._set(name)) for name in ("train", "val")}
        if self.recipe.backgrounds is not None:
            folders["backgrounds"] = self.recipe.backgrounds
        return folders

    def _finetune(self, sets: dict[str, str], before: str, checkpoint: Path) -> Stage:
        folder, settings = self.output / "finetune", self.recipe.finetune
        assert settings is not None

        def run() -> object:
            return run_finetuning(
                checkpoint,
                self._set("finetune"),
                self._set("val"),
                folder,
                settings,
                accelerator=self.accelerator,
                report=self.report,
            )

        return Stage(
            folder.name,
            folder,
            {"settings": settings, "sets": [sets["data_finetune"], sets["data_val"]],
             "before": before},
            FINETUNING_CODE,
            run,
            **estimates.finetuning(settings, self.recipe),
        )  # fmt: skip

    def _package(self, sets: dict[str, str], before: str, checkpoint: Path) -> Stage:
        folder, settings = self.output / "package", self.recipe.package

        def run() -> object:
            folders = self._set("train"), (self._set("val"),), self._set("test")
            photographs = self.recipe.backgrounds
            data = PackageData(*folders, None if photographs is None else Path(photographs))
            return package(
                checkpoint, data, folder, self.name, settings, self.recipe.objects, self.report
            )

        return Stage(
            folder.name,
            folder,
            {"settings": settings, "name": self.name, "before": before,
             "sets": [sets[f"data_{name}"] for name in ("train", "val", "test")]},
            PACKAGING_CODE,
            run,
            **estimates.packaging(self.recipe),
        )  # fmt: skip

    def _robustness(self, package: Stage) -> Stage:
        folder, settings = self.output / "robustness", self.recipe.robustness
        assert settings is not None
        objects = self.recipe.objects

        def run() -> object:
            return measure_robustness(
                str(package.folder / f"{self.name}.onnx"),
                folder,
                settings,
                REFERENCE_ENGINE,
                on_progress=lambda part, *done: self.report(f"robustness: {part}", *done),
                objects=objects,
            )

        inputs = {"settings": settings, "package": package.key, "objects": objects.digest("test")}
        return Stage(
            folder.name,
            folder,
            inputs,
            ROBUSTNESS_CODE,
            run,
            **estimates.robustness(settings, objects.most("test")),
        )

    def _report(self, stages: list[Stage]) -> Stage:
        runs = [s.folder for s in stages if s.name.startswith(("train", "finetune"))]
        model = self.output / "package" / f"{self.name}.onnx"
        page = self.output / "report.html"
        robustness = None if self.recipe.robustness is None else self.output / "robustness"
        return Stage(
            "report",
            page,
            {"before": stages[-1].key},
            ("kp3d_core.package.report",),
            lambda: write_report(model, page, runs, robustness),
            seconds=5.0,
        )

    def _told(self, what: str) -> Report:
        """The display under the name of the stage."""
        return lambda part, done, total: self.report(what, done, total)

    def _in_time(self, left_s: float, time_s: float = 0.0) -> Recipe:
        kept = self.output / ".build" / "budget.json"
        return in_time(self.recipe, kept, self._seconds_a_step, left_s, time_s, self.say)

    def _seconds_a_step(self, phase: PhaseSettings) -> float:
        """Measured on a few steps, validation and checkpoints left out."""
        folder = self.output / ".build" / "speed"
        content = {
            "model": phase.model,
            "data": phase.data
            | self._training_folders()
            | {"steps_per_epoch": estimates.MEASURED_STEPS},
            "trainer": {
                "max_steps": 2 * estimates.MEASURED_STEPS,
                "limit_val_batches": 0,
                "num_sanity_val_steps": 0,
                "accelerator": self.accelerator,
            },
        }
        shutil.rmtree(folder, ignore_errors=True)
        own = self.output / ".build" / "speed.yaml"
        write_text(own, yaml.safe_dump(content))
        run_training([*phase.presets, own], folder, [], report=self._told("time"))
        speed = json.loads((folder / "speed.json").read_text())
        images = speed["images"] / speed["steps"]
        shutil.rmtree(folder)
        return float(images / speed["images_per_s"])
