"""Shared memory of Fast DDS whose process was killed: nobody gives it back."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

from kp3d_ros.doctor.finding import Finding, note

_SEGMENT = re.compile(r"fast(dds|rtps)_[0-9a-f]{16}")
_LOCK = "_el"
"""Ending of the file beside a segment that its process locks as long as it lives."""


def leftovers(folder: Path) -> Iterator[Finding]:
    """How many segments have no process any more, and how they go away; nothing if there are none.

    Args:
        folder: where shared memory is, /dev/shm.
    """
    left = [path for path in sorted(folder.iterdir()) if _is_left(path)]
    if not left:
        return
    size = sum(path.stat().st_blocks for path in left) * 512
    yield note(
        f"{folder}/fastdds_*",
        f"{len(left)} segments of processes that were killed, {size / 2**20:.0f} MB",
        "fastdds shm clean. Where there is no such command, and no ROS 2 process runs: rm "
        f"{folder}/*fastdds*",
    )


def _is_left(path: Path) -> bool:
    """Whether a file is a segment whose process has ended without removing it."""
    if not _SEGMENT.fullmatch(path.name):
        return False
    try:
        with path.with_name(path.name + _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked by its process, already gone, or another user's
        return False
    return True
