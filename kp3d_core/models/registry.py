"""Networks by name."""

from __future__ import annotations

import math
from collections.abc import Callable

from kp3d_core.models.fast import FastModel
from kp3d_core.models.interface import KeypointModel
from kp3d_core.models.lite import LiteModel
from kp3d_core.models.paper import PaperModel

MODELS: dict[str, Callable[[int, float], KeypointModel]] = {
    "fast": FastModel,
    "lite": LiteModel,
    "paper": PaperModel,
}
_FOLDABLE: dict[str, type[FastModel]] = {"fast": FastModel, "lite": LiteModel}


def create_model(
    network: str, num_keypoints: int = 10, width: float = 1.0, folded: bool = False
) -> KeypointModel:
    """A network with random weights.

    Args:
        network: one of `MODELS`.
        num_keypoints: N.
        width: factor on the numbers of channels.
        folded: without batch normalisation, see `FastModel.fold_batch_norm`; not for `paper`.

    Raises:
        ValueError: unknown name, no width, or fewer keypoints than a pose needs.
    """
    if network not in MODELS:
        raise ValueError(f"model must be one of {sorted(MODELS)}, got {network!r}.")
    if folded and network not in _FOLDABLE:
        raise ValueError(
            f"folded is for the networks {sorted(_FOLDABLE)} only, got {network!r}. Leave it out."
        )
    if num_keypoints < 3:
        raise ValueError(
            f"num_keypoints must be at least 3, got {num_keypoints}. "
            "Three points not on a line are the fewest that fix a rotation."
        )
    if not 0 < width < math.inf:
        raise ValueError(f"width must be positive, got {width}; 1.0 is the network as designed.")
    if folded:
        return _FOLDABLE[network](num_keypoints, width, folded=True)
    return MODELS[network](num_keypoints, width)
