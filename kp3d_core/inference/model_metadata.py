"""Metadata of a model file: JSON text to checked values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kp3d_core.geometry.symmetry import SYMMETRIES
from kp3d_core.inference.acceptance import Acceptance, Evidence, Limit, SearchRecord
from kp3d_core.inference.model import (
    PRECISIONS,
    Calibration,
    Extent,
    KeypointLayout,
    Model,
    TrainingCamera,
    ViewTraits,
)
from kp3d_core.inference.model_graph import Graph
from kp3d_core.inference.outputs import INPUT_NAME, output_shapes
from kp3d_core.inference.surface import Surface, input_count

METADATA_KEY = "kp3d"
FORMAT_VERSION = 2
_MAX_INPUT_SIZE = 2048
_MAX_KEYPOINTS = 1000
_MAX_COORDINATE = 10.0
"""Canonical keypoints lie on or near the object, which spans [-1, 1]."""
_MAX_LAYERS, _MAX_WIDTH, _MAX_WEIGHT = 8, 1024, 1e4
"""Of the network of a surface."""
_TRAITS = ("typical", "own_growth", "scale_growth")
"""Entries of the calibration that are `ViewTraits`; the others are numbers."""


class _Reader:
    """Takes values out of nested JSON and collects what is wrong with them."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.problems: list[str] = []

    def get(self, path: str, kind: type, default: Any) -> Any:
        """Value at a dotted path; the default, with a problem noted, if it is not of `kind`."""
        value: Any = self._content
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                self.problems.append(f"{path} is missing.")
                return default
            value = value[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = _as_float(value)
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            self.problems.append(f"{path} must be of type {kind.__name__}, got {value!r:.80}.")
            return default
        return value

    def has(self, path: str) -> bool:
        """Whether there is an entry at a dotted path."""
        value: Any = self._content
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    def number(self, path: str, low: float, high: float, default: float) -> float:
        """Finite number from `low` to `high`."""
        value = self.get(path, float, default)
        if not low <= value <= high:
            self.problems.append(f"{path} must be in [{low:g}, {high:g}], got {value:g}.")
            return default
        return float(value)

    def array(self, path: str, shape: tuple[int, ...], low: float, high: float) -> Any:
        """Array of numbers from `low` to `high`; -1 in the shape stands for any length."""
        rows = self.get(path, list, None)
        fallback = np.zeros([max(length, 0) for length in shape])
        if rows is None:
            return fallback
        try:
            values: NDArray[np.float64] = np.asarray(rows, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            self.problems.append(f"{path} must be an array of numbers.")
            return fallback
        if values.size == 0 and shape[0] == -1:
            return fallback
        matches = len(values.shape) == len(shape) and all(
            expected in (-1, got) for expected, got in zip(shape, values.shape, strict=True)
        )
        if not matches:
            self.problems.append(f"{path} must have shape {shape}, got {values.shape}.")
            return fallback
        if not ((values >= low) & (values <= high)).all():  # NaN fails both
            self.problems.append(f"{path} must be finite and in [{low:g}, {high:g}].")
            return fallback
        return values


def parse_metadata(metadata: Mapping[str, str], data: bytes, sha256: str) -> Model:
    """Model of a file's metadata; `ValueError` that lists everything wrong with it."""
    reader = _Reader(_load_json(metadata))
    keypoints = _read_keypoints(reader)
    model = Model(
        name=reader.get("name", str, ""),
        category=reader.get("category", str, ""),
        version=reader.get("version", str, ""),
        input_size=_read_input_size(reader),
        precision=_read_precision(reader),
        quantized_from=(
            reader.get("quantization.model_sha256", str, "") if reader.has("quantization") else ""
        ),
        training_camera=TrainingCamera(
            focal_px=reader.number("training_camera.focal_px", 1e-3, 1e6, 1.0),
            distance=reader.number("training_camera.distance", 1.0, 1e6, 1.0),
        ),
        keypoints=keypoints,
        calibration=_read_calibration(reader),
        acceptance=_read_acceptance(reader),
        extent=_read_extent(reader),
        surface=_read_surface(reader, keypoints.count),
        metrics=reader.get("metrics", dict, {}),
        provenance=reader.get("provenance", dict, {}),
        data=data,
        sha256=sha256,
    )
    if reader.problems:
        raise ValueError(
            f"its metadata is inconsistent: {' '.join(reader.problems)} Export the model again."
        )
    return model


def graph_problems(graph: Graph, model: Model) -> list[str]:
    """Where the graph's inputs and outputs contradict the metadata."""
    size, n_keypoints = model.input_size, model.keypoints.count
    expected_input = {INPUT_NAME: ("tensor(uint8)", (size, size, 3))}
    expected_outputs = {
        name: ("tensor(float)", shape) for name, shape in output_shapes(n_keypoints).items()
    }
    problems = []
    for what, expected, declared in (
        ("input", expected_input, graph.inputs),
        ("output", expected_outputs, graph.outputs),
    ):
        for name, (dtype, shape) in expected.items():
            if name not in declared:
                problems.append(
                    f"{what} {name} is missing, the graph has {', '.join(declared) or 'none'}."
                )
                continue
            tensor = declared[name]
            if tensor.type != dtype or not _compatible(tensor.shape, shape):
                problems.append(
                    f"{what} {name} must be {dtype} of shape ({', '.join(['B', *map(str, shape)])})"
                    f" with free B, got {tensor.type} of shape {list(tensor.shape)}."
                )
    extra = set(graph.inputs) - {INPUT_NAME}
    if extra:
        problems.append(f"the graph asks for unknown inputs {', '.join(sorted(extra))}.")
    return problems


def _as_float(value: int) -> float:
    """The nearest float; infinite where JSON has an integer beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _load_json(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ValueError(
            f"it is an ONNX file without the metadata entry {METADATA_KEY!r}, so its keypoints and "
            "training camera are unknown. Use a file made by `kp3d package`."
        )
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its metadata is not JSON ({error}). Export the model again.") from error
    if not isinstance(content, dict):
        raise ValueError("its metadata must be a JSON object. Export the model again.")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"format_version must be {FORMAT_VERSION}, got {version!r:.80}. "
            "Use the release of kp3d that made the file, or export it again with this one."
        )
    return content


def _read_input_size(reader: _Reader) -> int:
    size = reader.get("input_size", int, 1)
    if not 1 <= size <= _MAX_INPUT_SIZE:
        reader.problems.append(f"input_size must be in [1, {_MAX_INPUT_SIZE}], got {size}.")
    return int(size)


def _read_precision(reader: _Reader) -> str:
    precision = reader.get("precision", str, "fp32")
    if precision not in PRECISIONS:
        reader.problems.append(f"precision must be in {PRECISIONS}, got {precision!r}.")
    return str(precision)


def _read_keypoints(reader: _Reader) -> KeypointLayout:
    names = reader.get("keypoints.names", list, [])
    n = len(names)
    if not 3 <= n <= _MAX_KEYPOINTS or len({str(name) for name in names}) != n:
        reader.problems.append(
            f"keypoints.names must be 3 to {_MAX_KEYPOINTS} different names, got {n} names."
        )
    edges = reader.array("keypoints.edges", (-1, 2), 0.0, float(max(n - 1, 0)))
    return KeypointLayout(
        names=tuple(str(name) for name in names),
        colors=reader.array("keypoints.colors", (n, 3), 0.0, 1.0),
        edges=edges.astype(np.int64),
        canonical=reader.array("keypoints.canonical", (n, 3), -_MAX_COORDINATE, _MAX_COORDINATE),
        spread=reader.array("keypoints.spread", (n, 3), 0.0, _MAX_COORDINATE),
        symmetry=_read_symmetry(reader),
    )


def _read_symmetry(reader: _Reader) -> str:
    symmetry = reader.get("symmetry", str, "none")
    if symmetry not in SYMMETRIES:
        reader.problems.append(f"symmetry must be in {SYMMETRIES}, got {symmetry!r:.80}.")
    return str(symmetry)


def _read_calibration(reader: _Reader) -> Calibration:
    values: dict[str, Any] = {
        field.name: _read_traits(reader, f"calibration.{field.name}")
        if field.name in _TRAITS
        else reader.number(f"calibration.{field.name}", 0.0, 1e6, 1.0)
        for field in fields(Calibration)
    }
    return Calibration(**values)


def _read_acceptance(reader: _Reader) -> Acceptance | None:
    """How results are judged; the rows of its table must not fall."""
    if not reader.has("acceptance"):
        return None
    weights = {
        name: reader.number(f"acceptance.weights.{name}", -_MAX_WEIGHT, _MAX_WEIGHT, 0.0)
        for name in Evidence._fields
    }
    rows = reader.array("acceptance.limits", (-1, len(Limit._fields)), 0.0, 1.0)
    if (np.diff(rows, axis=0) < 0).any():
        reader.problems.append("acceptance.limits must not fall from row to row.")
    return Acceptance(
        offset=reader.number("acceptance.offset", -_MAX_WEIGHT, _MAX_WEIGHT, 0.0),
        weights=Evidence(**weights),
        orientation_slope=reader.number("acceptance.orientation_slope", 1e-3, 1e3, 1.0),
        limits=tuple(Limit(*map(float, row)) for row in rows),
        search=_read_search(reader),
        measured=reader.get("acceptance.measured", dict, {}),
    )


def _read_search(reader: _Reader) -> SearchRecord | None:
    if not reader.has("acceptance.search"):
        return None
    return SearchRecord(
        images=int(reader.number("acceptance.search.images", 0.0, 1e9, 0.0)),
        false=int(reader.number("acceptance.search.false", 0.0, 1e9, 0.0)),
        recall=reader.number("acceptance.search.recall", 0.0, 1.0, 0.0),
    )


def _read_extent(reader: _Reader) -> Extent | None:
    if not reader.has("extent"):
        return None
    return Extent(
        half=reader.array("extent.half", (3,), 1e-3, _MAX_COORDINATE),
        size_std=reader.number("extent.size_std", 1e-3, 10.0, 1.0),
        place_std=reader.number("extent.place_std", 1e-3, 10.0, 1.0),
    )


def _read_traits(reader: _Reader, path: str) -> ViewTraits:
    numbers = {
        field.name: reader.number(f"{path}.{field.name}", -1e3, 1e3, 0.0)
        for field in fields(ViewTraits)
    }
    return ViewTraits(**numbers)


def _read_surface(reader: _Reader, num_keypoints: int) -> Surface | None:
    """Network of a surface, whose layers must fit each other; None in files without one."""
    if not reader.has("surface"):
        return None
    sizes = reader.get("surface.sizes", list, [])
    usable = 1 <= len(sizes) <= _MAX_LAYERS and all(
        type(size) is int and 1 <= size <= _MAX_WIDTH for size in sizes
    )
    if not usable or sizes[-1] != 1:
        reader.problems.append(
            f"surface.sizes must be the widths of 1 to {_MAX_LAYERS} layers, each at most "
            f"{_MAX_WIDTH} and the last one 1, got {sizes!r:.80}."
        )
        return None
    weights, biases = [], []
    inputs = input_count(num_keypoints)
    for k, size in enumerate(sizes):
        shape = (size, inputs)
        weights.append(reader.array(f"surface.weights_{k}", shape, -_MAX_WEIGHT, _MAX_WEIGHT))
        biases.append(reader.array(f"surface.biases_{k}", (size,), -_MAX_WEIGHT, _MAX_WEIGHT))
        inputs = size
    return Surface(
        tuple(weights),
        tuple(biases),
        std=reader.number("surface.std", 0.0, 10.0, 0.0),
        measured=reader.get("surface.measured", dict, {}),
    )


def _compatible(declared: Any, shape: tuple[int, ...]) -> bool:
    """Whether a declared shape is (free batch, *shape); a free length matches any."""
    if len(declared) != len(shape) + 1 or isinstance(declared[0], int):
        return False
    return all(
        not isinstance(got, int) or got == want
        for got, want in zip(declared[1:], shape, strict=True)
    )
