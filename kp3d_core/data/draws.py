"""Random numbers for the images of a batch: the same whoever trains on which part of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kp3d_core.data.sharing import Share


class BatchDraws:
    """Draws one set of numbers for each row (an object or an image) of a batch.

    A process that trains on some rows of a batch draws for all of them and keeps its own: the
    processes together see what one process would see. Values are drawn on the device where they are
    used; decisions that tell how many rows a tensor has are drawn on the host, so that nobody waits
    for a GPU to report them. The same seed on another kind of device gives other values.
    """

    def __init__(
        self,
        seed: int,
        total: int,
        rows: slice | NDArray[np.int64] | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Start from `seed`.

        Args:
            seed: of this batch, or of one purpose in it.
            total: number of rows of the batch over all processes.
            rows: the rows of interest; all if None.
            device: where values are drawn; the CPU if None.
        """
        self.device = torch.device(device or "cpu")
        self._values = torch.Generator(self.device).manual_seed(seed)
        self._decisions = np.random.default_rng(seed)
        self._total = total
        own = np.arange(total) if rows is None else np.arange(total)[rows]
        self._rows = None if len(own) == total else own
        self._rows_on_device = None if self._rows is None else self._to_device(self._rows)

    @staticmethod
    def of_batch(seed: int, own: Tensor, share: Share) -> BatchDraws:
        """Draws for the objects of a batch, on its device.

        Args:
            seed: of the batch, or of one purpose in it.
            own: any values of this process's objects, one row each.
            share: which of the batch's objects those are.
        """
        total = len(own) * share.processes
        return BatchDraws(seed, total, share.of(total), own.device)

    def __len__(self) -> int:
        """Number of rows of interest."""
        return self._total if self._rows is None else len(self._rows)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Values between two bounds, shape (rows, *shape)."""
        values = torch.rand(self._total, *shape, generator=self._values, device=self.device)
        return low + (high - low) * self._own(values)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal values, shape (rows, *shape)."""
        return self._own(
            torch.randn(self._total, *shape, generator=self._values, device=self.device)
        )

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers from 0 to below `high`, shape (rows, *shape)."""
        size = (self._total, *shape)
        return self._own(torch.randint(high, size, generator=self._values, device=self.device))

    def common_integer(self, low: int, high: int) -> int:
        """One number from `low` to below `high` for all rows of the batch."""
        return int(self._decisions.integers(low, high))

    def common_order(self, length: int) -> list[int]:
        """The numbers from 0 to below `length` in one random order for all rows of the batch."""
        return [int(number) for number in self._decisions.permutation(length)]

    def choose(self, probability: float) -> tuple[Tensor, BatchDraws]:
        """Pick each row with a probability.

        Returns:
            The picked ones among the rows of interest, on the device, and draws for them alone.
            Those have a source of their own: a process without any of them need not draw.
        """
        return self._subset(self._decisions.random(self._total) < probability)

    def split(
        self, probability: float
    ) -> tuple[tuple[Tensor, BatchDraws], tuple[Tensor, BatchDraws]]:
        """What `choose` gives, for the picked rows and for the rest."""
        picked = self._decisions.random(self._total) < probability
        return self._subset(picked), self._subset(~picked)

    def _subset(self, picked: NDArray[np.bool_]) -> tuple[Tensor, BatchDraws]:
        index = np.flatnonzero(picked if self._rows is None else picked[self._rows])
        rows = index if self._rows is None else self._rows[index]
        seed = int(self._decisions.integers(2**62))
        return self._to_device(index), BatchDraws(seed, self._total, rows, self.device)

    def per_view(self, views: int) -> BatchDraws:
        """Draws with `views` rows for each row, object after object; a source of their own."""
        rows = self._rows
        if rows is not None:
            rows = (rows[:, None] * views + np.arange(views)).ravel()
        seed = int(self._decisions.integers(2**62))
        return BatchDraws(seed, self._total * views, rows, self.device)

    def _own(self, values: Tensor) -> Tensor:
        return values if self._rows_on_device is None else values[self._rows_on_device]

    def _to_device(self, index: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(index).to(self.device, non_blocking=True)
