"""The self-contained model file: loading it, and refusing it with the reason."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path

from kp3d_core.inference.model import Model
from kp3d_core.inference.model_graph import read_graph
from kp3d_core.inference.model_metadata import UNSEALED_VERSION, graph_problems, parse_metadata
from kp3d_core.inference.seal import check_seal

_LOGGER = logging.getLogger(__name__)
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
    data, source, is_shipped = _read(name_or_path)
    try:
        return _parse(data, source, is_shipped)
    except ValueError as error:
        raise ValueError(f"Model file {source} cannot be used: {error}") from error


def _parse(data: bytes, source: str, is_shipped: bool) -> Model:
    """Model of a file's bytes; the seal is checked before anything in them is believed."""
    sha256, sealed = check_seal(data)
    if _EXTERNAL_DATA_MARK in data:
        raise ValueError(
            "it keeps weights in other files, expected a self-contained model. "
            "Save it again with all weights inside."
        )
    graph = read_graph(data)
    model = parse_metadata(graph.metadata, data, sha256)
    problems = graph_problems(graph, model)
    if problems:
        raise ValueError(" ".join(problems) + " Export the model again.")
    if sealed:
        return model
    if is_shipped or model.format_version != UNSEALED_VERSION:
        raise ValueError(
            "it is damaged or cut short: it must end with the SHA-256 of its bytes, and does not. "
            "Copy or export it again."
        )
    _LOGGER.warning("%s is older than seals: damage to it goes unnoticed. Export it again.", source)
    return model


def _read(name_or_path: str | Path) -> tuple[bytes, str, bool]:
    """Bytes of a model, what to call it in messages, and whether it came with this package."""
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
        shipped = resources.files(_SHIPPED).joinpath(f"{text}.onnx")
        return shipped.read_bytes(), f"{text} (shipped)", True
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
        return path.read_bytes(), str(path), False
    except OSError as error:
        raise ValueError(f"Model file {path} cannot be read: {error}.") from error
