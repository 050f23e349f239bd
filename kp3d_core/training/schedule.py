"""How learning rate, loss weights, noise and the orientation flag change over a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kp3d_core.losses.objective import LossWeights


@dataclass(frozen=True)
class Schedule:
    """Everything that depends on progress, the share of the run's steps that is done (0..1)."""

    learning_rate: float = 1e-3
    warmup_steps: int = 0
    """Steps of linear rise of the learning rate."""
    decay_from: float = 1.0
    """Progress at which the learning rate starts to fall, linearly, to `final_learning_rate`."""
    final_learning_rate: float = 0.0
    """Learning rate at the end, as a share of the peak."""
    ramp_until: float = 0.0
    """Progress at which pose weight, noise and object consistency reach the values of the loss
    weights. Object consistency rises from zero: early it pulls all keypoints to one place."""
    initial_pose: float = 0.2
    """Weight of the pose loss at the start of the ramp."""
    initial_pose_noise: float = 0.1
    """Noise before Procrustes at the start of the ramp [model units]."""
    anchor_until: float = 0.0
    """Progress at which the weight of the anchors has fallen to zero."""
    flag_anneal: tuple[float, float] = (0.15, 0.3)
    """Progress between which the predicted orientation flag replaces the true one: a switch
    half-way. The authors: steps 30,000 to 60,000 of 200,000."""

    def learning_rate_factor(self, step: int, progress: float) -> float:
        """Learning rate at a step, as a share of its peak."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if progress <= self.decay_from:
            return 1.0
        done = min((progress - self.decay_from) / (1 - self.decay_from), 1.0)
        return 1 - (1 - self.final_learning_rate) * done

    def weights_at(self, progress: float, weights: LossWeights) -> LossWeights:
        """Loss weights and noise at a point of the run."""
        ramp = min(progress / self.ramp_until, 1.0) if self.ramp_until > 0 else 1.0
        anchor = max(1 - progress / self.anchor_until, 0.0) if self.anchor_until > 0 else 0.0
        return replace(
            weights,
            pose=self.initial_pose + ramp * (weights.pose - self.initial_pose),
            pose_noise=self.initial_pose_noise
            + ramp * (weights.pose_noise - self.initial_pose_noise),
            anchor=anchor * weights.anchor,
            object_consistency=ramp * weights.object_consistency,
        )
