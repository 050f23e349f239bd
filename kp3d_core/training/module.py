"""The training step: augment, predict, weigh the losses, watch for collapse."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, composite, mirror
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.landmarks import mirror_landmarks, mirror_partners
from kp3d_core.data.reframing import Reframing, random_reframe
from kp3d_core.geometry.camera import ndc_intrinsics
from kp3d_core.losses.objective import LossWeights, ViewBatch, losses
from kp3d_core.losses.orientation import annealed_flag, true_flag
from kp3d_core.training.anchors import ellipsoid_anchors
from kp3d_core.training.checkpoint import (
    ORIENTATION_KEY,
    STAGES_KEY,
    Stage,
    copy_weights,
    load_orientation,
)
from kp3d_core.training.forward import ForwardResult, forward_views, orientation_targets
from kp3d_core.training.monitor import ViewMetrics, view_metrics
from kp3d_core.training.networks import (
    IMAGENET,
    build_network,
    load_imagenet,
    network_settings,
)
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.schedule import Schedule


class TrainingCamera(NamedTuple):
    """The camera that defines apparent size 1, at the size of the network's input."""

    focal_px: float
    distance: float
    input_size: int
    """Side of the network's input [px]."""


class KeypointModule(L.LightningModule):
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
            initial_weights: checkpoint of the same kind of network to start from, or "imagenet"
                for a trunk that has seen photographs (`lite` only); random if None.
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
        foreign = load_orientation(Path(orientation_checkpoint)) if orientation_checkpoint else None
        torch.manual_seed(seed)
        self.model = build_network(self.hparams, foreign.model if foreign else None)
        self._orientation_settings = foreign and network_settings(foreign.settings)
        self._earlier_stages: tuple[Stage, ...] = ()
        if initial_weights == IMAGENET:
            load_imagenet(self.model)
        elif initial_weights is not None:
            self._earlier_stages = copy_weights(Path(initial_weights), self.model)
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
        self.validation_metrics: list[ViewMetrics] = []
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
        per_view = draws.per_view(rgba.shape[1])
        rgba, K, T = self._reframe(rgba, K, T, self.reframing, per_view)
        photographs = self.trainer.datamodule.photographs  # type: ignore[attr-defined]
        images = _images(rgba, self.augmentation, per_view, photographs)
        views = self._view_batch(rgba, K, T)._replace(landmarks=landmarks)
        targets_uv = self._orientation_targets(views, images.shape[-1])
        start, end = (int(share * self.total_steps) for share in self.schedule.flag_anneal)
        result = self._forward(
            images,
            views,
            T,
            lambda predicted: annealed_flag(true_flag(T), predicted, self.global_step, start, end),
        )
        parts = self._losses(result, views, targets_uv, batch)
        metrics = self._of_all_processes(view_metrics(result, views.T_camera_object))
        means = self.trainer.strategy.reduce(torch.stack(list(parts.values())).detach())
        self.log_dict({f"loss/{name}": value for name, value in zip(parts, means, strict=True)})
        self.log_dict({**metrics.means("train"), "step": self._step_number()})
        return parts["total"]

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Noise-free metrics with the predicted flag, over black."""
        rgba, K, T = batch["rgba"], batch["K"], batch["T_camera_object"]
        draws = BatchDraws.of_batch(batch["seed"], K, batch["share"])  # and then none is drawn
        draws = draws.per_view(rgba.shape[1])
        rgba, K, T = self._reframe(rgba, K, T, Reframing(), draws)
        images = _images(rgba, Augmentation(), draws)
        views = self._view_batch(rgba, K, T)
        result = self._forward(images, views, T, lambda predicted: predicted)
        self.validation_metrics.append(view_metrics(result, T))

    def on_validation_epoch_end(self) -> None:
        """Log medians and means over all pairs of the validation set."""
        metrics = self._of_all_processes(ViewMetrics.concatenate(self.validation_metrics))
        self.validation_metrics.clear()
        means = {**metrics.means("val"), "step": self._step_number()}
        self.log_dict(means, sync_dist=True)  # equal everywhere, but Lightning asks for it
        self.log("val_rotation_median_deg", metrics.rotation_deg.median(), sync_dist=True)

    def _step_number(self) -> Tensor:
        """Of a row of the log: Lightning's own count is one ahead after a resume."""
        return torch.tensor(float(self.global_step))

    def _of_all_processes(self, metrics: ViewMetrics) -> ViewMetrics:
        return metrics.gathered(self.all_gather) if self.trainer.world_size > 1 else metrics

    def _reframe(
        self, rgba: Tensor, K: Tensor, T: Tensor, settings: Reframing, draws: BatchDraws
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Stored views (B, V, ...) brought to the network's input size."""
        flat = random_reframe(
            rgba.flatten(0, 1),
            K.flatten(0, 1),
            T.flatten(0, 1),
            self.training_camera.input_size,
            settings,
            draws,
        )
        rgba, K, T = (values.unflatten(0, rgba.shape[:2]) for values in flat)
        return rgba, K, T

    def _forward(
        self,
        images: Float[Tensor, "B V 3 S S"],
        views: ViewBatch,
        T_camera_object: Float[Tensor, "B V 4 4"],
        choose_flag: Callable[[Tensor], Tensor],
    ) -> ForwardResult:
        depth = T_camera_object[..., 2, 3]
        if self.centre_depth == "nominal":
            depth = torch.full_like(depth, self.training_camera.distance)
        return forward_views(
            self.model,
            images,
            views.K_ndc,
            depth,
            choose_flag,
            uses_bf16(self.precision, images.device),
        )

    @property
    def training_camera(self) -> TrainingCamera:
        """Camera of the data at hand."""
        return self.trainer.datamodule.training_camera  # type: ignore[attr-defined]

    def _view_batch(self, rgba: Tensor, K: Tensor, T: Tensor) -> ViewBatch:
        size = rgba.shape[-2]
        camera = self.training_camera
        distance = T[..., 2, 3]
        log_scale = (K[..., 0, 0] / camera.focal_px * camera.distance / distance).log()
        coverage = rgba[..., 3].float() / 255
        mask = torch.nn.functional.max_pool2d(coverage, self.model.heatmap_stride) > 0
        return ViewBatch(ndc_intrinsics(K, (size, size)), T, mask.to(K.dtype), log_scale)

    def _orientation_targets(self, views: ViewBatch, size: int) -> Tensor:
        uv = orientation_targets(self.model, views.T_camera_object, views.K_ndc)
        if self.model.orientation_limit_px is None:
            return uv
        edge = 1 - 2 * self.model.orientation_limit_px / size
        return uv.clamp(-edge, edge)

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
            parts = losses(result.prediction, views, weights, targets_uv, self.anchors, noise)
        except torch.linalg.LinAlgError as error:  # the SVD refuses such keypoints
            if not keypoints.isfinite().all():
                raise self._not_finite(["keypoints"], batch) from error
            raise
        self._require_finite(parts, batch)
        return parts

    def _require_finite(self, parts: dict[str, Tensor], batch: dict[str, Any]) -> None:
        """Look at the total only, unless it is bad: each look waits for the GPU."""
        if not parts["total"].isfinite():
            bad = [name for name, value in parts.items() if not value.isfinite()]
            raise self._not_finite(bad, batch)

    def _not_finite(self, names: list[str], batch: dict[str, Any]) -> FloatingPointError:
        samples = ", ".join(
            f"{key} views {views.tolist()}"
            for key, views in zip(batch["keys"], batch["views"], strict=True)
        )
        return FloatingPointError(
            f"{', '.join(names)} not finite at step {self.global_step}. "
            f"Samples of the batch: {samples}. Look at these views, or lower "
            "schedule.learning_rate."
        )


def _require_one_keypoint_each(names: tuple[str, ...], num_keypoints: int) -> None:
    if len(names) != num_keypoints:
        raise ValueError(
            f"num_keypoints must be {len(names)} to learn the landmarks {', '.join(names)}, got "
            f"{num_keypoints}. Set model.num_keypoints, or model.weights.landmark to 0."
        )


def _images(
    rgba: Tensor, settings: Augmentation, draws: BatchDraws, photographs: Tensor | None = None
) -> Float[Tensor, "B V 3 S S"]:
    """Network inputs of views (B, V, S, S, 4)."""
    images = composite(rgba.flatten(0, 1), settings, draws, photographs)
    return images.unflatten(0, rgba.shape[:2])
