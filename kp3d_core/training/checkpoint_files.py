"""Checkpoints of strangers: no pickles that run code, no memory for sizes that are only told."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Content of a file that `torch.save` wrote: tensors and plain values in a dictionary.

    Raises:
        ValueError: a damaged file, or one that holds anything else.
    """
    try:
        _require_plain_archive(path)
        content = torch.load(path, map_location=map_location, weights_only=True)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except Exception as error:  # a hostile file may make the reader raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"CHECKPOINT must be a whole file made by `kp3d train`, got {path}: {reason:.200}. "
            "Restore it, or train again."
        ) from error
    return content


def restored(make: Callable[[], Module], weights: Mapping[str, Tensor], source: object) -> Module:
    """A module with weights, which is made only if they are all there in their shapes.

    Args:
        make: of the settings that stand beside the weights.
        weights: by name.
        source: of them, for messages.

    Raises:
        ValueError: impossible settings, or weights of something else.
    """
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes the settings tell
            wanted = {name: value.shape for name, value in make().state_dict().items()}
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{source} must tell what its network is made of, got {reason:.200}. Restore it."
        ) from error
    found = {name: getattr(value, "shape", None) for name, value in weights.items()}
    if wanted != found:
        other = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise ValueError(
            f"{source} must hold the weights of its network, got other ones: "
            f"{', '.join(map(str, other[:3]))}. Restore it."
        )
    module = make()
    module.load_state_dict(weights)
    return module


def _require_plain_archive(path: Path) -> None:
    """As `torch.save` writes it: nothing in it is compressed, so nothing grows.

    Raises:
        ValueError: another file.
    """
    with zipfile.ZipFile(path) as archive:
        items = archive.infolist()
    size = path.stat().st_size
    if any(item.compress_type != zipfile.ZIP_STORED for item in items):
        raise ValueError("it is compressed")
    if sum(item.file_size for item in items) > size:
        raise ValueError("it tells more than it holds")
