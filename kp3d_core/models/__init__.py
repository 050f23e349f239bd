"""Keypoint networks: `paper`, as published and trained by its authors; `fast`, the default; `lite`.

`lite` is `fast` with a trunk that has seen photographs.
"""

from kp3d_core.models.composed import ForeignOrientation, InBfloat16, WithoutFlag
from kp3d_core.models.interface import Encoding, KeypointModel, KeypointPrediction
from kp3d_core.models.registry import MODELS, create_model

__all__ = [
    "MODELS",
    "Encoding",
    "ForeignOrientation",
    "InBfloat16",
    "KeypointModel",
    "KeypointPrediction",
    "WithoutFlag",
    "create_model",
]
