"""The graph that is exported, run by torch: what a checkpoint predicts, without a model file."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from kp3d_core.models.graph import OUTPUT_NAMES, DetectorGraph


class TorchEngine:
    """An engine (`kp3d_core.inference.engines.Engine`) for evaluation while there is no file yet.

    `kp3d package` refuses a file whose outputs differ from these, so figures measured here are
    those of the exported model.
    """

    def __init__(self, graph: DetectorGraph, batch: int = 64) -> None:
        """Move the graph to the GPU if there is one; run at most `batch` images at once."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.name = f"torch {torch.__version__}"
        self.device = str(device)
        self.precision = "fp32"
        self._graph = graph.eval().to(device)
        self._device = device
        self._batch = batch

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of the graph for RGB crops of shape (B, S, S, 3)."""
        parts = [
            self._graph(part.to(self._device))
            for part in torch.from_numpy(images).split(self._batch)
        ]
        return {
            name: torch.cat(values).cpu().numpy()
            for name, values in zip(OUTPUT_NAMES, zip(*parts, strict=True), strict=True)
        }
