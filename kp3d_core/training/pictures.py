"""Pictures of predicted keypoints during training: numbers do not show where points sit."""

from __future__ import annotations

from pathlib import Path

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from kp3d_core.evaluation.figures import draw_keypoints
from kp3d_core.geometry.camera import ndc_intrinsics, ndc_to_pixel
from kp3d_core.palette import keypoint_colors
from kp3d_core.training.forward import forward_views


class KeypointPictures(L.Callback):
    """Writes a sheet of validation views with their keypoints after a validation now and then."""

    def __init__(
        self, folder: str | Path, every_n_validations: int = 5, objects: int = 4, zoom: int = 3
    ) -> None:
        """One row per object, one column per view, `zoom` screen pixels per input pixel."""
        self.folder = Path(folder)
        self.every_n_validations = every_n_validations
        self.objects = objects
        self.zoom = zoom
        self._validations = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the first objects of the validation set."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        self._validations += 1
        if self._validations % self.every_n_validations:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        batch = next(iter(trainer.datamodule.val_dataloader()))  # type: ignore[attr-defined]
        path = self.folder / f"step_{trainer.global_step:06d}.png"
        sheet = self._sheet(
            pl_module, {name: batch[name] for name in ("rgba", "K", "T_camera_object")}
        )
        cv2.imwrite(str(path), sheet[..., ::-1])

    @torch.no_grad()
    def _sheet(
        self, module: L.LightningModule, batch: dict[str, torch.Tensor]
    ) -> NDArray[np.uint8]:
        rgba = batch["rgba"][: self.objects]
        K = batch["K"][: self.objects].to(module.device)
        T = batch["T_camera_object"][: self.objects].to(module.device)
        size = rgba.shape[-2]
        images = rgba[..., :3].movedim(-1, 2).to(module.device).float() / 255
        was_training = module.training
        module.eval()
        result = forward_views(
            module.model,  # type: ignore[arg-type]
            images,
            ndc_intrinsics(K, (size, size)),
            T[..., 2, 3],
            lambda flag: flag,
        )
        module.train(was_training)
        uv = ndc_to_pixel(result.prediction.uv, (size, size)).cpu().double().numpy()
        colors, no_edges = np.array(keypoint_colors(uv.shape[2])), np.zeros((0, 2), np.int64)
        rows = [
            np.concatenate(
                [
                    draw_keypoints(
                        rgba[i, v, ..., :3].cpu().numpy(), uv[i, v], colors, no_edges, self.zoom
                    )
                    for v in range(rgba.shape[1])
                ],
                axis=1,
            )
            for i in range(len(rgba))
        ]
        return np.concatenate(rows, axis=0)
