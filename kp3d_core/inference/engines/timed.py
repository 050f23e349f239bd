"""Knows how long an engine's calls take."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.engines.base import Engine


class TimedEngine:
    """An engine that counts the time spent in it."""

    def __init__(self, engine: Engine) -> None:
        """Start at zero."""
        self._engine = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision
        self.busy_s = 0.0
        """Sum over all calls so far [s]."""

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of the engine."""
        start = time.perf_counter()
        try:
            return self._engine.run(images)
        finally:
            self.busy_s += time.perf_counter() - start
