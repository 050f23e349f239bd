"""What results are results of: the model and the engine that it ran on, as JSON."""

from __future__ import annotations

from typing import Any

from kp3d_core.inference.engines import Engine
from kp3d_core.inference.model import Model


def facts_of(model: Model, engine: Engine) -> dict[str, Any]:
    """The entries `model` and `engine` of a file of results."""
    return {
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "engine": {"name": engine.name, "device": engine.device, "precision": engine.precision},
    }
