"""Settings of the second stage of training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from kp3d_core.data.augmentation import Augmentation, Sensor
from kp3d_core.data.reframing import Reframing
from kp3d_core.losses.objective import PlaceWeights

_Changes = TypeVar("_Changes", Augmentation, Reframing, Sensor)


@dataclass(frozen=True)
class FinetuneSettings:
    """How network and refiner are trained together."""

    steps: int = 4000
    learning_rate: float = 2.5e-4
    """At its peak; it falls linearly to a hundredth. Rates of the first stage are too high without
    batch normalisation."""
    rise_steps: int = 200
    """Steps in which it rises to the peak."""
    warmup_steps: int = 2000
    """Steps in which the refiner alone is fitted first, to what the frozen network reads."""
    warmup_learning_rate: float = 2e-3
    warmup_views: int = 512
    """Views in a step of the warm-up."""
    min_views: int = 4
    """Objects with fewer views whose orientation the network gets right have no places."""
    refiner_width: int = 256
    """Of the refiner's hidden layers."""
    dropout: float = 0.2
    """Share of the refiner's hidden values that are left out in the warm-up."""
    weights: PlaceWeights = field(default_factory=PlaceWeights)
    """Of the losses."""
    augmentation: Augmentation | None = None
    """Random changes of the views; as in the training before if None. `mirror_probability` does not
    matter, as mirror images are seen in any case."""
    reframing: Reframing | None = None
    """Random changes of their cameras; as in the training before if None."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [
            f"{name} must be at least {least}, got {getattr(self, name)}"
            for name, least in (
                ("steps", 1),
                ("warmup_steps", 20),
                ("warmup_views", 1),
                ("min_views", 1),
            )
            if getattr(self, name) < least
        ]
        for name in ("learning_rate", "warmup_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                problems.append(f"{name} must be positive, got {getattr(self, name)}")
        if problems:
            raise ValueError("Settings of finetune are wrong: " + "; ".join(problems) + ".")

    def completed(self, before: Mapping[str, Any]) -> FinetuneSettings:
        """These with what the training before says where they say nothing.

        Args:
            before: settings of `KeypointModule`, or of finetuning; a file of weights does not say
                how views were changed, and those of the preset `fast` are taken.

        Raises:
            ValueError: another version's settings, with parts that are not known.
        """
        usual = {
            "augmentation": Augmentation(
                background_probability=0.6, light=0.2, occlusion_probability=0.25
            ),
            "reframing": Reframing(probability=0.3),
        }
        told: dict[str, Any] = usual | {name: before[name] for name in usual if before.get(name)}
        return replace(
            self,
            augmentation=self.augmentation or _restored(Augmentation, told["augmentation"]),
            reframing=self.reframing or _restored(Reframing, told["reframing"]),
        )

    def learning_rate_at(self, step: int) -> float:
        """As a share of its peak."""
        rise = min((step + 1) / max(self.rise_steps, 1), 1.0)
        return rise * (1 - 0.99 * min(step / self.steps, 1.0))


def _restored(kind: type[_Changes], content: _Changes | Mapping[str, Any]) -> _Changes:
    """Settings out of a checkpoint, which holds them as they are or as plain values."""
    if isinstance(content, kind):
        return content
    assert isinstance(content, Mapping)
    unknown = sorted(content.keys() - {part.name for part in fields(kind)})
    if unknown:
        raise ValueError(
            f"CHECKPOINT must come from a training whose {kind.__name__.lower()} this version "
            f"knows, got {', '.join(unknown)} in it. Say in the settings of finetune what to do."
        )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    if isinstance(values.get("sensor"), Mapping):
        values["sensor"] = _restored(Sensor, values["sensor"])
    return kind(**values)
