"""Networks by name."""

from __future__ import annotations

import math
from collections.abc import Callable

from kp3d_core.models.fast import FastModel
from kp3d_core.models.interface import KeypointModel
from kp3d_core.models.paper import PaperModel

MODELS: dict[str, Callable[[int, float], KeypointModel]] = {"fast": FastModel, "paper": PaperModel}


def create_model(name: str, num_keypoints: int = 10, width: float = 1.0) -> KeypointModel:
    """Network `name` with random weights.

    Args:
        name: one of `MODELS`.
        num_keypoints: N.
        width: factor on the numbers of channels.

    Raises:
        ValueError: unknown name, no width, or fewer keypoints than a pose needs.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {sorted(MODELS)}, got {name!r}.")
    if num_keypoints < 3:
        raise ValueError(
            f"num_keypoints must be at least 3, got {num_keypoints}. "
            "Three points not on a line are the fewest that fix a rotation."
        )
    if not 0 < width < math.inf:
        raise ValueError(f"width must be positive, got {width}; 1.0 is the network as designed.")
    return MODELS[name](num_keypoints, width)
