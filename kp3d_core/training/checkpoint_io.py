"""Checkpoints that a kill cannot destroy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from kp3d_core.files import atomic_writer


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and renames it when it is whole and on disk.

    Lightning's own way is a temporary file in the system's folder for them, moved to its place.
    Where that folder is another file system, as it often is, the move is a copy over the old
    checkpoint, and a kill in its midst leaves neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to the local file `path`; `storage_options` are for remote ones."""
        assert storage_options is None
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(path) as stream:
            torch.save(checkpoint, stream)
