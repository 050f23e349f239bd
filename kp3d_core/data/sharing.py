"""How the objects of a batch are shared among the processes that train together."""

from __future__ import annotations

from typing import NamedTuple


class Share(NamedTuple):
    """What one of several processes takes of a batch: an equal number of objects in a row."""

    rank: int = 0
    processes: int = 1

    def of(self, objects: int) -> slice:
        """This process's objects among those of the whole batch.

        Raises:
            ValueError: they cannot be shared equally; means over shares would not be the mean over
                the batch.
        """
        if objects % self.processes:
            raise ValueError(
                f"objects_per_batch counts the objects of all processes together and must be a "
                f"multiple of their number {self.processes}, got {objects}. Set "
                f"--data.objects_per_batch={_next_multiple(objects, self.processes)}."
            )
        own = objects // self.processes
        return slice(self.rank * own, (self.rank + 1) * own)


def _next_multiple(number: int, of: int) -> int:
    return -(-number // of) * of
