"""Rendered objects as a camera with depth sees them, with what a model says about each view."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kp3d_core.data.cameras import look_along, sample_upper_hemisphere
from kp3d_core.data.generate import InstanceSource
from kp3d_core.evaluation.robustness.placement import HEIGHT, WIDTH, Placement
from kp3d_core.evaluation.uncertainty import is_outlier, pose_error
from kp3d_core.geometry.camera import intrinsics_from_fov
from kp3d_core.inference import CameraModel, Detector, Engine, Model, View, scale_from_depth
from kp3d_core.inference.depth_scale import sample_depth
from kp3d_core.inference.surface import Surface, guess_unit, surface_inputs
from kp3d_core.rendering.packing import pack
from kp3d_core.rendering.rasterizer import render

FloatArray = NDArray[np.float64]

_VIEW_STREAM = 0x6470
"""Keeps the random numbers of views apart from those of shapes."""
_FOV_DEG = (30.0, 70.0)
"""Horizontal fields of view: most depth cameras have 40 to 87 degrees."""
_DISTANCE = (4.0, 12.0)
"""Between which objects are, evenly in its logarithm [model units]: where robots grasp."""
_OFF_CENTRE = 0.1
"""Largest displacement to the side, as a share of the distance."""
_DEPTH_NOISE = 0.003
"""Standard deviation of a measured depth, as a share of it."""
_WALL_BEHIND = (1.2, 4.0)
"""How far behind the object's centre a wall stands [model units]."""


@dataclass(frozen=True, eq=False)
class DepthView:
    """What is known of an object in an image with depth, and where it really is."""

    agreed_m: float | None
    """Metres per model unit that `scale_from_depth` tells without a `Surface`; 1 is right."""
    unit_m: float
    """First guess of them, see `guess_unit`."""
    measured: FloatArray
    """Depth at the keypoints' pixels, (N,) [model units]; NaN where it is not known."""
    depths: FloatArray
    """Depth of the keypoints at the distance that the apparent size tells, (N,) [model units]."""
    T_camera_object: FloatArray
    """The pose at that distance [model units]."""
    T_true: FloatArray
    """The true one."""

    def inputs(self, unit_m: float) -> FloatArray:
        """What a `Surface` would be told with that scale."""
        return surface_inputs(self.measured / unit_m - self.depths, self.T_camera_object)

    def shift(self, unit_m: float) -> float:
        """What it ought to answer [model units]."""
        z = float(self.T_camera_object[2, 3])
        return (float(self.T_true[2, 3]) / (unit_m * z) - 1) * z

    def corrected(self, surface: Surface) -> float:
        """Metres per model unit with a surface."""
        return surface.corrected(self.unit_m, self.measured, self.depths, self.T_camera_object)

    def translation_error(self, unit_m: float) -> float:
        """Of the pose with that scale, as a share of the distance."""
        true = self.T_true[:3, 3]
        error = unit_m * self.T_camera_object[:3, 3] - true
        return float(np.linalg.norm(error) / np.linalg.norm(true))


def depth_views(
    model: Model,
    engine: Engine,
    source: InstanceSource,
    seeds: Sequence[int],
    views_per_object: int,
    on_progress: Callable[[], None] = lambda: None,
) -> list[DepthView]:
    """Views of rendered objects that are accepted and whose orientation is right.

    The detector looks where the object is, as a tracker does, and sees it before black; the depth
    image shows nothing, the floor, or floor and a wall around it.
    """
    detector = Detector(model, engine)
    found = []
    for seed in seeds:
        instance = source(model.category, seed)
        mesh, lowest = pack(instance.mesh), float(instance.mesh.vertices[:, 2].min())
        rng = np.random.default_rng([_VIEW_STREAM, seed])
        for _ in range(views_per_object):
            placement = _draw_placement(rng)
            drawn = render(mesh, placement.K, placement.T_camera_object, WIDTH, HEIGHT)
            depth = np.where(drawn.mask, drawn.depth, _surroundings(placement, lowest, rng))
            depth *= 1 + _DEPTH_NOISE * rng.standard_normal(depth.shape)
            view = _look(detector, drawn.rgb, depth.astype(np.float32), placement)
            if view is not None:
                found.append(view)
        on_progress()
    return found


def _draw_placement(rng: np.random.Generator) -> Placement:
    """A camera above the object's floor that sees it, not exactly in the middle."""
    K = intrinsics_from_fov(math.radians(rng.uniform(*_FOV_DEG)), WIDTH, HEIGHT)
    distance = math.exp(rng.uniform(*np.log(_DISTANCE)))
    T = np.eye(4)
    T[:3, :3] = look_along(-sample_upper_hemisphere(rng))
    T[:3, 3] = [*rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * distance, distance]
    return Placement(K, T, down_camera=-T[:3, 2])


def _surroundings(placement: Placement, lowest: float, rng: np.random.Generator) -> FloatArray:
    """Depth behind the object, (H, W) [model units]; NaN where nothing is.

    Args:
        placement: of object and camera.
        lowest: of the object's points, where it stands [model units].
        rng: decides what there is.
    """
    kind = rng.integers(3)  # nothing; the floor; the floor and a wall that faces the camera
    depth = np.full((HEIGHT, WIDTH), np.inf)
    if kind >= 1:
        u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
        rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(placement.K).T
        T = placement.T_camera_object
        up = T[:3, 2]
        along = rays @ up
        height = lowest + float(T[:3, 3] @ up)  # of the floor over the camera, negative
        depth = np.where(along * height > 1e-6, height / np.where(along == 0, 1, along), np.inf)
    if kind == 2:
        wall = placement.T_camera_object[2, 3] + rng.uniform(*_WALL_BEHIND)
        depth = np.minimum(depth, wall)
    return np.where(np.isfinite(depth), depth, np.nan)


def _look(
    detector: Detector,
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    placement: Placement,
) -> DepthView | None:
    """What a tracker knows of a view; None if it would not use it or took front for back."""
    T, training = placement.T_camera_object, detector.model.training_camera
    camera = CameraModel(placement.K, WIDTH, HEIGHT)
    distance = float(np.linalg.norm(T[:3, 3]))
    view = View(T[:3, 3] / distance, training.focal_px * distance / training.distance)
    for _ in range(2):  # the second look is as well aimed as a tracker's
        detection = detector.track(image, camera, view, down_camera=placement.down_camera)
        view = detection.next_view
    error = pose_error(detection.T_camera_object, T, detector.model.symmetry)
    if not detection.accepted or is_outlier(error):
        return None
    size_wh = (WIDTH, HEIGHT)
    measured = sample_depth(depth, detection.keypoints_uv, size_wh)
    guess = guess_unit(measured, detection.keypoints_camera[:, 2])
    if guess is None:
        return None
    agreed = scale_from_depth(detection, depth, size_wh)
    return DepthView(
        agreed_m=None if agreed is None else agreed.unit_m,
        unit_m=guess,
        measured=measured,
        depths=detection.keypoints_camera[:, 2],
        T_camera_object=detection.T_camera_object,
        T_true=T,
    )
