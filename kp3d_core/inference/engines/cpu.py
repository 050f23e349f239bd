"""What the processor is and can do."""

from __future__ import annotations

from pathlib import Path

_INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni"}
"""Products of bytes summed in 32 bits, as Linux names them. Processors of ARM have such, too, but
nothing was measured on them."""


def cpu_info(key: str) -> str:
    """First value of an entry of Linux's /proc/cpuinfo, for example `flags`; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def has_int8_instructions() -> bool:
    """Whether networks in int8 are both fast and exact on this processor."""
    return not _INT8_INSTRUCTIONS.isdisjoint(cpu_info("flags").split())
