"""Which code decides what a stage makes: its change makes the stage anew."""

from __future__ import annotations

from kp3d_core.data.objects import ObjectCategory

TRAINING_CODE = tuple(
    f"kp3d_core.{package}"
    for package in ("geometry", "models", "losses", "data.augmentation", "data.reframing",
                    "data.draws", "data.memory", "data.photographs", "training.forward",
                    "training.module", "training.stage", "training.schedule", "training.anchors")
)  # fmt: skip
"""Code that decides what a training learns."""
FINETUNING_CODE = (*TRAINING_CODE, "kp3d_core.training.finetune", "kp3d_core.training.reading",
                   "kp3d_core.training.finetune_run",
                   "kp3d_core.training.finetune_settings")  # fmt: skip
PACKAGING_CODE = ("kp3d_core.geometry", "kp3d_core.models", "kp3d_core.inference",
                  "kp3d_core.evaluation", "kp3d_core.package")  # fmt: skip
LIGHT_CODE = ("kp3d_core.data.lights", "kp3d_core.data.photographic")
"""Code that decides in what light objects stand."""
ROBUSTNESS_CODE = ("kp3d_core.geometry", "kp3d_core.rendering", "kp3d_core.inference",
                   "kp3d_core.evaluation.robustness")  # fmt: skip
_MESHES = tuple(f"kp3d_core.objects.meshes.{name}"
                for name in ("source", "variation", "deformation", "painting"))  # fmt: skip
"""Code that decides what objects look like that are made of meshes."""


def object_code(objects: ObjectCategory) -> tuple[str, ...]:
    """Code that decides what objects look like."""
    built_in = () if objects.lists else ("kp3d_core.data.procedural",)
    return built_in + (_MESHES if objects.lists or objects.added else ())
