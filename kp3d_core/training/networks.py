"""The network of a run, put together as its settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kp3d_core.models import ForeignOrientation, KeypointModel, WithoutFlag, create_model
from kp3d_core.models.lite import LiteModel

IMAGENET = "imagenet"
"""Value of `initial_weights` for a trunk that has seen photographs."""


def network_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings of `KeypointModule` that say what a plain network is made of."""
    complete = {"width": 1.0, "folded": False, **settings}  # early checkpoints lack them
    return {name: complete[name] for name in ("network", "num_keypoints", "width", "folded")}


def build_network(
    settings: Mapping[str, Any], orientation: KeypointModel | None = None
) -> KeypointModel:
    """Network with random weights.

    Args:
        settings: of `KeypointModule`.
        orientation: trained network that decides the orientation, if it is not the network itself.

    Raises:
        ValueError: impossible settings.
    """
    chosen = network_settings(settings)
    network = create_model(**chosen)
    use_flag = settings.get("use_flag", True)
    if orientation is None:
        return network if use_flag else WithoutFlag(network)
    if not use_flag:
        raise ValueError(
            "use_flag must be true where orientation_checkpoint is given, got false: a network "
            "that is told no orientation has no use for one. Leave one of them out."
        )
    return ForeignOrientation(network, orientation)


def load_imagenet(model: KeypointModel) -> None:
    """Give a network's trunk weights that were trained on photographs.

    Raises:
        ValueError: a network without such a trunk, or the weights are not installed.
    """
    network = model.network if isinstance(model, ForeignOrientation | WithoutFlag) else model
    if not isinstance(network, LiteModel):
        raise ValueError(
            f"initial_weights={IMAGENET} needs the network `lite`, got {type(network).__name__}. "
            "Set model.network=lite, or name a checkpoint."
        )
    network.trunk.load_imagenet()
