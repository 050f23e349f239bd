"""The cv_bridge of a ROS installation, for encodings that it converts like `image_conversion` does.

Measured (docs/encodings.md): the node's own conversion is faster for all encodings of 8 bits. Where
it is so by less than a fifth, because nearly all of the time is OpenCV's, cv_bridge converts, so
that demosaicing and chroma follow the ROS installation: these encodings are `CANDIDATES`. The
others gain more, or cv_bridge does not know them, or gets them wrong (10- and 12-bit data).

A cv_bridge that was built for another NumPy does not fail, it ends the process. So it is tried in a
process of its own first, and does only what it did alike there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

CANDIDATES = frozenset(
    {
        *(f"bayer_{pattern}8" for pattern in ("rggb", "bggr", "gbrg", "grbg")),
        "yuv422",
        "yuv422_yuy2",
    }
)
"""Encodings that cv_bridge converts where its result is the same."""
_TRIAL_TIMEOUT_S = 20.0


def serves(encoding: str) -> bool:
    """Whether cv_bridge converts an encoding (of messages without padding and of this byte order).

    The first call for one of `CANDIDATES` takes half a second where there is a cv_bridge.
    """
    return encoding in CANDIDATES and encoding in served()


@lru_cache(maxsize=1)
def served() -> frozenset[str]:
    """Encodings that cv_bridge converts on this machine; see `serves` for the time it takes."""
    if importlib.util.find_spec("cv_bridge") is None:
        return frozenset()
    try:
        trial = subprocess.run(
            [sys.executable, "-m", "kp3d_ros.cv_bridge_trial"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            timeout=_TRIAL_TIMEOUT_S,
            check=True,
        )
        return CANDIDATES & frozenset(json.loads(trial.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return frozenset()  # it is not there, or of no use to this Python


@lru_cache(maxsize=1)
def _bridge() -> Any:
    from cv_bridge import CvBridge

    return CvBridge()


def convert(message: Image) -> NDArray[np.uint8]:
    """Pixels of an image message as RGB, shape (height, width, 3), by cv_bridge.

    Args:
        message: of an encoding that it `serves`.
    """
    return np.asarray(_bridge().imgmsg_to_cv2(message, "rgb8"))
