"""What a figure was measured on, and what the machine can do at best."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch

from kp3d_core.inference.engines.base import available_cores
from kp3d_core.inference.engines.cpu import cpu_info
from kp3d_core.provenance import provenance

_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp")
_LIBRARIES = ("openvino", "tensorrt", "tensorrt-rtx-cu12-libs", "onnxruntime-gpu",
              "opencv-python-headless", "numba")  # fmt: skip
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
_GEMM_SIDE = 2048


def describe_machine() -> dict[str, Any]:
    """Hardware, versions, what limits the libraries, and how busy the machine is."""
    return {
        "cpu": cpu_info("model name") or platform.processor() or platform.machine(),
        "instructions": [f for f in _CPU_FLAGS if f in cpu_info("flags").split()],
        "cores": len(available_cores()),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "limits": {name: os.environ[name] for name in _LIMITS if name in os.environ},
        **provenance(),
        **_versions(),
    }


def peak_gflops(threads: int, seconds: float) -> float:
    """Best rate of a large float32 matrix product, the most a network could hope for [GFLOP/s]."""
    with torch_threads(threads):
        a, b = torch.rand(2, _GEMM_SIDE, _GEMM_SIDE).unbind()
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end or best == float("inf"):
            start = time.perf_counter()
            torch.mm(a, b)
            best = min(best, time.perf_counter() - start)
    return 2 * _GEMM_SIDE**3 / best / 1e9


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch with that many threads, and afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return versions
