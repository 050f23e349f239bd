"""What the two stages of training have in common: views of a batch, finite losses, validation."""

from __future__ import annotations

from typing import Any, NamedTuple

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.reframing import Reframing, random_reframe
from kp3d_core.geometry.camera import ndc_intrinsics
from kp3d_core.geometry.symmetry import canonical_pose
from kp3d_core.losses.objective import ViewBatch
from kp3d_core.models import KeypointModel
from kp3d_core.training.forward import orientation_targets
from kp3d_core.training.monitor import ViewMetrics


class TrainingCamera(NamedTuple):
    """The camera that defines apparent size 1, at the size of the network's input."""

    focal_px: float
    distance: float
    input_size: int
    """Side of the network's input [px]."""


class SeenViews(NamedTuple):
    """Network inputs of B objects in V views each, and what is known about them."""

    images: Float[Tensor, "B V 3 S S"]
    known: ViewBatch


class StageModule(L.LightningModule):
    """A network in training; the stages differ in their steps."""

    model: KeypointModel

    def __init__(self) -> None:
        """Collect no metrics yet."""
        super().__init__()
        self.validation_metrics: list[ViewMetrics] = []

    @property
    def training_camera(self) -> TrainingCamera:
        """Camera of the data at hand."""
        return self.trainer.datamodule.training_camera  # type: ignore[attr-defined]

    @property
    def symmetry(self) -> str:
        """Of the objects at hand."""
        return self.trainer.datamodule.symmetry  # type: ignore[attr-defined, no-any-return]

    def see(
        self,
        rgba: Tensor,
        K: Tensor,
        T: Tensor,
        draws: BatchDraws,
        augmentation: Augmentation | None = None,
        reframing: Reframing | None = None,
    ) -> SeenViews:
        """Stored views (B, V, ...) as network inputs, through changed cameras and sensors.

        Args:
            rgba: premultiplied.
            K: intrinsics [px].
            T: T_camera_object.
            draws: one row for each object.
            augmentation: random changes of the images; none if None.
            reframing: random changes of the cameras; none if None.
        """
        shape, camera = rgba.shape[:2], self.training_camera
        per_view = draws.per_view(shape[1])
        rgba, K, T = (values.flatten(0, 1) for values in (rgba, K, T))
        size = camera.input_size
        rgba, K, T = random_reframe(rgba, K, T, size, reframing or Reframing(), per_view)
        T = canonical_pose(T, self.symmetry)  # that of the camera as it is now
        photographs = None
        if augmentation is not None:
            photographs = self.trainer.datamodule.photographs  # type: ignore[attr-defined]
        images = composite(rgba, augmentation or Augmentation(), per_view, photographs)
        rgba, K, T, images = (values.unflatten(0, shape) for values in (rgba, K, T, images))
        log_scale = (K[..., 0, 0] / camera.focal_px * camera.distance / T[..., 2, 3]).log()
        coverage = rgba[..., 3].float() / 255
        mask = torch.nn.functional.max_pool2d(coverage, self.model.heatmap_stride) > 0
        K_ndc, covered = ndc_intrinsics(K, (size, size)), mask.to(K.dtype)
        return SeenViews(images, ViewBatch(K_ndc, T, covered, log_scale, self.symmetry))

    def orientation_targets(self, known: ViewBatch, mirrored: bool = False) -> Tensor:
        """True projections of the object points that the orientation stage predicts [NDC].

        Args:
            known: about the views.
            mirrored: of the mirror images instead, in their coordinates.
        """
        uv = orientation_targets(
            self.model, known.T_camera_object, known.K_ndc, mirrored, known.symmetry
        )
        if self.model.orientation_limit_px is None:
            return uv
        edge = 1 - 2 * self.model.orientation_limit_px / self.training_camera.input_size
        return uv.clamp(-edge, edge)

    def log_losses(self, parts: dict[str, Tensor]) -> None:
        """Log the means over all processes."""
        means = self.trainer.strategy.reduce(torch.stack(list(parts.values())).detach())
        named = {f"loss/{name}": value for name, value in zip(parts, means, strict=True)}
        self.log_dict({**named, "step": self.step_number()})

    def step_number(self) -> Tensor:
        """Of a row of the log: Lightning's own count is one ahead after a resume."""
        return torch.tensor(float(self.global_step))

    def of_all_processes(self, metrics: ViewMetrics) -> ViewMetrics:
        """The metrics of this process and of all others."""
        return metrics.gathered(self.all_gather) if self.trainer.world_size > 1 else metrics

    def on_validation_epoch_end(self) -> None:
        """Log medians and means over all pairs of the validation set."""
        metrics = self.of_all_processes(ViewMetrics.concatenate(self.validation_metrics))
        self.validation_metrics.clear()
        means = {**metrics.means("val"), "step": self.step_number()}
        self.log_dict(means, sync_dist=True)  # equal everywhere, but Lightning asks for it
        self.log("val_rotation_median_deg", metrics.rotation_deg.median(), sync_dist=True)

    def require_finite(self, parts: dict[str, Tensor], batch: dict[str, Any]) -> None:
        """Look at the total only, unless it is bad: each look waits for the GPU."""
        if not parts["total"].isfinite():
            bad = [name for name, value in parts.items() if not value.isfinite()]
            raise self.not_finite(bad, batch)

    def not_finite(self, names: list[str], batch: dict[str, Any]) -> FloatingPointError:
        """What to raise where values are not finite."""
        samples = ", ".join(
            f"{key} views {views.tolist()}"
            for key, views in zip(batch["keys"], batch["views"], strict=True)
        )
        return FloatingPointError(
            f"{', '.join(names)} not finite at step {self.global_step}. "
            f"Samples of the batch: {samples}. Look at these views, or lower the learning rate."
        )
