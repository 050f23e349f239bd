"""Where the camera stands in rendered views: the paper's sampling, and one for real cameras.

Frames: object x forward, y left, z up; camera x right, y down, z forward (ROS optical). The centre
of the top-left pixel is (0, 0), so the principal point of an S x S view is ((S-1)/2, (S-1)/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """One camera of an S x S view."""

    K: Array
    """Intrinsics [px], shape (3, 3)."""
    T_camera_object: Array
    """Object to camera, shape (4, 4) [model units]."""
    distance: float
    """Depth of the object's origin: z component of the translation [model units]."""
    mode: str
    """Sampling that made this view, "paper" or "dolly"."""


@dataclass(frozen=True)
class PaperCamera:
    """Cameras of the KeypointNet paper: far away, narrow, upright, slightly off target.

    The camera stands at `distance` in a uniformly random direction of the upper hemisphere and
    looks at the origin with zero roll. Then its position, not its rotation, is jittered.

    Reference: Suwajanakorn et al., "Discovery of Latent 3D Keypoints via End-to-end Geometric
    Reasoning", 2018, and its rendering script.
    """

    distance: float = 30.0
    """Distance from the origin before the jitter [model units]."""
    fov_deg: float = 5.0
    """Full field of view, both ways [deg]."""
    jitter: float = 0.2
    """Largest displacement of the camera along each object axis [model units]."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        _raise_if(
            _problems(self, "distance", positive=True)
            + _problems(self, "jitter")
            + (
                []
                if 0 < self.fov_deg < 180
                else [f"fov_deg must be in (0, 180), got {self.fov_deg}"]
            )
        )

    def focal_px(self, image_size: int) -> float:
        """Focal length of an `image_size` x `image_size` view [px]."""
        return (image_size / 2) / math.tan(math.radians(self.fov_deg) / 2)

    def sample(self, rng: np.random.Generator, image_size: int) -> View:
        """Draw one view."""
        direction = sample_upper_hemisphere(rng)
        while True:
            position = self.distance * direction + rng.uniform(-self.jitter, self.jitter, 3)
            if position[2] >= 0:
                break
        R = look_along(-direction)
        return _view(self.focal_px(image_size), image_size, R, -R @ position, "paper")


@dataclass(frozen=True)
class RobotCamera:
    """Cameras for a model that must work on crops of a real camera's image.

    A share of the views is exactly the paper's. The others trade distance against focal length
    (a dolly zoom), so that the object keeps its size while perspective grows as it does in a crop
    of a nearby object, and vary what a crop gets slightly wrong: zoom, roll and aim.
    """

    paper: PaperCamera = field(default_factory=PaperCamera)
    """The far end of the dolly, and the camera of the share below."""
    paper_probability: float = 0.4
    """Probability that a view is drawn exactly as in the paper."""
    nearest_distance: float = 4.5
    """Near end; 1/distance is uniform between the two ends [model units]."""
    zoom_min: float = 0.7
    """Smallest factor on the focal length; the factor is log-uniform."""
    zoom_max: float = 1.4
    """Largest factor on the focal length."""
    roll_deg: float = 8.0
    """Largest roll to either side [deg]."""
    aim_jitter: float = 0.15
    """Largest miss of the optical axis at the origin, to the right and down [model units]."""
    eye_level_probability: float = 0.0
    """Share of the other views whose camera stands at eye level: its elevation is uniform between
    the two angles below. The rest see the upper hemisphere uniformly, half of it over 30 deg."""
    eye_level_min_deg: float = -5.0
    """Lowest elevation at eye level; negative looks up at the object [deg]."""
    eye_level_max_deg: float = 30.0
    """Highest elevation at eye level [deg]."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = [p for name in ("roll_deg", "aim_jitter") for p in _problems(self, name)]
        for name in ("paper_probability", "eye_level_probability"):
            if not 0 <= getattr(self, name) <= 1:
                problems.append(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not -90 <= self.eye_level_min_deg <= self.eye_level_max_deg <= 90:
            problems.append(
                "eye_level_min_deg and eye_level_max_deg must satisfy -90 <= min <= max <= 90, "
                f"got {self.eye_level_min_deg} and {self.eye_level_max_deg}"
            )
        if not 0 < self.nearest_distance <= self.paper.distance:
            problems.append(
                f"nearest_distance must be in (0, {self.paper.distance}], "
                f"got {self.nearest_distance}"
            )
        if not 0 < self.zoom_min <= self.zoom_max < math.inf:
            problems.append(
                f"zoom_min and zoom_max must satisfy 0 < zoom_min <= zoom_max, "
                f"got {self.zoom_min} and {self.zoom_max}"
            )
        _raise_if(problems)

    def focal_px(self, image_size: int) -> float:
        """Focal length of the paper camera [px]: the reference for apparent size."""
        return self.paper.focal_px(image_size)

    def sample(self, rng: np.random.Generator, image_size: int) -> View:
        """Draw one view."""
        if rng.random() < self.paper_probability:
            return self.paper.sample(rng, image_size)
        distance = 1 / rng.uniform(1 / self.paper.distance, 1 / self.nearest_distance)
        zoom = math.exp(rng.uniform(math.log(self.zoom_min), math.log(self.zoom_max)))
        roll = math.radians(rng.uniform(-self.roll_deg, self.roll_deg))
        miss = rng.uniform(-self.aim_jitter, self.aim_jitter, 2)
        position = distance * self._direction(rng)
        upright = look_along(-position)
        aim = miss @ upright[:2]  # right and down of the axis, through the origin
        R = roll_matrix(roll) @ look_along(aim - position)
        focal_px = self.focal_px(image_size) * distance / self.paper.distance * zoom
        return _view(focal_px, image_size, R, -R @ position, "dolly")

    def _direction(self, rng: np.random.Generator) -> Array:
        """From the object to the camera, unit."""
        if self.eye_level_probability == 0 or rng.random() >= self.eye_level_probability:
            return sample_upper_hemisphere(rng)
        low, high = math.radians(self.eye_level_min_deg), math.radians(self.eye_level_max_deg)
        return _direction_at(rng.uniform(-math.pi, math.pi), rng.uniform(low, high))


CameraSettings = PaperCamera | RobotCamera
_SAMPLINGS: dict[str, type[PaperCamera] | type[RobotCamera]] = {
    "paper": PaperCamera,
    "robot": RobotCamera,
}
CAMERAS: dict[str, Callable[[], CameraSettings]] = {
    **_SAMPLINGS,
    # For photographs: half of the views at eye level, from 2 units (a car at 4 m) to far away.
    "eye_level": partial(
        RobotCamera, paper_probability=0.1, nearest_distance=2.0, eye_level_probability=0.55
    ),
}


def camera_by_name(name: str) -> CameraSettings:
    """Return the camera sampling of that name with its default settings."""
    if name not in CAMERAS:
        raise ValueError(f"camera must be one of {', '.join(CAMERAS)}, got {name!r}. Choose one.")
    return CAMERAS[name]()


def camera_to_dict(camera: CameraSettings) -> dict[str, Any]:
    """Return the settings as plain values, with the sampling's name under "sampling"."""
    name = next(key for key, kind in _SAMPLINGS.items() if type(camera) is kind)
    return {"sampling": name, **asdict(camera)}


def camera_from_dict(content: dict[str, Any]) -> CameraSettings:
    """Return the settings that `camera_to_dict` wrote."""
    values = dict(content)
    name = values.pop("sampling", None)
    try:
        if name == "robot":
            return RobotCamera(**{**values, "paper": PaperCamera(**values["paper"])})
        return _SAMPLINGS[name](**values)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"Camera settings must be those of one of the samplings {', '.join(_SAMPLINGS)}, got "
            f"{content}. Render the set again with this version."
        ) from error


