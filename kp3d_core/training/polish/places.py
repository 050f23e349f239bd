"""Where a trained network sees its keypoints on each object, on average over views."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from kp3d_core.data.memory import ViewSet
from kp3d_core.data.reframing import shrink
from kp3d_core.export.graph import DetectorGraph
from kp3d_core.geometry.camera import ndc_intrinsics
from kp3d_core.losses.orientation import true_flag
from kp3d_core.losses.places import keypoints_in_object

MIN_VIEWS = 4
"""Places of fewer views are not used."""
_OBJECTS = 4
"""Objects that are read at once."""


@torch.no_grad()
def mean_places(
    graph: DetectorGraph, views: ViewSet, on_progress: Callable[[int], None] = lambda done: None
) -> tuple[Float[Tensor, "I N 3"], Tensor]:
    """Mean places of the keypoints in the object frame, over views whose orientation is seen.

    Args:
        graph: of the network, with its refiner if it has one.
        views: as rendered, at the network's input size or larger.
        on_progress: called with the number of finished objects.

    Returns:
        Places [model units], and how many views (I,) they are means of.
    """
    places, counts = [], []
    num_views = views.rgba.shape[1]
    for start in range(0, len(views.rgba), _OBJECTS):
        chunk = slice(start, start + _OBJECTS)
        rgba, K, T = (
            torch.from_numpy(values[chunk]).flatten(0, 1)
            for values in (views.rgba, views.K, views.T_camera_object)
        )
        pixels = shrink(rgba, graph.input_size)[..., :3].permute(0, 3, 1, 2).float() / 255
        look = graph.look(pixels.contiguous(memory_format=torch.channels_last))
        reading = graph.merge(graph.refine(look.reading))
        points = keypoints_in_object(reading, ndc_intrinsics(K, (views.size, views.size)), T)
        right = (look.flag == true_flag(T)).to(points).unflatten(0, (-1, num_views))
        total = (points.unflatten(0, (-1, num_views)) * right[..., None, None]).sum(1)
        counts.append(right.sum(1))
        places.append(total / counts[-1].clamp_min(1)[:, None, None])
        on_progress(min(start + _OBJECTS, len(views.rgba)))
    return torch.cat(places), torch.cat(counts)
