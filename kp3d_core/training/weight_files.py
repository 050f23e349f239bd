"""Weights to go on from, without the rest of a checkpoint: a third as large, and not tied to code.

A safetensors file with the network's weights; its metadata says what the network is made of and
which runs are behind it. `initial_weights` and `kp3d package` take it wherever they take a
checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kp3d_core.files import atomic_writer

SUFFIX = ".safetensors"
SHIPPED = Path(__file__).with_name("weights")
"""Files that come with the code, known by their names without the suffix."""
_KEY, _FORMAT = "kp3d", "kp3d-weights-1"


def shipped_weights() -> tuple[str, ...]:
    """Names of the files that come with the code."""
    return tuple(sorted(path.stem for path in SHIPPED.glob(f"*{SUFFIX}")))


def write_weights(
    output: Path, weights: dict[str, Tensor], settings: dict[str, Any], **facts: Any
) -> None:
    """Write weights, the settings of their network and other facts about them, atomically."""
    told = json.dumps({"format": _FORMAT, "settings": settings, **facts})
    content = save({k: v.contiguous() for k, v in weights.items()}, {_KEY: told})
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(output) as stream:
        stream.write(content)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, and what `write_weights` was told: "settings" and the facts.

    Raises:
        ValueError: a damaged file, or one that something else wrote.
    """
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            if not isinstance(told, dict):
                raise ValueError("its metadata are no mapping")
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError, TypeError) as error:
        raise ValueError(
            f"{path} must be a whole file of weights, got a damaged one ({error}). Restore it."
        ) from error
    if told.pop("format", None) != _FORMAT:
        raise ValueError(
            f"{path} must be a file of weights in the format {_FORMAT}, got another one. Name a "
            "file that `kp3d weights` wrote, or a checkpoint."
        )
    return weights, told
