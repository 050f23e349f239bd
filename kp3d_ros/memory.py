"""How the process handles memory for images."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of the options in glibc's malloc.h."""
_LARGEST_MMAP_THRESHOLD = 32 << 20
"""The most that glibc accepts; an RGB image of 3840x2160 is smaller."""
_KEPT = 64 << 20
"""Free memory that is not given back to the system."""


def reuse_large_buffers() -> bool:
    """Keep the memory of an image for the next one, instead of giving it back to the system.

    Each message is copied several times on its way into Python. By default glibc takes large blocks
    from the system and returns them at once, and touching a new block costs a page fault for every
    4 KB: more than copying it. On a virtual machine, a 1920x1080 image took 14 ms of processor time
    to arrive, 4 ms with its memory reused.

    Returns:
        Whether the C library can do so; others than glibc cannot.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _KEPT)
    )
