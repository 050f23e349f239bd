"""What the processor is and can do."""

from __future__ import annotations

from pathlib import Path

_INT8_KERNELS = "avx2"
"""What engines have fast kernels for bytes with: measured on Zen 3, Zen 4 and Intel with AMX. ARM
has such, too, but nothing was measured there."""
_VNNI = {"avx512_vnni", "avx_vnni"}
"""Products of bytes summed in 32 bits, as Linux names them."""


def cpu_info(key: str) -> str:
    """First value of an entry of Linux's /proc/cpuinfo, for example `flags`; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def has_int8_kernels() -> bool:
    """Whether finetuned networks in int8 are faster than in float32 on this processor."""
    return _INT8_KERNELS in cpu_info("flags").split()


def has_vnni() -> bool:
    """Whether this processor sums products of bytes exactly without further precautions."""
    return not _VNNI.isdisjoint(cpu_info("flags").split())
