"""Checkpoints that a kill cannot destroy and that run no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from kp3d_core.files import atomic_writer
from kp3d_core.training.checkpoint_files import read_checkpoint


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

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = lambda storage, location: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read the local file `path`, without code in it, whatever `weights_only` says."""
        return read_checkpoint(Path(path), map_location)
