"""The self-contained model file: loading it, and refusing it with the reason."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from kp3d_core.inference.model import Model
from kp3d_core.inference.model_graph import read_graph
from kp3d_core.inference.model_metadata import graph_problems, parse_metadata
from kp3d_core.inference.seal import check_seal

_LOGGER = logging.getLogger(__name__)
MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read; shipped models have a few MB."""
_EXTERNAL_DATA_MARK = b"\x0a\x08location\x12"
"""Protobuf bytes of the key that points from an ONNX tensor to a file of its own."""
_SHIPPED = "kp3d_core.inference.models"
_SUFFIX, _INT8_SUFFIX = ".onnx", ".int8.onnx"


class _File(NamedTuple):
    """Where a model lies."""

    path: Path
    source: str
    """What to call it in messages."""
    is_shipped: bool


def shipped_models() -> tuple[str, ...]:
    """Names of the models in this package."""
    names = [path.name for path in _shipped_folder().iterdir()]
    return tuple(
        sorted(
            name.removesuffix(_SUFFIX)
            for name in names
            if name.endswith(_SUFFIX) and not name.endswith(_INT8_SUFFIX)
        )
    )


def int8_path(path: Path) -> Path:
    """The file beside another one that holds the same model in int8."""
    return path.with_name(path.name.removesuffix(_SUFFIX) + _INT8_SUFFIX)


def load_model(name_or_path: str | Path) -> Model:
    """Load a model by its shipped name or from a file, with its int8 form if that lies beside it.

    Args:
        name_or_path: one of `shipped_models()`, or a path; what ends in `.onnx` or has a folder in
            it is a path.

    Raises:
        ValueError: the file is missing, damaged or inconsistent; the message says how.
    """
    file = _find(name_or_path)
    model = _load(file)
    return replace(model, int8=_int8_beside(file, model)) if model.precision == "fp32" else model


def _load(file: _File) -> Model:
    data = _read(file.path)
    try:
        return _parse(data)
    except ValueError as error:
        raise ValueError(f"Model file {file.source} cannot be used: {error}") from error


def _int8_beside(file: _File, model: Model) -> Model | None:
    """The model in int8; None without a file of it, or with one that is of no use."""
    path = int8_path(file.path)
    if not path.is_file():
        return None
    source = f"{path.name} (shipped)" if file.is_shipped else str(path)
    try:
        found = _load(_File(path, source, file.is_shipped))
        if found.precision != "int8" or found.quantized_from != model.sha256:
            raise ValueError(
                f"Model file {source} cannot be used: it was made of another file than "
                f"{file.source}. Make both again: kp3d package."
            )
    except ValueError as error:
        if file.is_shipped:
            raise
        _LOGGER.warning("%s Going on without int8.", error)
        return None
    return found


def _parse(data: bytes) -> Model:
    """Model of a file's bytes; the seal is checked before anything in them is believed."""
    check_seal(data)
    if _EXTERNAL_DATA_MARK in data:
        raise ValueError(
            "it keeps weights in other files, expected a self-contained model. "
            "Save it again with all weights inside."
        )
    graph = read_graph(data)
    model = parse_metadata(graph.metadata, data, hashlib.sha256(data).hexdigest())
    problems = graph_problems(graph, model)
    if problems:
        raise ValueError(" ".join(problems) + " Export the model again.")
    return model


def _find(name_or_path: str | Path) -> _File:
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
        return _File(_shipped_folder() / f"{text}{_SUFFIX}", f"{text} (shipped)", True)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise ValueError(f"Model file must exist, got {path} ({what}). Check the path.")
    return _File(path, str(path), False)


def _shipped_folder() -> Path:
    return Path(str(resources.files(_SHIPPED)))


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not 1 <= size <= MAX_BYTES:
            raise ValueError(
                f"Model file must have 1 to {MAX_BYTES} bytes, got {size} in {path}. "
                "Check that it is a kp3d model and was copied whole."
            )
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"Model file {path} cannot be read: {error}.") from error
