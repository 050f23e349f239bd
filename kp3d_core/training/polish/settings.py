"""How network and refiner are trained together: weights of the losses, rates, what views show."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PolishSettings:
    """How network and refiner are trained together."""

    steps: int = 4000
    learning_rate: float = 2.5e-4
    """At its peak; it falls linearly to a hundredth."""
    warmup_steps: int = 200
    pose: float = 1.0
    """Weight of the angle between the true rotation and the one read [rad]."""
    distance: float = 0.5
    """Weight of the RMS distance of keypoints from their places [model units]."""
    scale: float = 10.0
    """Weight of the squared error of the logarithm of the apparent size."""
    unrefined: float = 0.5
    """Weight of the same errors before the refiner, relative to those behind it."""
    orientation: float = 1.0
    """Weight of the squared error of the projected object points [NDC squared]."""
    orientation_heatmap: float = 0.1
    flag: float = 0.5
    variance: float = 0.1
    """Weight of the heatmaps' variance [NDC squared]."""
    backgrounds: float = 0.6
    """Share of views before random backgrounds."""
    reframed: float = 0.3
    """Share of views through changed cameras."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.steps < 1 or not 0 < self.learning_rate < math.inf:
            raise ValueError(
                "steps must be at least 1 and learning_rate positive, got "
                f"{self.steps} and {self.learning_rate}."
            )

    def learning_rate_at(self, step: int) -> float:
        """As a share of its peak."""
        rise = min((step + 1) / max(self.warmup_steps, 1), 1.0)
        return rise * (1 - 0.99 * min(step / self.steps, 1.0))
