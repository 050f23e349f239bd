"""The step of the last stage: what will be exported, judged by the places on each object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.reframing import Reframing, random_reframe
from kp3d_core.export.graph import DetectorGraph, Look
from kp3d_core.export.refinement import MAX_ANGLE
from kp3d_core.geometry.camera import ndc_intrinsics, project, unproject
from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import rotation_angle, transform_points
from kp3d_core.losses.objective import pair_views
from kp3d_core.losses.orientation import flag_loss, orientation_heatmap_loss, true_flag
from kp3d_core.losses.places import place_errors
from kp3d_core.models import InBfloat16
from kp3d_core.models.fast import FastModel
from kp3d_core.models.refiner import Reading
from kp3d_core.models.rounding import rounded_weights
from kp3d_core.training.checkpoint import (
    REFINER_KEY,
    STAGES_KEY,
    Stage,
    TrainedNetwork,
    load_with_orientation,
)
from kp3d_core.training.networks import network_settings
from kp3d_core.training.polish.places import MIN_VIEWS
from kp3d_core.training.polish.settings import PolishSettings
from kp3d_core.training.precision import uses_bf16


def polishable(checkpoint: Path) -> TrainedNetwork:
    """Network and refiner of a checkpoint of `kp3d refine`.

    Raises:
        ValueError: a checkpoint without refiner, or of another network than `fast`.
    """
    trained = load_with_orientation(checkpoint, "Polishing")
    if trained.refiner is None or not trained.refiner.mirror:
        raise ValueError(
            f"CHECKPOINT must have a refiner that sees mirror images, got {checkpoint}, which "
            "has none. Make one: kp3d refine CHECKPOINT DATA... -o REFINED.ckpt"
        )
    if not isinstance(trained.model, FastModel):
        raise ValueError(
            f"CHECKPOINT must be of the network `fast`, got {checkpoint}, of another one. Only "
            "`fast` can be trained without its batch normalisation."
        )
    return trained


class PolishModule(L.LightningModule):
    """Network and refiner of a checkpoint, trained on for what their export gives.

    Each step reads images and their mirror images, refines both, and compares all keypoints with
    fixed places on their object: where the network, as it was, sees them on average. So neither
    their meaning nor their spread changes, only how well a single view tells them.
    """

    places: Tensor
    is_known: Tensor

    def __init__(
        self,
        trained: TrainedNetwork,
        stages: tuple[Stage, ...],
        settings: PolishSettings,
        places: Mapping[str, tuple[Tensor, int]],
        precision: str = "auto",
    ) -> None:
        """Take network and refiner.

        Args:
            trained: of `polishable`.
            stages: that it has been through.
            settings: of the training.
            places: of the keypoints (2 N, 3) on each training object [model units], by its key,
                and the number of views that they were seen in.
            precision: of the network's arithmetic: "auto", "bf16" or "fp32".
        """
        super().__init__()
        assert isinstance(trained.model, FastModel)
        assert trained.refiner is not None
        torch.manual_seed(settings.seed)
        folded = bool(trained.settings.get("folded", False))
        self.model = trained.model if folded else trained.model.fold_batch_norm()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.refiner = trained.refiner
        self.settings = settings
        self.precision = precision
        self.automatic_optimization = False
        self._index = {key: number for number, key in enumerate(places)}
        stacked, counts = zip(*places.values(), strict=True)
        self.register_buffer("places", torch.stack(stacked), persistent=False)
        self.register_buffer("is_known", torch.tensor(counts) >= MIN_VIEWS, persistent=False)
        self._network_settings = network_settings(trained.settings) | {"folded": True}
        self._refinement = trained.refinement
        self._stages = stages
        self._validation_deg: list[Tensor] = []

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write what `kp3d export` reads."""
        polish = asdict(self.settings)
        checkpoint["hyper_parameters"] = self._network_settings | {"polish": polish}
        checkpoint[STAGES_KEY] = self._stages
        checkpoint[REFINER_KEY] = {
            "settings": self.refiner.settings,
            "state_dict": self.refiner.state_dict(),
            "refinement": self._refinement,
        }

    def configure_optimizers(self) -> Any:
        """AdamW; only the refiner, which has seen fewer objects, is held back."""
        groups = [
            {"params": list(self.model.parameters()), "weight_decay": 0.0},
            {"params": list(self.refiner.parameters()), "weight_decay": 0.01},
        ]
        rate = self.settings.learning_rate
        optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.98), foreach=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.settings.learning_rate_at(step)
        )
        return [optimizer], [schedule]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One step on B objects of V views each."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        with rounded_weights(self.model), rounded_weights(self.refiner):
            parts = self._losses(batch)
            optimizer.zero_grad()  # type: ignore[union-attr]
            self.manual_backward(parts["total"])
        self.clip_gradients(optimizer, 2.0, "norm")  # type: ignore[arg-type]
        optimizer.step()  # type: ignore[union-attr]
        schedule.step()  # type: ignore[union-attr, call-arg]
        self.log_dict({f"loss/{name}": value.detach() for name, value in parts.items()})

    def _losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        s = self.settings
        size = self.trainer.datamodule.input_size  # type: ignore[attr-defined]
        rgba, K, T = (batch[name].flatten(0, 1) for name in ("rgba", "K", "T_camera_object"))
        views = batch["rgba"].shape[1]
        draws = BatchDraws.of_batch(batch["seed"], batch["K"], batch["share"]).per_view(views)
        rgba, K, T = random_reframe(rgba, K, T, size, Reframing(probability=s.reframed), draws)
        changes = Augmentation(
            background_probability=s.backgrounds, light=0.2, occlusion_probability=0.25
        )
        numbers = torch.tensor([self._index[key] for key in batch["keys"]], device=rgba.device)
        numbers = numbers.repeat_interleave(views)
        graph = self._graph()
        look = graph.look(composite(rgba, changes, draws), true_flag(T))
        K_ndc = ndc_intrinsics(K, (size, size))
        known = self.is_known[numbers].to(T)
        known = known / known.sum().clamp_min(1)
        parts = self._orientation_losses(look, K_ndc, T, size)
        parts["variance"] = sum(look.reading.covariance[..., i, i].mean() for i in range(2))
        readings = {"unrefined_": look.reading, "": graph.refine(look.reading)}
        for name, reading in readings.items():
            errors = place_errors(
                graph.merge(reading), self.places[numbers], K_ndc, T, self._log_scale(K, T)
            )
            parts[f"{name}pose"] = (known * errors.angle.clamp_max(MAX_ANGLE)).sum()
            parts[f"{name}distance"] = (known * errors.distance).sum()
            parts[f"{name}scale"] = errors.log_scale.square().mean()
        parts["total"] = self._total(parts)
        if not parts["total"].isfinite():
            raise FloatingPointError(
                f"The loss is not finite at step {self.global_step}, objects "
                f"{', '.join(batch['keys'])}. Lower the learning rate."
            )
        return parts

    def _orientation_losses(self, look: Look, K_ndc: Tensor, T: Tensor, size: int) -> Any:
        """Losses of the object points and of the flag, in images and mirror images."""
        points = T.new_tensor(self.model.orientation_points)
        mirrored = points * points.new_tensor([1.0, -1.0, 1.0])
        edge = 1 - 2 * (self.model.orientation_limit_px or 0.0) / size
        target = project(transform_points(T, points), K_ndc).clamp(-edge, edge)
        twin = project(transform_points(T, mirrored), K_ndc).clamp(-edge, edge)
        target = torch.cat([target, twin * twin.new_tensor([-1.0, 1.0])])
        flag = true_flag(T)
        return {
            "orientation": (look.reading.orientation_uv - target).square().mean(),
            "orientation_heatmap": orientation_heatmap_loss(look.orientation_logits, target),
            "flag": flag_loss(look.reading.orientation_uv, torch.cat([flag, 1 - flag])),
        }

    def _total(self, parts: Mapping[str, Tensor]) -> Tensor:
        s = self.settings
        total: Tensor = sum(  # type: ignore[assignment]
            getattr(s, name) * parts[name]
            for name in ("orientation", "orientation_heatmap", "flag", "variance")
        )
        for prefix, share in (("", 1.0), ("unrefined_", s.unrefined)):
            for name in ("pose", "distance", "scale"):
                total = total + share * getattr(s, name) * parts[f"{prefix}{name}"]
        return total

    def _graph(self) -> DetectorGraph:
        """What is exported, around the weights as they are now."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        network = InBfloat16(self.model, uses_bf16(self.precision, self.device))
        camera = data.training_camera
        return DetectorGraph(network, data.input_size, camera.distance, True, self.refiner)

    def _log_scale(self, K: Tensor, T: Tensor) -> Float[Tensor, " M"]:
        camera = self.trainer.datamodule.training_camera  # type: ignore[attr-defined]
        return (K[:, 0, 0] / camera.focal_px * camera.distance / T[:, 2, 3]).log()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Relative rotation at the distance that is read, over black, with the flag seen."""
        rgba, K, T = (batch[name].flatten(0, 1) for name in ("rgba", "K", "T_camera_object"))
        size, views = rgba.shape[1], batch["rgba"].shape[1]
        graph = self._graph()
        with rounded_weights(self.model), rounded_weights(self.refiner):
            look = graph.look(rgba[..., :3].permute(0, 3, 1, 2).float() / 255)
            reading: Reading = graph.merge(graph.refine(look.reading))
        distance = T[:, 2, 3] * (self._log_scale(K, T) - reading.log_scale).exp()
        depth = distance[:, None] + reading.depth
        points = unproject(reading.uv, depth, ndc_intrinsics(K, (size, size)))
        X_0, X_1 = pair_views(points.unflatten(0, (-1, views)).double(), views)
        R_0, R_1 = pair_views(T[:, :3, :3].unflatten(0, (-1, views)).double(), views)
        R_est, _ = weighted_procrustes(X_0, X_1)
        angle = rotation_angle(R_est, R_1 @ R_0.mT) * (180 / math.pi)
        self._validation_deg.append(angle.flatten().float())

    def on_validation_epoch_end(self) -> None:
        """Log mean and median over all pairs."""
        angles = torch.cat(self._validation_deg)
        self._validation_deg.clear()
        self.log("val/rotation_deg", angles.mean(), sync_dist=True)
        self.log("val_rotation_median_deg", angles.median(), sync_dist=True)
