"""Fitting the refiner: small corrections, learned from the errors that a trained network makes.

A network has seen its training objects too often to err on them as it does on new ones, so the
refiner is fitted to objects rendered for it alone. The network stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.memory import ViewSet
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.export.reading import ReadViews
from kp3d_core.geometry.camera import unproject
from kp3d_core.geometry.procrustes import weighted_procrustes
from kp3d_core.geometry.rotation import invert_transform, rotation_angle, transform_points
from kp3d_core.models.refiner import Reading, Refiner

MIN_STEPS = 20
_MIN_VIEWS = 4
"""Objects with fewer plain views of the right orientation teach nothing."""
_MIN_OBJECTS = 2
_MAX_ANGLE = 0.6
"""Larger errors of a rotation than this [rad] are beyond small corrections."""
_SMALL_DISTANCE = 0.02
"""RMS distance [model units] below which keypoints are as good as in place."""


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

    Raises:
        ValueError: too few views to learn from.
    """
    torch.manual_seed(settings.seed)
    refiner = Refiner(
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
    refiner.normalise(data.select(used).rows())
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
    keypoints = _in_object(_in_camera(graph.merge(data.rows()), data), data)
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
    offset = _in_object(_in_camera(reading, batch), batch) - places
    # Growing with the distance, not its square: hard views must not decide everything.
    distance = (offset.square().sum(-1).mean(-1) + _SMALL_DISTANCE**2).sqrt()
    log_error = torch.where(batch.size_varies, reading.log_scale - batch.log_scale, 0.0)
    # A pose comes of keypoints at the distance that the size tells, right or wrong.
    own_distance = batch.T_camera_object[:, 2, 3] * (-log_error).exp()
    seen = unproject(reading.uv, own_distance[:, None] + reading.depth, batch.K_ndc)
    R_camera_object, _ = weighted_procrustes(places, seen)
    angle = rotation_angle(R_camera_object, batch.T_camera_object[:, :3, :3])
    return (
        settings.consistency * distance.mean()
        + settings.pose * angle.clamp_max(_MAX_ANGLE).mean()
        + settings.scale * log_error.square().sum() / batch.size_varies.sum().clamp_min(1)
    )


def _in_camera(reading: Reading, data: ReadViews) -> Float[Tensor, "M N 3"]:
    """Keypoints in the camera frame, lifted with the true distance."""
    depth = data.T_camera_object[:, 2, 3, None] + reading.depth
    return unproject(reading.uv, depth, data.K_ndc)


def _in_object(keypoints: Float[Tensor, "M N 3"], data: ReadViews) -> Float[Tensor, "M N 3"]:
    """The same in the object frame."""
    return transform_points(invert_transform(data.T_camera_object), keypoints)
