"""What a network reads in rendered views, and where it sees its keypoints on each object."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.augmentation import Augmentation, composite
from kp3d_core.data.augmentation.composition import Photographs
from kp3d_core.data.draws import BatchDraws
from kp3d_core.data.memory import ViewSet
from kp3d_core.data.reframing import Reframing, random_reframe
from kp3d_core.geometry.camera import ndc_intrinsics
from kp3d_core.geometry.symmetry import canonical_pose, has_front
from kp3d_core.losses.orientation import settled_pose, true_flag
from kp3d_core.losses.places import keypoints_in_object
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.models.heatmaps import flag_logit
from kp3d_core.models.refiner import Reading

_PLAIN = (Augmentation(), Reframing())
_OBJECTS = 4
"""Objects that are read at once."""


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
    """(M,) number of the object."""
    is_plain: Tensor
    """(M,) whether the view is as rendered, over black."""
    flag_correct: Tensor
    """(M,) whether the network is right about the orientation."""

    def rows(self) -> Reading:
        """The readings as `DetectorGraph.read` gives them: images, then mirror images."""
        return Reading(*(values.transpose(0, 1).flatten(0, 1) for values in self.reading))

    def select(self, index: Tensor) -> ReadViews:
        """Some of the views, by their numbers (M',) or by a mask (M,)."""
        reading = Reading(*(values[index] for values in self.reading))
        return ReadViews(reading, *(values[index] for values in self[1:]))


@torch.no_grad()
def read_views(
    graph: DetectorGraph,
    views: ViewSet,
    augmentation: Augmentation,
    reframing: Reframing,
    photographs: Photographs | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ReadViews:
    """Read rendered views, each as rendered and changed at random.

    Args:
        graph: of the network.
        views: best larger than the network's input, which keeps reframed ones sharp.
        augmentation: random changes of the images.
        reframing: random changes of their cameras.
        photographs: scenes for the images, see `composite`.
        on_progress: called with the number of finished objects.
    """
    parts: list[ReadViews] = []
    for first in range(0, len(views.rgba), _OBJECTS):
        for changes in (_PLAIN, (augmentation, reframing)):
            parts.append(_read(graph, views, first, *changes, photographs, changes is _PLAIN))
        on_progress(min(first + _OBJECTS, len(views.rgba)))
    reading = Reading(*(torch.cat(v) for v in zip(*(p.reading for p in parts), strict=True)))
    return ReadViews(reading, *(torch.cat(v) for v in zip(*(p[1:] for p in parts), strict=True)))


def mean_places(
    graph: DetectorGraph, read: ReadViews, objects: int
) -> tuple[Float[Tensor, "I N 3"], Tensor]:
    """Mean places of the keypoints on each object, over plain views whose orientation is seen.

    Returns:
        Places in the object frame [model units], and how many views (I,) they are means of.
    """
    used = read.select(read.is_plain & read.flag_correct)
    points = keypoints_in_object(graph.merge(used.rows()), used.K_ndc, used.T_camera_object)
    counts = torch.bincount(used.instance, minlength=objects)
    total = points.new_zeros(objects, *points.shape[1:]).index_add(0, used.instance, points)
    return total / counts.clamp_min(1)[:, None, None], counts


def _read(
    graph: DetectorGraph,
    views: ViewSet,
    first: int,
    augmentation: Augmentation,
    reframing: Reframing,
    photographs: Photographs | None,
    is_plain: bool,
) -> ReadViews:
    """All views of some objects, changed alike."""
    size, chunk = graph.input_size, slice(first, first + _OBJECTS)
    stored = (views.rgba[chunk], views.K[chunk], views.T_camera_object[chunk])
    rgba, K, T = (torch.from_numpy(values).flatten(0, 1) for values in stored)
    draws = BatchDraws(2 * first + is_plain, len(rgba))
    rgba, K, T = random_reframe(rgba, K, T, size, reframing, draws)
    rows = graph.look(composite(rgba, augmentation, draws, photographs)).reading
    points_uv, K_ndc = graph.merge(rows).orientation_uv, ndc_intrinsics(K, (size, size))
    T = settled_pose(canonical_pose(T, graph.symmetry), points_uv, K_ndc, graph.symmetry)
    flag_correct = (flag_logit(points_uv) > 0) == (true_flag(T) > 0)
    if not has_front(graph.symmetry):
        flag_correct = torch.ones_like(flag_correct)
    focal_px = views.training_focal_px * size / views.size
    numbers = torch.arange(first, first + len(stored[0])).repeat_interleave(stored[0].shape[1])
    return ReadViews(
        Reading(*(values.unflatten(0, (-1, len(rgba))).transpose(0, 1) for values in rows)),
        K_ndc=K_ndc,
        T_camera_object=T,
        log_scale=(K[:, 0, 0] / focal_px * graph.distance / T[:, 2, 3]).log(),
        instance=numbers,
        is_plain=torch.full((len(rgba),), is_plain),
        flag_correct=flag_correct,
    )
