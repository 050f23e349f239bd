"""What tells whether training goes well: angles, flags, spread; and when it has collapsed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import invert_transform, transform_points
from kp3d_core.geometry.symmetry import has_front, rotation_error
from kp3d_core.losses.objective import pair_views
from kp3d_core.losses.orientation import true_flag


class ViewMetrics(NamedTuple):
    """Per pair or per view values, without noise."""

    rotation_deg: Float[Tensor, " pairs"]
    """Error of the relative rotation by Procrustes."""
    flag_correct: Float[Tensor, " views"]
    mean_keypoints: Float[Tensor, "objects N 3"]
    """Mean over the views of an object, in the object frame [model units]."""

    @staticmethod
    def concatenate(parts: list[ViewMetrics]) -> ViewMetrics:
        """All of them, one after the other."""
        return ViewMetrics(*(torch.cat(values) for values in zip(*parts, strict=True)))

    def gathered(self, all_gather: Callable[[Tensor], Any]) -> ViewMetrics:
        """Those of all processes, given what stacks the values that each has of a tensor."""
        return ViewMetrics(*(all_gather(values).flatten(0, 1) for values in self))

    @property
    def extent(self) -> Float[Tensor, " 3"]:
        """Standard deviation over keypoints along the object's x, y, z [model units]."""
        return self.mean_keypoints.mean(0).std(0, unbiased=False)

    def means(self, prefix: str) -> dict[str, Tensor]:
        """Numbers to log."""
        return {
            f"{prefix}/rotation_deg": self.rotation_deg.mean(),
            f"{prefix}/rotation_median_deg": self.rotation_deg.median(),
            f"{prefix}/flag_accuracy": self.flag_correct.mean(),
            **{
                f"{prefix}/extent_{axis}": value
                for axis, value in zip("xyz", self.extent, strict=True)
            },
        }


@torch.no_grad()
def view_metrics(
    keypoints_camera: Float[Tensor, "B V N 3"],
    predicted_flag: Float[Tensor, "B V"],
    T_camera_object: Float[Tensor, "B V 4 4"],
    symmetry: str = "none",
) -> ViewMetrics:
    """Metrics of a batch from its predictions and its known cameras; `symmetry` of its objects."""
    num_views = T_camera_object.shape[1]
    X = keypoints_camera.detach().double()
    T = T_camera_object.double()
    X_0, X_1 = pair_views(X, num_views)
    R_0, R_1 = pair_views(T[..., :3, :3], num_views)
    R_est, _ = weighted_procrustes(X_0, X_1)
    angle = rotation_error(R_est @ R_0, R_1, symmetry) * (180 / math.pi)
    X_object = transform_points(invert_transform(T), X)
    flag_correct = predicted_flag == true_flag(T_camera_object)
    if not has_front(symmetry):
        flag_correct = torch.ones_like(flag_correct)
    return ViewMetrics(
        angle.flatten().float(),
        flag_correct.float().flatten(),
        X_object.mean(1).float(),
    )


class CollapseGuard(L.Callback):
    """Stops a run whose keypoints have collapsed, instead of letting it burn hours.

    The losses still fall nicely when all keypoints line up on the object's vertical axis; the pose
    error (90 degrees, as of a guess) and the spread along the object's x axis give it away.
    """

    def __init__(
        self,
        after_steps: int = 1500,
        max_rotation_deg: float = 80.0,
        min_extent_x: float = 0.1,
        smoothing: float = 0.98,
        every_n_steps: int = 50,
    ) -> None:
        """Judge exponential means of the training metrics, from `after_steps` on.

        Only every so many steps: to judge, the host has to wait for a GPU.
        """
        self.after_steps = after_steps
        self.max_rotation_deg = max_rotation_deg
        self.min_extent_x = min_extent_x
        self.smoothing = smoothing
        self.every_n_steps = every_n_steps
        self.rotation_deg = torch.tensor(math.nan)
        self.extent_x = torch.tensor(math.nan)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """Judge the metrics of the step, unless the run has no keypoints worth judging."""
        if not pl_module.stop_on_collapse:
            return
        metrics = trainer.callback_metrics
        self.observe(trainer.global_step, metrics["train/rotation_deg"], metrics["train/extent_x"])

    def observe(self, step: int, rotation_deg: Tensor, extent_x: Tensor) -> None:
        """Update the means; raises `RuntimeError` on a collapse."""
        self.rotation_deg = self._smooth(self.rotation_deg, rotation_deg)
        self.extent_x = self._smooth(self.extent_x, extent_x)
        if step < self.after_steps or (step - self.after_steps) % self.every_n_steps:
            return
        if self.rotation_deg > self.max_rotation_deg or self.extent_x < self.min_extent_x:
            raise RuntimeError(
                f"Training has collapsed at step {step}: mean rotation error "
                f"{self.rotation_deg:.1f} deg (limit {self.max_rotation_deg}), spread of keypoints "
                f"along the object's x axis {self.extent_x:.3f} (limit {self.min_extent_x}). "
                "Raise schedule.initial_pose, add an anchor warm-up (weights.anchor, "
                "schedule.anchor_until), or switch to the predicted flag later."
            )

    def _smooth(self, mean: Tensor, value: Tensor) -> Tensor:
        value = value.detach()
        mean = mean.to(value)
        return torch.where(mean.isnan(), value, value.lerp(mean, self.smoothing))

    def state_dict(self) -> dict[str, Any]:
        """Means survive a resume."""
        return {"rotation_deg": self.rotation_deg.item(), "extent_x": self.extent_x.item()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Means survive a resume."""
        self.rotation_deg = torch.tensor(state_dict["rotation_deg"])
        self.extent_x = torch.tensor(state_dict["extent_x"])
