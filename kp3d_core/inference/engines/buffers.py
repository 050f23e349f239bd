"""Host memory that an engine reads from and writes to, allocated once per batch size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kp3d_core.inference.model import Model
from kp3d_core.inference.outputs import output_shapes

_KEPT_SIZES = 8
"""Batch sizes whose buffers are kept. The detector uses four: 1, and three while it searches."""

Binding = TypeVar("Binding")


@dataclass(frozen=True, eq=False)
class HostBuffers:
    """Input and outputs of one batch size."""

    images: NDArray[np.uint8]
    """(B, S, S, 3)."""
    outputs: dict[str, NDArray[np.float32]]

    @classmethod
    def allocate(cls, model: Model, batch: int) -> HostBuffers:
        """Buffers that fit a model's graph."""
        shapes = output_shapes(model.keypoints.count)
        return cls(
            np.empty((batch, model.input_size, model.input_size, 3), np.uint8),
            {name: np.empty((batch, *shape), np.float32) for name, shape in shapes.items()},
        )

    def copy_outputs(self) -> dict[str, NDArray[np.float32]]:
        """Outputs for the caller, who may keep them: under a kilobyte per image."""
        return {name: values.copy() for name, values in self.outputs.items()}


class PerBatchSize(Generic[Binding]):
    """What an engine prepares for a batch size, kept for the sizes used last."""

    def __init__(self, prepare: Callable[[int], Binding]) -> None:
        """`prepare` makes it for a batch size."""
        self._prepare = prepare
        self._kept: OrderedDict[int, Binding] = OrderedDict()

    def __getitem__(self, batch: int) -> Binding:
        """Prepared for `batch`, now or earlier."""
        if batch not in self._kept:
            if len(self._kept) == _KEPT_SIZES:
                self._kept.popitem(last=False)
            self._kept[batch] = self._prepare(batch)
        self._kept.move_to_end(batch)
        return self._kept[batch]
