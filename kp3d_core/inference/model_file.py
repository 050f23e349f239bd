"""The self-contained model file: loading it, and refusing it with the reason."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from kp3d_core.inference.model import Model
from kp3d_core.inference.model_graph import read_graph
from kp3d_core.inference.model_metadata import graph_problems, parse_metadata

MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read; shipped models have a few MB."""
_EXTERNAL_DATA_MARK = b"\x0a\x08location\x12"
"""Protobuf bytes of the key that points from an ONNX tensor to a file of its own."""
_SHIPPED = "kp3d_core.inference.models"


def shipped_models() -> tuple[str, ...]:
    """Names of the models in this package."""
    folder = resources.files(_SHIPPED)
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".onnx")))


def load_model(name_or_path: str | Path) -> Model:
    """Load a model by its shipped name or from a file.

    Args:
        name_or_path: one of `shipped_models()`, or a path; what ends in `.onnx` or has a folder in
            it is a path.

    Raises:
        ValueError: the file is missing, damaged or inconsistent; the message says how.
    """
    data, source = _read(name_or_path)
    if _EXTERNAL_DATA_MARK in data:
        raise ValueError(
            f"{source} keeps weights in other files, expected a self-contained model. "
            "Save it again with all weights inside."
        )
    try:
        graph = read_graph(data)
        model = parse_metadata(graph.metadata, data, hashlib.sha256(data).hexdigest())
        problems = graph_problems(graph, model)
        if problems:
            raise ValueError(" ".join(problems) + " Export the model again.")
    except ValueError as error:
        raise ValueError(f"Model file {source} cannot be used: {error}") from error
    return model


def _read(name_or_path: str | Path) -> tuple[bytes, str]:
    """Bytes of a model, and what to call it in messages."""
    text = str(name_or_path)
    path = Path(name_or_path).expanduser()
    is_name = isinstance(name_or_path, str) and not text.endswith(".onnx") and path.name == text
    if is_name and not path.is_file():
        if text not in shipped_models():
            raise ValueError(
                f"Model must be the path of an .onnx file or a shipped model "
                f"({', '.join(shipped_models()) or 'none in this installation'}), got {text!r}. "
                "Check the name, or pass a path."
            )
        return resources.files(_SHIPPED).joinpath(f"{text}.onnx").read_bytes(), f"{text} (shipped)"
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise ValueError(f"Model file must exist, got {path} ({what}). Check the path.")
    size = path.stat().st_size
    if size == 0 or size > MAX_BYTES:
        raise ValueError(
            f"Model file must have 1 to {MAX_BYTES} bytes, got {size} in {path}. "
            "Check that it is a kp3d model and was copied whole."
        )
    try:
        return path.read_bytes(), str(path)
    except OSError as error:
        raise ValueError(f"Model file {path} cannot be read: {error}.") from error
