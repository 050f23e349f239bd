"""The training step: augment, predict, weigh the losses, watch for collapse."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, mirror
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.landmarks import mirror_landmarks, mirror_partners
from kp3d_core.data.reframing import Reframing
from kp3d_core.geometry.symmetry import has_front
from kp3d_core.losses.objective import LossWeights, ViewBatch, pair_objective
from kp3d_core.losses.orientation import annealed_flag, settled_pose, true_flag
from kp3d_core.training.anchors import ellipsoid_anchors
from kp3d_core.training.checkpoint import (
    ORIENTATION_KEY,
    STAGES_KEY,
    Stage,
    copy_weights,
    load_orientation,
    stages_behind,
)
from kp3d_core.training.forward import ForwardResult, forward_views
from kp3d_core.training.monitor import ViewMetrics, view_metrics
from kp3d_core.training.networks import (
    IMAGENET,
    build_network,
    load_imagenet,
    network_settings,
)
from kp3d_core.training.packaged import load_weights
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.schedule import Schedule
from kp3d_core.training.stage import StageModule


class KeypointModule(StageModule):
    """A keypoint network with its objective, for Lightning's Trainer."""

    anchors: Tensor

    def __init__(
        self,
        network: str = "fast",
        num_keypoints: int = 10,
        width: float = 1.0,
        weights: LossWeights | None = None,
        schedule: Schedule | None = None,
        augmentation: Augmentation | None = None,
        reframing: Reframing | None = None,
        anchor_semi_axes: tuple[float, float, float] = (0.8, 0.35, 0.3),
        centre_depth: str = "known",
        gradient_clip: float = 5.0,
        precision: str = "auto",
        initial_weights: str | None = None,
        seed: int = 0,
        compile_backend: str | None = None,
        use_flag: bool = True,
        orientation_checkpoint: str | None = None,
        stop_on_collapse: bool = True,
    ) -> None:
        """Create the network.

        Args:
            network: name in `kp3d_core.models.MODELS`.
            num_keypoints: N.
            width: factor on the network's numbers of channels.
            weights: weights of the losses at the end of the ramp.
            schedule: what changes over the run.
            augmentation: random changes of training views.
            reframing: random changes of their cameras.
            anchor_semi_axes: ellipsoid of the warm-up anchors [model units].
            centre_depth: depths are relative to the object's true centre ("known"), or to the
                training camera's distance ("nominal", as the authors').
            gradient_clip: largest global norm of the gradient.
            precision: of the network's arithmetic: "auto", "bf16" or "fp32".
            initial_weights: checkpoint, model file, shipped model or shipped weights (car_lite_64)
                of the same kind of network to start from, or "imagenet" for a trunk that has seen
                photographs (`lite` only); random if None. A model file's network has no batch
                normalisation, and wants learning rates of 2.5e-4 and less.
            seed: of weights and of the noise in losses.
            compile_backend: of `torch.compile` for the network, such as "inductor"; None: as it is.
            use_flag: whether the keypoint stage is told the orientation.
            orientation_checkpoint: a finished run whose network decides the orientation from the
                start and is not trained on; None: the run trains its own.
            stop_on_collapse: whether to stop where keypoints give no pose, see `CollapseGuard`.
        """
        super().__init__()
        if centre_depth not in ("known", "nominal"):
            raise ValueError(f"centre_depth must be 'known' or 'nominal', got {centre_depth!r}.")
        self.save_hyperparameters()
        start = None
        if initial_weights is not None and initial_weights != IMAGENET:
            start = load_weights(initial_weights)
            self.hparams["folded"] = start.settings.get("folded", False)
        foreign = load_orientation(Path(orientation_checkpoint)) if orientation_checkpoint else None
        torch.manual_seed(seed)
        self.model = build_network(self.hparams, foreign.model if foreign else None)
        self._orientation_settings = foreign and network_settings(foreign.settings)
        self._earlier_stages: tuple[Stage, ...] = ()
        if initial_weights == IMAGENET:
            load_imagenet(self.model)
        elif start is not None:
            copy_weights(str(initial_weights), start, self.model)
            self._earlier_stages = stages_behind(start)
        for parameter in self.model.parameters():  # channels last: what CPU convolutions want
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.weights = weights or LossWeights()
        self.schedule = schedule or Schedule()
        self.augmentation = augmentation or Augmentation()
        self.reframing = reframing or Reframing()
        self.centre_depth = centre_depth
        self.gradient_clip = gradient_clip
        self.precision = precision
        self.seed = seed
        self.compile_backend = compile_backend
        self.stop_on_collapse = stop_on_collapse
        anchors = torch.from_numpy(ellipsoid_anchors(num_keypoints, anchor_semi_axes))
        self.register_buffer("anchors", anchors, persistent=False)
        self._mirror_partners: list[int] = []

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, at least 1."""
        if self.trainer.max_steps > 0:
            return self.trainer.max_steps
        epochs = self.trainer.max_epochs or 1
        return max(epochs * int(self.trainer.num_training_batches), 1)

    @property
    def progress(self) -> float:
        """Share of the run's steps that is done."""
        return min(self.global_step / self.total_steps, 1.0)

    def setup(self, stage: str) -> None:
        """Compile the network's two stages, if wanted."""
        if stage == "fit" and self.compile_backend is not None:
            for name in ("encode", "decode"):
                stage_of_model = torch.compile(
                    getattr(self.model, name), backend=self.compile_backend
                )
                setattr(self.model, name, stage_of_model)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights stem from, and what a frozen network among them is made of."""
        checkpoint[STAGES_KEY] = self._earlier_stages
        if self._orientation_settings is not None:
            checkpoint[ORIENTATION_KEY] = self._orientation_settings

    def on_fit_start(self) -> None:
        """Pair landmarks with keypoints and with their mirror images, if they are learned."""
        names = self.trainer.datamodule.landmark_names  # type: ignore[attr-defined]
        if self.weights.landmark > 0:
            _require_one_keypoint_each(names, self.model.num_keypoints)
            self._mirror_partners = mirror_partners(names)

    def configure_optimizers(self) -> Any:
        """Adam with the scheduled learning rate."""
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=self.schedule.learning_rate, foreach=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.schedule.learning_rate_factor(step, self.progress)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Clip by the global norm, as the authors do."""
        self.clip_gradients(
            optimizer, gradient_clip_val=self.gradient_clip, gradient_clip_algorithm="norm"
        )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Objective of one batch; raises on a value that is not finite."""
        draws = BatchDraws.of_batch(batch["seed"], batch["K"], batch["share"])
        rgba, K, T = batch["rgba"], batch["K"], batch["T_camera_object"]
        landmarks = batch["landmarks"] if self.weights.landmark > 0 else None
        if self.augmentation.mirror_probability > 0:
            index, _ = draws.choose(self.augmentation.mirror_probability)
            rgba, K, T = rgba.clone(), K.clone(), T.clone()
            rgba[index], K[index], T[index] = mirror(rgba[index], K[index], T[index])
            if landmarks is not None:
                landmarks = landmarks.clone()
                landmarks[index] = mirror_landmarks(landmarks[index], self._mirror_partners)
        seen = self.see(rgba, K, T, draws, self.augmentation, self.reframing)
        views = seen.known._replace(landmarks=landmarks)
        start, end = (int(share * self.total_steps) for share in self.schedule.flag_anneal)
        T = views.T_camera_object
        result = self._forward(
            seen.images,
            views,
            lambda predicted: annealed_flag(true_flag(T), predicted, self.global_step, start, end),
        )
        T = settled_pose(T, result.prediction.orientation_uv, views.K_ndc, self.symmetry)
        views = views._replace(T_camera_object=T)
        parts = self._losses(result, views, self.orientation_targets(views), batch)
        self.log_losses(parts)
        self.log_dict(self.of_all_processes(_metrics(result, T, self.symmetry)).means("train"))
        return parts["total"]

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Noise-free metrics with the predicted flag, over black."""
        rgba, K, T = batch["rgba"], batch["K"], batch["T_camera_object"]
        draws = BatchDraws.of_batch(batch["seed"], K, batch["share"])  # and then none is drawn
        seen = self.see(rgba, K, T, draws)
        result = self._forward(seen.images, seen.known, lambda predicted: predicted)
        T = seen.known.T_camera_object
        self.validation_metrics.append(_metrics(result, T, self.symmetry))

    def _forward(
        self,
        images: Float[Tensor, "B V 3 S S"],
        views: ViewBatch,
        choose_flag: Callable[[Tensor], Tensor],
    ) -> ForwardResult:
        depth = views.T_camera_object[..., 2, 3]
        if self.centre_depth == "nominal":
            depth = torch.full_like(depth, self.training_camera.distance)
        return forward_views(
            self.model,
            images,
            views.K_ndc,
            depth,
            choose_flag if has_front(self.symmetry) else torch.ones_like,
            uses_bf16(self.precision, images.device),
        )

    def _losses(
        self, result: ForwardResult, views: ViewBatch, targets_uv: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Losses of a training batch; raises if any is not finite."""
        keypoints = result.prediction.keypoints_camera
        pairs = math.comb(keypoints.shape[1], 2)
        draws = BatchDraws.of_batch(batch["seed"] + 1, batch["K"], batch["share"])
        noise = draws.normal(pairs, 2, *keypoints.shape[2:])
        weights = self.schedule.weights_at(self.progress, self.weights)
        try:
            parts = pair_objective(
                result.prediction, views, weights, targets_uv, self.anchors, noise
            )
        except torch.linalg.LinAlgError as error:  # the SVD refuses such keypoints
            if not keypoints.isfinite().all():
                raise self.not_finite(["keypoints"], batch) from error
            raise
        self.require_finite(parts, batch)
        return parts


def _require_one_keypoint_each(names: tuple[str, ...], num_keypoints: int) -> None:
    if len(names) != num_keypoints:
        raise ValueError(
            f"num_keypoints must be {len(names)} to learn the landmarks {', '.join(names)}, got "
            f"{num_keypoints}. Set model.num_keypoints, or model.weights.landmark to 0."
        )


def _metrics(
    result: ForwardResult, T_camera_object: Float[Tensor, "B V 4 4"], symmetry: str
) -> ViewMetrics:
    keypoints = result.prediction.keypoints_camera
    return view_metrics(keypoints, result.predicted_flag, T_camera_object, symmetry)
