"""Whether there is an NVIDIA GPU, asked of its driver alone: no CUDA package is needed."""

from __future__ import annotations

import ctypes

_DRIVER = "libcuda.so.1"
NO_DRIVER = f"there is no NVIDIA driver, {_DRIVER}"
"""Nobody wanted a GPU on this machine; each other reason is a fault."""


def missing_gpu() -> str:
    """Why no NVIDIA GPU can be used, in half a sentence; empty if one can."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return NO_DRIVER
    if status := driver.cuInit(0):
        return f"the NVIDIA driver does not start, cuInit gives {status}"
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver sees no GPU"
    return ""
