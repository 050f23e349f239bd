"""What a trained network reads in rendered views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, composite
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.memory import ViewSet
from kp3d_core.data.reframing import Reframing, random_reframe
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.geometry.camera import ndc_intrinsics
from kp3d_core.losses.orientation import flag_logit, true_flag
from kp3d_core.models.refiner import Reading

_CHANGES = (
    (Augmentation(), Reframing()),
    (
        Augmentation(background_probability=0.75, light=0.2, occlusion_probability=0.25),
        Reframing(probability=0.5),
    ),
)
"""Each view is read as rendered, and changed at random as in training."""


class ReadViews(NamedTuple):
    """M views and what is read in each."""

    reading: Reading
    """Shapes (M, 2, ...), of the image and its mirror image; (M, 1, ...) without mirror images."""
    K_ndc: Float[Tensor, "M 3 3"]
    """Intrinsics that project to NDC."""
    T_camera_object: Float[Tensor, "M 4 4"]
    log_scale: Float[Tensor, " M"]
    """True logarithm of the apparent size relative to the training camera."""
    instance: Tensor
    """(M,) number of the object; views are in its order."""
    is_plain: Tensor
    """(M,) whether the view is as rendered, over black."""
    flag_correct: Tensor
    """(M,) whether the network is right about the orientation."""
    size_varies: Tensor
    """(M,) whether objects are seen from many distances, so that something is to be learned about
    their size; from one distance it is the same for all, and would be learned by heart."""

    def rows(self) -> Reading:
        """The readings as `DetectorGraph.read` gives them: images, then mirror images."""
        return Reading(*(values.transpose(0, 1).flatten(0, 1) for values in self.reading))

    def select(self, index: Tensor) -> ReadViews:
        """Some of the views, by their numbers (M',) or by a mask (M,)."""
        reading = Reading(*(values[index] for values in self.reading))
        return ReadViews(reading, *(values[index] for values in self[1:]))


def join(parts: Sequence[ReadViews]) -> ReadViews:
    """All views of several sets; the objects of each get numbers of their own."""
    numbered, count = [], 0
    for part in parts:
        numbered.append(part._replace(instance=part.instance + count))
        count += int(part.instance.max()) + 1
    return _concatenate(numbered)


def _concatenate(parts: Sequence[ReadViews]) -> ReadViews:
    reading = Reading(*(torch.cat(v) for v in zip(*(p.reading for p in parts), strict=True)))
    return ReadViews(reading, *(torch.cat(v) for v in zip(*(p[1:] for p in parts), strict=True)))


@torch.no_grad()
def read_views(
    graph: DetectorGraph,
    views: ViewSet,
    *,
    size_varies: bool = True,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ReadViews:
    """Read rendered views, each as rendered and changed at random.

    Args:
        graph: of the network.
        views: best larger than the network's input, which keeps reframed ones sharp.
        size_varies: see `ReadViews`.
        on_progress: called with the number of finished objects.
    """
    parts: list[ReadViews] = []
    for index in range(len(views.rgba)):
        parts += [
            _read(graph, views, index, changes, size_varies) for changes in range(len(_CHANGES))
        ]
        on_progress(index + 1)
    return _concatenate(parts)


def _read(
    graph: DetectorGraph, views: ViewSet, index: int, changes: int, size_varies: bool
) -> ReadViews:
    """All views of one object, with one of `_CHANGES`."""
    size, num_views = graph.input_size, views.rgba.shape[1]
    augmentation, reframing = _CHANGES[changes]
    draws = BatchDraws(len(_CHANGES) * index + changes, num_views)
    stored = (views.rgba[index], views.K[index], views.T_camera_object[index])
    rgba, K, T = (torch.from_numpy(values) for values in stored)
    rgba, K, T = random_reframe(rgba, K, T, size, reframing, draws)
    images = (255 * composite(rgba, augmentation, draws)).round().to(torch.uint8)
    rows = graph.read(images.permute(0, 2, 3, 1).contiguous())
    logit = flag_logit(graph.merge(rows).orientation_uv)
    focal_px = views.training_focal_px * size / views.size
    return ReadViews(
        Reading(*(values.unflatten(0, (-1, num_views)).transpose(0, 1) for values in rows)),
        K_ndc=ndc_intrinsics(K, (size, size)),
        T_camera_object=T,
        log_scale=(K[:, 0, 0] / focal_px * graph.distance / T[:, 2, 3]).log(),
        instance=torch.full((num_views,), index),
        is_plain=torch.full((num_views,), changes == 0),
        flag_correct=(logit > 0) == (true_flag(T) > 0),
        size_varies=torch.full((num_views,), size_varies),
    )
