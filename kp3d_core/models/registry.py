"""Networks by name."""

from __future__ import annotations

from kp3d_core.models.fast import FastModel
from kp3d_core.models.interface import KeypointModel
from kp3d_core.models.paper import PaperModel

MODELS: dict[str, type[KeypointModel]] = {"fast": FastModel, "paper": PaperModel}


def create_model(name: str, num_keypoints: int = 10) -> KeypointModel:
    """Network `name` with random weights.

    Raises:
        ValueError: unknown name, or fewer keypoints than a pose needs.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {sorted(MODELS)}, got {name!r}.")
    if num_keypoints < 3:
        raise ValueError(
            f"num_keypoints must be at least 3, got {num_keypoints}. "
            "Three points not on a line are the fewest that fix a rotation."
        )
    return MODELS[name](num_keypoints)
