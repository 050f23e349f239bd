"""Fitting the refiner: small corrections, learned from the errors that a trained network makes.

A network has seen its training objects too often to err on them as it does on new ones, so the
refiner is fitted to objects rendered for it alone. The network stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.memory import ViewSet
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.export.reading import ReadViews
from kp3d_core.losses.places import keypoints_in_object, place_errors
from kp3d_core.models.refiner import Refiner
from kp3d_core.models.rounding import rounded_weights

MIN_STEPS = 20
_MIN_VIEWS = 4
"""Objects with fewer plain views of the right orientation teach nothing."""
_MIN_OBJECTS = 2
MAX_ANGLE = 0.6
"""Larger errors of a rotation than this [rad] are beyond small corrections."""


@dataclass(frozen=True)
class RefinementSettings:
    """How a refiner is fitted."""

    steps: int = 4000
    width: int = 256
    """Of its hidden layers."""
    dropout: float = 0.2
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    batch_size: int = 512
    """Views in a step."""
    consistency: float = 0.25
    """Weight of the RMS distance of keypoints from their mean places on the object."""
    pose: float = 1.0
    """Weight of the angle between the true rotation and that which fits them to those places
    [rad]."""
    scale: float = 10.0
    """Weight of the squared error of the logarithm of the apparent size."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        if self.steps < MIN_STEPS:  # the learning rate rises and falls again
            raise ValueError(f"steps must be at least {MIN_STEPS}, got {self.steps}.")


def fit_refiner(
    graph: DetectorGraph,
    data: ReadViews,
    unit_ndc: float,
    settings: RefinementSettings,
    on_progress: Callable[[int], None] = lambda step: None,
    *,
    initial: Refiner | None = None,
) -> Refiner:
    """Refiner of a network.

    Minimises the distance of keypoints from where the network sees them on average on the same
    object, the error of the rotation that fits them to those places (which two views share, so that
    it counts for their relative pose), and that of the apparent size. Views with a wrong
    orientation are left out.

    Args:
        graph: of the network, without refiner.
        data: what the network reads in views of new objects.
        unit_ndc: see `Refiner`.
        settings: of the fit.
        on_progress: called with the number of finished steps.
        initial: refiner of the same network to start from; it is changed, and fitted for rounded
            weights.

    Raises:
        ValueError: too few views to learn from.
    """
    torch.manual_seed(settings.seed)
    refiner = initial or Refiner(
        graph.model.num_keypoints,
        data.reading.orientation_uv.shape[-2],
        data.reading.summary.shape[-1],
        unit_ndc=unit_ndc,
        mirror=graph.mirror,
        width=settings.width,
        dropout=settings.dropout,
    )
    places, used = _mean_places(graph, data)
    views = _used_views(data, used)
    if initial is None:
        refiner.normalise(data.select(used).rows())
    refiner.train()
    refined = DetectorGraph(graph.model, graph.input_size, graph.distance, graph.mirror, refiner)
    optimizer = torch.optim.AdamW(
        refiner.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(settings.seed)
    for step in range(settings.steps):
        draw = torch.randint(len(views), (settings.batch_size,), generator=generator)
        with rounded_weights(refiner) if initial else nullcontext():
            loss = _loss(refined, data.select(views[draw]), places, settings)
            optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(refiner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_progress(step + 1)
    return refiner.eval()


def training_unit_ndc(views: ViewSet) -> float:
    """Length of a model unit in the image of the training camera [NDC]."""
    return 2 * views.training_focal_px / (views.size * views.training_distance)


def _used_views(data: ReadViews, used: Tensor) -> Tensor:
    """Numbers of the views (M',) to learn from."""
    count = len(data.instance[used].unique())
    if count < _MIN_OBJECTS:
        raise ValueError(
            f"A refiner needs {_MIN_OBJECTS} objects or more (1000 are good) with at least "
            f"{_MIN_VIEWS} views whose orientation the network gets right, got {count}. Render "
            "more objects and views, or train the network further."
        )
    return used.nonzero()[:, 0]


def _mean_places(graph: DetectorGraph, data: ReadViews) -> tuple[Float[Tensor, "I N 3"], Tensor]:
    """Where the keypoints of each object sit on average, and which views (M,) are fit to use."""
    keypoints = keypoints_in_object(graph.merge(data.rows()), data.K_ndc, data.T_camera_object)
    count = int(data.instance.max()) + 1
    weight = (data.is_plain & data.flag_correct).to(keypoints.dtype)
    number = torch.zeros(count).index_add(0, data.instance, weight)
    total = torch.zeros(count, *keypoints.shape[1:]).index_add(
        0, data.instance, keypoints * weight[:, None, None]
    )
    used = data.flag_correct & (number[data.instance] >= _MIN_VIEWS)
    return total / number.clamp_min(1)[:, None, None], used


def _loss(
    graph: DetectorGraph,
    batch: ReadViews,
    places: Float[Tensor, "I N 3"],
    settings: RefinementSettings,
) -> Float[Tensor, ""]:
    """The weighted losses of a batch of views."""
    reading = graph.merge(graph.refine(batch.rows()))
    places = places[batch.instance]
    errors = place_errors(
        reading,
        places,
        batch.K_ndc,
        batch.T_camera_object,
        batch.log_scale,
        batch.size_varies,
    )
    return (
        settings.consistency * errors.distance.mean()
        + settings.pose * errors.angle.clamp_max(MAX_ANGLE).mean()
        + settings.scale * errors.log_scale.square().sum() / batch.size_varies.sum().clamp_min(1)
    )