def sample_upper_hemisphere(rng: np.random.Generator) -> Array:
    """Draw a unit vector uniformly from the upper hemisphere: a normalised Gaussian with |z|."""
    while True:
        vector = rng.standard_normal(3)
        length = np.linalg.norm(vector)
        if length > 1e-9:
            vector[2] = abs(vector[2])
            return vector / length


def _direction_at(azimuth: float, elevation: float) -> Array:
    c = math.cos(elevation)
    return np.array([c * math.cos(azimuth), c * math.sin(azimuth), math.sin(elevation)])


def look_along(forward: Array) -> Array:
    """Return R_camera_object of a camera that looks along `forward` with zero roll.

    Zero roll: the object's z axis points straight up in the image. Looking straight down or up,
    where that says nothing, the top of the image points along the object's x axis.
    """
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-9:
        right = np.cross(forward, (1.0, 0.0, 0.0))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def roll_matrix(angle: float) -> Array:
    """Rotation of camera coordinates about the optical axis; positive turns the image clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _view(focal_px: float, image_size: int, R: Array, t: Array, mode: str) -> View:
    centre = (image_size - 1) / 2
    K = np.array([[focal_px, 0.0, centre], [0.0, focal_px, centre], [0.0, 0.0, 1.0]])
    T_camera_object = np.eye(4)
    T_camera_object[:3, :3] = R
    T_camera_object[:3, 3] = t
    return View(K=K, T_camera_object=T_camera_object, distance=float(t[2]), mode=mode)


def _problems(settings: object, name: str, positive: bool = False) -> list[str]:
    value = getattr(settings, name)
    if math.isfinite(value) and (value > 0 if positive else value >= 0):
        return []
    return [f"{name} must be {'positive' if positive else 'zero or more'}, got {value}"]


def _raise_if(problems: list[str]) -> None:
    if problems:
        raise ValueError("Camera settings are wrong: " + "; ".join(problems) + ".")
