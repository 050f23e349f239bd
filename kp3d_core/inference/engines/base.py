"""The protocol that every engine fulfils."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Engine(Protocol):
    """A network that is loaded and ready to run; not safe for calls from several threads."""

    name: str
    """Name it was created by, with the library's version, for example `onnxruntime 1.20.1`."""
    device: str
    """Where it runs, for example `cpu (2 threads)`."""

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Outputs of `output_shapes` for RGB crops of shape (B, S, S, 3)."""
        ...
