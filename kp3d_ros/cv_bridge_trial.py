"""`python -m kp3d_ros.cv_bridge_trial`: which encodings the cv_bridge here converts as we do.

A process of its own, for a cv_bridge that does not fit this NumPy ends it: see
`cv_bridge_conversion`. Prints a JSON list.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np

from kp3d_ros import cv_bridge_conversion
from kp3d_ros.image_conversion import image_to_rgb

_WIDTH, _HEIGHT = 16, 12


def same_as_own() -> list[str]:
    """Names of the encodings."""
    return [name for name in sorted(cv_bridge_conversion.CANDIDATES) if _is_same(name)]


def _is_same(encoding: str) -> bool:
    step = _WIDTH * (1 if encoding.startswith("bayer") else 2)
    data = np.random.default_rng(0).integers(0, 256, _HEIGHT * step, dtype=np.uint8)
    message: Any = SimpleNamespace(
        width=_WIDTH,
        height=_HEIGHT,
        encoding=encoding,
        step=step,
        is_bigendian=0,
        data=data.tobytes(),
    )
    own = image_to_rgb(message, may_delegate=False)
    try:
        return bool(np.array_equal(cv_bridge_conversion.convert(message), own))
    except Exception:  # no matter what it raises: it does not convert this encoding
        return False


if __name__ == "__main__":
    print(json.dumps(same_as_own()))
