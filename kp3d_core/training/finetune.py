"""The second stage of training: what will be exported, judged by the places on each object.

Network and refiner are trained together, as they are in the file: without batch normalisation, with
weights in whole steps, looking at the image and at its mirror image. Keypoints are compared with
fixed places on their object, where the network, as it was, sees them on average. So neither their
meaning nor their spread changes, only how well a single view tells them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from kp3d_core.data.draws import BatchDraws
from kp3d_core.geometry.camera import unproject
from kp3d_core.losses.objective import PlacedViews, place_objective, refiner_losses
from kp3d_core.losses.orientation import settled_pose, true_flag
from kp3d_core.models import InBfloat16
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.models.refiner import Refiner
from kp3d_core.models.rounding import rounded_weights
from kp3d_core.training.checkpoint import REFINER_KEY, STAGES_KEY, Stage, TrainedNetwork
from kp3d_core.training.finetune_settings import FinetuneSettings
from kp3d_core.training.monitor import view_metrics
from kp3d_core.training.networks import network_settings
from kp3d_core.training.precision import uses_bf16
from kp3d_core.training.reading import ReadViews
from kp3d_core.training.stage import StageModule


def warm_up(
    graph: DetectorGraph,
    read: ReadViews,
    places: Tensor,
    is_known: Tensor,
    settings: FinetuneSettings,
    on_progress: Callable[[int], None] = lambda step: None,
) -> None:
    """Fit a graph's refiner to what its frozen network reads; it starts by changing nothing.

    Args:
        graph: with a new refiner.
        read: views of the objects.
        places: of the keypoints (I, N, 3) on each of them [model units].
        is_known: (I,) which of these to believe.
        settings: of the stage.
        on_progress: called with the number of finished steps.

    Raises:
        ValueError: too few views to learn from.
    """
    used = (is_known[read.instance] & read.flag_correct).nonzero()[:, 0]
    if is_known.sum() < 2:
        raise ValueError(
            "Finetuning needs 2 objects or more (1000 are good) with at least "
            f"{settings.min_views} views whose orientation the network gets right, got "
            f"{int(is_known.sum())}. Render more objects and views, or train the network further."
        )
    refiner = graph.refiner
    assert refiner is not None
    refiner.normalise(read.select(used).rows())
    refiner.train()
    optimizer = torch.optim.AdamW(
        refiner.parameters(), settings.warmup_learning_rate, weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.warmup_learning_rate,
        total_steps=settings.warmup_steps,
        pct_start=0.1,
    )
    generator = torch.Generator().manual_seed(settings.seed)
    for step in range(settings.warmup_steps):
        draw = torch.randint(len(used), (settings.warmup_views,), generator=generator)
        batch = read.select(used[draw])
        known = PlacedViews(
            batch.K_ndc,
            batch.T_camera_object,
            batch.log_scale,
            places[batch.instance],
            torch.ones_like(batch.log_scale),
        )
        with rounded_weights(refiner):
            parts = refiner_losses(graph.merge(graph.refine(batch.rows())), known)
            optimizer.zero_grad()
            sum(getattr(settings.weights, name) * value for name, value in parts.items()).backward()
        torch.nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_progress(step + 1)


class FinetuneModule(StageModule):
    """Network and refiner, trained together."""

    places: Tensor
    is_known: Tensor

    def __init__(
        self,
        trained: TrainedNetwork,
        refiner: Refiner,
        stages: tuple[Stage, ...],
        settings: FinetuneSettings,
        keys: tuple[str, ...],
        places: Tensor,
        is_known: Tensor,
        precision: str = "auto",
    ) -> None:
        """Take network and refiner.

        Args:
            trained: network without batch normalisation.
            refiner: after its warm-up.
            stages: that the network has been through.
            settings: of the training.
            keys: of the training objects.
            places: of the keypoints (I, 2 N, 3) on each of them [model units].
            is_known: (I,) which of these to believe.
            precision: of the network's arithmetic: "auto", "bf16" or "fp32".
        """
        super().__init__()
        torch.manual_seed(settings.seed)
        self.model = trained.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.refiner = refiner.eval()  # without dropout: exact, and a run can go on exactly
        self.settings = settings
        self.precision = precision
        self.automatic_optimization = False
        self._index = {key: number for number, key in enumerate(keys)}
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("is_known", is_known, persistent=False)
        self._network_settings = network_settings(trained.settings)
        self._stages = stages

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write what packaging reads."""
        checkpoint["hyper_parameters"] = self._network_settings | {
            "precision": self.precision,
            "finetune": asdict(self.settings),
        }
        checkpoint[STAGES_KEY] = self._stages
        checkpoint[REFINER_KEY] = {
            "settings": self.refiner.settings,
            "state_dict": self.refiner.state_dict(),
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
        self.log_losses(parts)

    def _losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        settings = self.settings
        draws = BatchDraws.of_batch(batch["seed"], batch["K"], batch["share"])
        rgba, K, T = batch["rgba"], batch["K"], batch["T_camera_object"]
        seen = self.see(rgba, K, T, draws, settings.augmentation, settings.reframing)
        known = seen.known
        K_ndc, T, log_scale = (
            getattr(known, name).flatten(0, 1) for name in ("K_ndc", "T_camera_object", "log_scale")
        )
        graph = self.graph()
        look = graph.look(seen.images.flatten(0, 1), true_flag(T, self.symmetry))
        T = settled_pose(T, graph.merge(look.reading).orientation_uv, K_ndc, self.symmetry)
        known = known._replace(T_camera_object=T.view_as(known.T_camera_object))
        targets = torch.cat(
            [self.orientation_targets(known, mirrored).flatten(0, 1) for mirrored in (False, True)]
        )
        numbers = torch.tensor([self._index[key] for key in batch["keys"]], device=T.device)
        numbers = numbers.repeat_interleave(seen.images.shape[1])
        views = PlacedViews(K_ndc, T, log_scale, self.places[numbers], self.is_known[numbers].to(T))
        parts = place_objective(
            graph, look, graph.refine(look.reading), views, settings.weights, targets
        )
        self.require_finite(parts, batch)
        return parts

    def graph(self) -> DetectorGraph:
        """What is exported, around the weights as they are now."""
        network = InBfloat16(self.model, uses_bf16(self.precision, self.device))
        camera = self.training_camera
        return DetectorGraph(
            network, camera.input_size, camera.distance, True, self.refiner, self.symmetry
        )

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Keypoints at the distance that is read, over black, with the flag seen."""
        draws = BatchDraws.of_batch(batch["seed"], batch["K"], batch["share"])
        images, known = self.see(batch["rgba"], batch["K"], batch["T_camera_object"], draws)
        graph = self.graph()
        with rounded_weights(self.model), rounded_weights(self.refiner):
            look = graph.look(images.flatten(0, 1))
            reading = graph.merge(graph.refine(look.reading))
        shape, T = images.shape[:2], known.T_camera_object
        distance = T[..., 2, 3] * (known.log_scale - reading.log_scale.unflatten(0, shape)).exp()
        depth = distance[..., None] + reading.depth.unflatten(0, shape)
        points = unproject(reading.uv.unflatten(0, shape), depth, known.K_ndc)
        flag = look.flag.unflatten(0, shape)
        self.validation_metrics.append(view_metrics(points, flag, T, self.symmetry))
