"""Model files whose metadata grow until all is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from kp3d_core.data.memory import ViewSet
from kp3d_core.evaluation.predictions import over_black
from kp3d_core.inference import Engine, Model, create_engine, load_model
from kp3d_core.inference.engines import REFERENCE_ENGINE
from kp3d_core.inference.model_file import int8_path
from kp3d_core.package.quantize import int8_graph
from kp3d_core.package.to_onnx import write_model

_INT8_VIEWS = 32
"""Most views of one object that int8 is calibrated on."""


class Draft:
    """Model files whose metadata grow until all is measured."""

    def __init__(self, path: Path, proto: onnx.ModelProto, metadata: dict[str, Any]) -> None:
        """Begin with the graph in float32.

        Args:
            path: of the file in float32; that in int8 lies beside it.
            proto: the graph.
            metadata: what is known so far; whoever learns more adds it.
        """
        self.path = path
        self.proto = proto
        self.metadata = metadata
        self.int8: onnx.ModelProto | None = None
        self.metrics: dict[str, dict[str, Any]] = {}

    @property
    def precisions(self) -> Sequence[str]:
        """Those that there is a file in."""
        return ("fp32",) if self.int8 is None else ("fp32", "int8")

    def write(self) -> None:
        """The file in float32 as it is known so far."""
        write_model(self.proto, self.metadata, self.path)

    def run(self) -> tuple[Model, Engine]:
        """Write that file, and read it with an engine."""
        self.write()
        model = load_model(self.path)
        return model, create_engine(model, REFERENCE_ENGINE, precision="fp32")

    def quantize(self, views: ViewSet, objects: int, seven_bits: bool) -> None:
        """Make the graph in int8, and write its file beside."""
        count = min(objects, len(views.rgba))
        images = (over_black(views, index)[:_INT8_VIEWS] for index in range(count))
        self.int8 = onnx.load_from_string(int8_graph(self.path.read_bytes(), images, seven_bits))
        self._write_int8(self.path)

    def _write_int8(self, path: Path) -> None:
        assert self.int8 is not None
        made_of = {"quantization": {"model_sha256": load_model(path).sha256}}
        metrics = {"precision": "int8", "metrics": self.metrics.get("int8", {})}
        write_model(self.int8, self.metadata | metrics | made_of, int8_path(path))

    def publish(self, output: Path) -> Path:
        """Write the final files; returns the one in float32."""
        path = output / self.path.name
        write_model(self.proto, self.metadata | {"metrics": self.metrics["fp32"]}, path)
        if self.int8 is None:
            int8_path(path).unlink(missing_ok=True)
        else:
            self._write_int8(path)
        return path
